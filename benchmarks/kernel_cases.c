// kernel_cases.c - cases on rows, on the vocabulary and on flat arrays.

#include <stdio.h>
#include <string.h>

#include "benchmarks/kernel_cases.h"

static const float EPSILON = 1e-5f;

static Tensor rows_of(const KernelCase *c, float *data)
{
    return tensor_of(data, c->scene->rows, c->scene->width);
}

static void norm_forward(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->residual_rmsnorm_forward(NULL, rows_of(c, a[0]), rows_of(c, a[1]), rows_of(c, a[2]),
                                      a[3], EPSILON);
}

static void norm_backward(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->rmsnorm_backward(NULL, rows_of(c, a[0]), a[1], rows_of(c, a[2]), rows_of(c, a[3]),
                              a[4], EPSILON);
}

static void rotate(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->rotary(NULL, rows_of(c, a[0]), c->scene->head_width, c->scene->rotary,
                    c->scene->positions, false);
}

static Tensor hidden_of(const KernelCase *c, float *data)
{
    return tensor_of(data, c->scene->rows, c->scene->feed_forward);
}

static void swiglu_forward(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->swiglu_forward(NULL, hidden_of(c, a[0]), hidden_of(c, a[1]), hidden_of(c, a[2]));
}

static void swiglu_backward(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->swiglu_backward(NULL, hidden_of(c, a[0]), hidden_of(c, a[1]), hidden_of(c, a[2]),
                             hidden_of(c, a[3]), hidden_of(c, a[4]));
}

static void embedding_backward(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->embedding_backward(NULL, rows_of(c, a[0]), rows_of(c, a[1]), c->scene->tokens);
}

int kernel_cases_rows(const KernelScene *scene, KernelCase *cases, int count)
{
    int64_t w = scene->width, rw = scene->rows * w, rf = scene->rows * scene->feed_forward;
    const KernelCase added[] = {
        // x and delta read, x and out written; add, square and sum, two products
        {.name = "residual_rmsnorm_forward",
         .run = norm_forward,
         .elements = {rw, rw, rw, w},
         .bytes = 16 * (double)rw,
         .operations = 5 * (double)rw},
        // dx, y, x read, dx written; g 1, dot 2, dx 4, dweight 3
        {.name = "rmsnorm_backward",
         .run = norm_backward,
         .elements = {rw, w, rw, rw, w},
         .bytes = 16 * (double)rw,
         .operations = 10 * (double)rw},
        // x read and written; a product and an fma an element
        {.name = "rotary",
         .run = rotate,
         .elements = {rw},
         .bytes = 8 * (double)rw,
         .operations = 3 * (double)rw},
        // gate and up read, out written; exp, sum, division, product
        {.name = "swiglu_forward",
         .run = swiglu_forward,
         .elements = {rf, rf, rf},
         .bytes = 12 * (double)rf,
         .operations = (EXP_OPERATIONS + 3) * (double)rf},
        // y, gate, up read, dgate and dup written; s as above, dup 2, dgate 6
        {.name = "swiglu_backward",
         .run = swiglu_backward,
         .elements = {rf, rf, rf, rf, rf},
         .bytes = 20 * (double)rf,
         .operations = (EXP_OPERATIONS + 10) * (double)rf},
        // y and the gradient's rows that occur read, these written; a sum
        {.name = "embedding_backward",
         .run = embedding_backward,
         .elements = {rw, rw},
         .bytes = 12 * (double)rw,
         .operations = (double)rw},
    };
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
        KernelCase *c = &cases[count++];
        *c = added[i];
        c->scene = scene;
        bool hidden = c->run == swiglu_forward || c->run == swiglu_backward;
        snprintf(c->shape, sizeof c->shape, "%lld x %lld", (long long)scene->rows,
                 (long long)(hidden ? scene->feed_forward : w));
    }
    return count;
}

// Arrays of the vocabulary's cases: z [chunk, vocabulary], lse, and two more [chunk].
static Tensor logits_of(const KernelCase *c, float *data)
{
    return tensor_of(data, c->scene->chunk, c->scene->vocabulary);
}

static void logsumexp(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->logsumexp(NULL, a[1], logits_of(c, a[0]), 1);
}

static void entropy(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->entropy(NULL, a[2], logits_of(c, a[0]), a[1]);
}

static void target_logprobs(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->target_logprobs(NULL, a[2], logits_of(c, a[0]), a[1], c->scene->targets,
                             c->scene->chunk);
}

static void target_backward(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->target_backward(NULL, logits_of(c, a[0]), a[1], NULL, NULL, c->scene->targets, a[3],
                             c->scene->chunk, 1);
}

// What the loss of a chunk takes beside its products.
static void loss_stage(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    logsumexp(c, kernels, a);
    target_logprobs(c, kernels, a);
    target_backward(c, kernels, a);
}

static void sample(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->sample(NULL, (int32_t *)a[2], a[3], logits_of(c, a[0]), a[1], c->scene->uniform,
                    (Sampling){.temperature = 1, .top_p = 1});
}

static void sample_top_p(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->sample(NULL, (int32_t *)a[2], a[3], logits_of(c, a[0]), a[1], c->scene->uniform,
                    (Sampling){.temperature = 1, .top_p = 0.95f});
}

