#include "learner/learner.h"

#include "base/fail.h"
#include "parallel/recorder.h"

// Units from shards: the sources of windowed weights. A shard that is narrowed, or lies in the
// host's memory, goes to its place first: collectives move what lies on the device.
static void gather_begin(void *context, int64_t u, void *flat)
{
    Gathering *gathering = context;
    const Unit *unit = &gathering->parameters->units[u];
    Elements shard = elements_from(gathering->shards, unit->local_offset);
    if (shard.type != gathering->type || gathering->host) {
        Elements place = elements_from((Elements){flat, gathering->type},
                                       gathering->group->rank * unit->shard.local);
        gathering->kernels->convert(NULL, (void *)(uintptr_t)place.data, place.type, shard,
                                    unit->shard.local);
        shard = place;
    }
    recorder_set_unit(u);
    gathering->collective->all_gather_begin(gathering->group, gathering->kernels, flat, shard,
                                            unit->shard.local, &gathering->transfer);
    recorder_set_unit(-1);
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

static Gathering gathering_of(const Learner *learner, const Parameters *parameters, Elements shards,
                              ElementType type)
{
    const Optimizer *optimizer = &learner->optimizer;
    return (Gathering){.parameters = parameters,
                       .kernels = learner->model->kernels,
                       .collective = learner->collective,
                       .group = &learner->ranks.inside,
                       .shards = shards,
                       .host = optimizer->form.host && shards.data == optimizer->master,
                       .type = type};
}

// Weights of some parameters that are gathered from their shards.
static Weights *make_window(Learner *learner, int which, const Parameters *parameters,
                            Elements shards, ElementType type)
{
    Weights *window = weights_make(parameters, learner->model->kernels, type, learner->keeps_units);
    learner->gatherings[which] = gathering_of(learner, parameters, shards, type);
    weights_set_source(window, (UnitSource){.type = type,
                                            .begin = gather_begin,
                                            .end = gather_end,
                                            .progress = gather_progress,
                                            .context = &learner->gatherings[which]});
    return window;
}

static void make_weights(Learner *learner, LearnerLayout layout)
{
    bool adapted = learner->model->adapter != NULL;
    learner->base = layout.base;
    learner->base_shards = layout.base_shards;
    learner->owns_base = adapted && !layout.base;
    ElementType type = learner->model->type;
    if (learner->owns_base)
        learner->base = make_window(learner, GATHER_BASE, learner->model->parameters,
                                    (Elements){learner->base_shards, type}, type);
    learner->weights = layout.resident;
    learner->owns_weights = !layout.resident;
    if (layout.resident)
        return;
    Weights *window =
        make_window(learner, GATHER_POLICY, learner->trained,
                    elements_f32(learner->optimizer.master), model_trained_type(learner->model));
    learner->policy_pairs = adapted ? window : NULL;
    learner->weights = adapted ? weights_make_adapted(learner->base, window) : window;
}

WorkspaceKind learner_workspace_kind(Recompute recompute)
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
    collective->join(&learner->ranks.inside);
    collective->join(&learner->ranks.across);
    int64_t rows = layout.micro_batch_tokens, slots = plan_slots(rows);
    optimizer_make(&learner->optimizer, learner->trained, model->kernels, layout.optimizer);
    gradient_make(&learner->gradient, learner->trained, model->kernels, collective,
                  &learner->ranks);
    workspace_make(&learner->workspace, model, learner_workspace_kind(layout.recompute), rows,
                   slots);
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
    size_t staging = (size_t)parameters->largest * type_bytes(type);
    return weights_bytes(parameters, model->kernels, type, keeps_units) + staging;
}

static size_t base_bytes(const Model *model, LearnerNeeds needs)
{
    const Parameters *parameters = model->parameters;
    if (learner_packs_base(needs.ranks))
        return weights_bytes(parameters, model->kernels, model->type, true);
    return (size_t)parameters->local * type_bytes(model->type) +
           window_bytes(parameters, model, model->type, needs.keeps_units);
}

LearnerMemory learner_bytes(const Model *model, LearnerNeeds needs)
{
    const Parameters *trained = model->adapter ? model->adapter : model->parameters;
    int64_t rows = needs.micro_batch_tokens;
    ElementType type = model_trained_type(model);
    size_t local = (size_t)trained->local;
    size_t window = window_bytes(trained, model, type, needs.keeps_units);
    return (LearnerMemory){
        .masters = local * sizeof(float),
        .moments = 2 * local * type_bytes(needs.moments),
        .gradients = gradient_bytes(trained, needs.ranks / trained->shards),
        .activations =
            workspace_bytes(model, learner_workspace_kind(needs.recompute), rows, plan_slots(rows)),
        .windows = needs.gathers ? window : 0,
        .reference = needs.reference ? local * type_bytes(type) + window : 0,
        .base = needs.gathers && model->adapter ? base_bytes(model, needs) : 0,
    };
}

void learner_refresh(Learner *learner)
{
    Elements masters = elements_f32(learner->optimizer.master);
    ElementType type = model_trained_type(learner->model);
    Weights *weights = weights_trained(learner->weights);
    Gathering gathering = gathering_of(learner, learner->trained, masters, type);
    float *flat = learner->gradient.scratch; // with several ranks; the gradient is done with it
    if (!flat) {
        weights_load(weights, masters);
        return;
    }
    for (int64_t u = 0; u < learner->trained->unit_count; u++) {
        gather_begin(&gathering, u, flat);
        gather_end(&gathering);
        weights_load_unit(weights, u, (Elements){flat, type});
    }
}

static void make_reference(Learner *learner)
{
    const Model *model = learner->model;
    ElementType type = model_trained_type(model);
    learner->reference_shards =
        model->kernels->memory_make((size_t)learner->trained->local * type_bytes(type));
    Weights *window = make_window(learner, GATHER_REFERENCE, learner->trained,
                                  (Elements){learner->reference_shards, type}, type);
    learner->reference_pairs = model->adapter ? window : NULL;
    learner->reference = model->adapter ? weights_make_adapted(learner->base, window) : window;
}

void learner_set_reference(Learner *learner, const float *shards)
{
    const Model *model = learner->model;
    if (!learner->reference)
        make_reference(learner);
    model->kernels->convert(NULL, learner->reference_shards, model_trained_type(model),
                            elements_f32(shards), learner->trained->local);
    weights_invalidate(learner->reference);
}

void learner_freeze_reference(Learner *learner)
{
    learner_set_reference(learner, learner->optimizer.master);
}

void learner_refer_to_base(Learner *learner)
{
    CHECK(learner->base && !learner->reference, "a reference without an adapter");
    learner->reference = weights_make_adapted(learner->base, NULL);
}
