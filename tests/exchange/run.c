#include "tests/exchange/run.h"

#include "tests/testing.h"

#include <string.h>

#include "base/fail.h"

static const double TINY_TEMPERATURE = 0.7; // that of tiny_step_settings
enum { CAPACITY = 10, MICRO_BATCH = 300, ROWS = 64, SLOTS = 1024 };

// As tools/l2a-clinic writes it, made small: half its layers.
static const char demo_config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 64, "
    "\"intermediate_size\": 192, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, "
    "\"num_key_value_heads\": 2, \"head_dim\": 16, \"vocab_size\": 960, "
    "\"max_position_embeddings\": 2048, \"hidden_act\": \"silu\", \"rms_norm_eps\": 1e-05, "
    "\"rope_theta\": 10000.0, \"tie_word_embeddings\": true, \"initializer_range\": 0.08}";

const char *kind_name(Kind kind)
{
    return kind.demo ? "embedded default" : tiny_names[kind.family];
}

ModelShape kind_shape(Kind kind)
{
    ModelShape shape;
    if (!kind.demo)
        return tiny_shape(kind.family);
    if (shape_parse(&shape, demo_config, strlen(demo_config), "embedded default") != 0)
        die_failed();
    return shape;
}

void run_whole(Parameters *whole, Kind kind)
{
    ModelShape shape = kind_shape(kind);
    AdapterShape pairs = tiny_adapter_shape(true);
    if (kind.adapted)
        parameters_make_adapter(whole, &shape, &pairs, 0, 1);
    else
        parameters_make(whole, &shape, 0, 1);
}

// The frozen base: packed where it is read as it is, shards on learner ranks.
static void open_base(Run *run, ElementType type)
{
    const World *world = run->world;
    bool packs = world->has[ROLE_ROLLOUT] || learner_packs_base(world->count[ROLE_LEARNER]);
    const Kernels *kernels = run->backend.kernels;
    int64_t count = run->parameters.local;
    float *values = allocate((size_t)count, sizeof *values), *device;
    tiny_randomise(&run->parameters, 5, values);
    device = kernels->memory_make((size_t)count * sizeof *values);
    kernels->copy_in(NULL, device, values, (size_t)count * sizeof *values);
    run->base_shards = kernels->memory_make((size_t)count * type_bytes(type));
    kernels->convert(NULL, run->base_shards, type, elements_f32(device), count);
    kernels->queue_wait(NULL);
    kernels->memory_free(device);
    release(values);
    run->base = packs ? weights_make(&run->parameters, kernels, type, true) : NULL;
    exchange_weights(run->backend.collective, run->publication, &run->parameters,
                     (Elements){world->has[ROLE_LEARNER] ? run->base_shards : NULL, type}, type,
                     run->base);
}

static void open_learner(Run *run, Kind kind)
{
    const Group *group = &run->world->group[ROLE_LEARNER];
    const Kernels *kernels = run->backend.kernels;
    learner_make(&run->learner, &run->model, group, run->backend.collective,
                 (LearnerLayout){.micro_batch_tokens = MICRO_BATCH,
                                 .resident = run->weights,
                                 .base = run->base,
                                 .base_shards = run->base_shards});
    if (!kind.adapted && !kind.demo) {
        tiny_learner_fill(&run->learner, 5);
        return;
    }
    size_t bytes = (size_t)run->trained->local * sizeof(float);
    float *values = allocate(bytes, 1);
    if (kind.adapted)
        tiny_start_adapter(run->trained, 0.1, values);
    else
        parameters_randomise(run->trained, 5, values);
    kernels->copy_in(NULL, run->learner.optimizer.master, values, bytes);
    kernels->queue_wait(NULL);
    release(values);
    if (kind.adapted)
        learner_refer_to_base(&run->learner);
    else
        learner_freeze_reference(&run->learner);
}

void run_open(Run *run, const World *world, Kind kind)
{
    ModelShape shape = kind_shape(kind);
    AdapterShape pairs = tiny_adapter_shape(true);
    Backend backend = {.kernels = kernels_cpu(), .collective = &collective_mpi};
    if (kind.backend)
        backend = *kind.backend;
    const Kernels *kernels = backend.kernels;
    int rank = world->has[ROLE_LEARNER] ? world->group[ROLE_LEARNER].rank : 0;
    int learners = world->count[ROLE_LEARNER];
    *run =
        (Run){.world = world, .backend = backend, .temperature = kind.demo ? 1 : TINY_TEMPERATURE};
    run_whole(&run->whole, kind);
    parameters_make(&run->parameters, &shape, rank, learners);
    parameters_make_adapter(&run->adapter, &shape, &pairs, rank, learners);
    run->trained = kind.adapted ? &run->adapter : &run->parameters;
    model_make(&run->model, &run->parameters, kind.adapted ? &run->adapter : NULL, kernels,
               kind.type, TINY_POSITIONS);
    int64_t largest = run->parameters.largest > run->adapter.largest ? run->parameters.largest
                                                                     : run->adapter.largest;
    run->publication = backend.collective->publication_make(world, kernels, learners, largest, 0);
    if (kind.adapted)
        open_base(run, kind.type);
    if (world->has[ROLE_ROLLOUT]) {
        run->published =
            weights_make(run->trained, kernels, kind.adapted ? TYPE_F32 : kind.type, true);
        run->weights =
            kind.adapted ? weights_make_adapted(run->base, run->published) : run->published;
        engine_make(&run->engine, &run->model, run->weights, ROWS, SLOTS);
    }
    if (world->has[ROLE_LEARNER])
        open_learner(run, kind);
}

