// vocabulary.cu - rows of logits: log-sum-exp, log-probabilities, entropy and their gradient.
//
// A row is cut into chunks of CHUNK columns, so that a few rows keep the whole device busy; each
// chunk leaves its sums and a warp for each row puts them together.

#include "kernels/cuda/cuda.h"

#include <math_constants.h>

enum {
    THREADS = 256,
    HELD = 32,               // elements of a row that a thread has
    CHUNK = THREADS * HELD,  // columns of a block
    HIT_CHUNK = THREADS * 8, // columns of a block of target_backward
    FINISH_WARPS = 4
};

// A block for each row and chunk.
static dim3 chunk_grid(Tensor z, int64_t chunk)
{
    return dim3(static_cast<unsigned>(z.rows), static_cast<unsigned>(pieces_of(z.width, chunk)));
}

// As block_sum.
__device__ static float block_maximum(float x, float *places)
{
    for (int step = 16; step > 0; step /= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
    if (threadIdx.x % 32 == 0)
        places[threadIdx.x / 32] = x;
    __syncthreads();
    for (int i = 0; i < THREADS / 32; i++)
        x = fmaxf(x, places[i]);
    return x;
}

// ---- log-sum-exp --------------------------------------------------------------------------------

// The base of exponentials whose greatest exponent is `top`: with -infinity all terms are 0.
__device__ static float base_of(float top)
{
    return top == -CUDART_INF_F ? 0.0f : top;
}

// z /= temperature, and pairs [rows, chunks]: m and l of each chunk. NaN and +infinity make l NaN.
template <int STEP>
__global__ static void logsumexp_kernel(float2 *pairs, Tensor z, float temperature)
{
    SHARED(float, places, [2][32]);
    float *row = row_of(z, blockIdx.x);
    int64_t first = static_cast<int64_t>(blockIdx.y) * CHUNK + threadIdx.x * STEP;
    float top = -CUDART_INF_F, sum = 0.0f;
    Vector<STEP> held[HELD / STEP];
#pragma unroll
    for (int k = 0; k < HELD / STEP; k++) {
        int64_t j = first + k * THREADS * STEP;
        bool there = j < z.width;
        if (there)
            held[k] = vector_load<STEP>(row + j);
#pragma unroll
        for (int i = 0; i < STEP; i++) {
            held[k].x[i] = there ? held[k].x[i] / temperature : -CUDART_INF_F;
            top = fmaxf(top, held[k].x[i]);
        }
        if (there && temperature != 1.0f)
            vector_store<STEP>(row + j, held[k]);
    }
    float base = base_of(top);
#pragma unroll
    for (int k = 0; k < HELD / STEP; k++) {
#pragma unroll
        for (int i = 0; i < STEP; i++)
            sum += expf(held[k].x[i] - base);
    }
    float greatest = block_maximum(top, places[0]);
    sum = block_sum(sum * expf(top - base_of(greatest)), places[1]);
    if (threadIdx.x == 0)
        pairs[static_cast<int64_t>(blockIdx.x) * gridDim.y + blockIdx.y] =
            make_float2(greatest, sum);
}

__global__ static void logsumexp_finish_kernel(float *out, const float2 *pairs, int64_t rows,
                                               int64_t chunks)
{
    int64_t r = static_cast<int64_t>(blockIdx.x) * FINISH_WARPS + threadIdx.x / 32;
    if (r >= rows)
        return;
    float top = -CUDART_INF_F, sum = 0.0f;
    for (int64_t c = threadIdx.x % 32; c < chunks; c += 32)
        top = fmaxf(top, pairs[r * chunks + c].x);
    for (int step = 16; step > 0; step /= 2)
        top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, step));
    for (int64_t c = threadIdx.x % 32; c < chunks; c += 32)
        sum += pairs[r * chunks + c].y * expf(pairs[r * chunks + c].x - base_of(top));
    sum = warp_sum(sum);
    // The largest element gives 1: less means that there was a NaN or an infinity.
    if (threadIdx.x % 32 == 0)
        out[r] = sum >= 1.0f ? static_cast<float>(static_cast<double>(top) +
                                                  log(static_cast<double>(sum)))
                             : CUDART_NAN_F;
}

