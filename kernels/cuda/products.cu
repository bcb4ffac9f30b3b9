// products.cu - products of activations and weight matrices, by cuBLASLt.
//
// cuBLASLt thinks in columns: a row-major [rows, width] is its [width, rows], so out = x W^T is
// asked for as out^T = W x^T. With a bf16 matrix, activations are rounded to bf16 and sums are fp32
// on tensor cores; with an fp32 matrix everything is fp32 (compute type 32F, no TF32).
//
// Gradients of weights have no matrix that would tell the type. They are computed from bf16 parts,
// x = high + low, as high high + high low + low high in one product three times as deep: each term
// is off by 2^-16 at most, about the rounding of an fp32 chain over a few thousand rows, at several
// times the rate of fp32.
//
// An algorithm is looked up once for each shape and alignment, with a workspace of fixed size.

#include "kernels/cuda/cuda.h"

#include <string.h>

enum {
    MOST_CHOICES = 2048, // shapes remembered
};

// left and right as cuBLASLt has them: out [m, n] = op(left) op(right), all column-major.
typedef struct {
    int64_t m, n, k;
    int64_t left_stride, right_stride, out_stride;
    int32_t turn_left, turn_right; // transposed
    int32_t type;                  // ElementType of both operands
    int32_t accumulate;
    int32_t left_alignment, right_alignment, out_alignment, unused;
} Shape;

typedef struct {
    Shape shape;
    bool known;
    cublasLtMatmulAlgo_t algorithm;
} Choice;

#define CUBLAS(call) cublas_check((call), #call, __LINE__)

static void cublas_check(cublasStatus_t status, const char *call, int line)
{
    if (status != CUBLAS_STATUS_SUCCESS)
        die(status == CUBLAS_STATUS_ALLOC_FAILED ? EXIT_NO_MEMORY : EXIT_UNAVAILABLE,
            "a product failed on the GPU: %s (%s at products.cu:%d)",
            cublasLtGetStatusString(status), call, line);
}

// Bytes, at most 256, that an address is a multiple of.
static int32_t alignment_of(const void *address)
{
    uintptr_t bits = reinterpret_cast<uintptr_t>(address);
    int32_t alignment = 256;
    while (bits % static_cast<uintptr_t>(alignment))
        alignment /= 2;
    return alignment;
}

// ---- descriptions -------------------------------------------------------------------------------

typedef struct {
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t left, right, out;
} Description;

static cublasLtMatrixLayout_t layout_of(cudaDataType_t type, int64_t rows, int64_t columns,
                                        int64_t stride)
{
    cublasLtMatrixLayout_t layout;
    CUBLAS(cublasLtMatrixLayoutCreate(&layout, type, static_cast<uint64_t>(rows),
                                      static_cast<uint64_t>(columns), stride));
    return layout;
}

static void transposition_set(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t which,
                              bool turned)
{
    cublasOperation_t operation = turned ? CUBLAS_OP_T : CUBLAS_OP_N;
    CUBLAS(cublasLtMatmulDescSetAttribute(product, which, &operation, sizeof operation));
}

