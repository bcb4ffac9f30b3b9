// bench_trees.c - an update on session trees against the same learner on independent sequences.
//
//     OMP_NUM_THREADS=2 mpirun -n 1 bench_trees INPUT.ini RUN [--dump FILE] [--set key=value]...
//
// The contexts of the input's first batch with group_size responses each, of random tokens and
// exactly max_response_tokens: once as trees of sessions, once every response with its whole
// context as a sequence of its own, in micro-batches of the same size. Loss and gradient norm must
// agree before a time is printed; the two take turns, and medians of REPEATS are compared.
//
// With --dump the batch goes to FILE for a learner of others (bench_trl.py), a response a line, and
// only the update on trees is timed.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/random.h"
#include "benchmarks/figures.h"
#include "files/atomic.h"
#include "input/jsonl.h"
#include "learner/advantage.h"
#include "tasks/training.h"
#include "tests/model/tiny.h"

enum { REPEATS = 3 };

static void fill_branch(Branch *branch, int64_t vocabulary, int32_t length)
{
    Draw draw = {.seed = 11,
                 .purpose = PURPOSE_GENERATE,
                 .session = (uint32_t)branch->session,
                 .round = (uint32_t)branch->round,
                 .sample = (uint32_t)branch->repeat};
    branch->count = length;
    branch->reward = (float)draw_uniform(draw);
    for (int32_t i = 0; i < length; i++) {
        draw.position++;
        branch->tokens[branch->forced + i] = (int32_t)draw_below(draw, (uint64_t)vocabulary);
        branch->logprobs[i] = (float)-log((double)vocabulary);
        branch->scored[i] = 1;
    }
}

static Grove batch_of(Training *training)
{
    const Settings *settings = training->settings;
    SessionSchedule *schedule = &training->stages[STAGE_MAIN].schedule;
    int32_t length = (int32_t)settings->rollout.max_response_tokens;
    schedule_step(schedule, 0);
    Grove grove = {.trees = allocate((size_t)schedule->part_count, sizeof *grove.trees),
                   .count = schedule->part_count};
    for (int64_t p = 0; p < grove.count; p++) {
        grove.trees[p] = session_tree_for_rollout(&training->dataset, schedule->parts[p],
                                                  (int32_t)settings->rollout.group_size, length);
        for (int32_t b = 0; b < grove.trees[p].branch_count; b++)
            fill_branch(&grove.trees[p].branches[b], training->job.shape.vocabulary, length);
    }
    return grove;
}

typedef struct {
    double seconds[REPEATS], rows, loss, norm;
} Side;

// The rewards' advantages are those of the groups, which sequences by themselves have no more.
static int64_t keep_advantages(const LossSettings *settings, Tree *trees, int64_t count)
{
    (void)settings;
    (void)trees;
    (void)count;
    return 0;
}

static void run_side(Training *training, Grove *grove, Side *side, int repeat)
{
    StepSettings settings = training->stages[STAGE_MAIN].step;
    AlgorithmRow algorithm = *settings.algorithm;
    Metrics metrics = {0};
    StepBatch batch = {.trees = grove->trees, .count = grove->count};
    algorithm.advantage = keep_advantages;
    settings.algorithm = &algorithm;
    settings.optimizer.learning_rate = 0; // the same weights every time
    double since = clock_now();
    if (learner_step(&training->learner, &settings, &batch, &metrics) != 0)
        die_failed();
    side->seconds[repeat] = clock_now() - since;
    side->rows = metrics_get(&metrics, "learner/rows");
    side->loss = metrics_get(&metrics, "actor/pg_loss");
    side->norm = metrics_get(&metrics, "actor/grad_norm");
    metrics_free(&metrics);
}

static int compare(Training *training, Grove *grove)
{
    Side trees = {0}, apart = {0};
    Grove sequences;
    grove_separate(&sequences, grove, false);
    for (int r = 0; r < REPEATS; r++) {
        run_side(training, grove, &trees, r);
        run_side(training, &sequences, &apart, r);
    }
    grove_free(&sequences);
    if (!(fabs(trees.loss - apart.loss) < 1e-4 && fabs(trees.norm / apart.norm - 1) < 1e-4))
        return fail(EXIT_BUG, "loss %g and %g, gradient norm %g and %g differ", trees.loss,
                    apart.loss, trees.norm, apart.norm);
    double fast = times_of(trees.seconds, REPEATS).middle,
           slow = times_of(apart.seconds, REPEATS).middle;
    printf("update on trees      %9.0f rows %9.2f s\n"
           "on their sequences   %9.0f rows %9.2f s\n"
           "times fewer rows     %9.2f\n"
           "times faster         %9.2f\n",
           trees.rows, fast, apart.rows, slow, apart.rows / trees.rows, slow / fast);
    return 0;
}

