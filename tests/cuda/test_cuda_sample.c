// test_cuda_sample.c - draws of the CUDA table: the CPU's tokens, but for draws that fall between
// two tokens by less than exp is off.

#include <setjmp.h>

#include "tests/cuda/gpu.h"

typedef struct {
    Tensor logits;
    double *uniform;
    Sampling sampling;
} Inputs;

// Logits in steps of 1 / `steps`, so that many are equal; 0: all different.
static Inputs inputs_make(int64_t rows, int64_t width, float spread, int steps, uint64_t seed)
{
    Inputs in = {.logits = random_tensor(rows, width, seed % 2 ? 3 : 0, seed)};
    for (int64_t i = 0; i < rows * in.logits.stride; i++) {
        if (i % in.logits.stride >= width)
            continue;
        float z = in.logits.data[i] * spread;
        in.logits.data[i] = steps ? roundf(z * (float)steps) / (float)steps : z;
    }
    in.uniform = allocate((size_t)rows, sizeof *in.uniform);
    for (int64_t r = 0; r < rows; r++)
        in.uniform[r] = draw_uniform((Draw){.seed = seed, .purpose = PURPOSE_GENERATE,
                                            .position = (uint32_t)r});
    return in;
}

static void inputs_free(Inputs *in)
{
    release(in->logits.data);
    release(in->uniform);
}

// Tokens as floats (they are below 2^24), log-probabilities.
static Results draw(const Kernels *kernels, const void *inputs)
{
    const Inputs *in = inputs;
    size_t rows = (size_t)in->logits.rows;
    float temperature = in->sampling.temperature;
    Arena arena = {.kernels = kernels};
    Tensor z = arena_tensor(&arena, in->logits);
    float *lse = arena_make(&arena, rows * sizeof *lse);
    float *logprobs = arena_make(&arena, rows * sizeof *logprobs);
    int32_t *tokens = arena_make(&arena, rows * sizeof *tokens);
    double *uniform = arena_put(&arena, in->uniform, rows * sizeof *uniform);
    kernels->logsumexp(NULL, lse, z, temperature > 0.0f ? temperature : 1.0f);
    kernels->sample(NULL, tokens, logprobs, z, lse, uniform, in->sampling);
    int32_t *drawn = arena_get(&arena, tokens, rows * sizeof *drawn);
    float *as_floats = allocate(rows, sizeof *as_floats);
    for (size_t r = 0; r < rows; r++)
        as_floats[r] = (float)drawn[r];
    release(drawn);
    Results r = {.t = {flat(as_floats, in->logits.rows),
                  flat(arena_get(&arena, logprobs, rows * sizeof *logprobs), in->logits.rows)},
                 .count = 2};
    arena_free(&arena);
    return r;
}

static const Sampling SAMPLINGS[] = {
    {1.0f, 1.0f, 0},  {0.7f, 1.0f, 0}, {0.0f, 1.0f, 0},   {1.0f, 0.9f, 0},    {0.8f, 0.5f, 0},
    {1.0f, 1.0f, 50}, {1.0f, 1.0f, 1}, {1.0f, 0.8f, 40},  {1.0f, 0.001f, 0},  {1.3f, 0.95f, 1000},
    {1.0f, 0.9999f, 0}, {1.0f, 1.0f, 100000}, {1.0f, 0.99999994f, 0},
};
enum { SAMPLING_COUNT = sizeof SAMPLINGS / sizeof SAMPLINGS[0] };

// In double.
static double logprob_of(const Inputs *in, int64_t r, int64_t token)
{
    const float *row = in->logits.data + r * in->logits.stride;
    double temperature = in->sampling.temperature > 0 ? (double)in->sampling.temperature : 1.0;
    double sum = 0;
    for (int64_t j = 0; j < in->logits.width; j++)
        sum += exp(((double)row[j] - (double)row[token]) / temperature);
    return -log(sum);
}

