// bench_scaling.c - sharded training on 8 to 1,024 ranks: on paper, and with timed waits.
//
//     bench_scaling paper MODEL [name=value]...
//     bench_scaling waits MODEL [name=value]...
//
// MODEL: a Hugging Face directory (config.json is read). `paper` prints, for every number of ranks
// and shard group, the step, what communication stays exposed and the memory of a rank, and the
// best group that fits. `waits` runs the learner itself on one process, its rank's share of the
// work in random trees, with every collective replaced by a wait of the same formula, and compares
// what stays exposed with the paper. Names and defaults: rate=400e12 FLOP/s, node=8, inside=450e9
// B/s, between=50e9 B/s, alpha=5e-6 s, far=15e-6 s, rows=8192, micro=1, scored=0.2, bytes=2,
// memory=80e9, reshard=1; of `waits` the rate is measured and rows are those of trees=4 random
// trees.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "benchmarks/figures.h"
#include "benchmarks/scaling_model.h"
#include "tests/model/tiny.h"

typedef struct {
    const char *name;
    double value;
} Option;

static Option options[] = {{"rate", 400e12}, {"node", 8},    {"inside", 450e9}, {"between", 50e9},
                           {"alpha", 5e-6},  {"far", 15e-6}, {"rows", 8192},    {"micro", 1},
                           {"scored", 0.2},  {"bytes", 2},   {"memory", 80e9},  {"reshard", 1},
                           {"trees", 4},     {NULL, 0}};

static double *option(const char *name)
{
    for (Option *o = options; o->name; o++)
        if (strcmp(o->name, name) == 0)
            return &o->value;
    die(EXIT_USAGE, "no option is called %s", name);
}

static void read_options(int count, char **words)
{
    for (int i = 0; i < count; i++) {
        char *equal = strchr(words[i], '='), *end;
        if (!equal)
            die(EXIT_USAGE, "expected name=value, found %s", words[i]);
        *equal = 0;
        *option(words[i]) = strtod(equal + 1, &end);
        if (*end || end == equal + 1)
            die(EXIT_USAGE, "%s: expected a number, found %s", words[i], equal + 1);
    }
}

static ScalingCase case_of(int ranks, int group)
{
    double rows = *option("rows") / *option("micro");
    return (ScalingCase){.ranks = ranks,
                         .shard_group = group,
                         .node = (int)*option("node"),
                         .inside = {*option("alpha"), *option("inside")},
                         .between = {*option("far"), *option("between")},
                         .rate = *option("rate"),
                         .rows = rows,
                         .scored = rows * *option("scored"),
                         .micro_batches = (int)*option("micro"),
                         .weight_bytes = *option("bytes"),
                         .reshards = *option("reshard") > 0};
}

static int print_paper(const Parameters *parameters)
{
    printf("%6s %6s %10s %10s %8s %10s\n", "ranks", "group", "step s", "exposed s", "share",
           "GiB a rank");
    for (int ranks = 8; ranks <= 1024; ranks *= 2) {
        ScalingCase scaling = case_of(ranks, ranks);
        int best = scaling_best(&scaling, parameters, *option("memory"));
        for (int group = scaling.node < ranks ? scaling.node : ranks; group <= ranks; group *= 2) {
            scaling.shard_group = group;
            ScalingResult result = scaling_step(&scaling, parameters);
            printf("%6d %6d %10.4f %10.4f %7.1f%% %10.1f%s\n", ranks, group, result.step,
                   result.exposed, 100 * result.exposed / result.step, result.memory / 0x1p30,
                   group == best ? "  best" : "");
        }
    }
    return 0;
}

// ---- timed waits --------------------------------------------------------------------------------

// The channel of a rank whose group is only said to be there.
static struct {
    ScalingCase scaling;
    double free_at; // the channel
    bool instant;   // collectives cost nothing: arithmetic alone
} channel;

_Static_assert(sizeof(Transfer) >= sizeof(double), "a transfer holds the time of its end");

static void occupy(const Group *group, double bytes, Transfer *transfer)
{
    double now = clock_now();
    bool spans = group->size > channel.scaling.node;
    double seconds =
        channel.instant ? 0 : scaling_collective(&channel.scaling, group->size, spans, bytes);
    channel.free_at = (channel.free_at > now ? channel.free_at : now) + seconds;
    memcpy(transfer, &channel.free_at, sizeof channel.free_at);
}

static void wait_for(Transfer *transfer)
{
    double until;
    memcpy(&until, transfer, sizeof until);
    while (clock_now() < until)
        ;
}

static void join_timed(const Group *group)
{
    (void)group;
}

