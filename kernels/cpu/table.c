// table.c - the table of one instruction set.

#include "kernels/cpu/cpu.h"

#define CPU_QUOTE(word) #word
#define CPU_NAME(isa) CPU_QUOTE(isa)

const Kernels CPU(kernels) = {
    .name = CPU_NAME(L2A_ISA),
#if defined(L2A_ISA_avx512_bf16)
    .arithmetic = CPU_NAME(L2A_ISA),
#else
    .arithmetic = "exact",
#endif
    .host_is_device = true,

    .memory_make = memory_make_cpu,
    .memory_free = memory_free_cpu,
    .host_make = memory_make_cpu,
    .host_free = memory_free_cpu,
    .copy_in = copy_in_cpu,
    .copy_out = copy_out_cpu,
    .copy = copy_cpu,
    .fill_zero = fill_zero_cpu,
    .queue_wait = queue_wait_cpu,

    .matrix_bytes = CPU(matrix_bytes),
    .matrix_pack = CPU(matrix_pack),
    .product_nt = CPU(product_nt),
    .product_nn = CPU(product_nn),
    .product_tn = CPU(product_tn),
    .embedding_forward = CPU(embedding_forward),
    .embedding_backward = CPU(embedding_backward),

    .residual_rmsnorm_forward = CPU(residual_rmsnorm_forward),
    .rmsnorm_backward = CPU(rmsnorm_backward),
    .bias_forward = CPU(bias_forward),
    .bias_backward = CPU(bias_backward),
    .rotary = CPU(rotary),
    .swiglu_forward = CPU(swiglu_forward),
    .swiglu_backward = CPU(swiglu_backward),
    .rows_gather = CPU(rows_gather),
    .rows_scatter = CPU(rows_scatter),
    .add = CPU(add),
    .scale = CPU(scale),

    .cache_bytes = CPU(cache_bytes),
    .cache_append = CPU(cache_append),
    .attention_forward = CPU(attention_forward),
    .attention_backward = CPU(attention_backward),

    .logsumexp = CPU(logsumexp),
    .target_logprobs = CPU(target_logprobs),
    .entropy = CPU(entropy),
    .target_backward = CPU(target_backward),
    .penalise = CPU(penalise),
    .sample = CPU(sample),

    .adamw = CPU(adamw),
    .square_sum = CPU(square_sum),
    .round_bf16 = CPU(round_bf16),
    .convert = CPU(convert),
};
