// bench_start.c - from a model's cold files to its first token, against a plain read of them.
//
//     OMP_NUM_THREADS=2 bench_start MODEL_DIRECTORY [f32|bf16] [--quick] [--json FILE]
//
// Counted is all that a task does behind MPI_Init: configuration, tokenizer and template, weights
// read, packed and published, the engine, the reading of a context of 64 tokens, one sampled token.
// In turns with it a file of weights of as many bytes is read with O_DIRECT into memory that is
// there. What the page cache held of the weights, one file, is dropped before each turn. The token
// is verified: all rounds have to sample the same one.

#define _GNU_SOURCE // O_DIRECT, preadv2

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "benchmarks/figures.h"
#include "tasks/job.h"
#include "tasks/libraries.h"

enum { WARM_UP = 1, ROUNDS = 7, QUICK_ROUNDS = 2, CONTEXT = 64, REQUEST = 8 << 20, PAGE = 4096 };

// Dies where the file's first page is still in the page cache afterwards.
static void forget(const char *path)
{
    char byte;
    struct iovec first = {&byte, 1};
    int descriptor = open(path, O_RDONLY);
    if (descriptor < 0)
        die(EXIT_NO_INPUT, "%s: %s", path, strerror(errno));
    fdatasync(descriptor); // what has not reached the disk cannot be dropped
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    if (preadv2(descriptor, &first, 1, 0, RWF_NOWAIT) > 0)
        die(EXIT_UNAVAILABLE, "%s stays in memory: it cannot be read as from a cold disk", path);
    close(descriptor);
}

// Bytes of the whole file.
static double read_plainly(const char *path, char *memory)
{
    double bytes = 0;
    int descriptor = open(path, O_RDONLY | O_DIRECT);
    if (descriptor < 0)
        die(EXIT_UNAVAILABLE, "%s: %s", path, strerror(errno));
    for (;;) {
        ssize_t count = pread(descriptor, memory, REQUEST, (off_t)bytes);
        if (count < 0)
            die(EXIT_UNAVAILABLE, "%s: %s", path, strerror(errno));
        bytes += (double)count;
        if (count < REQUEST)
            break;
    }
    close(descriptor);
    return bytes;
}

static int32_t first_token(Job *job)
{
    int32_t tokens[CONTEXT];
    Tree tree;
    for (int32_t i = 0; i < CONTEXT; i++)
        tokens[i] = (int32_t)(i * 7919LL % job->shape.vocabulary);
    tree_make(&tree, 0, tokens, CONTEXT, 1);
    Branch *branch = tree_add_branch(&tree, CONTEXT, 0, 1);
    engine_generate(&job->engine, &tree, 1,
                    &(Generation){.temperature = 1,
                                  .top_p = 1,
                                  .repetition_penalty = 1,
                                  .max_response_tokens = 1,
                                  .forced_length = true,
                                  .seed = 1});
    int32_t token = branch->tokens[0];
    tree_free(&tree);
    return token;
}

static int32_t start(const Settings *settings)
{
    Job job = {0};
    int64_t slots = slots_aligned(CONTEXT) + slots_aligned(1);
    if (job_open(&job, settings, (JobOptions){0}) != 0 ||
        job_build(&job, (JobSizes){.positions = 1024, .slots = slots}) != 0 ||
        job_load_engine(&job, NULL) != 0)
        die_failed();
    int32_t token = first_token(&job);
    job_close(&job);
    return token;
}

static void measure(Figures *figures, const Settings *settings, const char *weights)
{
    Series ours = {0}, plain = {0};
    void *memory;
    int32_t token = -1;
    CHECK(posix_memalign(&memory, PAGE, REQUEST) == 0, "out of memory");
    memset(memory, 0, REQUEST);
    for (int i = -WARM_UP; i < (figures->quick ? QUICK_ROUNDS : ROUNDS); i++) {
        if (i == 0)
            ours.count = plain.count = 0;
        forget(weights);
        double since = clock_now(), bytes = read_plainly(weights, memory);
        series_add(&plain, clock_now() - since, 1e-9 * bytes);
        forget(weights);
        since = clock_now();
        int32_t sampled = start(settings);
        series_add(&ours, clock_now() - since, 1e-9 * bytes);
        if (token >= 0 && sampled != token)
            die(EXIT_BUG, "token %d, and %d the round before", sampled, token);
        token = sampled;
    }
    free(memory);
    Times best = times_of(plain.seconds, plain.count);
    figures_add(figures,
                &(Figure){.what = "start",
                          .shape = settings->model.compute == COMPUTE_BF16 ? "bf16" : "f32",
                          .unit = "GB/s",
                          .ours = &ours,
                          .peer = "plain read",
                          .theirs = &plain,
                          .bound = "disk",
                          .ceiling = plain.amounts[0] / best.least});
}

int main(int argc, char **argv)
{
    Figures figures;
    group_start(&argc, &argv);
    figures_make(&figures, &argc, argv);
    Group world = group_world();
    bool alone = world.size == 1;
    group_free(&world);
    bool typed = argc < 3 || strcmp(argv[2], "f32") == 0 || strcmp(argv[2], "bf16") == 0;
    if (argc < 2 || argc > 3 || !typed || !alone)
        die(EXIT_USAGE, "bench_start MODEL_DIRECTORY [f32|bf16] [--quick] [--json FILE]");
    Bytes weights = {0}, libraries = {0};
    libraries_print(false, false, &libraries);
    figures_head(&figures, 0, 1, libraries.data);
    bytes_print(&weights, "%s/model.safetensors", argv[1]);
    for (int i = 0; i < 2; i++) {
        Settings settings;
        Bytes path = {0}, faults = {0};
        if (argc > 2 && strcmp(argv[2], i ? "bf16" : "f32") != 0)
            continue;
        bytes_print(&path, "model.path=%s", argv[1]);
        const char *overrides[] = {path.data, i ? "model.compute=bf16" : "model.compute=f32"};
        if (settings_read_text(&settings, "", 0, "defaults", overrides, 2, &faults) != 0)
            die(EXIT_USAGE, "%s", faults.data);
        measure(&figures, &settings, weights.data);
        settings_free(&settings);
        bytes_free(&path);
        bytes_free(&faults);
    }
    bytes_free(&weights);
    bytes_free(&libraries);
    figures_write(&figures);
    group_stop();
    return EXIT_DONE;
}
