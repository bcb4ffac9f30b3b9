// test_cuda_rows.c - norms, biases, rotary positions, SwiGLU and rows by index against the CPU's.

#include "tests/cuda/gpu.h"

static const int64_t SHAPES[][2] = {
    {1, 16}, {7, 33}, {33, 64}, {5, 576}, {130, 100}, {3, 9000}, {1, 40000}, {70, 896},
};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof SHAPES[0] };

// Up to six tensors of one shape, a vector, and indices.
typedef struct {
    Tensor t[6];
    float *vector; // [width]
    int32_t *index; // [rows]
    int32_t head_width, positions;
    bool flag;
} Inputs;

static Inputs inputs_make(int64_t rows, int64_t width, int64_t gap)
{
    Inputs in = {.vector = random_array(width, 20)};
    for (int i = 0; i < 6; i++)
        in.t[i] = random_tensor(rows, width, gap, (uint64_t)(10 + i));
    in.index = allocate((size_t)rows, sizeof *in.index);
    for (int64_t r = 0; r < rows; r++)
        in.index[r] = (int32_t)(r * r % rows);
    return in;
}

static void inputs_free(Inputs *in)
{
    for (int i = 0; i < 6; i++)
        release(in->t[i].data);
    release(in->vector);
    release(in->index);
}

static void check_shapes(Results (*compute)(const Kernels *kernels, const void *inputs),
                         const double *tolerances, const char *what)
{
    for (int s = 0; s < SHAPE_COUNT; s++) {
        for (int64_t gap = 0; gap <= 5; gap += 5) {
            Inputs in = inputs_make(SHAPES[s][0], SHAPES[s][1], gap);
            check_operation(compute, &in, tolerances, what);
            inputs_free(&in);
        }
    }
}

static float *vector_put(Arena *arena, const Inputs *in)
{
    return arena_put(arena, in->vector, (size_t)in->t[0].width * sizeof(float));
}

static float *vector_get(Arena *arena, const Inputs *in, const float *device)
{
    return arena_get(arena, device, (size_t)in->t[0].width * sizeof(float));
}

static int32_t *index_put(Arena *arena, const Inputs *in)
{
    return arena_put(arena, in->index, (size_t)in->t[0].rows * sizeof(int32_t));
}

// With a residual into its own memory, without one, and the addition alone.
static Results norm_forward(const Kernels *kernels, const void *inputs)
{
    const Inputs *in = inputs;
    Arena arena = {.kernels = kernels};
    Tensor x = arena_tensor(&arena, in->t[0]), delta = arena_tensor(&arena, in->t[1]);
    Tensor again = arena_tensor(&arena, in->t[2]), out = arena_tensor(&arena, in->t[3]);
    Tensor added = arena_tensor(&arena, in->t[4]), other = arena_tensor(&arena, in->t[5]);
    const float *weight = vector_put(&arena, in);
    kernels->residual_rmsnorm_forward(NULL, delta, x, delta, weight, 1e-5f);
    kernels->residual_rmsnorm_forward(NULL, out, again, (Tensor){0}, weight, 1e-6f);
    kernels->residual_rmsnorm_forward(NULL, (Tensor){0}, added, other, weight, 1e-6f);
    Results r = {.t = {arena_fetch(&arena, x), arena_fetch(&arena, delta), arena_fetch(&arena, out),
                  arena_fetch(&arena, added)},
                 .count = 4};
    arena_free(&arena);
    return r;
}

static void norms_agree(void)
{
    static const double tolerances[] = {0, 1e-6, 1e-6, 0};
    check_shapes(norm_forward, tolerances, "a norm");
}

static Results norm_backward(const Kernels *kernels, const void *inputs)
{
    const Inputs *in = inputs;
    Arena arena = {.kernels = kernels};
    Tensor dx = arena_tensor(&arena, in->t[0]), y = arena_tensor(&arena, in->t[1]);
    Tensor x = arena_tensor(&arena, in->t[2]);
    float *weight = vector_put(&arena, in), *dweight = vector_put(&arena, in);
    Tensor dx_alone = arena_tensor(&arena, in->t[3]);
    kernels->rmsnorm_backward(NULL, dx, dweight, y, x, weight, 1e-5f);
    kernels->rmsnorm_backward(NULL, dx_alone, NULL, y, x, weight, 1e-5f);
    Results r = {.t = {arena_fetch(&arena, dx), flat(vector_get(&arena, in, dweight), dx.width),
                       arena_fetch(&arena, dx_alone)},
                 .count = 3};
    arena_free(&arena);
    return r;
}

static void gradients_of_norms_agree(void)
{
    static const double tolerances[] = {1e-6, 2e-6, 1e-6};
    check_shapes(norm_backward, tolerances, "a norm's gradient");
}

