// cuda.h - the CUDA implementations of the kernel table, and what they share.
//
// The contract of every entry is in kernels.h; numerics here are `fast`: sums have an order of
// their own, fixed by the sizes of the call, so that two calls give the same bits and no sum uses
// an atomic on floats. Products may choose another way of adding at another number of rows; every
// other entry computes a row from that row's inputs alone. Files are compiled without contraction.
//
// A Queue is a CUDA stream; NULL is the device's own. Working memory belongs to a queue, so calls
// on one queue may come from one thread at a time. A kernel that finds an input it must not use
// leaves a fault, and queue_wait and copy_out die of it.

#ifndef L2A_KERNELS_CUDA_CUDA_H
#define L2A_KERNELS_CUDA_CUDA_H

#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#ifndef _Noreturn
#define _Noreturn [[noreturn]] // C11's word in headers of ours
#endif

extern "C" {
#include "base/fail.h"
#include "kernels/cuda/sizes.h"
#include "kernels/kernels.h"
}

#include "kernels/cuda/launch.h"

// ---- calls and launches -------------------------------------------------------------------------

#define CUDA(call) cuda_check((call), #call, __FILE__, __LINE__)

// Dies, naming the call, unless `status` says that all is well.
void cuda_check(cudaError_t status, const char *call, const char *file, int line);

// ---- device.cu ----------------------------------------------------------------------------------

// The device in use: its own stream, cuBLASLt's handle, and the limits that launches are planned
// by.
typedef struct {
    Gpu gpu;
    cudaStream_t stream; // does not wait for others, nor others for it
    cublasLtHandle_t products;
    int multiprocessors;
} Device;

const Device *device_cuda(void);

static inline cudaStream_t stream_of(Queue *queue)
{
    return queue ? reinterpret_cast<cudaStream_t>(queue) : device_cuda()->stream;
}

// Called again and again by whoever waits for a stream, to look after what may keep it from ever
// ending; NULL: nobody.
void device_set_watch(void (*watch)(void));

// Waits for all that the stream has been given, or for an event, watching.
void device_wait(cudaStream_t stream);
void device_wait_event(cudaEvent_t event);

// ---- table.cu -----------------------------------------------------------------------------------

const Kernels *table_cuda(void);

// ---- memory.cu ----------------------------------------------------------------------------------

// What working memory is for: each use has a block of its own in every queue.
enum Scratch {
    SCRATCH_WORKSPACE, // cuBLASLt's
    SCRATCH_LEFT,      // converted operands of products
    SCRATCH_RIGHT,
    SCRATCH_FORWARD_PLAN, // of attention
    SCRATCH_BACKWARD_PLAN,
    SCRATCH_ROWS,    // a number for each row
    SCRATCH_PARTIAL, // sums of parts, before they are put together
    SCRATCH_PAIRS,
    SCRATCH_QUERIES, // entries of attention's backward pass
    SCRATCH_GRADIENTS,
    SCRATCH_STATISTICS,
    SCRATCH_COUNT
};

// At least `bytes` of device memory of this queue and use, 256-byte aligned, contents undefined;
// valid until the next call with the same use. Grows when more is asked for and never shrinks.
void *scratch_cuda(Queue *queue, Scratch use, size_t bytes);

// Counts the times that a block of a queue's working memory has moved.
int64_t scratch_moves(Queue *queue);

// Queues are numbered from 0 as they come.
enum { MOST_QUEUES = 16 };
int queue_number(Queue *queue);

// Inputs that a kernel must not use. A fault's place holds the least index that has it.
enum Fault { FAULT_LOGITS, FAULT_TOKEN, FAULT_SLOT, FAULT_COUNT };

// Page-locked memory [FAULT_COUNT] for kernels; INT_MAX: no such fault.
int *faults_cuda(void);
// Dies when a kernel that has ended left a fault.
void faults_check(void);

void *memory_make_cuda(size_t bytes);
void memory_free_cuda(void *memory);
void *host_make_cuda(size_t bytes);
void host_free_cuda(void *memory);
void copy_in_cuda(Queue *queue, void *device, const void *host, size_t bytes);
void copy_out_cuda(Queue *queue, void *host, const void *device, size_t bytes);
void copy_cuda(Queue *queue, void *to, const void *from, size_t bytes);
void fill_zero_cuda(Queue *queue, void *device, size_t bytes);
void queue_wait_cuda(Queue *queue);

