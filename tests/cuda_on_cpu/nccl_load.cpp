// nccl_load.cpp - NCCL is linked here, not looked for.

#include "parallel/communicator_nccl.h"

int nccl_load(void)
{
    return 0;
}
