// kernels.h - arithmetic on one device, behind one table. This header is the specification.
//
// Order of sums (design, "Numbers"). A *chain* over k = 0 .. K-1 is acc = fma(a_k, b_k, acc), fp32,
// from acc = 0 or, where an entry accumulates, from the value that is there. A *lane sum* over
// x_0 .. x_{n-1} adds x_j to lane j mod 16, j ascending, each lane from 0, and then the lanes in the
// tree ((l0+l8)+(l4+l12)) + ((l2+l10)+(l6+l14)) + the same of the odd lanes: first l_i += l_{i+8},
// then l_i += l_{i+4}, l_i += l_{i+2}, l_i += l_{i+1}. Elements past the end count as 0.
// Every result depends only on the row's own inputs: not on other rows of the call, nor on threads,
// nor on the instruction set. No entry flushes subnormals.
//
// exp is ours (kernels/cpu/lanes.h), less than 1 unit in the last place off, the same bits on every
// instruction set. sqrt and division are the correctly rounded ones. A formula rounds after each
// operation that is written; fma rounds once.
//
// All pointers are device memory unless said. Entries that take a queue may return before they are
// done; queue_wait waits. No entry allocates 64 KiB or more after its first use at a given size.

#ifndef L2A_KERNELS_KERNELS_H
#define L2A_KERNELS_KERNELS_H

#include <stdbool.h>

#include "base/memory.h"
#include "base/random.h"
#include "kernels/tensor.h"

typedef struct Queue Queue; // an order of execution; NULL on the CPU
typedef struct Graph Graph; // what a queue was asked for, kept to be asked for again

typedef struct {
    float learning_rate, beta1, beta2, epsilon, weight_decay;
    float gradient_scale;        // multiplies the gradient: 1 / norm clipping
    float correction1, correction2; // 1 - beta1^t, 1 - beta2^t of these betas, t = 1, 2, ...
    Philox draws;                // of element 0, by which moments in bf16 are rounded
} AdamW;

typedef struct {
    float temperature;        // > 0, or 0: the most probable token (lowest id on a tie)
    float top_p;              // in (0, 1], 1: off
    int32_t top_k;            // 0: off
} Sampling;