static Results bias(const Kernels *kernels, const void *inputs)
{
    const Inputs *in = inputs;
    Arena arena = {.kernels = kernels};
    Tensor x = arena_tensor(&arena, in->t[0]), y = arena_tensor(&arena, in->t[1]);
    float *vector = vector_put(&arena, in), *gradient = vector_put(&arena, in);
    kernels->bias_forward(NULL, x, vector);
    kernels->bias_backward(NULL, gradient, y);
    Results r = {.t = {arena_fetch(&arena, x), flat(vector_get(&arena, in, gradient), x.width)},
                 .count = 2};
    arena_free(&arena);
    return r;
}

static void biases_agree(void)
{
    static const double tolerances[] = {0, 2e-6};
    check_shapes(bias, tolerances, "a bias");
}

static Results swiglu(const Kernels *kernels, const void *inputs)
{
    const Inputs *in = inputs;
    Arena arena = {.kernels = kernels};
    Tensor gate = arena_tensor(&arena, in->t[0]), up = arena_tensor(&arena, in->t[1]);
    Tensor y = arena_tensor(&arena, in->t[2]), out = arena_tensor(&arena, in->t[3]);
    kernels->swiglu_forward(NULL, out, gate, up);
    kernels->swiglu_backward(NULL, gate, up, y, gate, up); // in place
    Results r = {.t = {arena_fetch(&arena, out), arena_fetch(&arena, gate), arena_fetch(&arena, up)},
                 .count = 3};
    arena_free(&arena);
    return r;
}

static void swiglu_agrees(void)
{
    static const double tolerances[] = {1e-6, 1e-6, 1e-6};
    check_shapes(swiglu, tolerances, "SwiGLU");
}

// Gates far from 0 give 0 or the gate itself, and NaN stays NaN.
static void swiglu_saturates(void)
{
    Inputs in = inputs_make(2, 16, 0);
    static const float gates[] = {-200.0f, 200.0f, -88.0f, 88.0f, 0.0f, -0.0f, NAN, 1e-30f};
    memcpy(in.t[0].data, gates, sizeof gates);
    static const double tolerances[] = {1e-6, 1e-6, 1e-6};
    check_operation(swiglu, &in, tolerances, "SwiGLU far from 0");
    inputs_free(&in);
}

static Results rotate(const Kernels *kernels, const void *inputs)
{
    const Inputs *in = inputs;
    Arena arena = {.kernels = kernels};
    Tensor x = arena_tensor(&arena, in->t[0]), back = arena_tensor(&arena, in->t[1]);
    float *table = random_array(in->positions * in->head_width, 30);
    float *device = arena_put(&arena, table,
                              (size_t)(in->positions * in->head_width) * sizeof *table);
    const int32_t *index = index_put(&arena, in);
    kernels->rotary(NULL, x, in->head_width, device, index, false);
    kernels->rotary(NULL, back, in->head_width, device, index, true);
    Results r = {.t = {arena_fetch(&arena, x), arena_fetch(&arena, back)},
                 .count = 2};
    arena_free(&arena);
    release(table);
    return r;
}

static void rotary_gives_the_cpu_bits(void)
{
    static const int64_t shapes[][3] = {{1, 3, 64}, {7, 2, 128}, {33, 5, 6}, {70, 14, 64}};
    static const double same[] = {0, 0};
    for (int s = 0; s < 4; s++) {
        for (int64_t gap = 0; gap <= 5; gap += 5) {
            Inputs in = inputs_make(shapes[s][0], shapes[s][1] * shapes[s][2], gap);
            in.head_width = (int32_t)shapes[s][2];
            in.positions = (int32_t)shapes[s][0];
            check_operation(rotate, &in, same, "rotary positions");
            inputs_free(&in);
        }
    }
}

static Results by_index(const Kernels *kernels, const void *inputs)
{
    const Inputs *in = inputs;
    Arena arena = {.kernels = kernels};
    Tensor x = arena_tensor(&arena, in->t[0]), y = arena_tensor(&arena, in->t[1]);
    Tensor out = arena_tensor(&arena, in->t[2]), sum = arena_tensor(&arena, in->t[3]);
    const int32_t *index = index_put(&arena, in);
    kernels->rows_gather(NULL, out, x, index);
    kernels->rows_scatter(NULL, x, y, index);
    kernels->add(NULL, sum.data, y.data, sum.rows * sum.stride - 1); // the last is a gap's or not
    Results r = {.t = {arena_fetch(&arena, out), arena_fetch(&arena, x), arena_fetch(&arena, sum)},
                 .count = 3};
    arena_free(&arena);
    return r;
}

static void rows_by_index_give_the_cpu_bits(void)
{
    static const double same[] = {0, 0, 0};
    check_shapes(by_index, same, "rows by index");
}

int main(int count, char **arguments)
{
    (void)count;
    static const Test tests[] = {
        TEST(norms_agree),   TEST(gradients_of_norms_agree), TEST(biases_agree),
        TEST(swiglu_agrees), TEST(swiglu_saturates),         TEST(rotary_gives_the_cpu_bits),
        TEST(rows_by_index_give_the_cpu_bits),
    };
    return TESTS_RUN(tests, arguments);
}
