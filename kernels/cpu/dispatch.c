// dispatch.c - which instruction set this machine is served by.

#define _GNU_SOURCE // syscall

#include <fenv.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "kernels/cpu/cpu.h"

#ifdef __x86_64__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

typedef struct {
    const Kernels *kernels;
    bool (*supported)(void);
} InstructionSet;

static bool plain_supported(void)
{
    return true;
}

#ifdef __x86_64__

static bool avx2_supported(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool avx512_supported(void)
{
    return avx2_supported() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq");
}

static bool avx512_bf16_supported(void)
{
    return avx512_supported() && __builtin_cpu_supports("avx512bf16");
}

// Linux keeps AMX's registers, 8 KiB a thread, only for processes that have asked for it: looking
// is asking.
static bool amx_bf16_supported(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    enum { LEAF = 7, BF16 = 1u << 22, TILES = 1u << 24 };
    unsigned a, b, c, d;
    return avx512_bf16_supported() && __get_cpuid_count(LEAF, 0, &a, &b, &c, &d) && (d & BF16) &&
           (d & TILES) && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

// Those with products of their own, the best first.
static const InstructionSet NATIVE_SETS[] = {
    {&kernels_cpu_amx_bf16, amx_bf16_supported},
    {&kernels_cpu_avx512_bf16, avx512_bf16_supported},
    {NULL, NULL},
};

static const InstructionSet INSTRUCTION_SETS[] = {
    // the best first
    {&kernels_cpu_avx512, avx512_supported},
    {&kernels_cpu_avx2, avx2_supported},
    {&kernels_cpu_plain, plain_supported},
    {NULL, NULL},
};

#else

static const InstructionSet NATIVE_SETS[] = {{NULL, NULL}};
static const InstructionSet INSTRUCTION_SETS[] = {{&kernels_cpu_plain, plain_supported},
                                                  {NULL, NULL}};

#endif

// Some library may have been built to flush subnormals at start-up: every thread goes back to the
// default (round to nearest, nothing flushed). Threads that are made later inherit it.
static void environment_reset(void)
{
#pragma omp parallel
    fesetenv(FE_DFL_ENV);
}

// The first one that this machine has, of that name if not NULL; NULL: there is none.
static const Kernels *find(const InstructionSet *sets, const char *name)
{
    for (const InstructionSet *set = sets; set->kernels; set++) {
        if ((!name || strcmp(name, set->kernels->name) == 0) && set->supported()) {
            environment_reset();
            return set->kernels;
        }
    }
    return NULL;
}

const Kernels *kernels_cpu_named(const char *isa)
{
    const Kernels *kernels = find(INSTRUCTION_SETS, isa);
    return kernels ? kernels : find(NATIVE_SETS, isa);
}

// The one of `sets` that LEARN2ASK_ISA names; the best where it names none, or one of `others`.
static const Kernels *choose(const InstructionSet *sets, const InstructionSet *others)
{
    const char *isa = getenv("LEARN2ASK_ISA");
    if (!isa || !*isa)
        return find(sets, NULL);
    const Kernels *kernels = find(sets, isa);
    if (!kernels && !find(others, isa))
        die(EXIT_BAD_SETTINGS,
            "LEARN2ASK_ISA is '%s', which this machine does not have or this program does not "
            "know: set it to plain, avx2 or avx512, for native products to avx512_bf16 or "
            "amx_bf16, or leave it unset for the best one",
            isa);
    return kernels ? kernels : find(sets, NULL);
}

const Kernels *kernels_cpu(void)
{
    return choose(INSTRUCTION_SETS, NATIVE_SETS); // plain, if no other
}

void kernels_cpu_print_sets(Bytes *out)
{
    const Kernels *own_products = choose(NATIVE_SETS, INSTRUCTION_SETS);
    bytes_append_text(out, kernels_cpu()->name);
    const char *before = " of ";
    for (const InstructionSet *set = INSTRUCTION_SETS; set->kernels; set++) {
        if (!set->supported())
            continue;
        bytes_print(out, "%s%s", before, set->kernels->name);
        before = ", ";
    }
    if (own_products)
        bytes_print(out, "; with products = native %s", own_products->name);
}

const Kernels *kernels_cpu_native_lesser(const Kernels *a, const Kernels *b)
{
    const Kernels *lesser = a;
    for (const InstructionSet *set = NATIVE_SETS; set->kernels; set++)
        lesser = set->kernels == a || set->kernels == b ? set->kernels : lesser;
    return lesser;
}

const Kernels *kernels_cpu_native(void)
{
    const Kernels *kernels = choose(NATIVE_SETS, INSTRUCTION_SETS);
    if (!kernels)
        fail(EXIT_UNAVAILABLE, "this machine has no dot products of bf16 (AMX_BF16, AVX512_BF16)");
    return kernels;
}
