// optimiser.cu - flat arrays: AdamW, the gradient's norm, conversions.
//
// These give the CPU's bits: each formula rounds as kernels.h writes it, and the sum of squares has
// the lanes and the order of the contract.

#include "kernels/cuda/cuda.h"

enum { THREADS = 256, WARP = 32, SUM_BLOCK = 2048, LANES = 16, SUMS_AT_ONCE = 1024 };

static unsigned flat_blocks(int64_t n, bool vectors)
{
    return static_cast<unsigned>(pieces_of(n, vectors ? 4 * THREADS : THREADS));
}

// ---- AdamW --------------------------------------------------------------------------------------

// The settings with what every element would compute alike.
typedef struct {
    AdamW s;
    float decay, rest1, rest2;
} Settings;

__device__ static void adamw_element(float *w, float *m, float *v, float gradient,
                                     const Settings &settings)
{
    const AdamW &s = settings.s;
    float g = gradient * s.gradient_scale;
    *m = fmaf(s.beta1, *m, settings.rest1 * g);
    *v = fmaf(s.beta2, *v, settings.rest2 * g * g);
    float step = *m / s.correction1 / (sqrtf(*v / s.correction2) + s.epsilon);
    *w = *w * settings.decay - s.learning_rate * step;
}

// Four words of Philox4x32-10 (base/random.c), `position` added to the counter's last one.
struct Words {
    uint32_t x[4];
};

