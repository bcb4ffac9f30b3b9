// collective_nccl_absent.c - what stands in for NCCL in a program that was built without it.

#include "base/fail.h"
#include "base/version.h"
#include "parallel/collective.h"

const Collective *collective_nccl(void)
{
    fail(EXIT_UNAVAILABLE, "this program was built without NCCL, which several ranks with GPUs "
                           "need: build it where nvcc and nccl.h are found");
    return NULL;
}

void collective_nccl_print_version(Bytes *out)
{
    version_print_line("NCCL", "not compiled in", out);
}
