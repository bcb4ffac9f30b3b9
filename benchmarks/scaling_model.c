#include "benchmarks/scaling_model.h"

double scaling_collective(const ScalingCase *scaling, int ranks, bool spans, double bytes)
{
    const Link *link = spans ? &scaling->between : &scaling->inside;
    return (ranks - 1) * link->latency + bytes * (ranks - 1) / (ranks * link->bandwidth);
}

// The times of one unit.
typedef struct {
    double forward, backward; // arithmetic
    double gather, reduce;
} UnitTimes;

static UnitTimes unit_times(const ScalingCase *scaling, const Parameters *parameters, int64_t u)
{
    const ModelShape *shape = &parameters->shape;
    const Unit *unit = &parameters->units[u];
    bool spans = scaling->shard_group > scaling->node, output = u == parameters->unit_count - 1;
    double elements = (double)unit->shard.global, products = 0;
    if (u > 0 && !output)
        products = scaling->rows * (double)shape_layer_products(shape) / (double)shape->layers;
    if (output)
        products = scaling->scored * (double)shape->width * (double)shape->vocabulary;
    double seconds = 2 * products / scaling->rate;
    return (UnitTimes){.forward = seconds,
                       .backward = 2 * seconds,
                       .gather = scaling_collective(scaling, scaling->shard_group, spans,
                                                    elements * scaling->weight_bytes),
                       .reduce =
                           scaling_collective(scaling, scaling->shard_group, spans, elements * 4)};
}

// The clocks of a rank and of its channel, and when what is waited for is there.
typedef struct {
    double now, channel, arithmetic, communication;
    double gathered, reduced; // ends of the newest gather and reduce-scatter
} Clock;

static double put(Clock *clock, double seconds)
{
    clock->channel = (clock->channel > clock->now ? clock->channel : clock->now) + seconds;
    clock->communication += seconds;
    return clock->channel;
}

static void wait_until(Clock *clock, double time)
{
    clock->now = time > clock->now ? time : clock->now;
}

static void compute(Clock *clock, double seconds)
{
    clock->now += seconds;
    clock->arithmetic += seconds;
}

// A unit's arithmetic: waits for its gather, asks for the next one, computes.
static void run_unit(Clock *clock, double seconds, double next_gather)
{
    wait_until(clock, clock->gathered);
    if (next_gather > 0)
        clock->gathered = put(clock, next_gather);
    compute(clock, seconds);
}

static void run_micro_batch(Clock *clock, const ScalingCase *scaling, const Parameters *parameters)
{
    int64_t last = parameters->unit_count - 1;
    clock->gathered = put(clock, unit_times(scaling, parameters, 0).gather);
    for (int64_t u = 0; u <= last; u++)
        run_unit(clock, unit_times(scaling, parameters, u).forward,
                 u < last ? unit_times(scaling, parameters, u + 1).gather : 0);
    for (int64_t u = last; u >= 0; u--) {
        UnitTimes times = unit_times(scaling, parameters, u);
        // The topmost layer is held still when its backward pass begins.
        bool gathers = scaling->reshards && u > 1 && u < last;
        run_unit(clock, times.backward,
                 gathers ? unit_times(scaling, parameters, u - 1).gather : 0);
        wait_until(clock, clock->reduced); // one at a time
        clock->reduced = put(clock, times.reduce);
    }
    wait_until(clock, clock->reduced);
}

// Reduce-scatter and all-gather of every shard over the groups.
static double sum_over_groups(const ScalingCase *scaling, const Parameters *parameters)
{
    int replicas = scaling->ranks / scaling->shard_group;
    double seconds = 0;
    for (int64_t u = 0; replicas > 1 && u < parameters->unit_count; u++) {
        double bytes = (double)parameters->units[u].shard.global * 4 / scaling->shard_group;
        bool spans = scaling->ranks > scaling->node;
        seconds += 2 * scaling_collective(scaling, replicas, spans, bytes);
    }
    return seconds;
}

// 16 bytes an element of masters, gradients and moments, weights and reference, in shards; the two
// largest consecutive gathered units, one unit's gradient in fp32.
static double memory_of(const ScalingCase *scaling, const Parameters *parameters)
{
    double all = 0, pair = 0, largest = 0, before = 0;
    for (int64_t u = 0; u < parameters->unit_count; u++) {
        double elements = (double)parameters->units[u].shard.global;
        all += elements;
        pair = before + elements > pair ? before + elements : pair;
        largest = elements > largest ? elements : largest;
        before = elements;
    }
    return all * (16 + 2 * scaling->weight_bytes) / scaling->shard_group +
           pair * scaling->weight_bytes + largest * 4;
}

ScalingResult scaling_step(const ScalingCase *scaling, const Parameters *parameters)
{
    Clock clock = {0};
    for (int m = 0; m < scaling->micro_batches; m++)
        run_micro_batch(&clock, scaling, parameters);
    double sums = sum_over_groups(scaling, parameters);
    double step = clock.now + sums;
    return (ScalingResult){.arithmetic = clock.arithmetic,
                           .communication = clock.communication + sums,
                           .step = step,
                           .exposed = step - clock.arithmetic,
                           .memory = memory_of(scaling, parameters)};
}

int scaling_best(const ScalingCase *scaling, const Parameters *parameters, double memory)
{
    int best = 0;
    double least = 0;
    for (int group = scaling->node < scaling->ranks ? scaling->node : scaling->ranks;
         group <= scaling->ranks; group *= 2) {
        ScalingCase one = *scaling;
        one.shard_group = group;
        ScalingResult result = scaling_step(&one, parameters);
        if (result.memory > memory || scaling->ranks % group != 0)
            continue;
        if (best == 0 || result.step < least) {
            best = group;
            least = result.step;
        }
    }
    return best;
}
