// bench_step.c - one GRPO step against what the machine's matrix rate allows.
//
//     OMP_NUM_THREADS=1 mpirun -n 2 bench_step INPUT.ini RUN [--set section.key=value]...
//                                   [--quick] [--json FILE] [-- PEER...]
//
// PEER is a command that does an update of as many rows, or a step of as many responses, by turns
// (benchmarks/peers). Runs 1 + STEPS steps of the input in a new run directory RUN,
// all responses forced to full length, without the input's warm-up, evaluation and checkpoints; the
// first step, which meets its memory for the first time, is not counted. Ceiling: the matrix rate,
// the better of our product and oneDNN's at 2,048 x 1,536 x 576 in fp32, all ranks at once, the
// best of several moments before and between the steps. Operations: those that the trees ask for,
// each trunk once: one forward pass for the rollout, the reference and the policy each, and two for
// the backward pass. What is computed again, and padding, does not count. Of phases whose
// operations are not counted by themselves the rows are told. Seconds are those of rank 0, amounts
// those of all ranks.
//
// A step is verified before it counts: mismatch/logprob_gap_max must read 0.

#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "benchmarks/figures.h"
#include "benchmarks/peer_process.h"
#include "benchmarks/product.h"
#include "input/options.h"
#include "tasks/libraries.h"
#include "tasks/training.h"

#define USAGE                                                                                      \
    "mpirun -n RANKS bench_step INPUT.ini RUN [--set SECTION.KEY=VALUE]... [--quick] [--json "     \
    "FILE] [-- PEER...]"

enum { WARM_UP = 1, STEPS = 7, QUICK_STEPS = 2, RUNS = 40, QUICK_RUNS = 2 };

