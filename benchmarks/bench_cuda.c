// bench_cuda.c - what the CUDA kernels reach of this card's own ceilings.
//
// The ceilings come first: cuBLASLt's product of 8,192 cubed in bf16 and in fp32, and a large copy.
// An operation's floor is the greater of its arithmetic at the one and its least traffic at the
// other; the last column is that floor over the time measured. Times are medians of device events
// after warm-up, over random data, with sets of operands that rotate where they would fit in a cache.
//
//   bench_cuda [products] [attention] [vocabulary] [rows]

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/random.h"
#include "kernels/kernels.h"

enum { RANDOM_COUNT = 1 << 22, MOST_RUNS = 200, MOST_SETS = 24, WARM_UP = 3 };

static const Kernels *gpu;
static double bf16_rate, fp32_rate, bandwidth; // operations and bytes in a second
static float *random_numbers;                  // device [RANDOM_COUNT], in (-1, 1)

#define CUDA(call)                                                                                 \
    do {                                                                                           \
        cudaError_t status_ = (call);                                                              \
        if (status_ != cudaSuccess)                                                                \
            die(EXIT_UNAVAILABLE, "%s: %s", #call, cudaGetErrorString(status_));                   \
    } while (0)
#define CUBLAS(call) CHECK((call) == CUBLAS_STATUS_SUCCESS, "cuBLASLt")

// ---- measuring ----------------------------------------------------------------------------------

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Median seconds of `run(inputs, turn)`; about a fifth of a second in all, at least five turns.
static double seconds_of(void (*run)(const void *inputs, int turn), const void *inputs)
{
    float times[MOST_RUNS], total = 0;
    cudaEvent_t begin, end;
    CUDA(cudaEventCreate(&begin));
    CUDA(cudaEventCreate(&end));
    for (int turn = 0; turn < WARM_UP; turn++)
        run(inputs, turn);
    gpu->queue_wait(NULL);
    int count = 0;
    for (; count < MOST_RUNS && (count < 5 || total < 200); count++) {
        CUDA(cudaEventRecord(begin, NULL));
        run(inputs, count);
        CUDA(cudaEventRecord(end, NULL));
        CUDA(cudaEventSynchronize(end));
        CUDA(cudaEventElapsedTime(&times[count], begin, end));
        total += times[count];
    }
    gpu->queue_wait(NULL);
    CUDA(cudaEventDestroy(begin));
    CUDA(cudaEventDestroy(end));
    qsort(times, (size_t)count, sizeof times[0], by_value);
    return (double)times[count / 2] / 1e3;
}

// One row of a table: `rate` is the ceiling of the arithmetic, 0 where traffic alone counts.
static void report(const char *what, double seconds, double operations, double rate, double bytes)
{
    double arithmetic = rate > 0 ? operations / rate : 0, traffic = bytes / bandwidth;
    double floor = fmax(arithmetic, traffic);
    printf("| %s | %.3f | %.1f | %.2f | %s | %.2f |\n", what, seconds * 1e3,
           operations / seconds / 1e12, bytes / seconds / 1e12,
           arithmetic > traffic ? "arithmetic" : "traffic", floor / seconds);
    fflush(stdout);
}

static void table_begin(const char *title)
{
    printf("\n## %s\n\n| operation | ms | TFLOP/s | TB/s | bound | of the ceiling |\n"
           "|---|---|---|---|---|---|\n",
           title);
}

// Device memory of random numbers in (-1, 1), to be freed.
static float *make_random(int64_t count)
{
    float *to = gpu->memory_make((size_t)count * sizeof *to);
    for (int64_t first = 0; first < count; first += RANDOM_COUNT) {
        int64_t part = count - first < RANDOM_COUNT ? count - first : RANDOM_COUNT;
        gpu->copy(NULL, to + first, random_numbers, (size_t)part * sizeof *to);
    }
    return to;
}

static Tensor random_tensor(int64_t rows, int64_t width)
{
    return tensor_of(make_random(rows * width), rows, width);
}

static void random_numbers_make(void)
{
    float *host = allocate(RANDOM_COUNT, sizeof *host);
    uint64_t state = 88172645463325252u; // xorshift, seeded as in Marsaglia's paper
    for (int64_t i = 0; i < RANDOM_COUNT; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        host[i] = (float)((double)(state >> 11) / 4503599627370496.0 - 1.0);
    }
    random_numbers = gpu->memory_make(RANDOM_COUNT * sizeof *host);
    gpu->copy_in(NULL, random_numbers, host, RANDOM_COUNT * sizeof *host);
    gpu->queue_wait(NULL);
    release(host);
}

// ---- ceilings -----------------------------------------------------------------------------------

enum { CEILING = 8192 };

typedef struct {
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t layout;
    cublasLtMatmulHeuristicResult_t best;
    void *a, *b, *c, *workspace;
    size_t bytes;
} Square;

static void square_run(const void *inputs, int turn)
{
    const Square *s = inputs;
    float one = 1, zero = 0;
    (void)turn;
    CUBLAS(cublasLtMatmul(s->handle, s->product, &one, s->a, s->layout, s->b, s->layout, &zero,
                          s->c, s->layout, s->c, s->layout, &s->best.algo, s->workspace, s->bytes,
                          NULL));
}

// Operations a second of cuBLASLt alone; operands are what matrix_pack makes of random numbers.
static double square_rate(ElementType type)
{
    Square s = {.bytes = 64 << 20};
    cublasOperation_t turned = CUBLAS_OP_T;
    cublasLtMatmulPreference_t preference;
    int found = 0;
    cudaDataType_t element = type == TYPE_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    CUBLAS(cublasLtCreate(&s.handle));
    CUBLAS(cublasLtMatmulDescCreate(&s.product, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    CUBLAS(cublasLtMatmulDescSetAttribute(s.product, CUBLASLT_MATMUL_DESC_TRANSA, &turned,
                                          sizeof turned));
    CUBLAS(cublasLtMatrixLayoutCreate(&s.layout, element, CEILING, CEILING, CEILING));
    CUBLAS(cublasLtMatmulPreferenceCreate(&preference));
    CUBLAS(cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &s.bytes, sizeof s.bytes));
    CUBLAS(cublasLtMatmulAlgoGetHeuristic(s.handle, s.product, s.layout, s.layout, s.layout,
                                          s.layout, preference, 1, &s.best, &found));
    CHECK(found > 0, "no algorithm");
    Tensor source = random_tensor(CEILING, CEILING);
    Matrix a = {NULL, CEILING, CEILING, type}, b = a;
    a.packed = gpu->memory_make(gpu->matrix_bytes(CEILING, CEILING, type));
    b.packed = gpu->memory_make(gpu->matrix_bytes(CEILING, CEILING, type));
    gpu->matrix_pack(NULL, a, 0, elements_f32(source.data), CEILING);
    gpu->matrix_pack(NULL, b, 0, elements_f32(source.data), CEILING);
    s.a = a.packed;
    s.b = b.packed;
    s.c = source.data; // no longer needed, and large enough
    s.workspace = gpu->memory_make(s.bytes);
    double seconds = seconds_of(square_run, &s);
    gpu->memory_free(s.workspace);
    gpu->memory_free(a.packed);
    gpu->memory_free(b.packed);
    gpu->memory_free(source.data);
    CUBLAS(cublasLtMatmulPreferenceDestroy(preference));
    CUBLAS(cublasLtMatrixLayoutDestroy(s.layout));
    CUBLAS(cublasLtMatmulDescDestroy(s.product));
    CUBLAS(cublasLtDestroy(s.handle));
    return 2.0 * CEILING * CEILING * CEILING / seconds;
}

typedef struct {
    void *to, *from;
    size_t bytes;
} Copy;

static void copy_run(const void *inputs, int turn)
{
    const Copy *copy = inputs;
    (void)turn;
    gpu->copy(NULL, copy->to, copy->from, copy->bytes);
}

static void ceilings_measure(void)
{
    Copy copy = {.bytes = (size_t)4 << 30};
    copy.to = gpu->memory_make(copy.bytes);
    copy.from = make_random((int64_t)(copy.bytes / sizeof(float)));
    bandwidth = 2.0 * (double)copy.bytes / seconds_of(copy_run, &copy);
    gpu->memory_free(copy.to);
    gpu->memory_free(copy.from);
    bf16_rate = square_rate(TYPE_BF16);
    fp32_rate = square_rate(TYPE_F32);
    printf("ceilings: bf16 product %.0f TFLOP/s, fp32 product %.1f TFLOP/s, copy %.2f TB/s (read "
           "and written)\n",
           bf16_rate / 1e12, fp32_rate / 1e12, bandwidth / 1e12);
}

// ---- products -----------------------------------------------------------------------------------

typedef struct {
    Tensor x, y, gradient; // [m, k], [m, n], [n, k]
    Matrix w[MOST_SETS];
    int sets;
} Layer;

static void nt_run(const void *inputs, int turn)
{
    const Layer *l = inputs;
    gpu->product_nt(NULL, l->y, l->x, l->w[turn % l->sets]);
}

static void nn_run(const void *inputs, int turn)
{
    const Layer *l = inputs;
    gpu->product_nn(NULL, l->x, l->y, l->w[turn % l->sets], false);
}

static void tn_run(const void *inputs, int turn)
{
    const Layer *l = inputs;
    (void)turn;
    gpu->product_tn(NULL, l->gradient, l->y, l->x);
}

static void layer_bench(const char *name, int64_t m, int64_t n, int64_t k, ElementType type)
{
    double element = type == TYPE_BF16 ? 2 : 4, rate = type == TYPE_BF16 ? bf16_rate : fp32_rate;
    double operations = 2.0 * (double)m * (double)n * (double)k;
    double weights = (double)n * (double)k, rows = 4.0 * (double)m * (double)(n + k);
    size_t bytes = gpu->matrix_bytes(n, k, type);
    Layer l = {.x = random_tensor(m, k), .y = random_tensor(m, n)};
    Tensor source = random_tensor(n, k);
    l.sets = bytes > ((size_t)200 << 20) ? 1 : MOST_SETS;
    for (int i = 0; i < l.sets; i++) {
        l.w[i] = (Matrix){gpu->memory_make(bytes), n, k, type};
        gpu->matrix_pack(NULL, l.w[i], 0, elements_f32(source.data), n);
    }
    char what[100], *end = what + snprintf(what, sizeof what, "%s [%ld, %ld], %ld rows, %s ", name,
                                           (long)n, (long)k, (long)m,
                                           type == TYPE_BF16 ? "bf16" : "fp32");
    strcpy(end, "nt");
    report(what, seconds_of(nt_run, &l), operations, rate, element * weights + rows);
    if (m > 100) {
        strcpy(end, "nn");
        report(what, seconds_of(nn_run, &l), operations, rate, element * weights + rows);
        gpu->memory_free(l.y.data); // nn has written gradients' sizes to x: fresh numbers for tn
        gpu->memory_free(l.x.data);
        l.x = random_tensor(m, k);
        l.y = random_tensor(m, n);
        l.gradient = source;
        strcpy(end, "tn");
        // Its ceiling is bf16's divided by three: it multiplies three pairs of parts.
        report(what, seconds_of(tn_run, &l), operations, bf16_rate / 3, 8 * weights + rows);
    }
    for (int i = 0; i < l.sets; i++)
        gpu->memory_free(l.w[i].packed);
    gpu->memory_free(source.data);
    gpu->memory_free(l.x.data);
    gpu->memory_free(l.y.data);
}

static void products_bench(void)
{
    table_begin("Products");
    layer_bench("SmolLM2-135M gate", 80, 1536, 576, TYPE_BF16);
    layer_bench("SmolLM2-135M vocabulary", 80, 49152, 576, TYPE_BF16);
    layer_bench("SmolLM2-135M query", 8192, 576, 576, TYPE_BF16);
    layer_bench("SmolLM2-135M gate", 8192, 1536, 576, TYPE_BF16);
    layer_bench("SmolLM2-135M down", 8192, 576, 1536, TYPE_BF16);
    layer_bench("SmolLM2-135M vocabulary", 2048, 49152, 576, TYPE_BF16);
    layer_bench("SmolLM2-135M gate", 8192, 1536, 576, TYPE_F32);
    layer_bench("Qwen2.5-0.5B gate", 80, 4864, 896, TYPE_BF16);
    layer_bench("Qwen2.5-0.5B down", 80, 896, 4864, TYPE_BF16);
    layer_bench("Qwen2.5-0.5B vocabulary", 80, 151936, 896, TYPE_BF16);
    layer_bench("Qwen2.5-0.5B query", 8192, 896, 896, TYPE_BF16);
    layer_bench("Qwen2.5-0.5B key", 8192, 128, 896, TYPE_BF16);
    layer_bench("Qwen2.5-0.5B gate", 8192, 4864, 896, TYPE_BF16);
    layer_bench("Qwen2.5-0.5B down", 8192, 896, 4864, TYPE_BF16);
    layer_bench("Qwen2.5-0.5B vocabulary", 2048, 151936, 896, TYPE_BF16);
    layer_bench("Qwen2.5-0.5B gate", 8192, 4864, 896, TYPE_F32);
    layer_bench("Qwen2.5-7B gate", 80, 18944, 3584, TYPE_BF16);
    layer_bench("Qwen2.5-7B query", 8192, 3584, 3584, TYPE_BF16);
    layer_bench("Qwen2.5-7B gate", 8192, 18944, 3584, TYPE_BF16);
    layer_bench("Qwen2.5-7B down", 8192, 3584, 18944, TYPE_BF16);
}

// ---- attention ----------------------------------------------------------------------------------

enum { MOST_SPANS = 256 };

typedef struct {
    Tensor out, statistics, q, y, dq, dk, dv;
    Cache caches[MOST_SETS];
    int sets;
    Span spans[MOST_SPANS];
    int64_t span_count, rows, slots;
    double seen;   // keys that all rows see together
    double unique; // keys that some row sees
} Attention;

static void span_add(Attention *a, Span span)
{
    int64_t own = span.own_length + span.rows;
    span.first_row = a->rows;
    a->spans[a->span_count++] = span;
    a->rows += span.rows;
    a->seen += (double)span.rows * (double)(span.shared_length + span.own_length) +
               (double)span.rows * (double)(span.rows + 1) / 2;
    a->unique += (double)own;
    int64_t end = (span.own + own + 15) / 16 * 16;
    a->slots = end > a->slots ? end : a->slots;
}

// Training: trees with a trunk of 1,536 tokens and 20 branches of 48 along it.
static void sessions_make(Attention *a)
{
    for (int tree = 0; tree < 4; tree++) {
        int64_t trunk = a->slots;
        span_add(a, (Span){.rows = 1536, .own = trunk});
        for (int64_t b = 1; b <= 20; b++)
            span_add(a, (Span){.rows = 48, .shared = trunk, .shared_length = 76 * b,
                               .own = a->slots});
    }
}

// Decoding: five branches on each of 16 trunks of 1,536 tokens, with 24 tokens of their own.
static void decoding_make(Attention *a)
{
    int64_t trunks = 16, length = 1536;
    a->slots = trunks * length;
    for (int64_t t = 0; t < trunks; t++) {
        for (int b = 0; b < 5; b++)
            span_add(a, (Span){.rows = 1, .shared = t * length, .shared_length = length,
                               .own = a->slots, .own_length = 23});
    }
    a->unique += (double)(trunks * length);
}

static void caches_make(Attention *a, int32_t heads, int32_t head_width, ElementType type, int sets)
{
    Tensor keys = random_tensor(a->slots, heads * head_width);
    int32_t *slots = allocate((size_t)a->slots, sizeof *slots);
    for (int64_t i = 0; i < a->slots; i++)
        slots[i] = (int32_t)i;
    int32_t *device = gpu->memory_make((size_t)a->slots * sizeof *slots);
    gpu->copy_in(NULL, device, slots, (size_t)a->slots * sizeof *slots);
    size_t bytes = gpu->cache_bytes(a->slots, heads, head_width, type);
    a->sets = sets;
    for (int i = 0; i < sets; i++) {
        a->caches[i] = (Cache){gpu->memory_make(bytes), gpu->memory_make(bytes), a->slots, heads,
                               head_width, type};
        gpu->cache_append(NULL, a->caches[i], keys, keys, device);
    }
    gpu->queue_wait(NULL);
    gpu->memory_free(keys.data);
    gpu->memory_free(device);
    release(slots);
}

static float attention_scale(const Attention *a)
{
    return 1.0f / sqrtf((float)a->caches[0].head_width);
}

static void forward_run(const void *inputs, int turn)
{
    const Attention *a = inputs;
    gpu->attention_forward(NULL, a->out, a->statistics, a->q, a->caches[turn % a->sets], a->spans,
                           a->span_count, attention_scale(a));
}

static void backward_run(const void *inputs, int turn)
{
    const Attention *a = inputs;
    gpu->attention_backward(NULL, a->dq, a->dk, a->dv, a->y, a->out, a->statistics, a->q,
                            a->caches[turn % a->sets], a->spans, a->span_count,
                            attention_scale(a));
}

static void attention_bench(const char *model, int32_t query_heads, int32_t heads,
                            int32_t head_width, ElementType type, bool decode)
{
    Attention a = {0};
    if (decode)
        decoding_make(&a);
    else
        sessions_make(&a);
    caches_make(&a, heads, head_width, type, decode ? MOST_SETS : 2);
    int64_t width = (int64_t)query_heads * head_width, key_width = (int64_t)heads * head_width;
    a.q = random_tensor(a.rows, width);
    a.out = random_tensor(a.rows, width);
    a.statistics = decode ? (Tensor){0} : random_tensor(a.rows, 2 * query_heads);
    double element = type == TYPE_BF16 ? 2 : 4, rate = type == TYPE_BF16 ? bf16_rate : fp32_rate;
    double operations = 4.0 * a.seen * (double)width;
    double cached = 2 * a.unique * (double)key_width * element, rows = (double)(a.rows * width) * 4;
    char what[100];
    snprintf(what, sizeof what, "%s %s, %s", decode ? "decode" : "forward", model,
             type == TYPE_BF16 ? "bf16" : "fp32");
    report(what, seconds_of(forward_run, &a), operations, rate, cached + 2 * rows);
    if (!decode) {
        a.y = random_tensor(a.rows, width);
        a.dq = random_tensor(a.rows, width);
        a.dk = random_tensor(a.slots, key_width);
        a.dv = random_tensor(a.slots, key_width);
        snprintf(what, sizeof what, "backward %s, %s", model, type == TYPE_BF16 ? "bf16" : "fp32");
        report(what, seconds_of(backward_run, &a), 2.5 * operations, rate,
               cached + 4 * rows + 16 * a.unique * (double)key_width);
        gpu->memory_free(a.y.data);
        gpu->memory_free(a.dq.data);
        gpu->memory_free(a.dk.data);
        gpu->memory_free(a.dv.data);
        gpu->memory_free(a.statistics.data);
    }
    for (int i = 0; i < a.sets; i++) {
        gpu->memory_free(a.caches[i].keys);
        gpu->memory_free(a.caches[i].values);
    }
    gpu->memory_free(a.q.data);
    gpu->memory_free(a.out.data);
}

static void attentions_bench(void)
{
    table_begin("Attention (training: 9,984 rows in 4 trees; decoding: 80 rows on 16 trunks)");
    for (int decode = 0; decode < 2; decode++) {
        attention_bench("SmolLM2-135M", 9, 3, 64, TYPE_BF16, decode);
        attention_bench("Qwen2.5-0.5B", 14, 2, 64, TYPE_BF16, decode);
        attention_bench("Qwen2.5-7B", 28, 4, 128, TYPE_BF16, decode);
        attention_bench("SmolLM2-135M", 9, 3, 64, TYPE_F32, decode);
        attention_bench("Qwen2.5-7B", 28, 4, 128, TYPE_F32, decode);
    }
}

// ---- vocabulary ---------------------------------------------------------------------------------

typedef struct {
    Tensor z;
    float *lse, *coefficients, *logprobs;
    double *uniform;
    int32_t *tokens;
    Target *targets;
    float temperature;
    Sampling sampling;
} Logits;

static void logsumexp_run(const void *inputs, int turn)
{
    const Logits *l = inputs;
    (void)turn;
    gpu->logsumexp(NULL, l->lse, l->z, l->temperature);
}

static void entropy_run(const void *inputs, int turn)
{
    const Logits *l = inputs;
    (void)turn;
    gpu->entropy(NULL, l->logprobs, l->z, l->lse);
}

static void targets_run(const void *inputs, int turn)
{
    const Logits *l = inputs;
    (void)turn;
    gpu->target_backward(NULL, l->z, l->lse, NULL, NULL, l->targets, l->coefficients, l->z.rows,
                         1.0f);
}

static void sample_run(const void *inputs, int turn)
{
    const Logits *l = inputs;
    (void)turn;
    gpu->sample(NULL, l->tokens, l->logprobs, l->z, l->lse, l->uniform, l->sampling);
}

static Logits logits_make(int64_t rows, int64_t width)
{
    size_t count = (size_t)rows;
    Logits l = {.z = random_tensor(rows, width), .temperature = 1.0f};
    l.lse = gpu->memory_make(count * sizeof(float));
    l.logprobs = gpu->memory_make(count * sizeof(float));
    l.tokens = gpu->memory_make(count * sizeof(int32_t));
    l.coefficients = make_random(rows);
    Target *targets = allocate(count, sizeof *targets);
    double *uniform = allocate(count, sizeof *uniform);
    for (int64_t r = 0; r < rows; r++) {
        targets[r] = (Target){(int32_t)r, (int32_t)(r * 131 % width)};
        uniform[r] = ((double)r + 0.5) / (double)rows;
    }
    l.targets = gpu->memory_make(count * sizeof *targets);
    l.uniform = gpu->memory_make(count * sizeof *uniform);
    gpu->copy_in(NULL, l.targets, targets, count * sizeof *targets);
    gpu->copy_in(NULL, l.uniform, uniform, count * sizeof *uniform);
    gpu->queue_wait(NULL);
    release(targets);
    release(uniform);
    return l;
}

static void logits_free(Logits *l)
{
    void *memory[] = {l->z.data, l->lse, l->logprobs, l->tokens, l->coefficients, l->targets,
                      l->uniform};
    for (int i = 0; i < 7; i++)
        gpu->memory_free(memory[i]);
}

static void sampling_bench(int64_t width, const char *vocabulary)
{
    static const struct {
        const char *name;
        Sampling sampling;
    } ways[] = {{"greedy", {0.0f, 1.0f, 0}},
                {"plain", {1.0f, 1.0f, 0}},
                {"top_p 0.9", {1.0f, 0.9f, 0}},
                {"top_k 50", {1.0f, 1.0f, 50}}};
    Logits l = logits_make(80, width);
    double bytes = 80.0 * (double)width * 4;
    char what[100];
    // Logits as spread as a model's: the sums of sixteen numbers each, by the vocabulary's scale.
    for (int i = 0; i < 4; i++)
        gpu->add(NULL, l.z.data, l.z.data, l.z.rows * l.z.stride);
    snprintf(what, sizeof what, "logsumexp, 80 rows of %s", vocabulary);
    report(what, seconds_of(logsumexp_run, &l), 0, 0, bytes);
    for (int i = 0; i < 4; i++) {
        l.sampling = ways[i].sampling;
        snprintf(what, sizeof what, "sample %s, 80 rows of %s", ways[i].name, vocabulary);
        report(what, seconds_of(sample_run, &l), 0, 0, bytes);
    }
    logits_free(&l);
}

static void vocabulary_bench(void)
{
    table_begin("Vocabulary");
    Logits l = logits_make(2048, 151936);
    double bytes = 2048.0 * 151936 * 4;
    report("logsumexp, 2,048 rows of 151,936", seconds_of(logsumexp_run, &l), 0, 0, bytes);
    l.temperature = 1.0001f;
    report("the same with a temperature", seconds_of(logsumexp_run, &l), 0, 0, 2 * bytes);
    report("entropy", seconds_of(entropy_run, &l), 0, 0, bytes);
    report("target_backward", seconds_of(targets_run, &l), 0, 0, 2 * bytes);
    logits_free(&l);
    sampling_bench(49152, "49,152");
    sampling_bench(151936, "151,936");
}

// ---- rows and flat arrays -----------------------------------------------------------------------

typedef struct {
    Tensor a, b, c, d, e;
    float *weight, *gradient;
    int32_t *index;
    int64_t n;
} Rows;

static void norm_run(const void *inputs, int turn)
{
    const Rows *r = inputs;
    (void)turn;
    gpu->residual_rmsnorm_forward(NULL, r->a, r->b, r->c, r->weight, 1e-6f);
}

static void norm_backward_run(const void *inputs, int turn)
{
    const Rows *r = inputs;
    (void)turn;
    gpu->rmsnorm_backward(NULL, r->a, r->gradient, r->b, r->c, r->weight, 1e-6f);
}

static void swiglu_run(const void *inputs, int turn)
{
    const Rows *r = inputs;
    (void)turn;
    gpu->swiglu_forward(NULL, r->a, r->b, r->c);
}

static void swiglu_backward_run(const void *inputs, int turn)
{
    const Rows *r = inputs;
    (void)turn;
    gpu->swiglu_backward(NULL, r->d, r->e, r->a, r->b, r->c);
}

static void rotary_run(const void *inputs, int turn)
{
    const Rows *r = inputs;
    gpu->rotary(NULL, r->a, 128, r->weight, r->index, turn % 2);
}

static void bias_run(const void *inputs, int turn)
{
    const Rows *r = inputs;
    (void)turn;
    gpu->bias_backward(NULL, r->gradient, r->a);
}

static void scatter_run(const void *inputs, int turn)
{
    const Rows *r = inputs;
    (void)turn;
    gpu->embedding_backward(NULL, r->a, r->b, r->index);
}

static void update(const Rows *r, ElementType type, int turn)
{
    AdamW settings = {1e-5f, 0.9f, 0.95f, 1e-8f, 0.1f, 1.0f, 0.1f, 0.05f, {{(uint32_t)turn}, {0}}};
    gpu->adamw(NULL, r->a.data, (Moments){r->b.data, r->c.data, type}, r->d.data, r->n, settings);
}

static void adamw_run(const void *inputs, int turn)
{
    update(inputs, TYPE_F32, turn);
}

static void adamw_bf16_run(const void *inputs, int turn)
{
    update(inputs, TYPE_BF16, turn);
}

static void round_run(const void *inputs, int turn)
{
    const Rows *r = inputs;
    (void)turn;
    gpu->round_bf16(NULL, r->a.data, r->b.data, r->n);
}

static void square_sum_run(const void *inputs, int turn)
{
    const Rows *r = inputs;
    (void)turn;
    gpu->square_sum(NULL, (double *)(void *)r->b.data, r->a.data, r->n);
}

static Rows rows_make(int64_t rows, int64_t width)
{
    Rows r = {random_tensor(rows, width), random_tensor(rows, width), random_tensor(rows, width),
              random_tensor(rows, width), random_tensor(rows, width), make_random(4096 * 128),
              make_random(width), NULL, rows * width};
    int32_t *index = allocate((size_t)rows, sizeof *index);
    for (int64_t i = 0; i < rows; i++)
        index[i] = (int32_t)(i * i % 4093); // repeats, as tokens do
    r.index = gpu->memory_make((size_t)rows * sizeof *index);
    gpu->copy_in(NULL, r.index, index, (size_t)rows * sizeof *index);
    gpu->queue_wait(NULL);
    release(index);
    return r;
}

static void rows_free(Rows *r)
{
    void *memory[] = {r->a.data, r->b.data, r->c.data, r->d.data,
                      r->e.data, r->weight, r->gradient, r->index};
    for (int i = 0; i < 8; i++)
        gpu->memory_free(memory[i]);
}

static void rows_bench(void)
{
    table_begin("Rows and flat arrays");
    static const int64_t widths[] = {896, 3584};
    char what[100];
    for (int i = 0; i < 2; i++) {
        int64_t width = widths[i];
        Rows r = rows_make(16384, width);
        double n = (double)r.n;
        snprintf(what, sizeof what, "residual_rmsnorm, 16,384 rows of %ld", (long)width);
        report(what, seconds_of(norm_run, &r), 0, 0, 16 * n);
        snprintf(what, sizeof what, "rmsnorm_backward, 16,384 rows of %ld", (long)width);
        report(what, seconds_of(norm_backward_run, &r), 0, 0, 16 * n);
        snprintf(what, sizeof what, "rotary, 16,384 rows of %ld", (long)width);
        report(what, seconds_of(rotary_run, &r), 0, 0, 8 * n);
        snprintf(what, sizeof what, "bias_backward, 16,384 rows of %ld", (long)width);
        report(what, seconds_of(bias_run, &r), 0, 0, 4 * n);
        snprintf(what, sizeof what, "embedding_backward, 16,384 rows of %ld", (long)width);
        report(what, seconds_of(scatter_run, &r), 0, 0, 4 * n + 8.0 * 4093 * (double)width);
        rows_free(&r);
    }
    Rows r = rows_make(8192, 18944);
    report("swiglu, 8,192 rows of 18,944", seconds_of(swiglu_run, &r), 0, 0, 12.0 * (double)r.n);
    report("swiglu_backward", seconds_of(swiglu_backward_run, &r), 0, 0, 20.0 * (double)r.n);
    rows_free(&r);
    r = rows_make(494, 1000000);
    double n = (double)r.n;
    gpu->fill_zero(NULL, r.c.data, (size_t)r.n * sizeof(float)); // second moments: not negative
    report("adamw, 494,000,000 weights", seconds_of(adamw_run, &r), 0, 0, 28 * n);
    gpu->fill_zero(NULL, r.b.data, (size_t)r.n * sizeof(float));
    gpu->fill_zero(NULL, r.c.data, (size_t)r.n * sizeof(float));
    report("adamw, moments in bf16", seconds_of(adamw_bf16_run, &r), 0, 0, 20 * n);
    report("square_sum", seconds_of(square_sum_run, &r), 0, 0, 4 * n);
    report("round_bf16", seconds_of(round_run, &r), 0, 0, 8 * n);
    rows_free(&r);
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {{"products", products_bench},
                 {"attention", attentions_bench},
                 {"vocabulary", vocabulary_bench},
                 {"rows", rows_bench}};
    gpu = kernels_cuda_count() > 0 ? kernels_cuda(0) : NULL;
    if (!gpu)
        die_failed();
    random_numbers_make();
    ceilings_measure();
    for (int i = 0; i < 4; i++) {
        bool wanted = count == 1;
        for (int j = 1; j < count; j++)
            wanted = wanted || strcmp(arguments[j], parts[i].name) == 0;
        if (wanted)
            parts[i].run();
    }
    return 0;
}
