// test_cuda_optimiser.c - flat arrays: the CPU's bits.

#include "tests/cuda/gpu.h"

static const int64_t COUNTS[] = {1, 3, 7, 33, 1000, 2047, 2048, 2049, 100003, 1 << 20};
enum { COUNT_COUNT = sizeof COUNTS / sizeof COUNTS[0] };

typedef struct {
    float *w, *m, *v, *gradient;
    int64_t n, offset; // elements left out in front: 1 breaks the alignment
} Inputs;

static Results optimise(const Kernels *kernels, const void *inputs)
{
    const Inputs *in = inputs;
    size_t bytes = (size_t)(in->n + in->offset) * sizeof(float);
    Arena arena = {.kernels = kernels};
    float *w = arena_put(&arena, in->w, bytes), *m = arena_put(&arena, in->m, bytes);
    float *v = arena_put(&arena, in->v, bytes), *g = arena_put(&arena, in->gradient, bytes);
    float *rounded = arena_make(&arena, bytes);
    double *device_square = arena_make(&arena, sizeof *device_square);
    AdamW settings = {.learning_rate = 1e-3f, .beta1 = 0.9f, .beta2 = 0.95f, .epsilon = 1e-8f,
                      .weight_decay = 0.1f, .gradient_scale = 0.37f, .correction1 = 0.19f,
                      .correction2 = 0.0975f};
    int64_t o = in->offset;
    kernels->square_sum(NULL, device_square, g + o, in->n);
    kernels->adamw(NULL, w + o, m + o, v + o, g + o, in->n, settings);
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
    int64_t n = in->n + o;
    Results r = {.t = {flat(arena_get(&arena, w, bytes), n), flat(arena_get(&arena, m, bytes), n),
                  flat(arena_get(&arena, v, bytes), n), flat(arena_get(&arena, rounded, bytes), n),
                  flat(squares, 3), flat(arena_get(&arena, wide, bytes), n)},
                 .count = 6};
    arena_free(&arena);
    return r;
}

static void the_optimiser_gives_the_cpu_bits(void)
{
    static const double same[] = {0, 0, 0, 0, 0, 0};
    for (int i = 0; i < COUNT_COUNT; i++) {
        for (int64_t offset = 0; offset <= 1; offset++) {
            int64_t n = COUNTS[i], all = n + offset;
            Inputs in = {random_array(all, 1), random_array(all, 2), random_array(all, 3),
                         random_array(all, 4), n, offset};
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
                                 TEST(rounding_gives_the_cpu_bits)};
    return TESTS_RUN(tests, arguments);
}