// All ranks probe at once; their rates add up. Keeps the best.
static void probe(const MatrixProbe *matrix, MatrixRate *best, bool quick)
{
    MPI_Barrier(MPI_COMM_WORLD);
    MatrixRate rate = matrix_probe_run(matrix, quick ? QUICK_RUNS : RUNS);
    MPI_Allreduce(MPI_IN_PLACE, &rate, 2, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    best->ours = rate.ours > best->ours ? rate.ours : best->ours;
    best->peer = rate.peer > best->peer ? rate.peer : best->peer;
}

// What is told of a step: its whole, and its phases, each with the forward passes that it takes at
// least, of which one is the reference's, if there is one; where operations are not counted, with
// its rows.
typedef struct {
    const char *what, *metric;
    int passes;
    bool compares;
    const char *rows; // a metric; NULL: it has none
    const char *task; // what a peer may be asked for; NULL: nothing
} Told;

static const Told told[] = {
    {"step", "perf/time_per_step", 5, true, NULL, "step"},
    {"gen", "timing_s/gen", 1, false, NULL, NULL},
    {"gen_prefill", "timing_s/gen_prefill", 0, false, "rollout/prefill_rows", NULL},
    {"gen_decode", "timing_s/gen_decode", 0, false, "rollout/decode_rows", NULL},
    {"reference", "timing_s/reference", 1, false, NULL, NULL},
    {"forward", "timing_s/forward", 0, false, "tree/rows", NULL},
    {"vocabulary", "timing_s/vocabulary", 0, false, "learner/scored_rows", NULL},
    {"backward", "timing_s/backward", 0, false, "tree/rows", NULL},
    {"update_actor", "timing_s/update_actor", 4, true, NULL, "update"},
    {"optimizer", "timing_s/optimizer", 0, false, NULL, NULL},
    {"publish", "timing_s/publish", 0, false, NULL, NULL},
};
enum { TOLD = sizeof told / sizeof *told };

// Dies where the sampler's log-probabilities are not the learner's, to the bit: NaN where none was
// compared. What they have in common would else be computed wrongly by one of them.
static void verify_step(const Metrics *metrics, int64_t step)
{
    double gap = metrics_get(metrics, "mismatch/logprob_gap_max");
    if (!(gap == 0))
        die(EXIT_BUG,
            "step %lld: sampler and learner are %g apart in a log-probability, not 0: no figure is "
            "told (engines of several ranks, and GPUs, cannot be measured so)",
            (long long)step, gap);
}

static void keep_step(const Metrics *metrics, Series *series)
{
    double pass = metrics_get(metrics, "perf/gflop_forward");
    bool compares = metrics_get(metrics, "timing_s/reference") > 0;
    for (int i = 0; i < TOLD; i++) {
        double seconds = metrics_get(metrics, told[i].metric);
        double amount = told[i].rows ? metrics_get(metrics, told[i].rows) : 1;
        if (told[i].passes > 0)
            amount = pass * (told[i].passes - (told[i].compares && !compares));
        if (seconds > 0)
            series_add(&series[i], seconds, amount);
    }
}

// What the peer does of a row's task takes its turn: a step of as many responses as long, or an
// update of as many rows.
static void peer_turns(PeerProcess *peer, const Training *training, const Metrics *metrics,
                       const Series *ours, Series *theirs)
{
    const Settings *settings = training->settings;
    char task[160];
    int done = 0;
    for (int i = 0; i < TOLD; i++) {
        if (!told[i].task)
            continue;
        if (strcmp(told[i].task, "step") == 0)
            snprintf(task, sizeof task, "step %lld %lld %lld",
                     (long long)settings->train.batch_contexts,
                     (long long)settings->rollout.group_size,
                     (long long)settings->rollout.max_response_tokens);
        else
            snprintf(task, sizeof task, "update %.0f %.0f %d", metrics_get(metrics, "tree/rows"),
                     metrics_get(metrics, "learner/scored_rows"),
                     metrics_get(metrics, "timing_s/reference") > 0);
        done += peer_process_turn(peer, task, ours[i].amounts[ours[i].count - 1], &theirs[i]);
    }
    if (done == 0)
        die(EXIT_USAGE, "%s does neither steps nor updates", peer->name);
}

static void add_figures(Figures *figures, const Series *series, MatrixRate rate, const char *peer,
                        const Series *theirs)
{
    double best = rate.ours > rate.peer ? rate.ours : rate.peer;
    for (int i = 0; i < TOLD; i++) {
        bool counted = told[i].passes > 0;
        const char *unit = counted ? "GFLOP" : told[i].rows ? "rows" : "times";
        char shape[32], rates[16];
        if (series[i].count == 0)
            continue;
        snprintf(shape, sizeof shape, "%.5g %s",
                 times_of(series[i].amounts, series[i].count).middle, unit);
        snprintf(rates, sizeof rates, "%s/s", unit);
        figures_add(figures, &(Figure){.what = told[i].what,
                                       .shape = shape,
                                       .unit = rates,
                                       .ours = &series[i],
                                       .peer = peer,
                                       .theirs = theirs[i].count > 0 ? &theirs[i] : NULL,
                                       .bound = "matrix rate",
                                       .ceiling = counted ? best : 0});
    }
}

static int run(const Settings *settings, Figures *figures, char *const *words)
{
    Training training;
    Metrics metrics = {0};
    MatrixRate rate = {0};
    MatrixProbe matrix = matrix_probe_make(PRECISION_F32);
    Series series[TOLD] = {{0}}, theirs[TOLD] = {{0}};
    PeerProcess peer = {0};
    Bytes libraries = {0};
    int status = training_open(&training, settings);
    if (status == 0) {
        libraries_print(false, false, &libraries);
        figures_head(figures, training.job.world.all.rank, training.job.world.all.size,
                     libraries.data);
        if (words)
            peer_process_start(&peer, words);
        probe(&matrix, &rate, figures->quick);
    }
    for (int64_t step = 0; status == 0 && step < training.total_steps; step++) {
        metrics_clear(&metrics);
        if (step == training.stages[STAGE_WARMUP].steps)
            status = training_enter_main(&training);
        training.stage = training_stage(&training, step);
        if (status == 0)
            status = train_step(&training, &metrics);
        probe(&matrix, &rate, figures->quick);
        if (status == 0 && figures->speaks) {
            verify_step(&metrics, step + 1);
            keep_step(&metrics, series);
            if (words)
                peer_turns(&peer, &training, &metrics, series, theirs);
            for (int i = 0; i < TOLD && step < WARM_UP; i++)
                series[i].count = theirs[i].count = 0;
        }
    }
    if (status == 0) {
        add_figures(figures, series, rate, peer.name, theirs);
        if (figures->speaks)
            printf("matrix rate: ours %.1f, oneDNN %.1f GFLOP/s\n", rate.ours, rate.peer);
    }
    peer_process_stop(&peer);
    matrix_probe_free(&matrix);
    bytes_free(&libraries);
    metrics_free(&metrics);
    training_close(&training);
    return status;
}

// The input's settings with what this benchmark is about; `argv`: INPUT.ini RUN [--set ...]...
static int read_settings(Settings *settings, int counted, int argc, char **argv)
{
    char directory[4096], steps[32];
    enum { MOST = 64 };
    const char *overrides[MOST] = {"rollout.forced_length=yes", "warmup.epochs=0", "warmup.steps=0",
                                   "evaluate.file=", "checkpoint.every=0"};
    int count = 5;
    Bytes faults = {0};
    snprintf(directory, sizeof directory, "run.directory=%s", argv[2]);
    snprintf(steps, sizeof steps, "train.steps=%d", WARM_UP + counted);
    for (int i = 3; i < argc; i += 2) {
        if (strcmp(argv[i], "--set") != 0 || i + 1 == argc || count + 2 == MOST)
            die(EXIT_USAGE, USAGE);
        overrides[count++] = argv[i + 1];
    }
    overrides[count++] = directory; // these are not to be set
    overrides[count++] = steps;
    int status = settings_read(settings, argv[1], overrides, count, &faults);
    if (status == 0)
        status = settings_check(settings, TASK_TRAIN, &faults, &faults);
    if (faults.length > 0)
        fputs(faults.data, stderr);
    bytes_free(&faults);
    return status;
}

int main(int argc, char **argv)
{
    Settings settings;
    Figures figures;
    group_start(&argc, &argv);
    char **words = peer_process_words(&argc, argv);
    figures_make(&figures, &argc, argv);
    Group world = group_world();
    if (argc < 3)
        die(EXIT_USAGE, USAGE);
    if (words && world.size > 1)
        die(EXIT_USAGE, "a peer takes turns with one rank only: others would not let it work");
    group_free(&world);
    if (read_settings(&settings, figures.quick ? QUICK_STEPS : STEPS, argc, argv) != 0 ||
        run(&settings, &figures, words) != 0)
        die_failed();
    figures_write(&figures);
    settings_free(&settings);
    group_stop();
    return EXIT_DONE;
}