static unsigned finish_blocks(int64_t rows)
{
    return static_cast<unsigned>(pieces_of(rows, FINISH_WARPS));
}

void logsumexp_cuda(Queue *queue, float *out, Tensor logits, float temperature)
{
    CHECK(temperature > 0.0f, "temperature %g", static_cast<double>(temperature));
    if (logits.rows == 0)
        return;
    int64_t chunks = pieces_of(logits.width, CHUNK);
    float2 *pairs = static_cast<float2 *>(scratch_cuda(
        queue, SCRATCH_PAIRS, static_cast<size_t>(logits.rows * chunks) * sizeof(float2)));
    dim3 grid = chunk_grid(logits, CHUNK);
    if (vectors_fit(logits))
        LAUNCH(logsumexp_kernel<4>, grid, THREADS, 0, queue, pairs, logits, temperature);
    else
        LAUNCH(logsumexp_kernel<1>, grid, THREADS, 0, queue, pairs, logits, temperature);
    LAUNCH(logsumexp_finish_kernel, finish_blocks(logits.rows), FINISH_WARPS * 32, 0, queue, out,
           pairs, logits.rows, chunks);
}

// ---- log-probabilities and entropy --------------------------------------------------------------

__global__ static void target_logprobs_kernel(float *out, Tensor z, const float *lse,
                                              const Target *targets, int64_t count)
{
    int64_t i = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x;
    if (i < count)
        out[i] = row_of(z, targets[i].row)[targets[i].token] - lse[targets[i].row];
}

void target_logprobs_cuda(Queue *queue, float *out, Tensor z, const float *lse,
                          const Target *targets, int64_t count)
{
    if (count <= 0)
        return;
    LAUNCH(target_logprobs_kernel, static_cast<unsigned>(pieces_of(count, THREADS)), THREADS, 0,
           queue, out, z, lse, targets, count);
}

// sums [rows, chunks] of p z.
template <int STEP>
__global__ static void entropy_kernel(float *sums, Tensor z, const float *lse)
{
    SHARED(float, places, [32]);
    const float *row = row_of(z, blockIdx.x);
    int64_t first = static_cast<int64_t>(blockIdx.y) * CHUNK + threadIdx.x * STEP;
    float sum = 0.0f, l = lse[blockIdx.x];
#pragma unroll
    for (int k = 0; k < HELD / STEP; k++) {
        int64_t j = first + k * THREADS * STEP;
        if (j >= z.width)
            break;
        Vector<STEP> v = vector_load<STEP>(row + j);
#pragma unroll
        for (int i = 0; i < STEP; i++)
            sum = fmaf(expf(v.x[i] - l), v.x[i], sum);
    }
    sum = block_sum(sum, places);
    if (threadIdx.x == 0)
        sums[static_cast<int64_t>(blockIdx.x) * gridDim.y + blockIdx.y] = sum;
}

__global__ static void entropy_finish_kernel(float *out, const float *sums, const float *lse,
                                             int64_t rows, int64_t chunks)
{
    int64_t r = static_cast<int64_t>(blockIdx.x) * FINISH_WARPS + threadIdx.x / 32;
    if (r >= rows)
        return;
    float sum = 0.0f;
    for (int64_t c = threadIdx.x % 32; c < chunks; c += 32)
        sum += sums[r * chunks + c];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0)
        out[r] = lse[r] - sum;
}

void entropy_cuda(Queue *queue, float *out, Tensor z, const float *lse)
{
    if (z.rows == 0)
        return;
    int64_t chunks = pieces_of(z.width, CHUNK);
    float *sums = static_cast<float *>(scratch_cuda(
        queue, SCRATCH_PARTIAL, static_cast<size_t>(z.rows * chunks) * sizeof(float)));
    if (vectors_fit(z))
        LAUNCH(entropy_kernel<4>, chunk_grid(z, CHUNK), THREADS, 0, queue, sums, z, lse);
    else
        LAUNCH(entropy_kernel<1>, chunk_grid(z, CHUNK), THREADS, 0, queue, sums, z, lse);
    LAUNCH(entropy_finish_kernel, finish_blocks(z.rows), FINISH_WARPS * 32, 0, queue, out, sums,
           lse, z.rows, chunks);
}

