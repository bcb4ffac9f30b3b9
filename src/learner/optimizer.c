#include "learner/optimizer.h"

#include <math.h>

#include "base/activity.h"
#include "base/fail.h"
#include "base/mathematics.h"

static size_t moment_bytes(const Parameters *parameters, ElementType type)
{
    return (size_t)parameters->local * type_bytes(type);
}

void optimizer_make(Optimizer *optimizer, const Parameters *parameters, const Kernels *kernels,
                    OptimizerForm form)
{
    void *(*make)(size_t bytes) = form.host ? kernels->host_make : kernels->memory_make;
    size_t bytes = moment_bytes(parameters, form.moments);
    *optimizer = (Optimizer){.master = make((size_t)parameters->local * sizeof(float)),
                             .moments = {.m = make(bytes), .v = make(bytes), .type = form.moments},
                             .form = form};
}

void optimizer_free(Optimizer *optimizer, const Kernels *kernels)
{
    if (!optimizer->master)
        return;
    void (*give_back)(void *memory) =
        optimizer->form.host ? kernels->host_free : kernels->memory_free;
    kernels->queue_wait(NULL); // an update may be under way
    give_back(optimizer->master);
    give_back(optimizer->moments.m);
    give_back(optimizer->moments.v);
    *optimizer = (Optimizer){0};
}

void optimizer_restart(Optimizer *optimizer, const Parameters *parameters, const Kernels *kernels)
{
    size_t bytes = moment_bytes(parameters, optimizer->moments.type);
    kernels->fill_zero(NULL, optimizer->moments.m, bytes);
    kernels->fill_zero(NULL, optimizer->moments.v, bytes);
    optimizer->updates = 0;
}

double optimizer_rate(const OptimizerSettings *settings, int64_t step)
{
    if (step < settings->warmup_steps)
        return settings->learning_rate * (double)(step + 1) / (double)settings->warmup_steps;
    double span = (double)(settings->total_steps - settings->warmup_steps);
    double done = span > 0 ? (double)(step - settings->warmup_steps) / span : 1;
    double share = 1;
    if (settings->schedule == SCHEDULE_LINEAR)
        share = 1 - done;
    if (settings->schedule == SCHEDULE_COSINE)
        share = 0.5 * (1 + math_cos(3.141592653589793 * done));
    return settings->learning_rate * (settings->min_ratio + (1 - settings->min_ratio) * share);
}

// The draws of a stretch of tensor `index`, which begins at element `first` of it: four elements
// share one.
static Philox rounding_draws(const Optimizer *optimizer, const OptimizerSettings *settings,
                             int64_t index, int64_t first)
{
    Draw draw = settings->rounding;
    CHECK(first % 4 == 0, "a piece that begins at element %lld", (long long)first);
    draw.purpose = PURPOSE_ROUNDING;
    draw.step = (uint32_t)optimizer->updates;
    draw.session = (uint32_t)index;
    draw.position = (uint32_t)(first / 4);
    return draw_philox(draw);
}

double optimizer_step(Optimizer *optimizer, const OptimizerSettings *settings, double rate,
                      Gradient *gradient)
{
    const Parameters *parameters = gradient->parameters;
    double norm = gradient_finish(gradient);
    if (!isfinite(norm))
        return norm;
    double t = (double)++optimizer->updates;
    double limit = settings->max_gradient_norm;
    AdamW adamw = {
        .learning_rate = (float)rate,
        .beta1 = (float)settings->beta1,
        .beta2 = (float)settings->beta2,
        .epsilon = (float)settings->epsilon,
        // As PyTorch's clip_grad_norm_: limit / (norm + 1e-6), at most 1.
        .gradient_scale = limit > 0 && norm > limit ? (float)(limit / (norm + 1e-6)) : 1,
    };
    // Of the betas that the kernel computes with: then a constant gradient has the mean it should.
    adamw.correction1 = (float)(1 - math_pow((double)adamw.beta1, t));
    adamw.correction2 = (float)(1 - math_pow((double)adamw.beta2, t));
    for (int64_t i = 0; i < parameters->tensor_count; i++) {
        Piece piece = parameters_piece(parameters, i);
        bool matrix = piece.tensor->rows > 0;
        adamw.weight_decay = (float)(matrix ? settings->weight_decay : settings->vector_decay);
        if (piece.count == 0)
            continue;
        activity_sign();
        adamw.draws = rounding_draws(optimizer, settings, i, piece.first);
        gradient->kernels->adamw(NULL, optimizer->master + piece.local,
                                 moments_from(optimizer->moments, piece.local),
                                 gradient->shards + piece.local, piece.count, adamw);
    }
    return norm;
}
