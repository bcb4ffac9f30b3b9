#include "learner/learner.h"

// Gathers a unit from shards: the source of windowed weights.
static void gather_policy_unit(void *context, int64_t u, float *flat)
{
    Learner *learner = context;
    const Unit *unit = &learner->model->parameters->units[u];
    learner->collective->all_gather(
        &learner->group, flat, learner->optimizer.master + unit->local_offset, unit->shard.local);
}

static void gather_reference_unit(void *context, int64_t u, float *flat)
{
    Learner *learner = context;
    const Unit *unit = &learner->model->parameters->units[u];
    learner->collective->all_gather(
        &learner->group, flat, learner->reference_shards + unit->local_offset, unit->shard.local);
}

void learner_make(Learner *learner, const Model *model, const Group *group,
                  const Collective *collective, LearnerLayout layout)
{
    *learner = (Learner){.group = *group, .collective = collective, .model = model};
    int64_t rows = layout.micro_batch_tokens, slots = plan_slots(rows);
    optimizer_make(&learner->optimizer, model->parameters, model->kernels);
    gradient_make(&learner->gradient, model->parameters, model->kernels, collective,
                  &learner->group);
    workspace_make(&learner->workspace, model, WORKSPACE_TRAIN, rows, slots);
    batch_make(&learner->batch, rows, slots);
    learner->weights = layout.resident;
    learner->owns_weights = !layout.resident;
    if (learner->owns_weights) {
        learner->weights = weights_make(model->parameters, model->kernels, model->type, false);
        weights_set_source(learner->weights, gather_policy_unit, learner);
    }
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
    weights_free(learner->reference);
    if (learner->reference_shards)
        kernels->memory_free(learner->reference_shards);
    *learner = (Learner){0};
}

LearnerMemory learner_bytes(const Model *model, int ranks, int64_t micro_batch_tokens, bool gathers,
                            bool with_reference)
{
    const Parameters *parameters = model->parameters;
    size_t flat = (size_t)parameters->local * sizeof(float);
    size_t window = weights_bytes(parameters, model->kernels, model->type, false);
    return (LearnerMemory){
        .state = 3 * flat + gradient_bytes(parameters, ranks),
        .activations = workspace_bytes(model, WORKSPACE_TRAIN, micro_batch_tokens,
                                       plan_slots(micro_batch_tokens)),
        .windows = (gathers ? window : 0) + (with_reference ? flat + window : 0),
    };
}

void learner_refresh(Learner *learner)
{
    const Parameters *parameters = learner->model->parameters;
    float *flat = learner->gradient.scratch; // with several ranks; the gradient is done with it
    for (int64_t u = 0; u < parameters->unit_count; u++) {
        const float *whole = learner->optimizer.master + parameters->units[u].local_offset;
        if (flat)
            gather_policy_unit(learner, u, flat);
        weights_load_unit(learner->weights, u, flat ? flat : whole);
    }
}

void learner_reserve_reference(Learner *learner)
{
    const Model *model = learner->model;
    if (learner->reference)
        return;
    learner->reference_shards =
        model->kernels->memory_make((size_t)model->parameters->local * sizeof(float));
    learner->reference = weights_make(model->parameters, model->kernels, model->type, false);
    weights_set_source(learner->reference, gather_reference_unit, learner);
}

void learner_freeze_reference(Learner *learner)
{
    learner_reserve_reference(learner);
    learner->model->kernels->copy(NULL, learner->reference_shards, learner->optimizer.master,
                                  (size_t)learner->model->parameters->local * sizeof(float));
    weights_invalidate(learner->reference);
}