typedef struct {
    const char *name;       // "avx2", "cuda", ... for logs
    const char *arithmetic; // whose bits products have: "exact" of CPU sets alike, else the name
    bool host_is_device;    // device memory is the host's, which may read and write it

    // ---- memory and order -----------------------------------------------------------------------

    // Device memory, zeroed, 64-byte aligned; dies when there is none. Freed by memory_free.
    void *(*memory_make)(size_t bytes);
    void (*memory_free)(void *memory);
    // Host memory, likewise; page-locked for a GPU, which reads and writes it over its bus: it may
    // be given wherever device memory is asked for.
    void *(*host_make)(size_t bytes);
    void (*host_free)(void *memory);
    // To and from host memory that is not of host_make the copy is done when the call returns; else
    // it may be under way until queue_wait, and the host leaves both sides alone.
    void (*copy_in)(Queue *queue, void *device, const void *host, size_t bytes);
    void (*copy_out)(Queue *queue, void *host, const void *device, size_t bytes);
    void (*copy)(Queue *queue, void *to, const void *from, size_t bytes); // device to device
    void (*fill_zero)(Queue *queue, void *device, size_t bytes);
    void (*queue_wait)(Queue *queue);

    // ---- graphs: many calls asked for at once. NULL, all of them, on a device that gains nothing --

    // What is asked of a queue between graph_begin and graph_end is kept instead of being done;
    // graph_run asks for it, with the same arguments, as often as wanted. What these point to is
    // read and written then. Every call has been made at these sizes before; in between nothing is
    // waited for, no memory is made or freed, and host memory is host_make's. Attention in a graph
    // is planned before it is kept and before each run: see attention_plan.
    void (*graph_begin)(Queue *queue);
    Graph *(*graph_end)(Queue *queue);
    // False: working memory has moved since, nothing was asked for, and the graph is of no use.
    bool (*graph_run)(Graph *graph);
    void (*graph_free)(Graph *graph);

    // ---- weight matrices ------------------------------------------------------------------------

    // Bytes of the packed form of W [rows, width].
    size_t (*matrix_bytes)(int64_t rows, int64_t width, ElementType type);

    // Packs rows [first, first + rows) of W from `source` [rows, width], row-major. A BF16 matrix
    // rounds fp32 to nearest even in integer arithmetic (subnormals kept, NaN stays NaN).
    // `first` is a multiple of 32 (blocks of a large matrix are packed as they arrive).
    void (*matrix_pack)(Queue *queue, Matrix w, int64_t first, Elements source, int64_t rows);

    // out [m, n] = x [m, k] W[n, k]^T; every output one chain over k.
    void (*product_nt)(Queue *queue, Tensor out, Tensor x, Matrix w);

    // out [m, k] = y [m, n] W[n, k]; one chain over n; `accumulate`: from out's value.
    void (*product_nn)(Queue *queue, Tensor out, Tensor y, Matrix w, bool accumulate);

    // out [n, k] += y [m, n]^T x [m, k]; one chain over m, from out's value.
    void (*product_tn)(Queue *queue, Tensor out, Tensor y, Tensor x);

    // out [rows, width] = W[tokens[row], :]; tokens in [0, W.rows).
    void (*embedding_forward)(Queue *queue, Tensor out, Matrix w, const int32_t *tokens);

    // gradient [vocabulary, width], row tokens[r] += y [r, :], r ascending.
    void (*embedding_backward)(Queue *queue, Tensor gradient, Tensor y, const int32_t *tokens);

    // ---- elementwise and rows -------------------------------------------------------------------

    // x += delta (where delta.data is not NULL), then out = x / sqrt(mean(x^2) + epsilon) * weight.
    // mean: lane sum of x_j^2 (lane = fma(x_j, x_j, lane)), divided by the width; scale = 1 / sqrt(
    // mean + epsilon); out_j = (x_j * scale) * weight_j. out.data NULL: only the addition. out may
    // be the memory of delta.
    void (*residual_rmsnorm_forward)(Queue *queue, Tensor out, Tensor x, Tensor delta,
                                     const float *weight, float epsilon);

    // Given y = gradient of out and x after the addition: with g_j = y_j * weight_j, scale as above,
    // dot = lane sum of fma(g_j, x_j, lane) and c = ((dot / width) * scale) * scale,
    //   dx_j = fma(scale, fma(-x_j, c, g_j), dx_j);
    //   dweight_j = fma(y_j, x_j * scale, dweight_j), a chain in row order from dweight's value;
    // dweight NULL: not wanted.
    void (*rmsnorm_backward)(Queue *queue, Tensor dx, float *dweight, Tensor y, Tensor x,
                             const float *weight, float epsilon);

    // x [rows, width] += bias [width]; its gradient: dbias_j += y_rj, r ascending, one at a time.
    void (*bias_forward)(Queue *queue, Tensor x, const float *bias);
    void (*bias_backward)(Queue *queue, float *dbias, Tensor y);

    // Rotary positions in place on x [rows, heads * head_width], halves rotated as Hugging Face does
    // (x1, x2 = the two halves of a head; out1 = x1 c - x2 s, out2 = x2 c + x1 s; each product
    // rounded: out1 = fma(x1, c, -(x2 * s)), out2 = fma(x2, c, x1 * s)). `table` [positions,
    // head_width]: head_width / 2 cosines, then as many sines, of each position. `inverse`: the
    // rotation by the opposite angle, which is the backward pass.
    void (*rotary)(Queue *queue, Tensor x, int32_t head_width, const float *table,
                   const int32_t *positions, bool inverse);

    // out = silu(gate) * up, silu(g) = g / (1 + exp(-g)).
    void (*swiglu_forward)(Queue *queue, Tensor out, Tensor gate, Tensor up);
    // With s = 1 / (1 + exp(-gate)): dup = y * (gate * s),
    // dgate = (y * up) * (s * fma(gate, 1 - s, 1)). dgate and dup may be the memory of gate, up, y.
    void (*swiglu_backward)(Queue *queue, Tensor dgate, Tensor dup, Tensor y, Tensor gate,
                            Tensor up);

    // out [r, :] = x [index[r], :].
    void (*rows_gather)(Queue *queue, Tensor out, Tensor x, const int32_t *index);
    // x [index[r], :] += y [r, :], r ascending.
    void (*rows_scatter)(Queue *queue, Tensor x, Tensor y, const int32_t *index);

    // out += x, n elements (gradients that arrive from other ranks; the low-rank part of a product).
    void (*add)(Queue *queue, float *out, const float *x, int64_t n);

    // x *= factor, n elements.
    void (*scale)(Queue *queue, float *x, float factor, int64_t n);

    // ---- attention over trees -------------------------------------------------------------------

    size_t (*cache_bytes)(int64_t slots, int32_t heads, int32_t head_width, ElementType type);

    // Writes keys and values [rows, heads * head_width] (fp32, rounded to the cache's type) to
    // slots[r] of the cache.
    void (*cache_append)(Queue *queue, Cache cache, Tensor keys, Tensor values,
                         const int32_t *slots);

    // out [rows, query_heads * head_width]. Row r, query head h uses key/value head
    // h / (query_heads / heads). With the row's keys numbered j = 0 .. L-1 as Span orders them:
    //   s_j = chain over d of (q_d * scale) k_jd   (q scaled first, one rounding);
    //   m = max s_j;  p_j = exp(s_j - m);  l = lane sum of p_j;
    //   o_d = (chain over j of p_j v_jd) / l.
    // statistics [rows, 2 * query_heads]: m and l of each head, for the backward pass; data NULL:
    // not wanted (decoding). `spans` is host memory.
    void (*attention_forward)(Queue *queue, Tensor out, Tensor statistics, Tensor q, Cache cache,
                              const Span *spans, int64_t span_count, float scale);

    // Attention over `rows` rows in a graph follows the spans given here last, and those it was kept
    // with need not be the same: what must be is `rows`, the shapes, and the number returned, which
    // says how large the launches are. NULL where graphs are.
    int64_t (*attention_plan)(Queue *queue, int64_t rows, int32_t query_heads, Cache cache,
                              const Span *spans, int64_t span_count);

    // Gradients given y = gradient of out: dq [rows, query_heads * head_width] is written; dk, dv
    // [slots, heads * head_width] are added to. With P_j = p_j / l, D = chain over d of y_d o_d:
    //   dP_j = chain over d of y_d v_jd;  dS_j = P_j (dP_j - D);
    //   dq_d = (chain over j of dS_j k_jd) * scale;
    //   dk_jd += chain over (rows ascending, heads of the group ascending) of dS_j (q_d * scale);
    //   dv_jd += the same chain of P_j y_d.
    void (*attention_backward)(Queue *queue, Tensor dq, Tensor dk, Tensor dv, Tensor y, Tensor out,
                               Tensor statistics, Tensor q, Cache cache, const Span *spans,
                               int64_t span_count, float scale);

    // ---- vocabulary: used in chunks of rows, so that [tokens, vocabulary] never exists -----------

    // z = logits / temperature in place (a division, not a product with the reciprocal; temperature
    // > 0: greedy sampling uses 1); out [rows] = log-sum-exp of z = m + log(l), in double, rounded
    // once, m = max z_j, l = lane sum of exp(z_j - m). NaN or +infinity among the logits give NaN.
    void (*logsumexp)(Queue *queue, float *out, Tensor logits, float temperature);

    // out [i] = z[targets[i].row, targets[i].token] - lse[targets[i].row].
    void (*target_logprobs)(Queue *queue, float *out, Tensor z, const float *lse,
                            const Target *targets, int64_t count);

    // entropy [rows] = lse - sum_j p_j z_j, p_j = exp(z_j - lse), a lane sum of fma(p_j, z_j, lane).
    void (*entropy)(Queue *queue, float *out, Tensor z, const float *lse);

    // In place, z becomes the gradient of sum_i c_i lp_i w.r.t. the logits before the temperature:
    //   dlogits[r, j] = fma(-C_r, p_j, h_rj) / T, p_j = exp(z_j - lse_r),
    //   C_r = sum of the c_i of row r, h_rj = sum of those with token_i = j, i ascending, from 0.
    // With `slopes` [rows] (or NULL), of the loss by the row's `entropy` [rows]: the gradient of the
    // loss, dlogits[r, j] = fma(-(slopes_r * p_j), (z_j - lse_r) + entropy_r, fma(-C_r, p_j, h_rj)) / T.
    // Targets are ordered by row. Rows without targets become 0.
    void (*target_backward)(Queue *queue, Tensor z, const float *lse, const float *entropy,
                            const float *slopes, const Target *targets, const float *coefficients,
                            int64_t count, float temperature);

    // Repetition penalty on logits row r for the distinct tokens seen[offsets[r]] ..
    // seen[offsets[r + 1] - 1]: positive logits divided by it, others multiplied. offsets
    // [rows + 1].
    void (*penalise)(Queue *queue, Tensor logits, const int32_t *seen, const int64_t *offsets,
                     float penalty);

    // tokens [rows] drawn from z = logits / temperature and lse as logsumexp leaves them, restricted
    // to the top_k most probable tokens and then to the smallest set of most probable ones whose
    // probability reaches top_p (of the sum over the top_k tokens, where top_k is on). Most probable:
    // larger z, lower id on a tie. The token is the first, in ascending order of id, where the sum of
    // the p_j that are left exceeds uniform[row] times their total; uniform [rows] in (0, 1).
    // p_j = exp(z_j - lse), fp32, taken to the nearest multiple of 2^-52 ((1 + p) - 1 in double):
    // sums of such p_j are exact in double in any order, so there is none to define.
    // logprobs [rows] = z[token] - lse: untruncated. Dies when an lse is not finite.
    void (*sample)(Queue *queue, int32_t *tokens, float *logprobs, Tensor z, const float *lse,
                   const double *uniform, Sampling sampling);

    // ---- optimiser: flat arrays -----------------------------------------------------------------

    // PyTorch's AdamW, element by element: g = gradient * gradient_scale;
    //   m = fma(beta1, m, (1 - beta1) g);  v = fma(beta2, v, ((1 - beta2) g) g);
    //   w = w (1 - learning_rate * weight_decay)
    //       - learning_rate * ((m / correction1) / (sqrt(v / correction2) + epsilon)).
    // Moments in bf16 are widened for this, w takes the new ones as they come out, in fp32, and they
    // are rounded at random: a moment with the bits x becomes the upper half of x + r, r uniform in
    // [0, 2^16), so that its mean is kept (a NaN: as matrix_pack rounds it). r is the lower half (m)
    // and the upper half (v) of word i mod 4 of `draws` with i / 4 added to the counter's last word,
    // for element i. Nearest would not do: v, which changes by (1 - beta2) (g^2 - v), would stay
    // where that is less than 2^-9 v.
    void (*adamw)(Queue *queue, float *w, Moments moments, const float *gradient, int64_t n,
                  AdamW settings);

    // out [1] = sum of x^2 in blocks of 2,048 (a lane sum of fma(x_j, x_j, lane) each) added in
    // double in index order.
    void (*square_sum)(Queue *queue, double *out, const float *x, int64_t n);

    // out = x rounded to bf16 and widened again (what a bf16 matrix holds), n elements.
    void (*round_bf16)(Queue *queue, float *out, const float *x, int64_t n);

    // out [n] of `type` = x: copied, rounded as matrix_pack rounds, or widened.
    void (*convert)(Queue *queue, void *out, ElementType type, Elements x, int64_t n);
} Kernels;

