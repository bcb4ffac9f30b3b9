// kernel_cases_attention.c - attention over a session's tree, forward and backward, and in
// decoding.
//
// Arrays: out, statistics, q, y, dq [rows, ...], cached keys and values, dk, dv [slots, ...].

#include <stdio.h>

#include "benchmarks/kernel_cases.h"

enum { OUT, STATISTICS, QUERIES, Y, DQ, KEYS, VALUES, DK, DV };
enum { BRANCHES = 10, DECODING_TRUNKS = 16, DECODING_BRANCHES = 5 };

static int64_t aligned(int64_t slots)
{
    return (slots + 15) / 16 * 16;
}

static void add_span(AttentionScene *scene, Span span)
{
    span.first_row = scene->rows;
    for (int64_t i = 0; i < span.rows; i++)
        scene->pairs += (double)(span.shared_length + span.own_length + i + 1);
    scene->seen += (double)(span.own_length + span.rows);
    scene->rows += span.rows;
    scene->slots += aligned(span.own_length + span.rows);
    scene->spans[scene->count++] = span;
}

// A trunk, half of its branches behind its middle, half behind its end.
static AttentionScene tree_scene(int64_t trunk, int64_t branch)
{
    AttentionScene scene = {0};
    add_span(&scene, (Span){.rows = trunk});
    for (int b = 0; b < BRANCHES; b++)
        add_span(&scene, (Span){.rows = branch,
                                .shared_length = b < BRANCHES / 2 ? trunk / 2 : trunk,
                                .own = scene.slots});
    return scene;
}

// A row of each branch, `own` tokens into its response.
static AttentionScene decoding_scene(int64_t trunk, int64_t own)
{
    AttentionScene scene = {0};
    for (int t = 0; t < DECODING_TRUNKS; t++) {
        int64_t shared = scene.slots;
        scene.slots += trunk;
        scene.seen += (double)trunk;
        for (int b = 0; b < DECODING_BRANCHES; b++)
            add_span(&scene, (Span){.rows = 1,
                                    .shared = shared,
                                    .shared_length = trunk,
                                    .own = scene.slots,
                                    .own_length = own});
    }
    return scene;
}

static Cache cache_of(const KernelCase *c, float *const *a)
{
    return (Cache){.keys = a[KEYS],
                   .values = a[VALUES],
                   .slots = c->attention.slots,
                   .heads = c->scene->kv_heads,
                   .head_width = c->scene->head_width,
                   .type = c->type};
}

static Tensor queries_of(const KernelCase *c, float *data)
{
    return tensor_of(data, c->attention.rows, c->scene->heads * c->scene->head_width);
}

static Tensor statistics_of(const KernelCase *c, float *data)
{
    return tensor_of(data, c->attention.rows, 2 * c->scene->heads);
}

static const float SCALE = 0.125f; // 1 / sqrt(64)

static void forward(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->attention_forward(NULL, queries_of(c, a[OUT]), statistics_of(c, a[STATISTICS]),
                               queries_of(c, a[QUERIES]), cache_of(c, a), c->attention.spans,
                               c->attention.count, SCALE);
}

static void decode(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->attention_forward(NULL, queries_of(c, a[OUT]), (Tensor){0}, queries_of(c, a[QUERIES]),
                               cache_of(c, a), c->attention.spans, c->attention.count, SCALE);
}

static void backward(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    int64_t width = c->scene->kv_heads * c->scene->head_width;
    kernels->attention_backward(
        NULL, queries_of(c, a[DQ]), tensor_of(a[DK], c->attention.slots, width),
        tensor_of(a[DV], c->attention.slots, width), queries_of(c, a[Y]), queries_of(c, a[OUT]),
        statistics_of(c, a[STATISTICS]), queries_of(c, a[QUERIES]), cache_of(c, a),
        c->attention.spans, c->attention.count, SCALE);
}

// Multiply-adds of a row and a key that it sees, for each query head and column: Q K^T and P V
// forward; backward Q K^T again, dP, dQ, dK and dV. Bytes: queries and results once, of keys and
// values (and their gradients, read and written) all slots that are seen.
static void count_work(KernelCase *c, bool learns)
{
    const KernelScene *scene = c->scene;
    const AttentionScene *attention = &c->attention;
    double columns = scene->heads * scene->head_width, width = scene->kv_heads * scene->head_width;
    double row_bytes = 4 * columns * (double)attention->rows;
    double cached = 2 * width * attention->seen;
    c->operations = 2 * (learns ? 5 : 2) * columns * attention->pairs;
    c->bytes = (learns ? 4 : 2) * row_bytes + (double)type_bytes(c->type) * cached +
               (learns ? 8 * cached : 0);
}

int kernel_cases_attention(const KernelScene *scene, bool quick, KernelCase *cases, int count)
{
    AttentionScene tree = quick ? tree_scene(64, 16) : tree_scene(512, 48);
    AttentionScene decoding = quick ? decoding_scene(48, 8) : decoding_scene(256, 24);
    const KernelCase added[] = {
        {.name = "attention_forward", .run = forward, .attention = tree},
        {.name = "attention_backward", .before = forward, .run = backward, .attention = tree},
        {.name = "attention, decoding", .run = decode, .reads = true, .attention = decoding},
    };
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
        KernelCase *c = &cases[count++];
        *c = added[i];
        c->scene = scene;
        int64_t rows = c->attention.rows, slots = c->attention.slots;
        int64_t columns = scene->heads * scene->head_width;
        for (int array = OUT; array <= DQ; array++)
            c->elements[array] = rows * (array == STATISTICS ? 2 * scene->heads : columns);
        for (int array = KEYS; array <= DV; array++)
            c->elements[array] = slots * scene->kv_heads * scene->head_width;
        count_work(c, c->run == backward);
        snprintf(c->shape, sizeof c->shape, "%lld rows, %lld slots", (long long)rows,
                 (long long)slots);
    }
    return count;
}
