#include "learner/learner.h"

#include "base/fail.h"

// Units from shards: the sources of windowed weights.
static void gather_begin(void *context, int64_t u, float *flat)
{
    Gathering *gathering = context;
    const Unit *unit = &gathering->parameters->units[u];
    gathering->collective->all_gather_begin(gathering->group, flat,
                                            *gathering->shards + unit->local_offset,
                                            unit->shard.local, &gathering->transfer);
}

static void gather_end(void *context)
{
    Gathering *gathering = context;
    gathering->collective->all_gather_end(&gathering->transfer);
}

static void gather_progress(void *context)
{
    Gathering *gathering = context;
    gathering->collective->progress(&gathering->transfer);
}

// An adapter's pairs are small and packed as they are, whatever the type of the model.
static ElementType trained_type(const Model *model)
{
    return model->adapter ? TYPE_F32 : model->type;
}

// Weights that are gathered from `shards` (an address that is read when a unit is asked for): the
// trained part's, or those of an adapter's base.
static Weights *make_window(Learner *learner, Gathering *gathering, float **shards, bool base)
{
    const Model *model = learner->model;
    const Parameters *parameters = base ? model->parameters : learner->trained;
    Weights *window = weights_make(parameters, model->kernels,
                                   base ? model->type : trained_type(model), learner->keeps_units);
    *gathering = (Gathering){.parameters = parameters,
                             .collective = learner->collective,
                             .group = &learner->ranks.inside,
                             .shards = shards};
    weights_set_source(window, (UnitSource){.begin = gather_begin,
                                            .end = gather_end,
                                            .progress = gather_progress,
                                            .context = gathering});
    return window;
}

static void make_weights(Learner *learner, LearnerLayout layout)
{
    bool adapted = learner->model->adapter != NULL;
    learner->base = layout.base;
    learner->base_shards = layout.base_shards;
    learner->owns_base = adapted && !layout.base;
    if (learner->owns_base)
        learner->base =
            make_window(learner, &learner->gatherings[GATHER_BASE], &learner->base_shards, true);
    learner->weights = layout.resident;
    learner->owns_weights = !layout.resident;
    if (layout.resident)
        return;
    Weights *window = make_window(learner, &learner->gatherings[GATHER_POLICY],
                                  &learner->optimizer.master, false);
    learner->policy_pairs = adapted ? window : NULL;
    learner->weights = adapted ? weights_make_adapted(learner->base, window) : window;
}

static WorkspaceKind workspace_kind(Recompute recompute)
{
    static const WorkspaceKind kinds[] = {[RECOMPUTE_NONE] = WORKSPACE_TRAIN_ALL,
                                          [RECOMPUTE_ELEMENTWISE] = WORKSPACE_TRAIN,
                                          [RECOMPUTE_LAYER] = WORKSPACE_TRAIN_LAYERS};
    return kinds[recompute];
}

void learner_make(Learner *learner, const Model *model, const Group *group,
                  const Collective *collective, LearnerLayout layout)
{
    *learner = (Learner){.group = *group,
                         .collective = collective,
                         .model = model,
                         .trained = model->adapter ? model->adapter : model->parameters,
                         .keeps_units = layout.keeps_units};
    learner->ranks = layout.ranks
                         ? *layout.ranks
                         : (Team){.inside = *group, .across = {.comm = MPI_COMM_SELF, .size = 1}};
    int64_t rows = layout.micro_batch_tokens, slots = plan_slots(rows);
    optimizer_make(&learner->optimizer, learner->trained, model->kernels);
    gradient_make(&learner->gradient, learner->trained, model->kernels, collective,
                  &learner->ranks);
    workspace_make(&learner->workspace, model, workspace_kind(layout.recompute), rows, slots);
    batch_make(&learner->batch, rows, slots);
    make_weights(learner, layout);
}

void learner_free(Learner *learner)
{
    if (!learner->model)
        return;
    const Kernels *kernels = learner->model->kernels;
    gradient_free(&learner->gradient);
    workspace_free(&learner->workspace, learner->model);
    batch_free(&learner->batch);
    loss_free(&learner->loss);
    // A unit may still be on its way from shards: weights go before what they are gathered from.
    if (learner->owns_weights)
        weights_free(learner->weights);
    if (learner->owns_base)
        weights_free(learner->base);
    weights_free(learner->policy_pairs);
    weights_free(learner->reference);
    weights_free(learner->reference_pairs);
    optimizer_free(&learner->optimizer, kernels);
    if (learner->reference_shards)
        kernels->memory_free(learner->reference_shards);
    *learner = (Learner){0};
}

bool learner_packs_base(int learner_ranks)
{
    return learner_ranks == 1;
}

static size_t window_bytes(const Parameters *parameters, const Model *model, ElementType type,
                           bool keeps_units)
{
    size_t staging = (size_t)parameters->largest * sizeof(float);
    return weights_bytes(parameters, model->kernels, type, keeps_units) + staging;
}

static size_t base_bytes(const Model *model, LearnerNeeds needs)
{
    const Parameters *parameters = model->parameters;
    if (learner_packs_base(needs.ranks))
        return weights_bytes(parameters, model->kernels, model->type, true);
    return (size_t)parameters->local * sizeof(float) +
           window_bytes(parameters, model, model->type, needs.keeps_units);
}

LearnerMemory learner_bytes(const Model *model, LearnerNeeds needs)
{
    const Parameters *trained = model->adapter ? model->adapter : model->parameters;
    int64_t rows = needs.micro_batch_tokens;
    size_t flat = (size_t)trained->local * sizeof(float);
    size_t window = window_bytes(trained, model, trained_type(model), needs.keeps_units);
    return (LearnerMemory){
        .state = 3 * flat + gradient_bytes(trained, needs.ranks / trained->shards),
        .activations =
            workspace_bytes(model, workspace_kind(needs.recompute), rows, plan_slots(rows)),
        .windows = (needs.gathers ? window : 0) + (needs.reference ? flat + window : 0),
        .base = needs.gathers && model->adapter ? base_bytes(model, needs) : 0,
    };
}

void learner_refresh(Learner *learner)
{
    const Parameters *trained = learner->trained;
    float *flat = learner->gradient.scratch; // with several ranks; the gradient is done with it
    for (int64_t u = 0; u < trained->unit_count; u++) {
        const float *whole = learner->optimizer.master + trained->units[u].local_offset;
        const Unit *unit = &trained->units[u];
        Transfer transfer;
        if (flat) {
            learner->collective->all_gather_begin(&learner->ranks.inside, flat, whole,
                                                  unit->shard.local, &transfer);
            learner->collective->all_gather_end(&transfer);
        }
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
    Weights *window = make_window(learner, &learner->gatherings[GATHER_REFERENCE],
                                  &learner->reference_shards, false);
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
