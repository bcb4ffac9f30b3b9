// test_cuda_products.c - products and embeddings of the CUDA table against sums in double.

#include "tests/cuda/gpu.h"

static const int64_t SHAPES[][3] = {
    // m, n, k
    {1, 16, 16},  {1, 7, 33},    {7, 33, 7},     {33, 100, 61},   {5, 64, 576},
    {33, 1, 40},  {64, 192, 96}, {80, 1000, 64}, {129, 257, 131}, {300, 576, 1536},
};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof SHAPES[0] };

static float rounded(float x, bool round)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (round)
        bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

typedef struct {
    int64_t m, n, k;
    ElementType type;
    Tensor x, y, w, out_n, out_k, gradient; // [m, k], [m, n], [n, k]; what the outputs hold before
} Layer;

// Rows of x and y lie `gap` elements apart: 0 keeps them aligned where the width is, 3 does not.
static Layer layer_make(const int64_t shape[3], ElementType type, int64_t gap)
{
    int64_t m = shape[0], n = shape[1], k = shape[2];
    return (Layer){.m = m,
                   .n = n,
                   .k = k,
                   .type = type,
                   .x = random_tensor(m, k, gap, 1),
                   .y = random_tensor(m, n, gap, 2),
                   .w = random_tensor(n, k, 0, 3),
                   .out_n = random_tensor(m, n, gap, 4),
                   .out_k = random_tensor(m, k, gap, 5),
                   .gradient = random_tensor(n, k, gap, 6)};
}

static void layer_free(Layer *layer)
{
    Tensor tensors[] = {layer->x, layer->y, layer->w, layer->out_n, layer->out_k, layer->gradient};
    for (int i = 0; i < 6; i++)
        release(tensors[i].data);
}

// The four products, in double, of operands as the GPU is to see them.
static Results expected_of(const Layer *l)
{
    bool round = l->type == TYPE_BF16;
    Results r = {.t = {copy_of_tensor(l->out_n), copy_of_tensor(l->out_k), copy_of_tensor(l->out_k),
                  copy_of_tensor(l->gradient)},
                 .count = 4};
    for (int64_t i = 0; i < l->m; i++) {
        for (int64_t j = 0; j < l->n; j++) {
            double sum = 0;
            for (int64_t c = 0; c < l->k; c++)
                sum += (double)rounded(l->x.data[i * l->x.stride + c], round) *
                       (double)rounded(l->w.data[j * l->k + c], round);
            r.t[0].data[i * r.t[0].stride + j] = (float)sum;
        }
        for (int64_t c = 0; c < l->k; c++) {
            double sum = 0;
            for (int64_t j = 0; j < l->n; j++)
                sum += (double)rounded(l->y.data[i * l->y.stride + j], round) *
                       (double)rounded(l->w.data[j * l->k + c], round);
            r.t[1].data[i * r.t[1].stride + c] = (float)sum;
            float *more = &r.t[2].data[i * r.t[2].stride + c];
            *more = (float)((double)*more + sum);
        }
    }
    for (int64_t j = 0; j < l->n; j++) {
        for (int64_t c = 0; c < l->k; c++) {
            float *to = &r.t[3].data[j * r.t[3].stride + c];
            double sum = (double)*to;
            for (int64_t i = 0; i < l->m; i++)
                sum += (double)l->y.data[i * l->y.stride + j] *
                       (double)l->x.data[i * l->x.stride + c];
            *to = (float)sum;
        }
    }
    return r;
}

static Results computed(const Layer *l)
{
    Arena arena = {.kernels = gpu};
    Matrix w = arena_matrix(&arena, l->w, l->type);
    Tensor x = arena_tensor(&arena, l->x), y = arena_tensor(&arena, l->y);
    Tensor nt = arena_tensor(&arena, l->out_n), nn = arena_tensor(&arena, l->out_k);
    Tensor more = arena_tensor(&arena, l->out_k), tn = arena_tensor(&arena, l->gradient);
    gpu->product_nt(NULL, nt, x, w);
    gpu->product_nn(NULL, nn, y, w, false);
    gpu->product_nn(NULL, more, y, w, true);
    gpu->product_tn(NULL, tn, y, x);
    Results r = {.t = {arena_fetch(&arena, nt), arena_fetch(&arena, nn), arena_fetch(&arena, more),
                  arena_fetch(&arena, tn)},
                 .count = 4};
    arena_free(&arena);
    return r;
}

