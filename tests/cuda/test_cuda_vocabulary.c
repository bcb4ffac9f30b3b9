// test_cuda_vocabulary.c - log-sum-exp, log-probabilities, entropy, their gradient and the
// repetition penalty against the CPU's.

#include "tests/cuda/gpu.h"

static const int64_t SHAPES[][2] = {
    {1, 1}, {1, 17}, {7, 1000}, {33, 8192}, {3, 49152}, {2, 151936}, {5, 20001},
};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof SHAPES[0] };

typedef struct {
    Tensor logits;
    float temperature;
    Target *targets;
    float *coefficients, *slopes; // slopes: of odd widths only, else NULL
    int64_t count;
    int32_t *seen;
    int64_t *offsets;
} Inputs;

// Logits with a spread; up to three targets in two rows of three, some at one token.
static Inputs inputs_make(int64_t rows, int64_t width, int64_t gap, float temperature)
{
    Inputs in = {.logits = random_tensor(rows, width, gap, 1), .temperature = temperature};
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t j = 0; j < width; j++)
            in.logits.data[r * in.logits.stride + j] *= 9.0f;
    }
    in.targets = allocate((size_t)(3 * rows), sizeof *in.targets);
    in.coefficients = random_array(3 * rows, 2);
    in.slopes = width % 2 ? random_array(rows, 3) : NULL;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < 3 && r % 3 != 1; i++)
            in.targets[in.count++] = (Target){(int32_t)r, (int32_t)((r * 7 + i / 2 * 31) % width)};
    }
    in.seen = allocate((size_t)(2 * rows), sizeof *in.seen);
    in.offsets = allocate((size_t)(rows + 1), sizeof *in.offsets);
    for (int64_t r = 0; r < rows; r++) {
        int64_t n = in.offsets[r];
        if (width > 1 && r % 2 == 0) {
            in.seen[n++] = (int32_t)(r % width);
            in.seen[n++] = (int32_t)((r + 1) % width);
        }
        in.offsets[r + 1] = n;
    }
    return in;
}

static void inputs_free(Inputs *in)
{
    release(in->logits.data);
    release(in->targets);
    release(in->coefficients);
    release(in->slopes);
    release(in->seen);
    release(in->offsets);
}

static Results score(const Kernels *kernels, const void *inputs)
{
    const Inputs *in = inputs;
    int64_t rows = in->logits.rows;
    size_t row_bytes = (size_t)rows * sizeof(float), count = (size_t)in->count;
    Arena arena = {.kernels = kernels};
    Tensor z = arena_tensor(&arena, in->logits);
    float *lse = arena_make(&arena, row_bytes), *entropy = arena_make(&arena, row_bytes);
    float *logprobs = arena_make(&arena, count * sizeof(float));
    Target *targets = arena_put(&arena, in->targets, count * sizeof *targets);
    float *coefficients = arena_put(&arena, in->coefficients, count * sizeof(float));
    float *slopes = in->slopes ? arena_put(&arena, in->slopes, row_bytes) : NULL;
    int32_t *seen = arena_put(&arena, in->seen, (size_t)(2 * rows) * sizeof *seen);
    int64_t *offsets = arena_put(&arena, in->offsets, (size_t)(rows + 1) * sizeof *offsets);
    kernels->penalise(NULL, z, seen, offsets, 1.3f);
    kernels->logsumexp(NULL, lse, z, in->temperature);
    kernels->target_logprobs(NULL, logprobs, z, lse, targets, in->count);
    kernels->entropy(NULL, entropy, z, lse);
    Tensor divided = arena_fetch(&arena, z);
    kernels->target_backward(NULL, z, lse, entropy, slopes, targets, coefficients, in->count,
                             in->temperature);
    Results r = {.t = {divided, flat(arena_get(&arena, lse, row_bytes), rows),
                  flat(arena_get(&arena, logprobs, count * sizeof(float)), in->count),
                  flat(arena_get(&arena, entropy, row_bytes), rows), arena_fetch(&arena, z)},
                 .count = 5,
                 // Log-probabilities and entropies are differences of numbers of a dozen or so.
                 .least = {0, 3, 3, 3, 0}};
    arena_free(&arena);
    return r;
}

// The CPU adds up an entropy in 16 chains, which at 151,936 columns takes it 1.6e-5 of it away from
// the true one.
static void scores_agree(void)
{
    static const double tolerances[] = {0, 6e-7, 2e-6, 5e-6, 2e-6};
    static const double wide_tolerances[] = {0, 6e-7, 2e-6, 2e-5, 2e-6};
    for (int s = 0; s < SHAPE_COUNT; s++) {
        for (int64_t gap = 0; gap <= 3; gap += 3) {
            Inputs in = inputs_make(SHAPES[s][0], SHAPES[s][1], gap, gap ? 0.7f : 1.0f);
            check_operation(score, &in, SHAPES[s][1] > 40000 ? wide_tolerances : tolerances,
                            "scores");
            inputs_free(&in);
        }
    }
}

static Results sum_up(const Kernels *kernels, const void *inputs)
{
    const Inputs *in = inputs;
    size_t bytes = (size_t)in->logits.rows * sizeof(float);
    Arena arena = {.kernels = kernels};
    Tensor z = arena_tensor(&arena, in->logits);
    float *lse = arena_make(&arena, bytes);
    kernels->logsumexp(NULL, lse, z, in->temperature);
    Results r = {.t = {flat(arena_get(&arena, lse, bytes), in->logits.rows)},
                 .count = 1};
    arena_free(&arena);
    return r;
}

// NaN and +infinity give NaN in their row alone; -infinity is a probability of 0; a row of
// -infinity gives NaN.
static void logits_that_are_not_finite(void)
{
    static const double tolerances[] = {3e-7};
    static const int64_t widths[] = {17, 1000, 20000};
    for (int w = 0; w < 3; w++) {
        int64_t width = widths[w];
        Inputs in = inputs_make(7, width, 0, 0.9f);
        in.logits.data[0 * width + width - 1] = NAN;
        in.logits.data[1 * width + width / 2] = INFINITY;
        in.logits.data[2 * width] = INFINITY;
        for (int64_t j = 0; j < width; j++) {
            in.logits.data[3 * width + j] = -INFINITY;
            in.logits.data[4 * width + j] = j == width / 3 ? 2.0f : -INFINITY;
        }
        in.logits.data[5 * width] = -INFINITY;
        check_operation(sum_up, &in, tolerances, "logits that are not finite");
        Results r = sum_up(gpu, &in);
        for (int64_t i = 0; i < 7; i++)
            expect(isnan(r.t[0].data[i]) == (i < 4), "row %ld: %g", (long)i,
                   (double)r.t[0].data[i]);
        results_free(&r);
        inputs_free(&in);
    }
}

int main(int count, char **arguments)
{
    (void)count;
    static const Test tests[] = {TEST(scores_agree), TEST(logits_that_are_not_finite)};
    return TESTS_RUN(tests, arguments);
}