void run_close(Run *run)
{
    learner_free(&run->learner);
    engine_free(&run->engine);
    if (run->weights != run->published)
        weights_free(run->weights);
    weights_free(run->published);
    weights_free(run->base);
    if (run->base_shards)
        run->backend.kernels->memory_free(run->base_shards);
    run->backend.collective->publication_free(run->publication);
    model_free(&run->model);
    parameters_free(&run->parameters);
    parameters_free(&run->adapter);
    parameters_free(&run->whole);
}

float *run_gather(Run *run, const float *shards)
{
    const Kernels *kernels = run->backend.kernels;
    float *values = allocate((size_t)run->whole.local, sizeof *values);
    float *flat = allocate((size_t)run->trained->largest, sizeof *flat);
    for (int64_t u = 0; u < run->trained->unit_count; u++) {
        const Unit *unit = &run->trained->units[u];
        Elements shard = elements_f32(shards ? shards + unit->local_offset : NULL);
        Elements whole =
            run->backend.collective->publish(run->publication, shard, unit->shard.local, TYPE_F32);
        kernels->copy_out(NULL, flat, whole.data, (size_t)unit->shard.padded * sizeof *flat);
        kernels->queue_wait(NULL);
        for (int64_t i = unit->first_tensor; i < unit->first_tensor + unit->tensor_count; i++) {
            const TensorPlace *tensor = &run->trained->tensors[i];
            memcpy(values + parameters_piece(&run->whole, i).local, flat + tensor->offset,
                   (size_t)tensor->elements * sizeof *values);
        }
    }
    release(flat);
    return values;
}

StepNumbers run_learn(Run *run, const TreeList *trees)
{
    StepNumbers numbers = {0};
    const World *world = run->world;
    if (world->has[ROLE_LEARNER]) {
        Metrics metrics = {0};
        StepSettings settings = tiny_step_settings();
        settings.temperature = run->temperature;
        settings.optimizer.learning_rate = 1e-3;
        settings.optimizer.weight_decay = 0.1;
        assert_int_equal(learner_step(&run->learner, &settings,
                                      &(StepBatch){.trees = trees->trees, .count = trees->count},
                                      &metrics),
                         0);
        numbers = (StepNumbers){.policy = metrics_get(&metrics, "actor/pg_loss"),
                                .divergence = metrics_get(&metrics, "actor/kl_loss"),
                                .norm = metrics_get(&metrics, "actor/grad_norm"),
                                .gap = metrics_get(&metrics, "mismatch/logprob_gap_max")};
        metrics_free(&metrics);
    }
    group_broadcast(&world->all, &numbers, sizeof numbers, world->first[ROLE_LEARNER]);
    return numbers;
}

// Every rollout rank takes every so many trees.
void run_roll_out(Run *run, int64_t trees, uint32_t step, TreeList *all)
{
    Grove grove, buds;
    TreeList mine = {0};
    Generation generation = {.temperature = run->temperature,
                             .top_p = 1,
                             .repetition_penalty = 1,
                             .max_response_tokens = CAPACITY,
                             .purpose = PURPOSE_POLICY,
                             .step = step};
    grove_make(&grove, trees, run->model.shape->vocabulary, 3);
    grove_sprout(&buds, &grove, CAPACITY);
    for (int64_t t = 0; t < trees; t++) {
        const Group *group = &run->world->group[ROLE_ROLLOUT];
        if (run->world->has[ROLE_ROLLOUT] && t % group->size == group->rank)
            tree_list_add(&mine, &buds.trees[t], t);
        else
            tree_free(&buds.trees[t]);
    }
    release(buds.trees);
    grove_free(&grove);
    if (mine.count > 0)
        engine_generate(&run->engine, mine.trees, mine.count, &generation);
    exchange_trees(run->world, &mine, all);
    assert_int_equal(mine.count, 0);
    assert_int_equal(all->count, trees);
    tree_list_free(&mine);
}

void run_publish(Run *run)
{
    const float *masters = run->world->has[ROLE_LEARNER] ? run->learner.optimizer.master : NULL;
    exchange_weights(run->backend.collective, run->publication, run->trained, elements_f32(masters),
                     model_trained_type(&run->model), run->published);
}