static void products_agree(ElementType type)
{
    static const char *const names[] = {"nt", "nn", "nn that accumulates", "tn"};
    for (int s = 0; s < SHAPE_COUNT; s++) {
        bool runs = affordable(SHAPES[s][0] * SHAPES[s][1] * SHAPES[s][2]);
        for (int64_t gap = 0; runs && gap <= 3; gap += 3) {
            Layer layer = layer_make(SHAPES[s], type, gap);
            Results expected = expected_of(&layer), first = computed(&layer);
            Results second = computed(&layer);
            for (int i = 0; i < 4; i++) {
                expect_close(first.t[i], expected.t[i], i < 3 ? 5e-6 : 2e-5, 0, names[i]);
                expect_same(second.t[i], first.t[i], "a second run");
            }
            results_free(&expected);
            results_free(&first);
            results_free(&second);
            layer_free(&layer);
        }
    }
}

static void fp32_products_are_fp32(void)
{
    products_agree(TYPE_F32);
}

static void bf16_products_round_their_operands_alone(void)
{
    products_agree(TYPE_BF16);
}

// Products with no rows leave sums as they are.
static void no_rows_add_nothing(void)
{
    Layer layer = layer_make(SHAPES[3], TYPE_BF16, 0);
    Arena arena = {.kernels = gpu};
    Matrix w = arena_matrix(&arena, layer.w, TYPE_BF16);
    Tensor x = arena_tensor(&arena, layer.x), y = arena_tensor(&arena, layer.y);
    Tensor gradient = arena_tensor(&arena, layer.gradient);
    x.rows = y.rows = 0;
    gpu->product_tn(NULL, gradient, y, x);
    gpu->product_nt(NULL, y, x, w);
    Tensor got = arena_fetch(&arena, gradient);
    expect_same(got, layer.gradient, "a product of no rows");
    release(got.data);
    arena_free(&arena);
    layer_free(&layer);
}

// A NaN of a row stays in it.
static void nan_stays_in_its_row(void)
{
    Layer layer = layer_make(SHAPES[6], TYPE_BF16, 0);
    layer.x.data[3 * layer.x.stride + 5] = NAN;
    Results r = computed(&layer);
    for (int64_t i = 0; i < layer.m; i++) {
        for (int64_t j = 0; j < layer.n; j++)
            expect(isnan(r.t[0].data[i * r.t[0].stride + j]) == (i == 3), "row %ld", (long)i);
    }
    results_free(&r);
    layer_free(&layer);
}

// ---- embeddings ---------------------------------------------------------------------------------

typedef struct {
    Tensor w, y, out;
    const int32_t *tokens;
    ElementType type;
} Embedding;

static Results embed(const Kernels *kernels, const void *inputs)
{
    const Embedding *e = inputs;
    Arena arena = {.kernels = kernels};
    Matrix w = arena_matrix(&arena, e->w, e->type);
    Tensor out = arena_tensor(&arena, e->out), y = arena_tensor(&arena, e->y);
    Tensor gradient = arena_tensor(&arena, e->w);
    int32_t *tokens = arena_put(&arena, e->tokens, (size_t)e->y.rows * sizeof *tokens);
    kernels->embedding_forward(NULL, out, w, tokens);
    kernels->embedding_backward(NULL, gradient, y, tokens);
    Results r = {.t = {arena_fetch(&arena, out), arena_fetch(&arena, gradient)},
                 .count = 2};
    arena_free(&arena);
    return r;
}

// Many rows of a few tokens and few of many: the sums are the CPU's, in its order.
static void embeddings_give_the_cpu_bits(void)
{
    static const int64_t shapes[][3] = {{1, 5, 16}, {7, 100, 33}, {700, 90, 48}, {1500, 3, 37}};
    static const double same[] = {0, 0};
    for (int s = 0; s < 4; s++) {
        int64_t rows = shapes[s][0], vocabulary = shapes[s][1], width = shapes[s][2];
        int32_t *tokens = allocate((size_t)rows, sizeof *tokens);
        for (int64_t r = 0; r < rows; r++)
            tokens[r] = (int32_t)(r * r * 7 % vocabulary);
        for (int type = 0; type < 2; type++) {
            Embedding e = {random_tensor(vocabulary, width, 0, 7), random_tensor(rows, width, 1, 8),
                           random_tensor(rows, width, 2, 9), tokens, (ElementType)type};
            check_operation(embed, &e, same, "an embedding");
            release(e.w.data);
            release(e.y.data);
            release(e.out.data);
        }
        release(tokens);
    }
}

int main(int count, char **arguments)
{
    (void)count;
    static const Test tests[] = {
        TEST(fp32_products_are_fp32),  TEST(bf16_products_round_their_operands_alone),
        TEST(no_rows_add_nothing),     TEST(nan_stays_in_its_row),
        TEST(embeddings_give_the_cpu_bits),
    };
    return TESTS_RUN(tests, arguments);
}