int kernel_cases_vocabulary(const KernelScene *scene, KernelCase *cases, int count)
{
    int64_t chunk = scene->chunk, z = chunk * scene->vocabulary;
    const KernelCase added[] = {
        // z read and written; division, maximum, difference, exp, sum
        {.name = "logsumexp",
         .run = logsumexp,
         .bytes = 8 * (double)z,
         .operations = (EXP_OPERATIONS + 4) * (double)z},
        // z read; difference, exp, fma
        {.name = "entropy",
         .before = logsumexp,
         .run = entropy,
         .reads = true,
         .bytes = 4 * (double)z,
         .operations = (EXP_OPERATIONS + 3) * (double)z},
        // z read and written; difference, exp, fma, division
        {.name = "target_backward",
         .before = logsumexp,
         .run = target_backward,
         .bytes = 8 * (double)z,
         .operations = (EXP_OPERATIONS + 4) * (double)z},
        // logsumexp, target_logprobs of a token a row, target_backward
        {.name = "loss of a chunk",
         .run = loss_stage,
         .bytes = 16 * (double)z,
         .operations = (2 * EXP_OPERATIONS + 8) * (double)z},
        // z read; difference, exp, rounding 2, sum
        {.name = "sample",
         .before = logsumexp,
         .run = sample,
         .reads = true,
         .bytes = 4 * (double)z,
         .operations = (EXP_OPERATIONS + 4) * (double)z},
        {.name = "sample, top_p 0.95",
         .before = logsumexp,
         .run = sample_top_p,
         .reads = true,
         .bytes = 4 * (double)z,
         .operations = (EXP_OPERATIONS + 4) * (double)z},
    };
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
        KernelCase *c = &cases[count++];
        *c = added[i];
        c->scene = scene;
        c->spread = 40; // a few thousand tokens have 95 % of the probability
        memcpy(c->elements, (int64_t[4]){z, chunk, chunk, chunk}, 4 * sizeof *c->elements);
        snprintf(c->shape, sizeof c->shape, "%lld x %lld", (long long)chunk,
                 (long long)scene->vocabulary);
    }
    return count;
}

static void adamw(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->adamw(NULL, a[0], (Moments){a[1], a[2], c->type}, a[3], c->scene->elements,
                   (AdamW){.learning_rate = 1e-4f,
                           .beta1 = 0.9f,
                           .beta2 = 0.95f,
                           .epsilon = 1e-8f,
                           .weight_decay = 0.01f,
                           .gradient_scale = 0.5f,
                           .correction1 = 0.1f,
                           .correction2 = 0.05f,
                           .draws = draw_philox((Draw){.purpose = PURPOSE_ROUNDING})});
}

static void square_sum(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->square_sum(NULL, (double *)a[1], a[0], c->scene->elements);
}

static void add(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->add(NULL, a[0], a[1], c->scene->elements);
}

static void convert(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->convert(NULL, a[0], TYPE_BF16, elements_f32(a[1]), c->scene->elements);
}

static void copy(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    kernels->copy(NULL, a[0], a[1], (size_t)c->scene->elements * sizeof(float));
}

static void copy_plainly(const KernelCase *c, float *const *a)
{
    memcpy(a[0], a[1], (size_t)c->scene->elements * sizeof(float));
}

// Of W [rows, width] with as many elements: whole blocks of rows.
static int64_t packed_rows(const KernelScene *scene)
{
    return scene->elements / scene->width / 32 * 32;
}

static Matrix matrix_of(const KernelCase *c, float *packed)
{
    return (Matrix){.packed = packed,
                    .rows = packed_rows(c->scene),
                    .width = c->scene->width,
                    .type = c->type};
}

static void pack(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    Matrix w = matrix_of(c, a[0]);
    kernels->matrix_pack(NULL, w, 0, elements_f32(a[1]), w.rows);
}

// All rows come out again.
static void unpack(const KernelCase *c, const Kernels *kernels, float *const *a)
{
    Matrix w = matrix_of(c, a[0]);
    int32_t *tokens = allocate((size_t)w.rows, sizeof *tokens);
    for (int64_t r = 0; r < w.rows; r++)
        tokens[r] = (int32_t)r;
    kernels->embedding_forward(NULL, tensor_of(a[2], w.rows, w.width), w, tokens);
    release(tokens);
}

int kernel_cases_flat(const KernelScene *scene, KernelCase *cases, int count)
{
    int64_t n = scene->elements, half = n / 2;
    double rw = (double)(packed_rows(scene) * scene->width), all = (double)n;
    const KernelCase added[] = {
        // w, m, v read and written, the gradient read; g 1, m 3, v 4, w 8
        {"adamw", "moments f32", .run = adamw, .elements = {n, n, n, n}, .zeroed = 6,
         .bytes = 28 * all, .operations = 16 * all},
        {"adamw", "moments bf16", .run = adamw, .elements = {n, half, half, n}, .zeroed = 6,
         .type = TYPE_BF16, .bytes = 20 * all, .operations = 16 * all},
        {"square_sum", "f32", .run = square_sum, .reads = true, .elements = {n, 2}, .zeroed = 2,
         .bytes = 4 * all, .operations = 2 * all},
        {"add", "f32", .run = add, .elements = {n, n}, .bytes = 12 * all, .operations = all},
        {"convert", "f32 to bf16", .run = convert, .elements = {half, n}, .zeroed = 1,
         .bytes = 6 * all},
        {"copy", "f32", .run = copy, .elements = {n, n}, .zeroed = 1, .bytes = 8 * all,
         .peer_name = "memcpy", .peer = copy_plainly},
        {"matrix_pack", "width 576, f32", .run = pack, .after = unpack, .opaque = 1,
         .elements = {n, n, n}, .zeroed = 5, .bytes = 8 * rw},
        {"matrix_pack", "width 576, bf16", .run = pack, .after = unpack, .opaque = 1,
         .elements = {n, n, n}, .zeroed = 5, .type = TYPE_BF16, .bytes = 6 * rw},
    };
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
        KernelCase *c = &cases[count++];
        *c = added[i];
        c->scene = scene;
        size_t length = strlen(c->shape);
        snprintf(c->shape + length, sizeof c->shape - length, ", %.3g M", 1e-6 * all);
    }
    return count;
}
