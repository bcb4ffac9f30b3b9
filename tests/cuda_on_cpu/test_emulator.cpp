// test_emulator.cpp - the emulator itself: small kernels that are wrong must be found out, with the
// place named, and right ones must give right results, whatever the seed.
//
// Every run is a child process, since the emulator ends the program at what is wrong.

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cuda_on_cpu/sanitizers.h"
#include "tests/cuda_on_cpu/small_kernels.h"

enum { SEEDS = 8, EXIT_OTHER_RESULT = 3 };

// ---- runs: whether what a kernel gave is right --------------------------------------------------

static int *numbers_make(size_t count)
{
    return static_cast<int *>(memory_make_cuda(count * sizeof(int)));
}

// Whether out[i] is right(i) for all threads.
template <class Right> static bool all_are(int *out, int count, Right right)
{
    queue_wait_cuda(NULL);
    for (int i = 0; i < count; i++) {
        if (out[i] != right(i))
            return false;
    }
    return true;
}

template <class Kernel, class Right> static bool simple_run(Kernel *kernel, Right right)
{
    int *out = numbers_make(THREADS);
    LAUNCH(kernel, 1, THREADS, 0, NULL, out);
    return all_are(out, THREADS, right);
}

static int one(int)
{
    return 1;
}

template <class Kernel> static bool offset_run(Kernel *kernel, size_t bytes, int offset)
{
    int *out = numbers_make(THREADS);
    LAUNCH(kernel, 1, THREADS, bytes, NULL, out, offset);
    return all_are(out, THREADS, [](int) { return 7; });
}

template <bool WAIT, bool BARRIER> static bool copies_run()
{
    int *out = numbers_make(THREADS), *from = numbers_make(4 * THREADS);
    for (int i = 0; i < 4 * THREADS; i++)
        from[i] = i;
    LAUNCH((copies<WAIT, BARRIER>), 1, THREADS, 0, NULL, out, from);
    return all_are(out, THREADS, [](int i) {
        int copied = (i + 7) % THREADS;
        return copied == 9 ? 0 : 4 * ((copied + 1) % THREADS) + 3;
    });
}

static bool small_product_run()
{
    float *c = static_cast<float *>(memory_make_cuda(16 * 8 * sizeof(float)));
    LAUNCH(small_product, 1, 32, 0, NULL, c);
    queue_wait_cuda(NULL);
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 8; j++) {
            float sum = 1.0f;
            for (int k = 0; k < 16; k++)
                sum += static_cast<float>((i * 16 + k) * 7 % 11 - 5) *
                       static_cast<float>((k * 8 + j) * 5 % 13 - 6);
            if (c[i * 8 + j] != sum)
                return false;
        }
    }
    return true;
}

static bool counter_run()
{
    unsigned *out = reinterpret_cast<unsigned *>(numbers_make(1));
    LAUNCH(counter, dim3(3, 2), dim3(7, 5), 0, NULL, out);
    queue_wait_cuda(NULL);
    return *out == 6 * 5 * 21;
}

static bool no_blocks_run()
{
    LAUNCH(counter, 0, 32, 0, NULL, static_cast<unsigned *>(NULL));
    return true;
}

static int after_rounds(int i, int step, int size)
{
    return i / size * size + (i + 5 * step) % size;
}

enum Expected {
    RIGHT,
    STOPPED,
    OTHER_RESULT, // with one seed at least
    RACE,         // which only ThreadSanitizer sees
};

typedef struct {
    const char *name;
    bool (*run)();
    Expected expected;
    const char *said;       // where STOPPED
    const char *sanitizers; // what those of addresses and of behaviour say, NULL: the same
    const char *drop;       // CUDA_ON_CPU_DROP
} Case;