static Description description_make(const Shape *s)
{
    Description d;
    cudaDataType_t type = s->type == TYPE_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    CUBLAS(cublasLtMatmulDescCreate(&d.product, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    transposition_set(d.product, CUBLASLT_MATMUL_DESC_TRANSA, s->turn_left);
    transposition_set(d.product, CUBLASLT_MATMUL_DESC_TRANSB, s->turn_right);
    d.left = layout_of(type, s->turn_left ? s->k : s->m, s->turn_left ? s->m : s->k,
                       s->left_stride);
    d.right = layout_of(type, s->turn_right ? s->n : s->k, s->turn_right ? s->k : s->n,
                        s->right_stride);
    d.out = layout_of(CUDA_R_32F, s->m, s->n, s->out_stride);
    return d;
}

static void description_free(Description *d)
{
    CUBLAS(cublasLtMatrixLayoutDestroy(d->out));
    CUBLAS(cublasLtMatrixLayoutDestroy(d->right));
    CUBLAS(cublasLtMatrixLayoutDestroy(d->left));
    CUBLAS(cublasLtMatmulDescDestroy(d->product));
}

// ---- algorithms ---------------------------------------------------------------------------------

static void alignment_set(cublasLtMatmulPreference_t preference,
                          cublasLtMatmulPreferenceAttributes_t which, int32_t alignment)
{
    uint32_t bytes = static_cast<uint32_t>(alignment);
    CUBLAS(cublasLtMatmulPreferenceSetAttribute(preference, which, &bytes, sizeof bytes));
}

static cublasLtMatmulAlgo_t algorithm_find(const Shape *s, const Description *d)
{
    size_t workspace = WORKSPACE_BYTES;
    cublasLtMatmulPreference_t preference;
    CUBLAS(cublasLtMatmulPreferenceCreate(&preference));
    CUBLAS(cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace));
    alignment_set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, s->left_alignment);
    alignment_set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, s->right_alignment);
    alignment_set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, s->out_alignment);
    alignment_set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, s->out_alignment);
    cublasLtMatmulHeuristicResult_t result;
    int found = 0;
    cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(device_cuda()->products, d->product, d->left, d->right,
                                       d->out, d->out, preference, 1, &result, &found);
    CUBLAS(cublasLtMatmulPreferenceDestroy(preference));
    if (status != CUBLAS_STATUS_SUCCESS || found == 0)
        die(EXIT_UNAVAILABLE, "cuBLASLt knows no way to multiply [%ld, %ld] by [%ld, %ld]: %s",
            static_cast<long>(s->m), static_cast<long>(s->k), static_cast<long>(s->k),
            static_cast<long>(s->n), cublasLtGetStatusString(status));
    return result.algo;
}

