// dispatch.c - which instruction set this machine is served by.

#include <fenv.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "kernels/cpu/cpu.h"

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

static const Kernels *native(void)
{
    bool supported = avx512_supported() && __builtin_cpu_supports("avx512bf16");
    return supported ? &kernels_cpu_avx512_bf16 : NULL;
}

static const InstructionSet INSTRUCTION_SETS[] = {
    // the best first
    {&kernels_cpu_avx512, avx512_supported},
    {&kernels_cpu_avx2, avx2_supported},
    {&kernels_cpu_plain, plain_supported},
};

#else

static const Kernels *native(void)
{
    return NULL;
}

static const InstructionSet INSTRUCTION_SETS[] = {{&kernels_cpu_plain, plain_supported}};

#endif

enum { COUNT = sizeof INSTRUCTION_SETS / sizeof INSTRUCTION_SETS[0] };

// Some library may have been built to flush subnormals at start-up: every thread goes back to the
// default (round to nearest, nothing flushed). Threads that are made later inherit it.
static void environment_reset(void)
{
#pragma omp parallel
    fesetenv(FE_DFL_ENV);
}

static const Kernels *kernels_of(const InstructionSet *set)
{
    environment_reset();
    return set->kernels;
}

const Kernels *kernels_cpu_named(const char *isa)
{
    for (int i = 0; i < COUNT; i++) {
        const InstructionSet *set = &INSTRUCTION_SETS[i];
        if (strcmp(isa, set->kernels->name) == 0 && set->supported())
            return kernels_of(set);
    }
    return NULL;
}

const Kernels *kernels_cpu(void)
{
    const char *isa = getenv("LEARN2ASK_ISA");
    if (isa && *isa) {
        const Kernels *kernels = kernels_cpu_named(isa);
        if (!kernels)
            die(EXIT_BAD_SETTINGS,
                "LEARN2ASK_ISA is '%s', which this machine does not have or this program does not "
                "know: set it to plain, avx2 or avx512, or leave it unset for the best one",
                isa);
        return kernels;
    }
    for (int i = 0; i < COUNT; i++) {
        if (INSTRUCTION_SETS[i].supported())
            return kernels_of(&INSTRUCTION_SETS[i]);
    }
    die(EXIT_BUG, "no instruction set fits");
}

void kernels_cpu_print_sets(Bytes *out)
{
    const Kernels *own_products = native();
    bytes_append_text(out, kernels_cpu()->name);
    const char *before = " of ";
    for (int i = 0; i < COUNT; i++) {
        if (!INSTRUCTION_SETS[i].supported())
            continue;
        bytes_print(out, "%s%s", before, INSTRUCTION_SETS[i].kernels->name);
        before = ", ";
    }
    if (own_products)
        bytes_print(out, "; with products = native %s", own_products->name);
}

const Kernels *kernels_cpu_native(void)
{
    environment_reset();
    if (!native())
        fail(EXIT_UNAVAILABLE, "this machine has no dot products of bf16 (AVX512_BF16)");
    return native();
}
