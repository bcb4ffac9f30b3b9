#include "learner/learner.h"

#include "base/fail.h"

// Gathers a unit from shards: the sources of windowed weights.
static void gather_unit(const Learner *learner, const Parameters *parameters, const float *shards,
                        int64_t u, float *flat)
{
    const Unit *unit = &parameters->units[u];
    learner->collective->all_gather(&learner->group, flat, shards + unit->local_offset,
                                    unit->shard.local);
}

static void gather_policy_unit(void *context, int64_t unit, float *flat)
{
    Learner *learner = context;
    gather_unit(learner, learner->trained, learner->optimizer.master, unit, flat);
}

static void gather_reference_unit(void *context, int64_t unit, float *flat)
{
    Learner *learner = context;
    gather_unit(learner, learner->trained, learner->reference_shards, unit, flat);
}

static void gather_base_unit(void *context, int64_t unit, float *flat)
{
    Learner *learner = context;
    gather_unit(learner, learner->model->parameters, learner->base_shards, unit, flat);
}

// An adapter's pairs are small and packed as they are, whatever the type of the model.
static ElementType trained_type(const Model *model)
{
    return model->adapter ? TYPE_F32 : model->type;
}

static Weights *make_window(Learner *learner, UnitSource source)
{
    const Model *model = learner->model;
    bool base = source == gather_base_unit;
    Weights *window = weights_make(base ? model->parameters : learner->trained, model->kernels,
                                   base ? model->type : trained_type(model), false);
    weights_set_source(window, source, learner);
    return window;
}

static void make_weights(Learner *learner, LearnerLayout layout)
{
    bool adapted = learner->model->adapter != NULL;
    learner->base = layout.base;
    learner->base_shards = layout.base_shards;
    learner->owns_base = adapted && !layout.base;
    if (learner->owns_base)
        learner->base = make_window(learner, gather_base_unit);
    learner->weights = layout.resident;
    learner->owns_weights = !layout.resident;
    if (layout.resident)
        return;
    Weights *window = make_window(learner, gather_policy_unit);
    learner->policy_pairs = adapted ? window : NULL;
    learner->weights = adapted ? weights_make_adapted(learner->base, window) : window;
}

void learner_make(Learner *learner, const Model *model, const Group *group,
                  const Collective *collective, LearnerLayout layout)
{
    *learner = (Learner){.group = *group,
                         .collective = collective,
                         .model = model,
                         .trained = model->adapter ? model->adapter : model->parameters};
    int64_t rows = layout.micro_batch_tokens, slots = plan_slots(rows);
    optimizer_make(&learner->optimizer, learner->trained, model->kernels);
    gradient_make(&learner->gradient, learner->trained, model->kernels, collective,
                  &learner->group);
    workspace_make(&learner->workspace, model, WORKSPACE_TRAIN, rows, slots);
    batch_make(&learner->batch, rows, slots);
    make_weights(learner, layout);
}

void learner_free(Learner *learner)
{
    if (!learner->model)
        return;
    const Kernels *kernels = learner->model->kernels;
    optimizer_free(&learner->optimizer, kernels);
    gradient_free(&learner->gradient);
    workspace_free(&learner->workspace, learner->model);
    batch_free(&learner->batch);
    if (learner->owns_weights)
        weights_free(learner->weights);
    loss_free(&learner->loss);
    if (learner->owns_base)
        weights_free(learner->base);
    weights_free(learner->policy_pairs);
    weights_free(learner->reference);
    weights_free(learner->reference_pairs);
    if (learner->reference_shards)
        kernels->memory_free(learner->reference_shards);
    *learner = (Learner){0};
}

bool learner_packs_base(int learner_ranks)
{
    return learner_ranks == 1;
}

static size_t base_bytes(const Model *model, int ranks)
{
    bool packed = learner_packs_base(ranks);
    size_t shards = packed ? 0 : (size_t)model->parameters->local * sizeof(float);
    return shards + weights_bytes(model->parameters, model->kernels, model->type, packed);
}

LearnerMemory learner_bytes(const Model *model, int ranks, int64_t micro_batch_tokens, bool gathers,
                            bool with_reference)
{
    const Parameters *trained = model->adapter ? model->adapter : model->parameters;
    size_t flat = (size_t)trained->local * sizeof(float);
    size_t window = weights_bytes(trained, model->kernels, trained_type(model), false);
    return (LearnerMemory){
        .state = 3 * flat + gradient_bytes(trained, ranks),
        .activations = workspace_bytes(model, WORKSPACE_TRAIN, micro_batch_tokens,
                                       plan_slots(micro_batch_tokens)),
        .windows = (gathers ? window : 0) + (with_reference ? flat + window : 0),
        .base = gathers && model->adapter ? base_bytes(model, ranks) : 0,
    };
}

void learner_refresh(Learner *learner)
{
    const Parameters *trained = learner->trained;
    float *flat = learner->gradient.scratch; // with several ranks; the gradient is done with it
    for (int64_t u = 0; u < trained->unit_count; u++) {
        const float *whole = learner->optimizer.master + trained->units[u].local_offset;
        if (flat)
            gather_policy_unit(learner, u, flat);
        weights_load_unit(weights_trained(learner->weights), u, flat ? flat : whole);
    }
}

void learner_reserve_reference(Learner *learner)
{
    const Model *model = learner->model;
    if (learner->reference)
        return;
    learner->reference_shards =
        model->kernels->memory_make((size_t)learner->trained->local * sizeof(float));
    Weights *window = make_window(learner, gather_reference_unit);
    learner->reference_pairs = model->adapter ? window : NULL;
    learner->reference = model->adapter ? weights_make_adapted(learner->base, window) : window;
}

void learner_freeze_reference(Learner *learner)
{
    learner_reserve_reference(learner);
    learner->model->kernels->copy(NULL, learner->reference_shards, learner->optimizer.master,
                                  (size_t)learner->trained->local * sizeof(float));
    weights_invalidate(learner->reference);
}

void learner_refer_to_base(Learner *learner)
{
    CHECK(learner->base && !learner->reference, "a reference without an adapter");
    learner->reference = weights_make_adapted(learner->base, NULL);
}