static const Case CASES[] = {
    {"threads at different barriers", [] { return simple_run(two_barriers, one); }, STOPPED,
     "40 threads at __syncthreads @DIFFERENT", NULL, NULL},
    {"a barrier that some never reach", [] { return simple_run(barrier_after_an_end, one); },
     STOPPED, "40 threads at __syncthreads @UNREACHED; 24 threads ended", NULL, NULL},
    {"lanes at different calls", [] { return simple_run(barrier_that_a_warp_waits_behind, one); },
     STOPPED, "1 threads at __syncwarp @ALONE", NULL, NULL},
    {"a shuffle from outside the mask", [] { return simple_run(shuffle_from_outside, one); },
     STOPPED, "which is not in the mask 0000ffff", NULL, NULL},
    {"a lane outside its own mask", [] { return simple_run(lane_outside, one); }, STOPPED,
     "lane 20 is not in its own mask 0000ffff at @OWN", NULL, NULL},
    {"dynamic shared memory beyond its end", [] { return offset_run(dynamic_access, 256, 64); },
     STOPPED, "dynamic shared memory of 256 bytes: byte 256 of it", "AddressSanitizer", NULL},
    {"dynamic shared memory just beyond an odd end",
     [] { return offset_run(dynamic_access, 248, 62); }, STOPPED,
     "dynamic shared memory of 248 bytes: memory behind it was written", "AddressSanitizer", NULL},
    {"dynamic shared memory before its beginning",
     [] { return offset_run(dynamic_access, 256, -1); }, STOPPED,
     "dynamic shared memory of 256 bytes: memory in front of it was written", "AddressSanitizer",
     NULL},
    {"a shared variable beyond its end", [] { return offset_run(static_access, 0, 1); }, STOPPED,
     "a shared variable of 256 bytes: byte 256 of it", "index 64 out of bounds", NULL},
    {"device memory beyond its end", [] { return offset_run(device_access, 0, THREADS); }, STOPPED,
     "device memory of 256 bytes: byte 256 of it", "AddressSanitizer", NULL},
    {"device memory before its beginning", [] { return offset_run(device_access, 0, -1); }, STOPPED,
     "device memory of 256 bytes: memory in front of it was written", "AddressSanitizer", NULL},
    {"copies that are not waited for", copies_run<false, true>, STOPPED, "did not wait for", NULL,
     NULL},
    {"more shared memory than was asked for", [] { return offset_run(dynamic_access, 50000, 0); },
     STOPPED, "cudaErrorInvalidValue", NULL, NULL},
    {"a launch of no blocks", no_blocks_run, STOPPED, "cudaErrorInvalidConfiguration", NULL, NULL},

    {"no barrier before a read",
     [] { return simple_run(neighbour<false>, [](int i) { return (i + 1) % THREADS; }); },
     OTHER_RESULT, NULL, NULL, NULL},
    {"a barrier left out on demand",
     [] { return simple_run(neighbour<true>, [](int i) { return (i + 1) % THREADS; }); },
     OTHER_RESULT, NULL, NULL, "kernel @NEIGHBOUR"},
    {"no barrier before the next round's write",
     [] { return simple_run(rounds<false>, [](int i) { return after_rounds(i, 33, THREADS); }); },
     OTHER_RESULT, NULL, NULL, NULL},
    {"no barrier of a warp before the next round's write",
     [] { return simple_run(warp_rounds<false>, [](int i) { return after_rounds(i, 17, 32); }); },
     OTHER_RESULT, NULL, NULL, NULL},
    {"copies that others read too early", copies_run<true, false>, OTHER_RESULT, NULL, NULL, NULL},
    {"shared memory that was not written",
     [] { return simple_run(unwritten, [](int i) { return i == 5 ? 0 : 7; }); }, OTHER_RESULT, NULL,
     NULL, NULL},

    {"additions that are not atomic",
     [] {
         int *out = numbers_make(1);
         LAUNCH(counter_without_atomics, 2, THREADS, 0, NULL, out);
         queue_wait_cuda(NULL);
         return true;
     },
     RACE, NULL, NULL, NULL},

    {"a barrier before a read",
     [] { return simple_run(neighbour<true>, [](int i) { return (i + 1) % THREADS; }); }, RIGHT,
     NULL, NULL, NULL},
    {"barriers of rounds",
     [] { return simple_run(rounds<true>, [](int i) { return after_rounds(i, 33, THREADS); }); },
     RIGHT, NULL, NULL, NULL},
    {"barriers of a warp's rounds",
     [] { return simple_run(warp_rounds<true>, [](int i) { return after_rounds(i, 17, 32); }); },
     RIGHT, NULL, NULL, NULL},
    {"halves of a warp apart from each other",
     [] {
         return simple_run(half_warps, [](int i) {
             int lane = i % 32;
             int down = lane < 15 ? lane + 1 : lane, up = lane % 16 >= 2 ? lane - 2 : lane;
             return lane < 16 ? down + 16 + 2 : up + 16;
         });
     },
     RIGHT, NULL, NULL, NULL},
    {"copies", copies_run<true, true>, RIGHT, NULL, NULL, NULL},
    {"a product of small matrices", small_product_run, RIGHT, NULL, NULL, NULL},
    {"atomic additions of blocks with gaps", counter_run, RIGHT, NULL, NULL, NULL},
    {"all of dynamic shared memory", [] { return offset_run(dynamic_access, 256, 63); }, RIGHT,
     NULL, NULL, NULL},
};

