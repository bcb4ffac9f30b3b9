#include "tasks/backend_choice.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"

// Native sets differ in their bits, so all ranks take one that all have: the least of their best
// ones, for a machine has every lesser set than its best. Collective over all.
static const Kernels *choose_native(const Group *all)
{
    char mine[32] = "", *names = allocate((size_t)all->size, sizeof mine);
    const Kernels *best = kernels_cpu_native(), *common = best;
    if (best)
        snprintf(mine, sizeof mine, "%s", best->name);
    group_all_gather(all, mine, sizeof mine, names);
    for (int i = 0; best && i < all->size; i++) {
        const Kernels *other = kernels_cpu_named(names + i * (int)sizeof mine);
        common = other ? kernels_cpu_native_lesser(common, other) : common;
    }
    release(names);
    return common;
}

static int choose_cpu(Backend *backend, const Settings *settings, const Group *all)
{
    bool native = settings->model.products == PRODUCTS_NATIVE;
    *backend = (Backend){.kernels = native ? choose_native(all) : kernels_cpu(),
                         .collective = &collective_mpi};
    return backend->kernels ? 0 : fail_context("[model] products = native");
}

static int fail_shared(const Group *node, int gpus)
{
    return fail(EXIT_UNAVAILABLE,
                "this node has %d ranks for %d GPU%s: start one rank a GPU (mpirun -n %d, sbatch "
                "--ntasks-per-node=%d), or compute on the CPUs with [parallel] backend = cpu",
                node->size, gpus, gpus == 1 ? "" : "s", gpus, gpus);
}

// Ranks that each see one GPU see the same one, or their own.
static int check_own(const Group *node)
{
    const Gpu *mine = kernels_cuda_gpu();
    Gpu *gpus = allocate((size_t)node->size, sizeof *gpus);
    group_all_gather(node, mine, sizeof *mine, gpus);
    int different = 0;
    for (int a = 0; a < node->size; a++) {
        bool first = true;
        for (int b = 0; b < a; b++)
            first = first && memcmp(gpus[a].identity, gpus[b].identity, sizeof mine->identity) != 0;
        different += first;
    }
    release(gpus);
    return different == node->size ? 0 : fail_shared(node, different);
}

static int choose_cuda(Backend *backend, const Group *all, const Group *node, int gpus)
{
    int status = gpus > 1 && node->size > gpus ? fail_shared(node, gpus) : 0;
    if (status == 0) {
        backend->kernels = kernels_cuda(gpus > 1 ? node->rank : 0);
        backend->collective = all->size > 1 ? collective_nccl() : &collective_mpi;
        status = backend->kernels && backend->collective ? 0 : -1;
    }
    return group_agree(all, status) == 0 ? group_agree(all, check_own(node)) : -1;
}

// `without`: why it is not a GPU.
static void describe(Backend *backend, const char *without)
{
    const Gpu *gpu = kernels_cuda_gpu();
    if (backend->kernels->host_is_device)
        snprintf(backend->text, sizeof backend->text, "cpu, %s: %s", backend->kernels->name,
                 without);
    else
        snprintf(backend->text, sizeof backend->text, "cuda, GPU %d '%s' of %.0f GiB%s",
                 gpu->device, gpu->name, (double)gpu->memory / 0x1p30,
                 backend->collective == &collective_mpi ? "" : ", nccl");
}

int backend_choose(Backend *backend, const Settings *settings, const Group *all)
{
    BackendKind kind = settings->parallel.backend;
    int gpus = kind == BACKEND_CPU ? 0 : kernels_cuda_count();
    bool none_here = gpus == 0;
    char *without = duplicate(kind == BACKEND_CPU ? "[parallel] backend = cpu"
                              : none_here         ? fail_message()
                                                  : "another rank has no GPU");
    *backend = (Backend){0};
    int status = kind == BACKEND_CUDA && none_here ? fail_context("[parallel] backend = cuda") : 0;
    status = group_agree(all, status);
    if (status == 0 && group_maximum(all, none_here) > 0) {
        status = group_agree(all, choose_cpu(backend, settings, all));
    } else if (status == 0) {
        Group node = group_of_node(all);
        status = choose_cuda(backend, all, &node, gpus);
        group_free(&node);
    }
    if (status == 0)
        describe(backend, without);
    release(without);
    return status;
}