// ---- the gradient -------------------------------------------------------------------------------

// The first target of row r or of a later one, by bisection.
__device__ static int64_t first_target(const Target *targets, int64_t count, int64_t r)
{
    int64_t low = 0, high = count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (targets[middle].row < r)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

template <int STEP>
__global__ static void target_backward_kernel(Tensor z, const float *lse, const float *entropy,
                                              const float *slopes, const Target *targets,
                                              const float *coefficients, int64_t count,
                                              float temperature)
{
    SHARED(float, hits, [HIT_CHUNK]);
    int64_t r = blockIdx.x, chunk = static_cast<int64_t>(blockIdx.y) * HIT_CHUNK;
    int64_t first = first_target(targets, count, r), end = first_target(targets, count, r + 1);
    float *row = row_of(z, r), l = lse[r], total = 0.0f;
    float slope = slopes ? slopes[r] : 0.0f, mean = slopes ? entropy[r] : 0.0f;
    for (int i = static_cast<int>(threadIdx.x); i < HIT_CHUNK; i += THREADS)
        hits[i] = 0.0f;
    for (int64_t i = first; i < end; i++)
        total += coefficients[i];
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int64_t i = first; i < end; i++) {
            int64_t column = targets[i].token - chunk;
            if (column >= 0 && column < HIT_CHUNK)
                hits[column] += coefficients[i];
        }
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < HIT_CHUNK; k += THREADS * STEP) {
        int place = k + static_cast<int>(threadIdx.x) * STEP;
        if (chunk + place >= z.width)
            break;
        Vector<STEP> v = {};
        if (first < end) {
            v = vector_load<STEP>(row + chunk + place);
#pragma unroll
            for (int i = 0; i < STEP; i++) {
                float logprob = v.x[i] - l, p = expf(logprob);
                float d = fmaf(-total, p, hits[place + i]);
                if (slopes)
                    d = fmaf(-(slope * p), logprob + mean, d);
                v.x[i] = d / temperature;
            }
        }
        vector_store<STEP>(row + chunk + place, v);
    }
}

void target_backward_cuda(Queue *queue, Tensor z, const float *lse, const float *entropy,
                          const float *slopes, const Target *targets, const float *coefficients,
                          int64_t count, float temperature)
{
    if (z.rows == 0 || z.width == 0)
        return;
    dim3 grid = chunk_grid(z, HIT_CHUNK);
    if (vectors_fit(z))
        LAUNCH(target_backward_kernel<4>, grid, THREADS, 0, queue, z, lse, entropy, slopes, targets,
               coefficients, count, temperature);
    else
        LAUNCH(target_backward_kernel<1>, grid, THREADS, 0, queue, z, lse, entropy, slopes, targets,
               coefficients, count, temperature);
}

// ---- repetition penalty -------------------------------------------------------------------------

__global__ static void penalise_kernel(Tensor logits, const int32_t *seen, const int64_t *offsets,
                                       float penalty)
{
    float *row = row_of(logits, blockIdx.x);
    int64_t end = offsets[blockIdx.x + 1];
    for (int64_t i = offsets[blockIdx.x] + threadIdx.x; i < end; i += THREADS) {
        float *logit = &row[seen[i]];
        *logit = *logit > 0.0f ? *logit / penalty : *logit * penalty;
    }
}

void penalise_cuda(Queue *queue, Tensor logits, const int32_t *seen, const int64_t *offsets,
                   float penalty)
{
    if (logits.rows == 0)
        return;
    LAUNCH(penalise_kernel, static_cast<unsigned>(logits.rows), THREADS, 0, queue, logits, seen,
           offsets, penalty);
}