static uint64_t shape_hash(const Shape *shape)
{
    const unsigned char *bytes = reinterpret_cast<const unsigned char *>(shape);
    uint64_t hash = 0xcbf29ce484222325u; // FNV-1a
    for (size_t i = 0; i < sizeof *shape; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

// The remembered choice of a shape, or a place for one; a full table is begun anew.
static Choice *choice_of(const Shape *shape)
{
    static thread_local Choice choices[MOST_CHOICES];
    static thread_local int count;
    size_t place = shape_hash(shape) % MOST_CHOICES;
    while (choices[place].known && memcmp(&choices[place].shape, shape, sizeof *shape) != 0)
        place = (place + 1) % MOST_CHOICES;
    if (choices[place].known)
        return &choices[place];
    if (++count > MOST_CHOICES * 3 / 4) {
        memset(choices, 0, sizeof choices);
        count = 1;
        place = shape_hash(shape) % MOST_CHOICES;
    }
    return &choices[place];
}

static void multiply(Queue *queue, Shape shape, float *out, const void *left, const void *right)
{
    shape.left_alignment = alignment_of(left);
    shape.right_alignment = alignment_of(right);
    shape.out_alignment = alignment_of(out);
    Description d = description_make(&shape);
    Choice *choice = choice_of(&shape);
    if (!choice->known) {
        choice->algorithm = algorithm_find(&shape, &d);
        choice->shape = shape;
        choice->known = true;
    }
    float one = 1.0f, beta = shape.accumulate ? 1.0f : 0.0f;
    void *workspace = scratch_cuda(queue, SCRATCH_WORKSPACE, WORKSPACE_BYTES);
    CUBLAS(cublasLtMatmul(device_cuda()->products, d.product, &one, left, d.left, right, d.right,
                          &beta, out, d.out, out, d.out, &choice->algorithm, workspace,
                          WORKSPACE_BYTES, stream_of(queue)));
    description_free(&d);
}

// ---- the entries --------------------------------------------------------------------------------

static __nv_bfloat16 *converted(Queue *queue, Scratch use, int64_t rows, int64_t width)
{
    size_t bytes = static_cast<size_t>(rows * packed_width(width)) * sizeof(__nv_bfloat16);
    return static_cast<__nv_bfloat16 *>(scratch_cuda(queue, use, bytes));
}

// out = x times W or its transpose, some rows at a time where x is to be converted.
static void multiply_rows(Queue *queue, Tensor out, Tensor x, Matrix w, bool turn, bool accumulate)
{
    Shape shape = {};
    shape.m = out.width;
    shape.k = x.width;
    shape.left_stride = packed_width(w.width);
    shape.out_stride = out.stride;
    shape.turn_left = turn;
    shape.type = w.type;
    shape.accumulate = accumulate;
    int64_t padded = packed_width(x.width);
    int64_t at_once = x.rows;
    if (w.type == TYPE_BF16 && turn)
        shape.k = padded; // zeros on both sides: a depth that tensor cores like
    if (w.type == TYPE_BF16)
        at_once = most(1, CONVERTED_BYTES / (padded * static_cast<int64_t>(sizeof(uint16_t))));
    for (int64_t first = 0; first < x.rows; first += at_once) {
        Tensor part = tensor_rows(x, first, least(at_once, x.rows - first));
        const void *right = part.data;
        shape.n = part.rows;
        shape.right_stride = part.stride;
        if (w.type == TYPE_BF16) {
            __nv_bfloat16 *to = converted(queue, SCRATCH_LEFT, part.rows, part.width);
            round_rows_cuda(queue, to, part);
            right = to;
            shape.right_stride = padded;
        }
        multiply(queue, shape, row_of(out, first), w.packed, right);
    }
}

void product_nt_cuda(Queue *queue, Tensor out, Tensor x, Matrix w)
{
    CHECK(out.rows == x.rows && out.width == w.rows && x.width == w.width && w.width > 0,
          "[%ld, %ld] = [%ld, %ld] times the transpose of [%ld, %ld]", static_cast<long>(out.rows),
          static_cast<long>(out.width), static_cast<long>(x.rows), static_cast<long>(x.width),
          static_cast<long>(w.rows), static_cast<long>(w.width));
    multiply_rows(queue, out, x, w, true, false);
}

void product_nn_cuda(Queue *queue, Tensor out, Tensor y, Matrix w, bool accumulate)
{
    CHECK(out.rows == y.rows && y.width == w.rows && out.width == w.width && w.rows > 0,
          "[%ld, %ld] = [%ld, %ld] times [%ld, %ld]", static_cast<long>(out.rows),
          static_cast<long>(out.width), static_cast<long>(y.rows), static_cast<long>(y.width),
          static_cast<long>(w.rows), static_cast<long>(w.width));
    multiply_rows(queue, out, y, w, false, accumulate);
}

// Columns [first, first + count) of a tensor.
static Tensor tensor_columns(Tensor tensor, int64_t first, int64_t count)
{
    tensor.data += first;
    tensor.width = count;
    return tensor;
}

// x is split once; of y, which may be as wide as a vocabulary, some columns at a time.
void product_tn_cuda(Queue *queue, Tensor out, Tensor y, Tensor x)
{
    CHECK(out.rows == y.width && out.width == x.width && x.rows == y.rows,
          "[%ld, %ld] += the transpose of [%ld, %ld] times [%ld, %ld]", static_cast<long>(out.rows),
          static_cast<long>(out.width), static_cast<long>(y.rows), static_cast<long>(y.width),
          static_cast<long>(x.rows), static_cast<long>(x.width));
    if (x.rows == 0 || x.width == 0)
        return;
    __nv_bfloat16 *left = converted(queue, SCRATCH_LEFT, 3 * x.rows, x.width);
    split_cuda(queue, left, x, false);
    int64_t column_bytes = 3 * x.rows * static_cast<int64_t>(sizeof(uint16_t));
    int64_t at_once = most(64, CONVERTED_BYTES / column_bytes / 64 * 64);
    Shape shape = {};
    shape.m = x.width;
    shape.k = 3 * x.rows;
    shape.left_stride = packed_width(x.width);
    shape.out_stride = out.stride;
    shape.turn_right = true;
    shape.type = TYPE_BF16;
    shape.accumulate = true;
    for (int64_t first = 0; first < y.width; first += at_once) {
        Tensor part = tensor_columns(y, first, least(at_once, y.width - first));
        __nv_bfloat16 *right = converted(queue, SCRATCH_RIGHT, 3 * y.rows, part.width);
        split_cuda(queue, right, part, true);
        shape.n = part.width;
        shape.right_stride = packed_width(part.width);
        multiply(queue, shape, row_of(out, first), left, right);
    }
}
