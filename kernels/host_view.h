// host_view.h - device memory that the host fills.
//
// On a device with memory of its own a view is zeroed host memory beside it, which closing copies
// there; else it is the device memory itself.

#ifndef L2A_KERNELS_HOST_VIEW_H
#define L2A_KERNELS_HOST_VIEW_H

#include "kernels/kernels.h"

// Of fresh (zeroed) device memory [bytes], for host code to write to.
static inline void *host_view_open(const Kernels *kernels, void *device, size_t bytes)
{
    return kernels->host_is_device ? device : kernels->host_make(bytes);
}

// What was written is in device memory from here on; `view` is gone.
static inline void host_view_close(const Kernels *kernels, void *view, void *device, size_t bytes)
{
    if (kernels->host_is_device)
        return;
    kernels->copy_in(NULL, device, view, bytes);
    kernels->queue_wait(NULL);
    kernels->host_free(view);
}

#endif