// The number of the kernels' line that ends in "; // MARK".
static int line_of(const char *mark, size_t length)
{
    FILE *file = fopen(KERNELS_FILE, "r");
    char line[256];
    for (int number = 1; file && fgets(line, sizeof line, file); number++) {
        const char *comment = strstr(line, "; // ");
        if (!comment || strncmp(comment + 5, mark, length) != 0 || comment[5 + length] != '\n')
            continue;
        fclose(file);
        return number;
    }
    printf("    no line is marked %s\n", mark);
    exit(1);
}

// "@MARK" becomes the place of that mark.
static void fill_in(char (&to)[256], const char *text)
{
    const char *at = strchr(text, '@');
    if (!at) {
        snprintf(to, sizeof to, "%s", text);
        return;
    }
    size_t length = strspn(at + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    snprintf(to, sizeof to, "%.*ssmall_kernels.h:%d%s", static_cast<int>(at - text), text,
             line_of(at + 1, length), at + 1 + length);
}

typedef struct {
    int status;      // exit status; 256: ended by a signal
    char said[8192]; // the beginning of what came on standard error
} Outcome;

static void child_do(const Case &c, int seed)
{
    char text[256];
    snprintf(text, sizeof text, "%d", seed);
    setenv("CUDA_ON_CPU_SEED", text, 1);
    fill_in(text, c.drop ? c.drop : "");
    if (c.drop)
        setenv("CUDA_ON_CPU_DROP", text, 1);
    _exit(device_open() == 0 && c.run() ? 0 : EXIT_OTHER_RESULT);
}

static Outcome run_in_child(const Case &c, int seed)
{
    Outcome outcome = {};
    int ends[2];
    if (pipe(ends) != 0)
        abort();
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        child_do(c, seed);
    }
    close(ends[1]);
    char rest[4096];
    size_t length = 0;
    for (ssize_t n = 1; n > 0;) {
        size_t room = sizeof outcome.said - 1 - length;
        n = room > 0 ? read(ends[0], outcome.said + length, room)
                     : read(ends[0], rest, sizeof rest);
        length += room > 0 && n > 0 ? static_cast<size_t>(n) : 0;
    }
    close(ends[0]);
    int state = 0;
    waitpid(child, &state, 0);
    outcome.status = WIFEXITED(state) ? WEXITSTATUS(state) : 256;
    return outcome;
}

// What a run with one seed shows; `other` counts other results.
static bool outcome_fits(const Case &c, const Outcome &outcome, int *other)
{
    if (c.expected == RIGHT)
        return outcome.status == 0;
    if (c.expected == STOPPED) {
        char wanted[256];
        bool sanitized = WITH_ADDRESS_SANITIZER && c.sanitizers;
        fill_in(wanted, sanitized ? c.sanitizers : c.said);
        return outcome.status != 0 && outcome.status != EXIT_OTHER_RESULT &&
               strstr(outcome.said, wanted);
    }
    if (c.expected == RACE)
        return strstr(outcome.said, "ThreadSanitizer: data race");
    // Sanitizers see what makes the result another one.
    bool seen = (WITH_MEMORY_SANITIZER && strstr(outcome.said, "MemorySanitizer")) ||
                (WITH_THREAD_SANITIZER && strstr(outcome.said, "ThreadSanitizer: data race"));
    *other += seen || outcome.status == EXIT_OTHER_RESULT;
    return seen || outcome.status == 0 || outcome.status == EXIT_OTHER_RESULT;
}

static bool case_holds(const Case &c)
{
    int other = 0;
    for (int seed = 0; seed < SEEDS; seed++) {
        Outcome outcome = run_in_child(c, seed);
        if (outcome_fits(c, outcome, &other))
            continue;
        printf("    FAILED with seed %d: status %d, said: %s\n", seed, outcome.status,
               outcome.said);
        return false;
    }
    if (c.expected == OTHER_RESULT && other == 0) {
        printf("    FAILED: right results with all %d seeds\n", SEEDS);
        return false;
    }
    return true;
}

int main()
{
    int failures = 0;
    for (const Case &c : CASES) {
        if (c.expected == RACE && !WITH_THREAD_SANITIZER) {
            printf("skipped %s: there is no ThreadSanitizer\n", c.name);
            continue;
        }
        bool holds = case_holds(c);
        printf("%s %s\n", holds ? "passed" : "failed", c.name);
        fflush(stdout);
        failures += !holds;
    }
    return failures > 0;
}
