#include "learner/gradient.h"

#include <math.h>

static int64_t window_unit(const Parameters *parameters, int window)
{
    return window < 2 ? window : parameters->unit_count - 1;
}

void gradient_make(Gradient *gradient, const Parameters *parameters, const Kernels *kernels,
                   const Collective *collective, const Group *group)
{
    *gradient = (Gradient){
        .parameters = parameters, .kernels = kernels, .collective = collective, .group = group};
    gradient->shards = kernels->memory_make((size_t)parameters->local * sizeof(float));
    if (group->size == 1)
        return;
    for (int w = 0; w < GRADIENT_WINDOWS; w++) {
        const Unit *unit = &parameters->units[window_unit(parameters, w)];
        gradient->windows[w] = kernels->memory_make((size_t)unit->shard.padded * sizeof(float));
    }
    gradient->scratch = kernels->memory_make((size_t)parameters->largest * sizeof(float));
}

size_t gradient_bytes(const Parameters *parameters, int ranks)
{
    int64_t elements = parameters->local;
    for (int w = 0; w < GRADIENT_WINDOWS && ranks > 1; w++)
        elements += parameters->units[window_unit(parameters, w)].shard.padded;
    return (size_t)(elements + (ranks > 1 ? parameters->largest : 0)) * sizeof(float);
}

void gradient_free(Gradient *gradient)
{
    if (!gradient->shards)
        return;
    gradient->kernels->memory_free(gradient->shards);
    for (int w = 0; w < GRADIENT_WINDOWS; w++)
        if (gradient->windows[w])
            gradient->kernels->memory_free(gradient->windows[w]);
    if (gradient->scratch)
        gradient->kernels->memory_free(gradient->scratch);
    *gradient = (Gradient){0};
}

void gradient_clear(Gradient *gradient)
{
    gradient->kernels->fill_zero(NULL, gradient->shards,
                                 (size_t)gradient->parameters->local * sizeof(float));
}

static int window_of(const Gradient *gradient, int64_t unit)
{
    return unit == 0 ? 0 : unit == gradient->parameters->unit_count - 1 ? 2 : 1;
}

static float *begin_unit(void *context, int64_t u)
{
    Gradient *gradient = context;
    const Unit *unit = &gradient->parameters->units[u];
    int w = window_of(gradient, u);
    if (gradient->group->size == 1)
        return gradient->shards + unit->local_offset;
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
    int w = window_of(gradient, u);
    if (gradient->group->size == 1)
        return;
    gradient->collective->reduce_scatter(
        gradient->group, gradient->kernels, gradient->shards + unit->local_offset,
        gradient->windows[w], unit->shard.local, gradient->scratch);
    gradient->open[w] = false;
}

GradientSink gradient_sink(Gradient *gradient)
{
    return (GradientSink){.begin = begin_unit, .end = end_unit, .context = gradient};
}

double gradient_norm(const Gradient *gradient)
{
    double sum = gradient->kernels->square_sum(NULL, gradient->shards, gradient->parameters->local);
    group_sum(gradient->group, &sum, 1);
    return sqrt(sum);
}