static void append_ids(json_t *list, const int32_t *tokens, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer(tokens[i]));
}

// A response as others train on it: its whole context, its tokens, what the loss takes of them.
static void append_response(Bytes *lines, const Tree *tree, const Branch *branch)
{
    json_t *prompt = json_array(), *response = json_array(), *logprobs = json_array();
    append_ids(prompt, tree->trunk, branch->attach);
    append_ids(prompt, branch->tokens, branch->forced);
    append_ids(response, branch->tokens + branch->forced, branch->count);
    for (int32_t i = 0; i < branch->count; i++)
        json_array_append_new(logprobs, json_real((double)branch->logprobs[i]));
    json_t *line = json_pack("{s:o, s:o, s:o, s:f}", "prompt", prompt, "response", response,
                             "logprobs", logprobs, "advantage", (double)branch->advantages[0]);
    CHECK(line, "out of memory");
    jsonl_append(lines, line);
    bytes_append(lines, "\n", 1);
    json_decref(line);
}

static int dump(const Grove *grove, const char *path)
{
    Bytes lines = {0};
    for (int64_t t = 0; t < grove->count; t++)
        for (int32_t b = 0; b < grove->trees[t].branch_count; b++)
            append_response(&lines, &grove->trees[t], &grove->trees[t].branches[b]);
    int status = atomic_write_file(path, lines.data, lines.length);
    bytes_free(&lines);
    return status;
}

static int dump_and_time(Training *training, Grove *grove, const char *path)
{
    Side trees = {0};
    if (dump(grove, path) != 0)
        return -1;
    clock_t since = clock();
    for (int r = 0; r < REPEATS; r++)
        run_side(training, grove, &trees, r);
    printf("rows %.0f\nseconds %.2f\nprocessor seconds %.2f\nloss %.9g\ngradient norm %.9g\n",
           trees.rows, times_of(trees.seconds, REPEATS).middle,
           (double)(clock() - since) / CLOCKS_PER_SEC / REPEATS, trees.loss, trees.norm);
    return 0;
}

static int run(Training *training, const char *path)
{
    Grove grove = batch_of(training);
    advantage_group_relative(&training->stages[STAGE_MAIN].step.loss, grove.trees, grove.count);
    int status = path ? dump_and_time(training, &grove, path) : compare(training, &grove);
    grove_free(&grove);
    return status;
}

int main(int argc, char **argv)
{
    Settings settings;
    Training training;
    Bytes faults = {0};
    char directory[4096];
    const char *dump_path = NULL;
    const char *overrides[64] = {"warmup.epochs=0", "warmup.steps=0",     "evaluate.file=",
                                 "train.steps=1",   "checkpoint.every=0", directory};
    int count = 6;
    if (argc < 3) {
        fprintf(stderr, "usage: mpirun -n 1 bench_trees INPUT.ini RUN [--dump FILE] "
                        "[--set key=value]...\n");
        return EXIT_USAGE;
    }
    group_start(&argc, &argv);
    snprintf(directory, sizeof directory, "run.directory=%s", argv[2]);
    for (int i = 3; i + 1 < argc && count < 64; i += 2) {
        if (strcmp(argv[i], "--dump") == 0)
            dump_path = argv[i + 1];
        else
            overrides[count++] = argv[i + 1];
    }
    int status = settings_read(&settings, argv[1], overrides, count, &faults);
    if (status == 0)
        status = training_open(&training, &settings);
    if (status == 0)
        status = training_enter_main(&training);
    if (status == 0)
        status = run(&training, dump_path);
    if (status != 0)
        fprintf(stderr, "error: %s\n", fail_message());
    else
        training_close(&training);
    group_stop();
    return status == 0 ? EXIT_DONE : (int)fail_code();
}