__device__ static Words draw_words_at(const Philox &draws, uint32_t position)
{
    uint32_t a = draws.counter[0], b = draws.counter[1], c = draws.counter[2];
    uint32_t d = draws.counter[3] + position, key0 = draws.key[0], key1 = draws.key[1];
#pragma unroll
    for (int round = 0; round < 10; round++) {
        uint64_t low = 0xD2511F53ull * a, high = 0xCD9E8D57ull * c;
        a = static_cast<uint32_t>(high >> 32) ^ b ^ key0;
        c = static_cast<uint32_t>(low >> 32) ^ d ^ key1;
        b = static_cast<uint32_t>(high);
        d = static_cast<uint32_t>(low);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return {{a, b, c, d}};
}

// The upper half of x + r; a NaN stays one.
__device__ static uint16_t bf16_narrow_by(float x, uint32_t r)
{
    uint32_t bits = __float_as_uint(x);
    return static_cast<uint16_t>((x != x ? bits | 0x00400000u : bits + r) >> 16);
}

__device__ static void adamw_element(float *w, uint16_t *m, uint16_t *v, float gradient,
                                     const Settings &settings, uint32_t word)
{
    float first = bf16_widen(*m), second = bf16_widen(*v);
    adamw_element(w, &first, &second, gradient, settings);
    *m = bf16_narrow_by(first, word & 0xffffu);
    *v = bf16_narrow_by(second, word >> 16);
}

template <int STEP>
__global__ static void adamw_f32_kernel(float *w, float *m, float *v, const float *gradient,
                                        int64_t n, Settings settings)
{
    int64_t j = (static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x) * STEP;
    if (j + STEP > n) {
        for (; j < n; j++)
            adamw_element(w + j, m + j, v + j, gradient[j], settings);
        return;
    }
    Vector<STEP> a = vector_load<STEP>(w + j), b = vector_load<STEP>(m + j);
    Vector<STEP> c = vector_load<STEP>(v + j), g = vector_load<STEP>(gradient + j);
#pragma unroll
    for (int i = 0; i < STEP; i++)
        adamw_element(&a.x[i], &b.x[i], &c.x[i], g.x[i], settings);
    vector_store<STEP>(w + j, a);
    vector_store<STEP>(m + j, b);
    vector_store<STEP>(v + j, c);
}

struct alignas(8) Halves {
    uint16_t x[4];
};

// Four elements of a thread, which share a draw; `vectors`: read and written together.
__global__ static void adamw_bf16_kernel(float *w, uint16_t *m, uint16_t *v, const float *gradient,
                                         int64_t n, bool vectors, Settings settings)
{
    int64_t thread = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x, j = 4 * thread;
    if (j >= n)
        return;
    Words words = draw_words_at(settings.s.draws, static_cast<uint32_t>(thread));
    if (!vectors || j + 4 > n) {
        for (int i = 0; i < 4 && j + i < n; i++)
            adamw_element(w + j + i, m + j + i, v + j + i, gradient[j + i], settings, words.x[i]);
        return;
    }
    Vector<4> a = vector_load<4>(w + j), g = vector_load<4>(gradient + j);
    Halves b = *reinterpret_cast<Halves *>(m + j), c = *reinterpret_cast<Halves *>(v + j);
#pragma unroll
    for (int i = 0; i < 4; i++)
        adamw_element(&a.x[i], &b.x[i], &c.x[i], g.x[i], settings, words.x[i]);
    vector_store<4>(w + j, a);
    *reinterpret_cast<Halves *>(m + j) = b;
    *reinterpret_cast<Halves *>(v + j) = c;
}

static bool halves_fit(const uint16_t *data)
{
    return reinterpret_cast<uintptr_t>(data) % sizeof(Halves) == 0;
}

static void adamw_bf16(Queue *queue, float *w, uint16_t *m, uint16_t *v, const float *gradient,
                       int64_t n, const Settings &settings)
{
    bool vectors = vectors_fit(w) && vectors_fit(gradient) && halves_fit(m) && halves_fit(v);
    LAUNCH(adamw_bf16_kernel, flat_blocks(n, true), THREADS, 0, queue, w, m, v, gradient, n,
           vectors, settings);
}

static void adamw_f32(Queue *queue, float *w, float *m, float *v, const float *gradient, int64_t n,
                      const Settings &settings)
{
    bool vectors = vectors_fit(w) && vectors_fit(m) && vectors_fit(v) && vectors_fit(gradient);
    unsigned blocks = flat_blocks(n, vectors);
    if (vectors)
        LAUNCH(adamw_f32_kernel<4>, blocks, THREADS, 0, queue, w, m, v, gradient, n, settings);
    else
        LAUNCH(adamw_f32_kernel<1>, blocks, THREADS, 0, queue, w, m, v, gradient, n, settings);
}

void adamw_cuda(Queue *queue, float *w, Moments moments, const float *gradient, int64_t n, AdamW s)
{
    if (n <= 0)
        return;
    Settings settings = {s, 1.0f - s.learning_rate * s.weight_decay, 1.0f - s.beta1,
                         1.0f - s.beta2};
    if (moments.type == TYPE_BF16)
        adamw_bf16(queue, w, static_cast<uint16_t *>(moments.m), static_cast<uint16_t *>(moments.v),
                   gradient, n, settings);
    else
        adamw_f32(queue, w, static_cast<float *>(moments.m), static_cast<float *>(moments.v),
                  gradient, n, settings);
}

// ---- the sum of squares -------------------------------------------------------------------------

// Sixteen threads, the contract's lanes, have a block of SUM_BLOCK elements.
__global__ static void square_sum_kernel(float *sums, const float *x, int64_t n)
{
    int64_t thread = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x;
    int64_t block = thread / LANES, first = block * SUM_BLOCK + thread % LANES;
    float sum = 0.0f;
    if ((block + 1) * SUM_BLOCK <= n) {
#pragma unroll 16
        for (int i = 0; i < SUM_BLOCK; i += LANES)
            sum = fmaf(x[first + i], x[first + i], sum);
    } else {
        int64_t end = min(n, (block + 1) * SUM_BLOCK);
        for (int64_t j = first; j < end; j += LANES)
            sum = fmaf(x[j], x[j], sum);
    }
    for (int step = LANES / 2; step > 0; step /= 2)
        sum += __shfl_down_sync(0xffffffffu, sum, static_cast<unsigned>(step), LANES);
    if (thread % LANES == 0 && block * SUM_BLOCK < n)
        sums[block] = sum;
}

// The order of the sum is that of the blocks, so one thread adds them; its warp brings them near.
__global__ static void block_sums_kernel(double *out, const float *sums, int64_t count)
{
    SHARED(float, near, [SUMS_AT_ONCE]);
    double total = 0.0;
    for (int64_t first = 0; first < count; first += SUMS_AT_ONCE) {
        for (int64_t i = threadIdx.x; i < SUMS_AT_ONCE; i += WARP)
            near[i] = first + i < count ? sums[first + i] : 0.0f;
        __syncwarp();
        if (threadIdx.x == 0) {
#pragma unroll 16
            for (int i = 0; i < SUMS_AT_ONCE; i++)
                total += static_cast<double>(near[i]);
        }
        __syncwarp();
    }
    if (threadIdx.x == 0)
        *out = total;
}

void square_sum_cuda(Queue *queue, double *out, const float *x, int64_t n)
{
    int64_t count = pieces_of(most(n, 0), SUM_BLOCK);
    float *sums = static_cast<float *>(
        scratch_cuda(queue, SCRATCH_PARTIAL, static_cast<size_t>(most(count, 1)) * sizeof *sums));
    if (count > 0)
        LAUNCH(square_sum_kernel, static_cast<unsigned>(pieces_of(count * LANES, THREADS)), THREADS,
               0, queue, sums, x, n);
    LAUNCH(block_sums_kernel, 1, WARP, 0, queue, out, sums, count);
}

// ---- conversions -----------------------------------------------------------------------------------

template <int STEP> __global__ static void round_bf16_kernel(float *out, const float *x, int64_t n)
{
    int64_t j = (static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x) * STEP;
    if (j + STEP > n) {
        for (; j < n; j++)
            out[j] = bf16_widen(bf16_narrow(x[j]));
        return;
    }
    Vector<STEP> a = vector_load<STEP>(x + j);
#pragma unroll
    for (int i = 0; i < STEP; i++)
        a.x[i] = bf16_widen(bf16_narrow(a.x[i]));
    vector_store<STEP>(out + j, a);
}

void round_bf16_cuda(Queue *queue, float *out, const float *x, int64_t n)
{
    if (n <= 0)
        return;
    bool vectors = vectors_fit(out) && vectors_fit(x);
    unsigned blocks = flat_blocks(n, vectors);
    if (vectors)
        LAUNCH(round_bf16_kernel<4>, blocks, THREADS, 0, queue, out, x, n);
    else
        LAUNCH(round_bf16_kernel<1>, blocks, THREADS, 0, queue, out, x, n);
}

template <typename To, typename From> __device__ static To converted(From x);

template <> __device__ uint16_t converted(float x)
{
    return bf16_narrow(x);
}

template <> __device__ float converted(uint16_t x)
{
    return bf16_widen(x);
}

// Two elements of a thread: half a warp's worth of a line either way.
template <typename To, typename From>
__global__ static void convert_kernel(To *out, const From *x, int64_t n)
{
    int64_t j = (static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x) * 2;
    if (j < n)
        out[j] = converted<To, From>(x[j]);
    if (j + 1 < n)
        out[j + 1] = converted<To, From>(x[j + 1]);
}

void convert_cuda(Queue *queue, void *out, ElementType type, Elements x, int64_t n)
{
    if (n <= 0)
        return;
    unsigned blocks = static_cast<unsigned>(pieces_of(n, 2 * THREADS));
    if (type == x.type)
        copy_cuda(queue, out, x.data, static_cast<size_t>(n) * type_bytes(type));
    else if (type == TYPE_BF16)
        LAUNCH((convert_kernel<uint16_t, float>), blocks, THREADS, 0, queue,
               static_cast<uint16_t *>(out), static_cast<const float *>(x.data), n);
    else
        LAUNCH((convert_kernel<float, uint16_t>), blocks, THREADS, 0, queue,
               static_cast<float *>(out), static_cast<const uint16_t *>(x.data), n);
}