// The CPU table for the best instruction set of this machine, or the one that LEARN2ASK_ISA
// (plain | avx2 | avx512) names; dies where that is a set that the machine lacks.
const Kernels *kernels_cpu(void);

// The same for one instruction set by name, also one of kernels_cpu_native's; NULL when this machine
// (or build) lacks it.
const Kernels *kernels_cpu_named(const char *isa);

// Appends "avx2 of avx2, plain": the one of kernels_cpu, and those that this machine has.
void kernels_cpu_print_sets(Bytes *out);

// The best set that computes with the machine's own dot products of bf16, amx_bf16 or avx512_bf16,
// or the one of them that LEARN2ASK_ISA names: NULL and a recorded reason where there are none. They
// differ from the contract in that products with a BF16 matrix, and every product_tn, round both
// factors to bf16 and add up as tdpbf16ps or vdpbf16ps does: the bits are those of this type of
// machine, and still of a row's inputs alone.
const Kernels *kernels_cpu_native(void);

// Of two such sets the one that every machine with the other one has as well.
const Kernels *kernels_cpu_native_lesser(const Kernels *a, const Kernels *b);

// A GPU as the host knows it.
typedef struct {
    int device;                 // its number among those that this process sees
    unsigned char identity[16]; // different for every GPU
    char name[256];
    size_t memory; // bytes
} Gpu;