static void gather_begin_timed(const Group *group, const Kernels *kernels, void *full,
                               Elements shard, int64_t local, Transfer *transfer)
{
    if (full != shard.data)
        kernels->copy(NULL, full, shard.data, (size_t)local * type_bytes(shard.type));
    occupy(group, (double)(local * group->size) * channel.scaling.weight_bytes, transfer);
}

static void reduce_begin_timed(const Group *group, const float *full, int64_t local, float *scratch,
                               Transfer *transfer)
{
    (void)full;
    (void)scratch;
    occupy(group, (double)(local * group->size) * 4, transfer);
}

static void reduce_end_timed(const Group *group, const Kernels *kernels, float *shard,
                             const float *full, int64_t local, const float *scratch,
                             Transfer *transfer)
{
    (void)group;
    (void)scratch;
    wait_for(transfer);
    kernels->add(NULL, shard, full, local);
}

static void progress_timed(Transfer *transfer)
{
    (void)transfer;
}

static const Collective collective_timed = {.name = "timed",
                                            .join = join_timed,
                                            .all_gather_begin = gather_begin_timed,
                                            .all_gather_end = wait_for,
                                            .reduce_scatter_begin = reduce_begin_timed,
                                            .reduce_scatter_end = reduce_end_timed,
                                            .progress = progress_timed};

typedef struct {
    double seconds, rows, scored, gflop;
} Measured;

// A step of the learner of rank 0 of `ranks`, the median of three.
static Measured run_step(const ModelShape *shape, int ranks)
{
    enum { REPEATS = 3 };
    Parameters parameters;
    Model model;
    Learner learner;
    Grove grove;
    Measured measured = {0};
    double times[REPEATS];
    // Sums over ranks go over this process alone; what is gathered is said to come from all.
    Group self = {.comm = MPI_COMM_SELF, .size = 1};
    Team team = {.inside = {.comm = MPI_COMM_SELF, .size = ranks}, .across = self};
    StepSettings settings = tiny_step_settings();
    settings.loss.kl_coefficient = 0;
    parameters_make(&parameters, shape, 0, ranks);
    model_make(&model, &parameters, NULL, kernels_cpu(), TYPE_F32, 256);
    grove_make(&grove, (int64_t)*option("trees"), shape->vocabulary, 7);
    learner_make(&learner, &model, &self, &collective_timed,
                 (LearnerLayout){.micro_batch_tokens = 4096, .ranks = &team});
    for (int r = 0; r < REPEATS; r++) {
        Metrics metrics = {0};
        StepBatch batch = {.trees = grove.trees, .count = grove.count};
        channel.free_at = 0;
        double since = clock_now();
        if (learner_step(&learner, &settings, &batch, &metrics) != 0)
            die_failed();
        times[r] = clock_now() - since;
        measured.rows = metrics_get(&metrics, "learner/rows");
        measured.scored = metrics_get(&metrics, "learner/scored_rows");
        measured.gflop = 3 * metrics_get(&metrics, "perf/gflop_forward");
        metrics_free(&metrics);
    }
    measured.seconds = times_of(times, REPEATS).middle;
    learner_free(&learner);
    grove_free(&grove);
    model_free(&model);
    parameters_free(&parameters);
    return measured;
}

static int run_waits(const ModelShape *shape, const Parameters *parameters)
{
    printf("%6s %12s %12s %12s %12s\n", "ranks", "arithmetic s", "step s", "exposed s",
           "on paper s");
    for (int ranks = 8; ranks <= 1024; ranks *= 2) {
        channel.scaling = case_of(ranks, ranks);
        channel.instant = true;
        Measured alone = run_step(shape, ranks);
        channel.instant = false;
        Measured whole = run_step(shape, ranks);
        ScalingCase paper = channel.scaling;
        paper.rate = alone.gflop * 1e9 / alone.seconds;
        paper.rows = alone.rows;
        paper.scored = alone.scored;
        paper.micro_batches = 1;
        ScalingResult result = scaling_step(&paper, parameters);
        printf("%6d %12.4f %12.4f %12.4f %12.4f\n", ranks, alone.seconds, whole.seconds,
               whole.seconds - alone.seconds, result.exposed);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    ModelShape shape;
    Parameters parameters;
    if (argc < 3) {
        fprintf(stderr, "usage: bench_scaling paper|waits MODEL [name=value]...\n");
        return EXIT_USAGE;
    }
    group_start(&argc, &argv);
    if (shape_read(&shape, argv[2], NULL) != 0)
        die_failed();
    read_options(argc - 3, argv + 3);
    parameters_make(&parameters, &shape, 0, 1);
    int status =
        strcmp(argv[1], "waits") == 0 ? run_waits(&shape, &parameters) : print_paper(&parameters);
    parameters_free(&parameters);
    group_stop();
    return status;
}
