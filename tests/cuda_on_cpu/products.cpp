// products.cpp - cuBLASLt on the host: products in plain loops, every output one chain of fp32.
//
// An algorithm remembers what it was found for, and is refused for anything else: shapes, types,
// and alignments that the operands do not have.

#include <cublasLt.h>

#include <vector>

#include "kernels/cuda/libraries.h"
#include "tests/cuda_on_cpu/streams.h"

struct cublasLtMatmulDescOpaque {
    bool turn_a, turn_b;
};

struct cublasLtMatrixLayoutOpaque {
    cudaDataType_t type;
    int64_t rows, columns, stride;
};

struct cublasLtMatmulPreferenceOpaque {
    uint64_t workspace;
    uint32_t alignment[3]; // of a, b, and of c and d
};

namespace cuda_on_cpu
{

static const int64_t COLUMNS_AT_ONCE = 4;
static const size_t USED = 4096; // bytes of a workspace

// Rows and columns of op(matrix).
static int64_t rows_of(cublasLtMatrixLayout_t layout, bool turned)
{
    return turned ? layout->columns : layout->rows;
}

static int64_t columns_of(cublasLtMatrixLayout_t layout, bool turned)
{
    return turned ? layout->rows : layout->columns;
}

static bool fits(cublasLtMatmulDesc_t product, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                 cublasLtMatrixLayout_t out)
{
    return a->type == b->type && out->type == CUDA_R_32F && a->stride >= a->rows &&
           b->stride >= b->rows && out->stride >= out->rows &&
           rows_of(a, product->turn_a) == out->rows &&
           columns_of(b, product->turn_b) == out->columns &&
           columns_of(a, product->turn_a) == rows_of(b, product->turn_b);
}

static cublasLtMatmulAlgo_t algorithm_of(cublasLtMatmulDesc_t product, cublasLtMatrixLayout_t a,
                                         cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t out)
{
    cublasLtMatmulAlgo_t algorithm = {};
    algorithm.data[0] = static_cast<uint64_t>(out->rows);
    algorithm.data[1] = static_cast<uint64_t>(out->columns);
    algorithm.data[2] = static_cast<uint64_t>(columns_of(a, product->turn_a));
    algorithm.data[3] = static_cast<uint64_t>(a->type) * 4 + 2 * product->turn_a + product->turn_b;
    algorithm.data[4] = static_cast<uint64_t>(a->stride) << 32 | static_cast<uint64_t>(b->stride);
    algorithm.data[5] = static_cast<uint64_t>(out->stride);
    return algorithm;
}

static bool aligned(const void *address, uint64_t alignment)
{
    return reinterpret_cast<uintptr_t>(address) % alignment == 0;
}

static float element_of(const void *matrix, cudaDataType_t type, int64_t place)
{
    if (type == CUDA_R_32F)
        return static_cast<const float *>(matrix)[place];
    uint32_t bits = static_cast<uint32_t>(static_cast<const uint16_t *>(matrix)[place]) << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// op(matrix), column after column without gaps, or row after row.
static std::vector<float> unpacked(const void *matrix, const cublasLtMatrixLayoutOpaque &layout,
                                   bool by_rows)
{
    std::vector<float> to(static_cast<size_t>(layout.rows * layout.columns));
    for (int64_t column = 0; column < layout.columns; column++) {
        for (int64_t row = 0; row < layout.rows; row++) {
            int64_t place = by_rows ? row * layout.columns + column : column * layout.rows + row;
            to[static_cast<size_t>(place)] =
                element_of(matrix, layout.type, column * layout.stride + row);
        }
    }
    return to;
}

// Some columns of out [m, columns] += left [m, k] right [k, columns], all without gaps.
static void columns_add(float *out, const float *left, const float *right, int64_t m, int64_t k,
                        int64_t columns)
{
    for (int64_t l = 0; l < k; l++) {
        for (int64_t j = 0; j < columns; j++) {
            float factor = right[j * k + l];
            float *to = out + j * m;
            for (int64_t i = 0; i < m; i++)
                to[i] += left[l * m + i] * factor;
        }
    }
}

// Everything that a call says, which may be gone when its turn comes.
struct Product {
    cublasLtMatmulDescOpaque description;
    cublasLtMatrixLayoutOpaque a_layout, b_layout, layout;
    const void *a, *b;
    float *out;
    float alpha, beta;
    void *workspace;
    size_t workspace_bytes;
};

static void multiply(const Product &p)
{
    int64_t m = p.layout.rows, n = p.layout.columns;
    int64_t k = p.description.turn_a ? p.a_layout.rows : p.a_layout.columns;
    memset(p.workspace, settings().pattern, p.workspace_bytes < USED ? p.workspace_bytes : USED);
    std::vector<float> left = unpacked(p.a, p.a_layout, p.description.turn_a);
    std::vector<float> right = unpacked(p.b, p.b_layout, p.description.turn_b);
    std::vector<float> sums(static_cast<size_t>(COLUMNS_AT_ONCE * m));
    for (int64_t first = 0; first < n; first += COLUMNS_AT_ONCE) {
        int64_t columns = n - first < COLUMNS_AT_ONCE ? n - first : COLUMNS_AT_ONCE;
        sums.assign(sums.size(), 0.0f);
        columns_add(sums.data(), left.data(), right.data() + first * k, m, k, columns);
        for (int64_t j = 0; j < columns; j++) {
            float *to = p.out + (first + j) * p.layout.stride;
            for (int64_t i = 0; i < m; i++) // with a beta of 0 the old value is not read
                to[i] = p.alpha * sums[static_cast<size_t>(j * m + i)] +
                        (p.beta == 0.0f ? 0.0f : p.beta * to[i]);
        }
    }
}

} // namespace cuda_on_cpu

using namespace cuda_on_cpu;

size_t cublasLtGetVersion(void)
{
    return CUBLAS_VER_MAJOR * 10000 + CUBLAS_VER_MINOR * 100 + CUBLAS_VER_PATCH;
}

const char *cublasLtGetStatusString(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_SUCCESS            ? "success"
           : status == CUBLAS_STATUS_ALLOC_FAILED     ? "no memory"
           : status == CUBLAS_STATUS_INVALID_VALUE    ? "invalid value"
           : status == CUBLAS_STATUS_EXECUTION_FAILED ? "execution failed"
                                                      : "not supported";
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    static char device;
    *handle = reinterpret_cast<cublasLtHandle_t>(&device);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *product, cublasComputeType_t compute,
                                        cudaDataType_t scale_type)
{
    if (compute != CUBLAS_COMPUTE_32F || scale_type != CUDA_R_32F)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    *product = new cublasLtMatmulDescOpaque{false, false};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product,
                                              cublasLtMatmulDescAttributes_t which,
                                              const void *value, size_t bytes)
{
    cublasOperation_t operation;
    if (bytes != sizeof operation)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(&operation, value, sizeof operation);
    (which == CUBLASLT_MATMUL_DESC_TRANSA ? product->turn_a : product->turn_b) =
        operation == CUBLAS_OP_T;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product)
{
    delete product;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType_t type,
                                          uint64_t rows, uint64_t columns, int64_t stride)
{
    *layout = new cublasLtMatrixLayoutOpaque{type, static_cast<int64_t>(rows),
                                             static_cast<int64_t>(columns), stride};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    delete layout;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference)
{
    *preference = new cublasLtMatmulPreferenceOpaque{0, {256, 256, 256}};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t which,
                                                    const void *value, size_t bytes)
{
    if (which == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
        if (bytes != sizeof preference->workspace)
            return CUBLAS_STATUS_INVALID_VALUE;
        memcpy(&preference->workspace, value, bytes);
        return CUBLAS_STATUS_SUCCESS;
    }
    if (bytes != sizeof preference->alignment[0])
        return CUBLAS_STATUS_INVALID_VALUE;
    int place = which == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES   ? 0
                : which == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES ? 1
                                                                      : 2;
    memcpy(&preference->alignment[place], value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    delete preference;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t product,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t *results, int *found)
{
    *found = 0;
    if (wanted < 1 || c != d || !fits(product, a, b, d))
        return CUBLAS_STATUS_INVALID_VALUE;
    results[0].algo = algorithm_of(product, a, b, d);
    results[0].algo.data[6] = preference->workspace;
    for (int i = 0; i < 3; i++)
        results[0].algo.data[7] |= static_cast<uint64_t>(preference->alignment[i]) << 16 * i;
    *found = 1;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t product, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                              cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t, void *d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t *algo, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream)
{
    cublasLtMatmulAlgo_t expected = algorithm_of(product, a_layout, b_layout, d_layout);
    bool same = memcmp(expected.data, algo->data, 6 * sizeof algo->data[0]) == 0;
    if (c != d || !fits(product, a_layout, b_layout, d_layout) || !same ||
        workspace_bytes < algo->data[6] || !aligned(a, algo->data[7] & 0xffff) ||
        !aligned(b, algo->data[7] >> 16 & 0xffff) || !aligned(d, algo->data[7] >> 32 & 0xffff))
        return CUBLAS_STATUS_INVALID_VALUE;
    Product call = {*product, *a_layout, *b_layout, *d_layout,      a, b, static_cast<float *>(d),
                    0,        0,         workspace, workspace_bytes};
    memcpy(&call.alpha, alpha, sizeof call.alpha);
    memcpy(&call.beta, beta, sizeof call.beta);
    if (call_begins("cublasLtMatmul") ||
        enqueue_work(stream, "cublasLtMatmul", [call] { multiply(call); }))
        return CUBLAS_STATUS_EXECUTION_FAILED;
    return CUBLAS_STATUS_SUCCESS;
}

int cublaslt_load(void)
{
    return 0; // it is here
}
