// cublaslt.cu - the functions of cuBLASLt that products call, from the library when it is loaded.

#include <cublasLt.h>

#include "kernels/cuda/libraries.h"

#define TEXT_OF(number) #number
#define MAJOR_NAME(number) "libcublasLt.so." TEXT_OF(number)

static Library cublaslt = {MAJOR_NAME(CUBLAS_VER_MAJOR), "cuBLASLt", nullptr};

int cublaslt_load(void)
{
    return library_load(&cublaslt);
}

#define CUBLASLT(name, parameters, arguments)                                                      \
    FORWARD(cublaslt, cublasStatus_t, name, parameters, arguments)

FORWARD(cublaslt, size_t, cublasLtGetVersion, (), ())
FORWARD(cublaslt, const char *, cublasLtGetStatusString, (cublasStatus_t status), (status))
CUBLASLT(cublasLtCreate, (cublasLtHandle_t *handle), (handle))
CUBLASLT(cublasLtMatmulDescCreate,
         (cublasLtMatmulDesc_t *description, cublasComputeType_t compute, cudaDataType_t scale),
         (description, compute, scale))
CUBLASLT(cublasLtMatmulDescDestroy, (cublasLtMatmulDesc_t description), (description))
CUBLASLT(cublasLtMatmulDescSetAttribute,
         (cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t attribute,
          const void *value, size_t bytes),
         (description, attribute, value, bytes))
CUBLASLT(cublasLtMatrixLayoutCreate,
         (cublasLtMatrixLayout_t *layout, cudaDataType type, uint64_t rows, uint64_t columns,
          int64_t stride),
         (layout, type, rows, columns, stride))
CUBLASLT(cublasLtMatrixLayoutDestroy, (cublasLtMatrixLayout_t layout), (layout))
CUBLASLT(cublasLtMatmulPreferenceCreate, (cublasLtMatmulPreference_t *preference), (preference))
CUBLASLT(cublasLtMatmulPreferenceDestroy, (cublasLtMatmulPreference_t preference), (preference))
CUBLASLT(cublasLtMatmulPreferenceSetAttribute,
         (cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
          const void *value, size_t bytes),
         (preference, attribute, value, bytes))
CUBLASLT(cublasLtMatmulAlgoGetHeuristic,
         (cublasLtHandle_t handle, cublasLtMatmulDesc_t description, cublasLtMatrixLayout_t a,
          cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
          cublasLtMatmulPreference_t preference, int wanted,
          cublasLtMatmulHeuristicResult_t results[], int *found),
         (handle, description, a, b, c, d, preference, wanted, results, found))
CUBLASLT(cublasLtMatmul,
         (cublasLtHandle_t handle, cublasLtMatmulDesc_t description, const void *alpha,
          const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
          cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
          cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,
          const cublasLtMatmulAlgo_t *algorithm, void *workspace, size_t workspace_bytes,
          cudaStream_t stream),
         (handle, description, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout,
          algorithm, workspace, workspace_bytes, stream))
