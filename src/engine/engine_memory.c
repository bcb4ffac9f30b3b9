#include "base/fail.h"
#include "engine/decode.h"

// Of one layer's keys, or values.
static size_t cache_bytes(const Model *model, int64_t slots)
{
    const ModelShape *shape = model->shape;
    return model->kernels->cache_bytes(slots + decoder_slots(model), shape->kv_heads,
                                       shape->head_width, model->type);
}

size_t engine_cache_bytes(const Model *model, int64_t slots)
{
    return 2 * (size_t)model->shape->layers * cache_bytes(model, slots);
}

size_t engine_bytes(const Model *model, int64_t rows, int64_t slots)
{
    return engine_cache_bytes(model, slots) + workspace_bytes(model, WORKSPACE_DECODE, rows, 0) +
           decoder_bytes(model, rows);
}

static void make_caches(Engine *engine)
{
    const Model *model = engine->model;
    const ModelShape *shape = model->shape;
    size_t bytes = cache_bytes(model, engine->slots);
    engine->caches = allocate((size_t)shape->layers, sizeof *engine->caches);
    engine->cache_memory = model->kernels->memory_make(engine_cache_bytes(model, engine->slots));
    for (int64_t l = 0; l < shape->layers; l++) {
        char *keys = (char *)engine->cache_memory + 2 * (size_t)l * bytes;
        engine->caches[l] = (Cache){.keys = keys,
                                    .values = keys + bytes,
                                    .slots = engine->slots + decoder_slots(model),
                                    .heads = shape->kv_heads,
                                    .head_width = shape->head_width,
                                    .type = model->type};
    }
}

void engine_make(Engine *engine, const Model *model, Weights *weights, int64_t rows, int64_t slots)
{
    const Kernels *kernels = model->kernels;
    *engine = (Engine){.model = model, .weights = weights, .slots = slots_aligned(slots)};
    workspace_make(&engine->workspace, model, WORKSPACE_DECODE, rows, 0);
    batch_make(&engine->batch, rows, engine->slots);
    make_caches(engine);
    engine->decoder = decoder_make(model, rows);
    engine->uniform_host = allocate(SCORED_CHUNK, sizeof *engine->uniform_host);
    engine->uniform = kernels->memory_make(SCORED_CHUNK * sizeof *engine->uniform);
    engine->sampled = kernels->memory_make(SCORED_CHUNK * sizeof *engine->sampled);
    engine->logprobs = kernels->memory_make(SCORED_CHUNK * sizeof *engine->logprobs);
    engine->rows = kernels->memory_make(SCORED_CHUNK * sizeof *engine->rows);
    engine->targets = kernels->memory_make(SCORED_CHUNK * sizeof *engine->targets);
}

void engine_free(Engine *engine)
{
    if (!engine->model)
        return;
    const Kernels *kernels = engine->model->kernels;
    workspace_free(&engine->workspace, engine->model);
    batch_free(&engine->batch);
    decoder_free(engine->decoder);
    kernels->memory_free(engine->cache_memory);
    kernels->memory_free(engine->uniform);
    kernels->memory_free(engine->sampled);
    kernels->memory_free(engine->logprobs);
    kernels->memory_free(engine->rows);
    kernels->memory_free(engine->targets);
    if (engine->raw)
        kernels->memory_free(engine->raw);
    if (engine->seen)
        kernels->memory_free(engine->seen);
    if (engine->seen_offsets)
        kernels->memory_free(engine->seen_offsets);
    release(engine->caches);
    release(engine->uniform_host);
    *engine = (Engine){0};
}
