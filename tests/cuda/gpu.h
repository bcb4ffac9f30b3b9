// gpu.h - what tests of the CUDA kernels share: arrays on a device, comparison, and a small harness
// without cmocka, which a machine with a GPU need not have.
//
// An operation under test is a function that computes on a given table and returns host arrays: it
// runs on the CPU's table and twice on the GPU, which must give the same bits both times.

#ifndef L2A_TESTS_CUDA_GPU_H
#define L2A_TESTS_CUDA_GPU_H

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "tests/kernels/arrays.h"

enum { SKIPPED = 77, MOST_BLOCKS = 32 };

static const Kernels *cpu, *gpu;
static int failures;

// Counts and prints a failed expectation; L2A_FIRST_FAILURE_ENDS: and ends the program.
static inline void __attribute__((format(printf, 2, 3))) expect(bool holds, const char *format, ...)
{
    if (holds)
        return;
    va_list arguments;
    va_start(arguments, format);
    printf("    FAILED: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    failures++;
    if (getenv("L2A_FIRST_FAILURE_ENDS"))
        exit(1);
}

// Whether a case of so many multiplications, or elements, is to run: L2A_MOST_WORK leaves out
// larger ones, for a device that is emulated.
static inline bool affordable(int64_t work)
{
    const char *most = getenv("L2A_MOST_WORK");
    return !most || work <= atoll(most);
}

typedef struct {
    const char *name;
    void (*run)(void);
} Test;

static inline bool named(const char *name, char **names)
{
    for (int i = 0; names[i]; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return !names[0];
}

// Runs the tests, or those that are named; the program's exit status: 0, 1 or SKIPPED.
static inline int tests_run(const Test *tests, int count, char **names)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    cpu = kernels_cpu(); // the same bits with every instruction set
    gpu = kernels_cuda_count() > 0 ? kernels_cuda(0) : NULL;
    if (!gpu) {
        printf("skipped: %s\n", fail_message());
        return SKIPPED;
    }
    int total = 0;
    for (int i = 0; i < count; i++) {
        if (!named(tests[i].name, names))
            continue;
        failures = 0;
        tests[i].run();
        printf("%s %s\n", failures ? "failed" : "passed", tests[i].name);
        total += failures;
    }
    return total > 0;
}

#define TEST(function) {#function, function}
#define TESTS_RUN(tests, arguments)                                                                \
    tests_run(tests, (int)(sizeof(tests) / sizeof(tests)[0]), (arguments) + 1)

// ---- arrays on a device -------------------------------------------------------------------------

// Memory of one operation on one table.
typedef struct {
    const Kernels *kernels;
    void *blocks[MOST_BLOCKS]; // owned
    int count;
} Arena;

static inline void *arena_make(Arena *arena, size_t bytes)
{
    CHECK(arena->count < MOST_BLOCKS, "more than %d blocks", MOST_BLOCKS);
    return arena->blocks[arena->count++] = arena->kernels->memory_make(bytes);
}

static inline void *arena_put(Arena *arena, const void *host, size_t bytes)
{
    void *device = arena_make(arena, bytes);
    arena->kernels->copy_in(NULL, device, host, bytes);
    return device;
}

// A copy with the gaps between rows; a tensor without data stays one.
static inline Tensor arena_tensor(Arena *arena, Tensor host)
{
    if (host.data)
        host.data =
            arena_put(arena, host.data, (size_t)(host.rows * host.stride) * sizeof *host.data);
    return host;
}

// Back to the host, to be released.
static inline void *arena_get(Arena *arena, const void *device, size_t bytes)
{
    void *host = allocate(bytes, 1);
    arena->kernels->copy_out(NULL, host, device, bytes);
    arena->kernels->queue_wait(NULL);
    return host;
}

static inline Tensor arena_fetch(Arena *arena, Tensor device)
{
    device.data =
        arena_get(arena, device.data, (size_t)(device.rows * device.stride) * sizeof *device.data);
    return device;
}

static inline void arena_free(Arena *arena)
{
    arena->kernels->queue_wait(NULL);
    for (int i = 0; i < arena->count; i++)
        arena->kernels->memory_free(arena->blocks[i]);
    arena->count = 0;
}

// A weight matrix, packed by the table in blocks of rows; the second block of a bf16 one from bf16.
static inline Matrix arena_matrix(Arena *arena, Tensor w, ElementType type)
{
    const Kernels *kernels = arena->kernels;
    Matrix matrix = {NULL, w.rows, w.width, type};
    matrix.packed = arena_make(arena, kernels->matrix_bytes(w.rows, w.width, type));
    Tensor source = arena_tensor(arena, w);
    int64_t first = w.rows > 32 ? 32 : 0;
    if (first > 0)
        kernels->matrix_pack(NULL, matrix, 0, elements_f32(source.data), first);
    Elements rest = elements_f32(source.data + first * w.width);
    int64_t count = w.rows - first;
    if (type == TYPE_BF16) {
        uint16_t *narrow = arena_make(arena, (size_t)(count * w.width) * sizeof *narrow);
        kernels->convert(NULL, narrow, TYPE_BF16, rest, count * w.width);
        rest = (Elements){narrow, TYPE_BF16};
    }
    kernels->matrix_pack(NULL, matrix, first, rest, count);
    return matrix;
}

// ---- comparison ---------------------------------------------------------------------------------

// Sum of (a - b)^2 and of b^2 of `count` numbers; the first is infinite where one is not finite and
// the other is something else.
typedef struct {
    double difference, square;
} Distance;

static inline Distance distance_of(const float *a, const float *b, int64_t count)
{
    Distance d = {0, 0};
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(b[i]) || !isfinite(a[i])) {
            bool same = (isnan(a[i]) && isnan(b[i])) || a[i] == b[i];
            d.difference += same ? 0 : INFINITY;
            continue;
        }
        d.difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        d.square += (double)b[i] * (double)b[i];
    }
    return d;
}

