// isa.h - one source, several instruction sets.
//
// Every source of kernels/cpu is compiled once for each of plain, avx2, avx512, avx512_bf16 (which
// is avx512 too) and amx_bf16 (which is both) with L2A_ISA defined to that word; CPU(name) is the
// name with the suffix, e.g. rmsnorm_backward_cpu_avx2.

#ifndef L2A_KERNELS_CPU_ISA_H
#define L2A_KERNELS_CPU_ISA_H

#define CPU_JOIN(name, isa) name##_cpu_##isa
#define CPU_EXPAND(name, isa) CPU_JOIN(name, isa)
#define CPU(name) CPU_EXPAND(name, L2A_ISA)

#endif
