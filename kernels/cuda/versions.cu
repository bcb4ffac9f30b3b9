// versions.cu - which CUDA this program was compiled with, and which it finds.

#include <stdio.h>

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include "kernels/cuda/libraries.h"

extern "C" {
#include "base/version.h"
#include "kernels/kernels.h"
}

// 13000 is 13.0
static void print_cuda(int version, char text[32])
{
    snprintf(text, 32, "%d.%d", version / 1000, version / 10 % 100);
}

extern "C" void kernels_cuda_print_versions(Bytes *out)
{
    char compiled[32], running[32];
    int runtime = 0, driver = 0;
    print_cuda(CUDART_VERSION, compiled);
    if (cudaRuntimeGetVersion(&runtime) == cudaSuccess)
        print_cuda(runtime, running);
    version_print_library("CUDA", compiled, runtime ? running : NULL, out);

    if (cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0)
        snprintf(running, sizeof running, "for CUDA %d.%d", driver / 1000, driver / 10 % 100);
    version_print_line("driver", driver > 0 ? running : "none", out);

    bool found = cublaslt_load() == 0;
    snprintf(compiled, sizeof compiled, "%d.%d.%d", CUBLAS_VER_MAJOR, CUBLAS_VER_MINOR,
             CUBLAS_VER_PATCH);
    if (found) {
        size_t version = cublasLtGetVersion(); // 130100 is 13.1.0
        snprintf(running, sizeof running, "%zu.%zu.%zu", version / 10000, version / 100 % 100,
                 version % 100);
    }
    version_print_library("cuBLASLt", compiled, found ? running : NULL, out);
}
