// cpu.h - the CPU's implementations, one set for each instruction set, and what they share.
//
// The contract of every entry is in kernels.h. A `queue` is NULL here and entries are done when
// they return. Work on fewer than PARALLEL_ELEMENTS elements stays on the calling thread.

#ifndef L2A_KERNELS_CPU_CPU_H
#define L2A_KERNELS_CPU_CPU_H

#include "kernels/cpu/isa.h"
#include "kernels/kernels.h"

enum { PARALLEL_ELEMENTS = 50000 };

// Row r of a tensor.
static inline float *row_of(Tensor tensor, int64_t r)
{
    return tensor.data + r * tensor.stride;
}

// ---- memory.c: the same for every instruction set -----------------------------------------------

void *memory_make_cpu(size_t bytes);
void memory_free_cpu(void *memory);
void copy_in_cpu(Queue *queue, void *device, const void *host, size_t bytes);
void copy_out_cpu(Queue *queue, void *host, const void *device, size_t bytes);
void copy_cpu(Queue *queue, void *to, const void *from, size_t bytes);
void fill_zero_cpu(Queue *queue, void *device, size_t bytes);
void queue_wait_cpu(Queue *queue);

// At least `bytes` of working memory of the calling thread, 64-byte aligned, contents undefined;
// valid until the thread's next call. Kept for the next use; grows when more is asked for.
void *scratch_cpu(size_t bytes);

// ---- dispatch.c ---------------------------------------------------------------------------------

extern const Kernels kernels_cpu_plain;
extern const Kernels kernels_cpu_avx2;   // x86-64 only
extern const Kernels kernels_cpu_avx512; // x86-64 only
extern const Kernels kernels_cpu_avx512_bf16;
extern const Kernels kernels_cpu_amx_bf16;

// ---- one set for each instruction set -----------------------------------------------------------

#ifdef L2A_ISA

// products.c
size_t CPU(matrix_bytes)(int64_t rows, int64_t width, ElementType type);
void CPU(matrix_pack)(Queue *queue, Matrix w, int64_t first, Elements source, int64_t rows);
void CPU(product_nt)(Queue *queue, Tensor out, Tensor x, Matrix w);
void CPU(product_nn)(Queue *queue, Tensor out, Tensor y, Matrix w, bool accumulate);
void CPU(product_tn)(Queue *queue, Tensor out, Tensor y, Tensor x);
void CPU(embedding_forward)(Queue *queue, Tensor out, Matrix w, const int32_t *tokens);
void CPU(embedding_backward)(Queue *queue, Tensor gradient, Tensor y, const int32_t *tokens);

// norm.c
void CPU(residual_rmsnorm_forward)(Queue *queue, Tensor out, Tensor x, Tensor delta,
                                   const float *weight, float epsilon);
void CPU(rmsnorm_backward)(Queue *queue, Tensor dx, float *dweight, Tensor y, Tensor x,
                           const float *weight, float epsilon);

// elementwise.c
void CPU(bias_forward)(Queue *queue, Tensor x, const float *bias);
void CPU(bias_backward)(Queue *queue, float *dbias, Tensor y);
void CPU(rotary)(Queue *queue, Tensor x, int32_t head_width, const float *table,
                 const int32_t *positions, bool inverse);
void CPU(swiglu_forward)(Queue *queue, Tensor out, Tensor gate, Tensor up);
void CPU(swiglu_backward)(Queue *queue, Tensor dgate, Tensor dup, Tensor y, Tensor gate, Tensor up);
void CPU(rows_gather)(Queue *queue, Tensor out, Tensor x, const int32_t *index);
void CPU(rows_scatter)(Queue *queue, Tensor x, Tensor y, const int32_t *index);
void CPU(add)(Queue *queue, float *out, const float *x, int64_t n);
void CPU(scale)(Queue *queue, float *x, float factor, int64_t n);

// attention.c
size_t CPU(cache_bytes)(int64_t slots, int32_t heads, int32_t head_width, ElementType type);
void CPU(cache_append)(Queue *queue, Cache cache, Tensor keys, Tensor values, const int32_t *slots);
void CPU(attention_forward)(Queue *queue, Tensor out, Tensor statistics, Tensor q, Cache cache,
                            const Span *spans, int64_t span_count, float scale);
void CPU(attention_backward)(Queue *queue, Tensor dq, Tensor dk, Tensor dv, Tensor y, Tensor out,
                             Tensor statistics, Tensor q, Cache cache, const Span *spans,
                             int64_t span_count, float scale);

// vocabulary.c
void CPU(logsumexp)(Queue *queue, float *out, Tensor logits, float temperature);
void CPU(target_logprobs)(Queue *queue, float *out, Tensor z, const float *lse,
                          const Target *targets, int64_t count);
void CPU(entropy)(Queue *queue, float *out, Tensor z, const float *lse);
void CPU(target_backward)(Queue *queue, Tensor z, const float *lse, const float *entropy,
                          const float *slopes, const Target *targets, const float *coefficients,
                          int64_t count, float temperature);
void CPU(penalise)(Queue *queue, Tensor logits, const int32_t *seen, const int64_t *offsets,
                   float penalty);

// sample.c
void CPU(sample)(Queue *queue, int32_t *tokens, float *logprobs, Tensor z, const float *lse,
                 const double *uniform, Sampling sampling);

// optimiser.c
void CPU(adamw)(Queue *queue, float *w, Moments moments, const float *gradient, int64_t n,
                AdamW settings);
void CPU(square_sum)(Queue *queue, double *out, const float *x, int64_t n);
void CPU(round_bf16)(Queue *queue, float *out, const float *x, int64_t n);
void CPU(convert)(Queue *queue, void *out, ElementType type, Elements x, int64_t n);

#endif

#endif