// ---- graph.cu -----------------------------------------------------------------------------------

// Whether what the queue is asked for is kept for a graph.
bool graph_is_open(Queue *queue);

void graph_begin_cuda(Queue *queue);
Graph *graph_end_cuda(Queue *queue);
bool graph_run_cuda(Graph *graph);
void graph_free_cuda(Graph *graph);

// ---- upload.cu ----------------------------------------------------------------------------------

// Page-locked memory of at least `bytes`, for the host to fill before upload_end.
void *upload_begin(Queue *queue, size_t bytes);
// Copies the first `bytes` of it into scratch of a use, which it returns, in the order of the
// queue. The host does not wait for the copy, nor do later uploads change what is under way.
void *upload_end(Queue *queue, Scratch use, size_t bytes);

// ---- matrix.cu: the packed form is row-major, rows padded with zeros to packed_width
// -------------

void matrix_pack_cuda(Queue *queue, Matrix w, int64_t first, Elements source, int64_t rows);
void embedding_forward_cuda(Queue *queue, Tensor out, Matrix w, const int32_t *tokens);

// to [rows, packed_width] = x in bf16 (hardware rounding to nearest even), padded with zeros.
void round_rows_cuda(Queue *queue, __nv_bfloat16 *to, Tensor x);

// x = high + low + a remainder below 2^-17 of it, each part bf16: to [3 rows, packed_width] holds
// high, high, low (`right` false) or high, low, high, so that a product over all 3 rows of a left
// and a right one is high high + high low + low high.
void split_cuda(Queue *queue, __nv_bfloat16 *to, Tensor x, bool right);

// ---- products.cu --------------------------------------------------------------------------------

void product_nt_cuda(Queue *queue, Tensor out, Tensor x, Matrix w);
void product_nn_cuda(Queue *queue, Tensor out, Tensor y, Matrix w, bool accumulate);
void product_tn_cuda(Queue *queue, Tensor out, Tensor y, Tensor x);

// ---- rows.cu ------------------------------------------------------------------------------------

void residual_rmsnorm_forward_cuda(Queue *queue, Tensor out, Tensor x, Tensor delta,
                                   const float *weight, float epsilon);
void rmsnorm_backward_cuda(Queue *queue, Tensor dx, float *dweight, Tensor y, Tensor x,
                           const float *weight, float epsilon);
void bias_forward_cuda(Queue *queue, Tensor x, const float *bias);
void bias_backward_cuda(Queue *queue, float *dbias, Tensor y);

// ---- elementwise.cu -----------------------------------------------------------------------------

void embedding_backward_cuda(Queue *queue, Tensor gradient, Tensor y, const int32_t *tokens);
void rotary_cuda(Queue *queue, Tensor x, int32_t head_width, const float *table,
                 const int32_t *positions, bool inverse);
void swiglu_forward_cuda(Queue *queue, Tensor out, Tensor gate, Tensor up);
void swiglu_backward_cuda(Queue *queue, Tensor dgate, Tensor dup, Tensor y, Tensor gate, Tensor up);
void rows_gather_cuda(Queue *queue, Tensor out, Tensor x, const int32_t *index);
void rows_scatter_cuda(Queue *queue, Tensor x, Tensor y, const int32_t *index);
void add_cuda(Queue *queue, float *out, const float *x, int64_t n);
void scale_cuda(Queue *queue, float *x, float factor, int64_t n);

// ---- attention_*.cu -----------------------------------------------------------------------------

void cache_append_cuda(Queue *queue, Cache cache, Tensor keys, Tensor values, const int32_t *slots);
void attention_forward_cuda(Queue *queue, Tensor out, Tensor statistics, Tensor q, Cache cache,
                            const Span *spans, int64_t span_count, float scale);
int64_t attention_plan_cuda(Queue *queue, int64_t rows, int32_t query_heads, Cache cache,
                            const Span *spans, int64_t span_count);
void attention_backward_cuda(Queue *queue, Tensor dq, Tensor dk, Tensor dv, Tensor y, Tensor out,
                             Tensor statistics, Tensor q, Cache cache, const Span *spans,
                             int64_t span_count, float scale);

