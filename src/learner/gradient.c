#include "learner/gradient.h"

#include <math.h>

#include "parallel/recorder.h"

static bool is_sharded(const Gradient *gradient)
{
    return gradient->ranks->inside.size > 1;
}

// Layers take turns: one is computed while the other is on its way.
static int window_of(const Parameters *parameters, int64_t unit)
{
    if (unit == 0)
        return 0;
    return unit == parameters->unit_count - 1 ? 3 : unit % 2 == 1 ? 1 : 2;
}

// Elements of a window: of the largest unit that uses it.
static int64_t window_elements(const Parameters *parameters, int window)
{
    int64_t most = 0;
    for (int64_t u = 0; u < parameters->unit_count; u++)
        if (window_of(parameters, u) == window && parameters->units[u].shard.padded > most)
            most = parameters->units[u].shard.padded;
    return most;
}

static int64_t largest_shard(const Parameters *parameters)
{
    return parameters->largest / parameters->shards;
}

// The sum over groups works on equal shares: two buffers with some room behind a shard.
static int64_t spare_elements(const Parameters *parameters, int replicas)
{
    return replicas > 1 ? 2 * (largest_shard(parameters) + replicas) : 0;
}

void gradient_make(Gradient *gradient, const Parameters *parameters, const Kernels *kernels,
                   const Collective *collective, const Team *ranks)
{
    *gradient = (Gradient){.parameters = parameters,
                           .kernels = kernels,
                           .collective = collective,
                           .ranks = ranks,
                           .moving = -1};
    gradient->shards = kernels->memory_make((size_t)parameters->local * sizeof(float));
    gradient->squares =
        kernels->memory_make((size_t)parameters->unit_count * sizeof *gradient->squares);
    if (ranks->across.size > 1)
        gradient->spare = kernels->memory_make(
            (size_t)spare_elements(parameters, ranks->across.size) * sizeof(float));
    if (!is_sharded(gradient))
        return;
    for (int w = 0; w < GRADIENT_WINDOWS; w++)
        gradient->windows[w] =
            kernels->memory_make((size_t)window_elements(parameters, w) * sizeof(float));
    gradient->scratch = kernels->memory_make((size_t)parameters->largest * sizeof(float));
}

size_t gradient_bytes(const Parameters *parameters, int replicas)
{
    int64_t elements = parameters->local + spare_elements(parameters, replicas);
    for (int w = 0; w < GRADIENT_WINDOWS && parameters->shards > 1; w++)
        elements += window_elements(parameters, w);
    elements += parameters->shards > 1 ? parameters->largest : 0;
    return (size_t)elements * sizeof(float) + (size_t)parameters->unit_count * sizeof(double);
}

void gradient_free(Gradient *gradient)
{
    if (!gradient->shards)
        return;
    const Kernels *kernels = gradient->kernels;
    kernels->memory_free(gradient->shards);
    for (int w = 0; w < GRADIENT_WINDOWS; w++)
        if (gradient->windows[w])
            kernels->memory_free(gradient->windows[w]);
    if (gradient->scratch)
        kernels->memory_free(gradient->scratch);
    if (gradient->spare)
        kernels->memory_free(gradient->spare);
    kernels->memory_free(gradient->squares);
    *gradient = (Gradient){0};
}

void gradient_clear(Gradient *gradient)
{
    gradient->kernels->fill_zero(NULL, gradient->shards,
                                 (size_t)gradient->parameters->local * sizeof(float));
}

void gradient_begin(Gradient *gradient, bool last)
{
    gradient->last = last;
}

// The shard of a unit has all that this group gives: while it is near, its part of the norm.
static void complete_unit(Gradient *gradient, int64_t u)
{
    const Unit *unit = &gradient->parameters->units[u];
    if (gradient->last && gradient->ranks->across.size == 1)
        gradient->kernels->square_sum(NULL, &gradient->squares[u],
                                      gradient->shards + unit->local_offset, unit->shard.local);
}

static void end_moving(Gradient *gradient)
{
    if (gradient->moving < 0)
        return;
    int64_t u = gradient->moving;
    const Unit *unit = &gradient->parameters->units[u];
    gradient->collective->reduce_scatter_end(
        &gradient->ranks->inside, gradient->kernels, gradient->shards + unit->local_offset,
        gradient->windows[window_of(gradient->parameters, u)], unit->shard.local, gradient->scratch,
        &gradient->transfer);
    gradient->moving = -1;
    complete_unit(gradient, u);
}

static float *begin_unit(void *context, int64_t u)
{
    Gradient *gradient = context;
    const Unit *unit = &gradient->parameters->units[u];
    int w = window_of(gradient->parameters, u);
    if (!is_sharded(gradient))
        return gradient->shards + unit->local_offset;
    if (gradient->moving >= 0 && window_of(gradient->parameters, gradient->moving) == w)
        end_moving(gradient);
    if (!gradient->open[w])
        gradient->kernels->fill_zero(NULL, gradient->windows[w],
                                     (size_t)unit->shard.padded * sizeof(float));
    gradient->open[w] = true;
    return gradient->windows[w];
}

static void end_unit(void *context, int64_t u)
{
    Gradient *gradient = context;
    const Unit *unit = &gradient->parameters->units[u];
    int w = window_of(gradient->parameters, u);
    if (!is_sharded(gradient)) {
        complete_unit(gradient, u);
        return;
    }
    end_moving(gradient);
    recorder_set_unit(u);
    gradient->collective->reduce_scatter_begin(&gradient->ranks->inside, gradient->windows[w],
                                               unit->shard.local, gradient->scratch,
                                               &gradient->transfer);
    recorder_set_unit(-1);
    gradient->moving = u;
    gradient->open[w] = false;
}

static void let_progress(void *context)
{
    Gradient *gradient = context;
    if (gradient->moving >= 0)
        gradient->collective->progress(&gradient->transfer);
}

GradientSink gradient_sink(Gradient *gradient)
{
    return (GradientSink){
        .begin = begin_unit, .end = end_unit, .progress = let_progress, .context = gradient};
}

// What the groups found, in their order: the same bits in each.
static void sum_over_groups(Gradient *gradient)
{
    const Group *across = &gradient->ranks->across;
    const Kernels *kernels = gradient->kernels;
    int64_t room = spare_elements(gradient->parameters, across->size) / 2;
    for (int64_t u = 0; u < gradient->parameters->unit_count; u++) {
        const Unit *unit = &gradient->parameters->units[u];
        float *shard = gradient->shards + unit->local_offset, *sum = gradient->spare;
        size_t bytes = (size_t)unit->shard.local * sizeof *shard;
        kernels->copy(NULL, sum, shard, bytes);
        recorder_set_unit(u);
        gradient->collective->sum(across, kernels, sum, unit->shard.local, sum + room);
        recorder_set_unit(-1);
        kernels->copy(NULL, shard, sum, bytes);
        kernels->square_sum(NULL, &gradient->squares[u], shard, unit->shard.local);
    }
}

double gradient_finish(Gradient *gradient)
{
    double sum = 0;
    end_moving(gradient);
    if (gradient->ranks->across.size > 1)
        sum_over_groups(gradient);
    int64_t units = gradient->parameters->unit_count;
    double *squares = allocate((size_t)units, sizeof *squares);
    gradient->kernels->copy_out(NULL, squares, gradient->squares, (size_t)units * sizeof *squares);
    for (int64_t u = 0; u < units; u++)
        sum += squares[u];
    release(squares);
    group_sum(&gradient->ranks->inside, &sum, 1);
    return sqrt(sum);
}
