#include "benchmarks/kernel_verify.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"

void kernel_verify_case(const KernelCase *c, const Kernels *kernels)
{
    const Kernels *plain = kernels_cpu_named("plain"), *avx2 = kernels_cpu_named("avx2");
    const Kernels *sets[2] = {kernels == plain && avx2 ? avx2 : plain, kernels};
    float *arrays[2][MOST_ARRAYS];
    for (int i = 0; i < 2; i++) {
        kernel_case_make_arrays(c, 1, arrays[i]);
        if (c->before)
            c->before(c, sets[i], arrays[i]);
        c->run(c, sets[i], arrays[i]);
        if (c->after)
            c->after(c, sets[i], arrays[i]);
    }
    for (int a = 0; a < MOST_ARRAYS; a++) {
        for (int64_t i = 0; i < c->elements[a] && !(c->opaque >> a & 1); i++) {
            if (memcmp(&arrays[0][a][i], &arrays[1][a][i], sizeof(float)) != 0)
                die(EXIT_BUG,
                    "%s, %s: element %lld of array %d is %.9g, by the kernels %s %.9g: no "
                    "figure is told",
                    c->name, c->shape, (long long)i, a, (double)arrays[1][a][i], sets[0]->name,
                    (double)arrays[0][a][i]);
        }
    }
    kernel_case_free_arrays(arrays[0]);
    kernel_case_free_arrays(arrays[1]);
}

// One output: factors a_k at a[k * a_stride], b_k likewise.
typedef struct {
    const float *a, *b;
    int64_t a_stride, b_stride, count;
    bool rounds; // b to bf16 first,
    bool both;   // or a, too
    float start;
} Chain;

static float rounded(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static Chain chain_of(const Layer *layer, int64_t row, int64_t column, float start)
{
    int64_t m = layer->m, n = layer->n, k = layer->k;
    const float *w = layer->w[0];
    bool rounds = layer->precision != PRECISION_F32, both = layer->precision == PRECISION_NATIVE;
    if (layer->kind == NT)
        return (Chain){layer->x + row * k, w + column * k, 1, 1, k, rounds, both, 0};
    if (layer->kind == NN)
        return (Chain){layer->y + row * n, w + column, 1, k, n, rounds, both, 0};
    return (Chain){layer->y + row, layer->x + column, n, k, m, both, both, start};
}

static float factor_a(const Chain *chain, int64_t i)
{
    float a = chain->a[i * chain->a_stride];
    return chain->both ? rounded(a) : a;
}

static float factor_b(const Chain *chain, int64_t i)
{
    float b = chain->b[i * chain->b_stride];
    return chain->rounds ? rounded(b) : b;
}

static float chain_value(const Chain *chain)
{
    float sum = chain->start;
    for (int64_t i = 0; i < chain->count; i++)
        sum = fmaf(factor_a(chain, i), factor_b(chain, i), sum);
    return sum;
}

// Whether `got` is this sum in any order: its roundings, 2^-24 of the terms' sizes each,
// add up as a random walk of that length does, and eight times that never occurs.
static bool is_near(const Chain *chain, float got)
{
    double sum = (double)chain->start, size = fabs(sum);
    for (int64_t i = 0; i < chain->count; i++) {
        double term = (double)factor_a(chain, i) * (double)factor_b(chain, i);
        sum += term;
        size += fabs(term);
    }
    return fabs((double)got - sum) <= 8 * 0x1p-24 * sqrt((double)chain->count) * size;
}

static void verify_output(const Layer *layer, const Peer *peer, int64_t index, int64_t width,
                          float start)
{
    Chain chain = chain_of(layer, index / width, index % width, start);
    float got = layer->c[index], wanted = 0;
    chain.rounds = chain.rounds && (chain.both || !peer); // the peer's stay fp32, or all are bf16
    if ((peer || chain.both) && is_near(&chain, got))
        return;
    wanted = chain_value(&chain);
    if (!peer && memcmp(&got, &wanted, sizeof got) == 0)
        return;
    die(EXIT_BUG,
        "%s, product of %lld x %lld x %lld: row %lld, column %lld is %.9g, not %.9g: no figure is "
        "told",
        peer ? "oneDNN" : "ours", (long long)layer->m, (long long)layer->n, (long long)layer->k,
        (long long)(index / width), (long long)(index % width), (double)got, (double)wanted);
}

void kernel_verify_product(const Layer *layer, const Peer *peer)
{
    enum { MULTIPLY_ADDS = 1 << 21, LEAST_OUTPUTS = 96 };
    int64_t rows = layer->kind == TN ? layer->n : layer->m;
    int64_t width = layer->kind == NT ? layer->n : layer->k;
    int64_t depth = layer->kind == NT ? layer->k : layer->kind == NN ? layer->n : layer->m;
    int64_t count = rows * width, outputs = MULTIPLY_ADDS / depth;
    outputs = outputs < LEAST_OUTPUTS ? LEAST_OUTPUTS : outputs;
    int64_t step = outputs < count ? (count / outputs) | 1 : 1; // odd: every column of a block
    float *before = allocate((size_t)count, sizeof *before);
    memcpy(before, layer->c, (size_t)count * sizeof *before);
    if (layer->kind != TN)
        memset(layer->c, 0xff, (size_t)count * sizeof *layer->c); // NaN: all is to be written
    if (peer)
        peer_run(peer, layer, 0);
    else
        layer_run(layer, 0);
    for (int64_t i = 0; i < count; i += step)
        verify_output(layer, peer, i, width, before[i]);
    verify_output(layer, peer, count - 1, width, before[count - 1]);
    release(before);
}