// ---- vocabulary.cu, sample.cu -------------------------------------------------------------------

void logsumexp_cuda(Queue *queue, float *out, Tensor logits, float temperature);
void target_logprobs_cuda(Queue *queue, float *out, Tensor z, const float *lse,
                          const Target *targets, int64_t count);
void entropy_cuda(Queue *queue, float *out, Tensor z, const float *lse);
void target_backward_cuda(Queue *queue, Tensor z, const float *lse, const float *entropy,
                          const float *slopes, const Target *targets, const float *coefficients,
                          int64_t count, float temperature);
void penalise_cuda(Queue *queue, Tensor logits, const int32_t *seen, const int64_t *offsets,
                   float penalty);
void sample_cuda(Queue *queue, int32_t *tokens, float *logprobs, Tensor z, const float *lse,
                 const double *uniform, Sampling sampling);

// ---- optimiser.cu -------------------------------------------------------------------------------

void adamw_cuda(Queue *queue, float *w, Moments moments, const float *gradient, int64_t n,
                AdamW settings);
void square_sum_cuda(Queue *queue, double *out, const float *x, int64_t n);
void round_bf16_cuda(Queue *queue, float *out, const float *x, int64_t n);
void convert_cuda(Queue *queue, void *out, ElementType type, Elements x, int64_t n);

// ---- small things -------------------------------------------------------------------------------

static inline int64_t pieces_of(int64_t total, int64_t size)
{
    return (total + size - 1) / size;
}

static inline int64_t rounded_up(int64_t n, int64_t multiple)
{
    return pieces_of(n, multiple) * multiple;
}

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

__host__ __device__ inline float *row_of(Tensor tensor, int64_t r)
{
    return tensor.data + r * tensor.stride;
}

// Whether four floats at a time can be read from the start of every row, and of a row's fours.
static inline bool vectors_fit(Tensor tensor)
{
    return reinterpret_cast<uintptr_t>(tensor.data) % 16 == 0 && tensor.stride % 4 == 0 &&
           tensor.width % 4 == 0;
}

static inline bool vectors_fit(const float *data)
{
    return reinterpret_cast<uintptr_t>(data) % 16 == 0;
}

// Nearest even in integer arithmetic, as the CPU does it: subnormals kept, NaN stays NaN.
__device__ inline uint16_t bf16_narrow(float x)
{
    uint32_t bits = __float_as_uint(x);
    if (x != x)
        return static_cast<uint16_t>((bits | 0x00400000u) >> 16);
    return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

__device__ inline float bf16_widen(uint16_t bits)
{
    return __uint_as_float(static_cast<uint32_t>(bits) << 16);
}

// The sum of x over a warp, in every lane.
__device__ inline float warp_sum(float x)
{
    for (int step = 16; step > 0; step /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}

// The sum of x over a block of whole warps, in every thread. `places` [32] is shared memory of this
// call alone: no barrier keeps another one from writing there.
__device__ inline float block_sum(float x, float *places)
{
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0)
        places[threadIdx.x / 32] = x;
    __syncthreads();
    return warp_sum(threadIdx.x % 32 < blockDim.x / 32 ? places[threadIdx.x % 32] : 0.0f);
}

// STEP floats that are read and written together; addresses are multiples of their size.
template <int STEP> struct Vector {
    float x[STEP];
};

template <int STEP> __device__ inline Vector<STEP> vector_load(const float *from)
{
    Vector<STEP> v;
    if (STEP == 4) {
        float4 a = *reinterpret_cast<const float4 *>(from);
        v.x[0] = a.x, v.x[STEP / 4] = a.y, v.x[STEP / 2] = a.z, v.x[STEP - 1] = a.w;
    } else {
        v.x[0] = from[0];
    }
    return v;
}

template <int STEP> __device__ inline void vector_store(float *to, const Vector<STEP> &v)
{
    if (STEP == 4)
        *reinterpret_cast<float4 *>(to) =
            make_float4(v.x[0], v.x[STEP / 4], v.x[STEP / 2], v.x[STEP - 1]);
    else
        to[0] = v.x[0];
}

#endif
