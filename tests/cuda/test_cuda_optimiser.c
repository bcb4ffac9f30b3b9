// test_cuda_optimiser.c - flat arrays: the CPU's bits.

#include "tests/cuda/gpu.h"

static const int64_t COUNTS[] = {1, 3, 7, 33, 1000, 2047, 2048, 2049, 100003, 1 << 20};
enum { COUNT_COUNT = sizeof COUNTS / sizeof COUNTS[0] };

typedef struct {
    float *w, *m, *v, *gradient;
    int64_t n, offset; // elements left out in front: 1 breaks the alignment
    ElementType type;  // of the moments
} Inputs;

// One array of moments, in a type.
static void *put_moments(Arena *arena, const float *values, int64_t n, ElementType type)
{
    float *wide = arena_put(arena, values, (size_t)n * sizeof *wide);
    void *moments = arena_make(arena, (size_t)n * type_bytes(type));
    arena->kernels->convert(NULL, moments, type, elements_f32(wide), n);
    return moments;
}

static float *get_moments(Arena *arena, const void *moments, int64_t n, ElementType type)
{
    float *wide = arena_make(arena, (size_t)n * sizeof *wide);
    arena->kernels->convert(NULL, wide, TYPE_F32, (Elements){moments, type}, n);
    return arena_get(arena, wide, (size_t)n * sizeof *wide);
}

static Results optimise(const Kernels *kernels, const void *inputs)
{
    const Inputs *in = inputs;
    size_t bytes = (size_t)(in->n + in->offset) * sizeof(float);
    Arena arena = {.kernels = kernels};
    int64_t n = in->n + in->offset;
    float *w = arena_put(&arena, in->w, bytes), *g = arena_put(&arena, in->gradient, bytes);
    Moments moments = {put_moments(&arena, in->m, n, in->type),
                       put_moments(&arena, in->v, n, in->type), in->type};
    float *rounded = arena_make(&arena, bytes);
    double *device_square = arena_make(&arena, sizeof *device_square);
    AdamW settings = {.learning_rate = 1e-3f,
                      .beta1 = 0.9f,
                      .beta2 = 0.95f,
                      .epsilon = 1e-8f,
                      .weight_decay = 0.1f,
                      .gradient_scale = 0.37f,
                      .correction1 = 0.19f,
                      .correction2 = 0.0975f,
                      .draws = {{1, 2, 3, 0xfffffff0u}, {5, 6}}};
    int64_t o = in->offset;
    kernels->square_sum(NULL, device_square, g + o, in->n);
    kernels->adamw(NULL, w + o, moments_from(moments, o), g + o, in->n, settings);
    kernels->round_bf16(NULL, rounded + o, w + o, in->n);
    uint16_t *narrow = arena_make(&arena, bytes);
    float *wide = arena_make(&arena, bytes);
    kernels->scale(NULL, w + o, 1.0f / 3, in->n);
    kernels->convert(NULL, narrow + o, TYPE_BF16, elements_f32(w + o), in->n);
    kernels->convert(NULL, wide + o, TYPE_F32, (Elements){narrow + o, TYPE_BF16}, in->n);
    double *square = arena_get(&arena, device_square, sizeof *square);
    float *squares = allocate(3, sizeof *squares); // the halves of its bits, and the value rounded
    memcpy(squares, square, sizeof *square);
    squares[2] = (float)*square;
    release(square);
    Results r = {.t = {flat(arena_get(&arena, w, bytes), n),
                       flat(get_moments(&arena, moments.m, n, in->type), n),
                       flat(get_moments(&arena, moments.v, n, in->type), n),
                       flat(arena_get(&arena, rounded, bytes), n), flat(squares, 3),
                       flat(arena_get(&arena, wide, bytes), n)},
                 .count = 6};
    arena_free(&arena);
    return r;
}

static void the_optimiser_gives_the_cpu_bits(void)
{
    static const double same[] = {0, 0, 0, 0, 0, 0};
    for (int i = 0; i < COUNT_COUNT; i++) {
        for (int way = 0; way < 4; way++) {
            int64_t n = COUNTS[i], offset = way % 2, all = n + offset;
            Inputs in = {random_array(all, 1),
                         random_array(all, 2),
                         random_array(all, 3),
                         random_array(all, 4),
                         n,
                         offset,
                         way < 2 ? TYPE_F32 : TYPE_BF16};
            for (int64_t j = 0; j < all; j++)
                in.v[j] = fabsf(in.v[j]);
            check_operation(optimise, &in, same, "the optimiser");
            release(in.w);
            release(in.m);
            release(in.v);
            release(in.gradient);
        }
    }
}

// A NaN's bits may be rounded up to no number.
static void a_moment_that_is_no_number_stays_none(void)
{
    enum { COUNT = 8 };
    float one[COUNT] = {1}, none[COUNT];
    for (int i = 0; i < COUNT; i++)
        none[i] = NAN;
    Arena arena = {.kernels = gpu};
    float *w = arena_put(&arena, one, sizeof one), *g = arena_put(&arena, none, sizeof none);
    Moments moments = {put_moments(&arena, one, COUNT, TYPE_BF16),
                       put_moments(&arena, none, COUNT, TYPE_BF16), TYPE_BF16};
    gpu->adamw(NULL, w, moments, g, COUNT, (AdamW){.beta1 = 0.9f, .beta2 = 0.9f});
    float *m = get_moments(&arena, moments.m, COUNT, TYPE_BF16);
    float *v = get_moments(&arena, moments.v, COUNT, TYPE_BF16);
    for (int i = 0; i < COUNT; i++)
        expect(isnan(m[i]) && isnan(v[i]), "moments of NaN are %g and %g", (double)m[i],
               (double)v[i]);
    release(m);
    release(v);
    arena_free(&arena);
}

// Ties, subnormals, overflow, infinities and NaN.
static void rounding_gives_the_cpu_bits(void)
{
    static const uint32_t bits[] = {0x3f808000u, 0x3f818000u, 0x3f808001u, 0x00000001u, 0x00008000u,
                                    0x80018000u, 0x7f7fffffu, 0x7f800000u, 0xff800000u, 0x7f800001u,
                                    0xffc12345u, 0x7fffffffu, 0x00000000u, 0x80000000u};
    enum { COUNT = sizeof bits / sizeof bits[0] };
    uint32_t *results[2];
    for (int i = 0; i < 2; i++) {
        Arena arena = {.kernels = i ? gpu : cpu};
        float *x = arena_put(&arena, bits, sizeof bits), *out = arena_make(&arena, sizeof bits);
        arena.kernels->round_bf16(NULL, out, x, COUNT);
        results[i] = arena_get(&arena, out, sizeof bits);
        arena_free(&arena);
    }
    for (int i = 0; i < COUNT; i++)
        expect(results[0][i] == results[1][i], "%08x becomes %08x, not %08x", bits[i],
               results[1][i], results[0][i]);
    release(results[0]);
    release(results[1]);
}

int main(int count, char **arguments)
{
    (void)count;
    static const Test tests[] = {TEST(the_optimiser_gives_the_cpu_bits),
                                 TEST(a_moment_that_is_no_number_stays_none),
                                 TEST(rounding_gives_the_cpu_bits)};
    return TESTS_RUN(tests, arguments);
}
