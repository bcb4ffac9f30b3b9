// bench_step.c - one GRPO step against what the machine's matrix rate allows.
//
//     OMP_NUM_THREADS=1 mpirun -n 2 bench_step INPUT.ini RUN [--set section.key=value]...
//
// Runs STEPS steps of the input in a new run directory RUN, all responses forced to full length,
// without warm-up, evaluation and checkpoints. Ideal: operations / matrix rate. Matrix rate: the
// better of our product and oneDNN's at 2,048 x 1,536 x 576 in fp32, all ranks at once, the best of
// several moments before and between the steps. Operations: those that the trees ask for, each
// trunk once: one forward pass for the rollout, the reference and the policy each, and two for the
// backward pass. What is computed again, and padding, does not count.

#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "benchmarks/product.h"
#include "input/options.h"
#include "tasks/training.h"

enum { STEPS = 3 };

// All ranks probe at once; their rates add up. Keeps the best.
static void probe(MatrixRate *best)
{
    MPI_Barrier(MPI_COMM_WORLD);
    MatrixRate rate = matrix_rate();
    MPI_Allreduce(MPI_IN_PLACE, &rate, 2, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    best->ours = rate.ours > best->ours ? rate.ours : best->ours;
    best->peer = rate.peer > best->peer ? rate.peer : best->peer;
}

static void print_phase(const Metrics *metrics, const char *name, double gflop, double rate)
{
    char metric[64];
    snprintf(metric, sizeof metric, "timing_s/%s", name);
    double seconds = metrics_get(metrics, metric);
    printf("  %-14s %8.2f s", name, seconds);
    if (gflop > 0 && seconds > 0)
        printf("  %8.0f GFLOP  %6.0f GFLOP/s  %5.2f of the rate", gflop, gflop / seconds,
               gflop / seconds / rate);
    printf("\n");
}

static void print_step(const Metrics *metrics, MatrixRate rate, int64_t step)
{
    double best = rate.ours > rate.peer ? rate.ours : rate.peer;
    double pass = metrics_get(metrics, "perf/gflop_forward");
    bool compares = metrics_get(metrics, "timing_s/reference") > 0;
    double total = (compares ? 5 : 4) * pass, seconds = metrics_get(metrics, "perf/time_per_step");
    printf("step %lld: %.2f s, %.0f GFLOP, ideal %.2f s, %.2f times the ideal\n", (long long)step,
           seconds, total, total / best, seconds * best / total);
    printf("  tree rows %.0f, scored rows %.0f, rollout rows %.0f + %.0f, gap %g\n",
           metrics_get(metrics, "tree/rows"), metrics_get(metrics, "learner/scored_rows"),
           metrics_get(metrics, "rollout/prefill_rows"),
           metrics_get(metrics, "rollout/decode_rows"),
           metrics_get(metrics, "mismatch/logprob_gap_max"));
    print_phase(metrics, "gen", pass, best);
    print_phase(metrics, "gen_prefill", 0, best);
    print_phase(metrics, "gen_decode", 0, best);
    print_phase(metrics, "reference", pass, best);
    print_phase(metrics, "forward", 0, best);
    print_phase(metrics, "vocabulary", 0, best);
    print_phase(metrics, "backward", 0, best);
    print_phase(metrics, "update_actor", total - pass, best);
    print_phase(metrics, "optimizer", 0, best);
    print_phase(metrics, "publish", 0, best);
}

static int run(const Settings *settings)
{
    Training training;
    Metrics metrics = {0};
    MatrixRate rate = {0};
    probe(&rate);
    int status = training_open(&training, settings);
    for (int64_t step = 0; status == 0 && step < training.total_steps; step++) {
        metrics_clear(&metrics);
        if (step == training.stages[STAGE_WARMUP].steps)
            status = training_enter_main(&training);
        training.stage = training_stage(&training, step);
        if (status == 0)
            status = train_step(&training, &metrics);
        probe(&rate);
        if (status == 0 && training.job.world.all.rank == 0)
            print_step(&metrics, rate, step + 1);
        fflush(stdout);
    }
    if (status == 0 && training.job.world.all.rank == 0)
        printf("%s, %d ranks; matrix rate %.1f GFLOP/s: ours %.1f, oneDNN %.1f\n",
               training.job.backend.kernels->name, training.job.world.all.size,
               rate.ours > rate.peer ? rate.ours : rate.peer, rate.ours, rate.peer);
    metrics_free(&metrics);
    training_close(&training);
    return status;
}

// The input's settings with what this benchmark is about; `argv`: INPUT.ini RUN [--set ...]...
static int read_settings(Settings *settings, int argc, char **argv)
{
    char directory[4096], steps[32];
    const char *overrides[64] = {"rollout.forced_length=yes",
                                 "warmup.epochs=0",
                                 "warmup.steps=0",
                                 "evaluate.file=",
                                 "checkpoint.every=0",
                                 directory,
                                 steps};
    int count = 7;
    Bytes faults = {0};
    snprintf(directory, sizeof directory, "run.directory=%s", argv[2]);
    snprintf(steps, sizeof steps, "train.steps=%d", STEPS);
    for (int i = 3; i + 1 < argc && strcmp(argv[i], "--set") == 0 && count < 64; i += 2)
        overrides[count++] = argv[i + 1];
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
    if (argc < 3) {
        fprintf(stderr, "usage: mpirun -n RANKS bench_step INPUT.ini RUN [--set key=value]...\n");
        return EXIT_USAGE;
    }
    group_start(&argc, &argv);
    int status = read_settings(&settings, argc, argv);
    if (status == 0) {
        status = run(&settings);
        settings_free(&settings);
    }
    if (status != 0)
        fprintf(stderr, "error: %s\n", fail_message());
    group_stop();
    return status == 0 ? EXIT_DONE : (int)fail_code();
}