// The draws of all rows agree; the probabilities of the two tables differ by some units in the last
// place, so one draw in some thousands may fall on a neighbour.
static int64_t draws_that_differ(const Inputs *in)
{
    Results expected = draw(cpu, in), first = draw(gpu, in), second = draw(gpu, in);
    int64_t differ = 0;
    for (int64_t r = 0; r < in->logits.rows; r++) {
        bool same = expected.t[0].data[r] == first.t[0].data[r];
        differ += !same;
        double logprob = logprob_of(in, r, (int64_t)first.t[0].data[r]);
        expect(fabs((double)first.t[1].data[r] - logprob) < 6e-6, "log-probability %.9g, not %.9g",
               (double)first.t[1].data[r], logprob);
    }
    expect_same(second.t[0], first.t[0], "a second draw");
    results_free(&expected);
    results_free(&first);
    results_free(&second);
    return differ;
}

static void draws_are_the_cpu_ones(void)
{
    static const int64_t shapes[][2] = {{1, 1},     {7, 33},     {1, 2500},  {40, 1000},
                                        {3, 20011}, {60, 49152}, {6, 151936}};
    enum { SHAPE_COUNT = sizeof shapes / sizeof shapes[0] };
    int64_t differ = 0, rows = 0;
    for (int s = 0; s < SHAPE_COUNT; s++) {
        bool runs = affordable(shapes[s][0] * shapes[s][1]);
        for (int i = 0; runs && i < SAMPLING_COUNT; i++) {
            for (int steps = 0; steps <= 4; steps += 4) {
                Inputs in = inputs_make(shapes[s][0], shapes[s][1], 12.0f, steps,
                                        (uint64_t)(100 * s + i));
                in.sampling = SAMPLINGS[i];
                int64_t some = draws_that_differ(&in);
                expect(in.sampling.temperature > 0 || some == 0, "%ld greedy tokens differ",
                       (long)some);
                differ += some;
                rows += in.logits.rows;
                inputs_free(&in);
            }
        }
    }
    printf("    %ld of %ld draws differ\n", (long)differ, (long)rows);
    expect(differ * 200 <= rows, "%ld of %ld draws differ", (long)differ, (long)rows);
}

// Equal logits: top_k takes the lowest ids, and each of them as often as the others.
static void ties_are_taken_in_order(void)
{
    enum { WIDTH = 5000, ROWS = 64, K = 1500 };
    Inputs in = inputs_make(ROWS, WIDTH, 0.0f, 1, 5);
    in.sampling = (Sampling){1.0f, 1.0f, K};
    for (int64_t r = 0; r < ROWS; r++)
        in.uniform[r] = ((double)r + 0.5) / ROWS;
    Results r = draw(gpu, &in);
    for (int64_t i = 0; i < ROWS; i++) {
        float token = floorf(((float)i + 0.5f) * K / ROWS);
        expect(fabsf(r.t[0].data[i] - token) <= 1.0f, "token %g, not about %g",
               (double)r.t[0].data[i], (double)token);
    }
    results_free(&r);
    inputs_free(&in);
}

static jmp_buf ended;

static void end_here(int code)
{
    longjmp(ended, code);
}

static void logits_of_nan_end_the_program(void)
{
    Inputs in = inputs_make(3, 100, 1.0f, 0, 6);
    in.sampling = (Sampling){1.0f, 1.0f, 0};
    in.logits.data[in.logits.stride + 4] = NAN;
    die_set_end(end_here);
    int code = setjmp(ended);
    if (code == 0) {
        draw(gpu, &in);
        expect(false, "the program goes on");
    } else {
        expect(code == EXIT_BAD_DATA, "exit code %d", code);
    }
    die_set_end(NULL);
    in.logits.data[in.logits.stride + 4] = 0.0f;
    Results r = draw(gpu, &in); // the fault is forgotten
    results_free(&r);
    inputs_free(&in);
}

int main(int count, char **arguments)
{
    (void)count;
    static const Test tests[] = {TEST(draws_are_the_cpu_ones), TEST(ties_are_taken_in_order),
                                 TEST(logits_of_nan_end_the_program)};
    return TESTS_RUN(tests, arguments);
}
