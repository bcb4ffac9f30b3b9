#include "kernels/cuda/sizes.h"

#include "base/fail.h"

enum { CACHE_SLOTS = 16 };

size_t matrix_bytes_cuda(int64_t rows, int64_t width, ElementType type)
{
    return (size_t)(rows * packed_width(width)) * type_bytes(type);
}

size_t cache_bytes_cuda(int64_t slots, int32_t heads, int32_t head_width, ElementType type)
{
    CHECK(slots % CACHE_SLOTS == 0, "%lld slots are not a multiple of %d", (long long)slots,
          CACHE_SLOTS);
    CHECK(head_width <= MOST_HEAD_WIDTH, "a head width of %d: %d at most", head_width,
          MOST_HEAD_WIDTH);
    return (size_t)(slots * heads * cached_width(head_width)) * type_bytes(type);
}

const Kernels *kernels_cuda_sizes(void)
{
    static const Kernels sizes = {
        .name = "cuda", .matrix_bytes = matrix_bytes_cuda, .cache_bytes = cache_bytes_cuda};
    return &sizes;
}

// ---- working memory -----------------------------------------------------------------------------

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t widest_of(const CudaWork *work)
{
    size_t query = (size_t)work->heads * (size_t)work->head_width;
    return (size_t)packed_width(
        (int64_t)most(query, most((size_t)work->width, (size_t)work->feed_forward)));
}

// Operands of products in bf16: of those with bf16 weights, and of gradients of weights, whose
// operands are three times as long.
static size_t converted_bytes(const CudaWork *work)
{
    size_t widest = widest_of(work), vocabulary = (size_t)packed_width(work->vocabulary);
    size_t rows = (size_t)work->rows, chunk = (size_t)work->logit_rows, left = 0, right = 0;
    if (work->type == TYPE_BF16)
        left = least(most(rows * widest, chunk * vocabulary) * sizeof(uint16_t), CONVERTED_BYTES);
    if (work->learns) {
        left = most(left, 3 * rows * widest * sizeof(uint16_t));
        right = most(rows * widest, chunk * vocabulary) * 3 * sizeof(uint16_t);
    }
    return scratch_grown(left) + scratch_grown(least(right, CONVERTED_BYTES));
}

// Queries, gradients and statistics of attention's backward pass.
static size_t backward_bytes(const CudaWork *work)
{
    size_t entries = (size_t)work->rows * (size_t)work->heads;
    size_t entry = (size_t)cached_width(work->head_width) * type_bytes(work->type);
    return work->learns ? scratch_grown(2 * entries * entry + entries * 4 * sizeof(float)) : 0;
}

// Sums of the parts of rows that are decoded, or of rows of a gradient.
static size_t partial_bytes(const CudaWork *work)
{
    size_t parts =
        (size_t)work->short_rows * (size_t)(work->positions / PART_KEYS + 2) * (size_t)work->heads;
    size_t sums = parts * (size_t)(cached_width(work->head_width) + 2) * sizeof(float);
    size_t columns = ((size_t)work->rows / 32 + 1) * widest_of(work) * sizeof(float);
    return scratch_grown(most(sums, work->learns ? columns : 0));
}

size_t kernels_cuda_scratch(const CudaWork *work)
{
    // Plans of attention: a few dozen bytes for each row or short branch.
    size_t plans = (size_t)(work->rows + work->short_rows) * 128;
    return scratch_grown(WORKSPACE_BYTES) + converted_bytes(work) + backward_bytes(work) +
           partial_bytes(work) + scratch_grown(plans);
}
