// test_plans.cpp - the layers of a pass share attention's plan: only the first one brings anything
// to the device.

#include "kernels/cuda/cuda.h"
#include "tests/cuda_on_cpu/cases.h"
#include "tests/cuda_on_cpu/streams.h"

using cuda_on_cpu::copies_asked;

enum { ROWS = 3, WIDTH = 16, SLOTS = 512 };

// Two sequences behind a trunk.
struct Layer {
    Cache cache;
    Tensor q, out, statistics, keys;
    Span spans[2];
};

static Tensor tensor_make(int64_t rows, int64_t width)
{
    size_t bytes = static_cast<size_t>(rows * width) * sizeof(float);
    return tensor_of(static_cast<float *>(memory_make_cuda(bytes)), rows, width);
}

static Layer layer_make()
{
    if (!kernels_cuda(0))
        die_failed();
    Layer layer = {};
    size_t bytes = cache_bytes_cuda(SLOTS, 1, WIDTH, TYPE_F32);
    layer.cache = {memory_make_cuda(bytes), memory_make_cuda(bytes), SLOTS, 1, WIDTH, TYPE_F32};
    layer.q = tensor_make(ROWS, WIDTH);
    layer.out = tensor_make(ROWS, WIDTH);
    layer.statistics = tensor_make(ROWS, 2);
    layer.keys = tensor_make(SLOTS, WIDTH);
    layer.spans[0] = {0, 1, 0, 300, 320, 4};
    layer.spans[1] = {1, 2, 0, 300, 336, 0};
    return layer;
}

// Copies that the forward and the backward pass of a layer ask for.
struct Copies {
    unsigned long forward, backward;
};

static Copies layer_run(const Layer &l)
{
    unsigned long before = copies_asked;
    attention_forward_cuda(NULL, l.out, l.statistics, l.q, l.cache, l.spans, 2, 1.0f);
    unsigned long between = copies_asked;
    attention_backward_cuda(NULL, l.out, l.keys, l.keys, l.q, l.q, l.statistics, l.q, l.cache,
                            l.spans, 2, 1.0f);
    return {between - before, copies_asked - between};
}

static bool are(Copies copies, unsigned long each)
{
    return copies.forward == each && copies.backward == each;
}

static bool a_pass_is_planned_once()
{
    Layer layer = layer_make();
    if (!are(layer_run(layer), 1) || !are(layer_run(layer), 0) || !are(layer_run(layer), 0))
        return false;
    layer.spans[0].own_length++; // the next step of decoding
    return are(layer_run(layer), 1) && are(layer_run(layer), 0);
}

// Whatever a plan depends on is looked at.
static bool another_pass_is_planned_anew()
{
    Layer layer = layer_make();
    layer_run(layer);
    Layer other = layer;
    other.q.width = 2 * WIDTH; // two query heads to a key, of half as many rows
    other.q.rows = other.out.rows = other.statistics.rows = 1;
    other.out.width = 2 * WIDTH;
    unsigned long before = copies_asked;
    attention_forward_cuda(NULL, other.out, {}, other.q, other.cache, other.spans, 1, 1.0f);
    if (copies_asked != before + 1)
        return false;
    other.cache.slots = 400;
    attention_forward_cuda(NULL, other.out, {}, other.q, other.cache, other.spans, 1, 1.0f);
    return copies_asked == before + 2;
}

static const Case CASES[] = {
    {"a pass is planned once", a_pass_is_planned_once, RIGHT, NULL, NULL, {}},
    {"another pass is planned anew", another_pass_is_planned_anew, RIGHT, NULL, NULL, {}},
};

int main()
{
    return CASES_RUN(CASES, __FILE__);
}