// Every row of `got` within `tolerance` of the row expected, in units of that row's norm, of the
// rows' root mean square or of a row of numbers `least`, whichever is greatest; gaps untouched.
static inline void expect_close(Tensor got, Tensor expected, double tolerance, double least,
                                const char *what)
{
    double mean = 0, worst = 0;
    double floor = (double)expected.width * least * least;
    int64_t row = 0;
    for (int64_t r = 0; r < expected.rows; r++)
        mean += distance_of(expected.data + r * expected.stride,
                            expected.data + r * expected.stride, expected.width)
                    .square /
                (double)expected.rows;
    for (int64_t r = 0; r < expected.rows; r++) {
        const float *a = got.data + r * got.stride, *b = expected.data + r * expected.stride;
        Distance d = distance_of(a, b, expected.width);
        double off = d.difference == 0 ? 0 : sqrt(d.difference / fmax(fmax(d.square, mean), floor));
        if (!(off <= worst)) {
            worst = off;
            row = r;
        }
        for (int64_t j = expected.width; j < expected.stride; j++)
            expect(a[j] == b[j], "%s: the gap after row %ld was written", what, (long)r);
    }
    if (getenv("L2A_SHOW_DISTANCES"))
        printf("    %s [%ld, %ld]: %.1e of %.1e\n", what, (long)expected.rows,
               (long)expected.width, worst, tolerance);
    expect(worst <= tolerance, "%s [%ld, %ld]: row %ld is off by %.2e, allowed %.2e", what,
           (long)expected.rows, (long)expected.width, (long)row, worst, tolerance);
}

static inline void expect_same(Tensor got, Tensor expected, const char *what)
{
    int64_t i = tensor_difference(got, expected);
    expect(i < 0, "%s [%ld, %ld]: element %ld is %.9g, not %.9g", what, (long)expected.rows,
           (long)expected.width, (long)i, i < 0 ? 0 : (double)got.data[i],
           i < 0 ? 0 : (double)expected.data[i]);
}

static inline Tensor flat(float *data, int64_t count)
{
    return tensor_of(data, 1, count);
}

// What an operation gives; the arrays are owned.
typedef struct {
    Tensor t[6];
    int count;
    double least[6]; // expect_close's, for differences of greater numbers
} Results;

static inline void results_free(Results *results)
{
    for (int i = 0; i < results->count; i++)
        release(results->t[i].data);
}

// Compares an operation's results on the GPU with those on the CPU, each within its tolerance (0:
// the same bits), and with a second run's.
static inline void check_operation(Results (*compute)(const Kernels *kernels, const void *inputs),
                                   const void *inputs, const double *tolerances, const char *what)
{
    Results expected = compute(cpu, inputs), first = compute(gpu, inputs);
    Results second = compute(gpu, inputs);
    for (int i = 0; i < expected.count; i++) {
        if (tolerances[i] > 0)
            expect_close(first.t[i], expected.t[i], tolerances[i], expected.least[i], what);
        else
            expect_same(first.t[i], expected.t[i], what);
        expect_same(second.t[i], first.t[i], "a second run");
    }
    results_free(&expected);
    results_free(&first);
    results_free(&second);
}

#endif
