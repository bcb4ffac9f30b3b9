// table.cu - the table of the CUDA kernels.

#include "kernels/cuda/cuda.h"

static const Kernels kernels_table = {
    .name = "cuda",
    .arithmetic = "cuda",
    .host_is_device = false,

    .memory_make = memory_make_cuda,
    .memory_free = memory_free_cuda,
    .host_make = host_make_cuda,
    .host_free = host_free_cuda,
    .copy_in = copy_in_cuda,
    .copy_out = copy_out_cuda,
    .copy = copy_cuda,
    .fill_zero = fill_zero_cuda,
    .queue_wait = queue_wait_cuda,

    .graph_begin = graph_begin_cuda,
    .graph_end = graph_end_cuda,
    .graph_run = graph_run_cuda,
    .graph_free = graph_free_cuda,

    .matrix_bytes = matrix_bytes_cuda,
    .matrix_pack = matrix_pack_cuda,
    .product_nt = product_nt_cuda,
    .product_nn = product_nn_cuda,
    .product_tn = product_tn_cuda,
    .embedding_forward = embedding_forward_cuda,
    .embedding_backward = embedding_backward_cuda,

    .residual_rmsnorm_forward = residual_rmsnorm_forward_cuda,
    .rmsnorm_backward = rmsnorm_backward_cuda,
    .bias_forward = bias_forward_cuda,
    .bias_backward = bias_backward_cuda,
    .rotary = rotary_cuda,
    .swiglu_forward = swiglu_forward_cuda,
    .swiglu_backward = swiglu_backward_cuda,
    .rows_gather = rows_gather_cuda,
    .rows_scatter = rows_scatter_cuda,
    .add = add_cuda,
    .scale = scale_cuda,

    .cache_bytes = cache_bytes_cuda,
    .cache_append = cache_append_cuda,
    .attention_forward = attention_forward_cuda,
    .attention_plan = attention_plan_cuda,
    .attention_backward = attention_backward_cuda,

    .logsumexp = logsumexp_cuda,
    .target_logprobs = target_logprobs_cuda,
    .entropy = entropy_cuda,
    .target_backward = target_backward_cuda,
    .penalise = penalise_cuda,
    .sample = sample_cuda,

    .adamw = adamw_cuda,
    .square_sum = square_sum_cuda,
    .round_bf16 = round_bf16_cuda,
    .convert = convert_cuda,
};

const Kernels *table_cuda(void)
{
    return &kernels_table;
}