// GPUs that this process sees; 0 and a recorded reason where it can use none.
int kernels_cuda_count(void);

// The table of GPU `device` < kernels_cuda_count(), this process's from then on. Its numerics are
// `fast` (design, "Numbers"): the same bits in every run, within rounding of the CPU's. A Queue is a
// CUDA stream, NULL the table's own. A fault that a kernel finds (sample's) ends the program at the
// next queue_wait or copy_out. NULL and a recorded reason where it cannot be used.
const Kernels *kernels_cuda(int device);
const Gpu *kernels_cuda_gpu(void); // the GPU of that table

// Lines (base/version.h) on CUDA, its driver and cuBLASLt, which is looked for.
void kernels_cuda_print_versions(Bytes *out);

// matrix_bytes and cache_bytes of that table, and nothing else: they need no GPU.
const Kernels *kernels_cuda_sizes(void);

// What a rank of a GPU computes with one queue.
typedef struct {
    int64_t rows;       // of a call, at most
    int64_t short_rows; // among them, of sequences of few rows, which are cut into parts
    int64_t logit_rows; // of a call over the vocabulary
    int64_t positions;  // of a sequence
    int64_t width, feed_forward, vocabulary;
    int32_t heads, head_width;
    ElementType type; // of weights and caches
    bool learns;      // backward passes, too
} CudaWork;

// The working memory that the table keeps for this, in bytes: what every size in it grows to.
size_t kernels_cuda_scratch(const CudaWork *work);

#endif
