#include "tests/exchange/run.h"

#include "tests/testing.h"

#include <string.h>

#include "base/fail.h"

enum { CAPACITY = 10, MICRO_BATCH = 300, ROWS = 64, SLOTS = 1024 };

void run_whole(Parameters *whole, Kind kind)
{
    ModelShape shape = tiny_shape(kind.family);
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
    int64_t count = run->parameters.local;
    float *values = allocate((size_t)count, sizeof *values);
    tiny_randomise(&run->parameters, 5, values);
    run->base_shards = allocate((size_t)count, type_bytes(type));
    kernels_cpu()->convert(NULL, run->base_shards, type, elements_f32(values), count);
    release(values);
    run->base = packs ? weights_make(&run->parameters, kernels_cpu(), type, true) : NULL;
    exchange_weights(&collective_mpi, run->publication, &run->parameters,
                     (Elements){world->has[ROLE_LEARNER] ? run->base_shards : NULL, type}, type,
                     run->base);
}

static void open_learner(Run *run, Kind kind)
{
    const Group *group = &run->world->group[ROLE_LEARNER];
    if (!kind.adapted) {
        tiny_learner_make(&run->learner, &run->model, group, 5, MICRO_BATCH, run->weights);
        return;
    }
    learner_make(&run->learner, &run->model, group, &collective_mpi,
                 (LearnerLayout){.micro_batch_tokens = MICRO_BATCH,
                                 .resident = run->weights,
                                 .base = run->base,
                                 .base_shards = run->base_shards});
    tiny_start_adapter(run->trained, 0.1, run->learner.optimizer.master);
    learner_refer_to_base(&run->learner);
}

void run_open(Run *run, const World *world, Kind kind)
{
    ModelShape shape = tiny_shape(kind.family);
    AdapterShape pairs = tiny_adapter_shape(true);
    const Kernels *kernels = kernels_cpu();
    int rank = world->has[ROLE_LEARNER] ? world->group[ROLE_LEARNER].rank : 0;
    int learners = world->count[ROLE_LEARNER];
    *run = (Run){.world = world};
    run_whole(&run->whole, kind);
    parameters_make(&run->parameters, &shape, rank, learners);
    parameters_make_adapter(&run->adapter, &shape, &pairs, rank, learners);
    run->trained = kind.adapted ? &run->adapter : &run->parameters;
    model_make(&run->model, &run->parameters, kind.adapted ? &run->adapter : NULL, kernels,
               kind.type, TINY_POSITIONS);
    int64_t largest = run->parameters.largest > run->adapter.largest ? run->parameters.largest
                                                                     : run->adapter.largest;
    run->publication = collective_mpi.publication_make(world, kernels, learners, largest, 0);
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
    release(run->base_shards);
    collective_mpi.publication_free(run->publication);
    model_free(&run->model);
    parameters_free(&run->parameters);
    parameters_free(&run->adapter);
    parameters_free(&run->whole);
}

float *run_gather(Run *run, const float *shards)
{
    float *values = allocate((size_t)run->whole.local, sizeof *values);
    for (int64_t u = 0; u < run->trained->unit_count; u++) {
        const Unit *unit = &run->trained->units[u];
        Elements shard = elements_f32(shards ? shards + unit->local_offset : NULL);
        const float *flat =
            collective_mpi.publish(run->publication, shard, unit->shard.local, TYPE_F32).data;
        for (int64_t i = unit->first_tensor; i < unit->first_tensor + unit->tensor_count; i++) {
            const TensorPlace *tensor = &run->trained->tensors[i];
            memcpy(values + parameters_piece(&run->whole, i).local, flat + tensor->offset,
                   (size_t)tensor->elements * sizeof *values);
        }
    }
    return values;
}

// Every rollout rank takes every so many trees.
void run_roll_out(Run *run, int64_t trees, uint32_t step, TreeList *all)
{
    Grove grove, buds;
    TreeList mine = {0};
    Generation generation = {.temperature = 0.7,
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
    exchange_weights(&collective_mpi, run->publication, run->trained, elements_f32(masters),
                     model_trained_type(&run->model), run->published);
}
