// kernel_scene.c - what kernels are measured on: sizes, integers, tables, arrays.

#include "base/mathematics.h"
#include "base/memory.h"
#include "benchmarks/kernel_cases.h"
#include "benchmarks/numbers.h"

void kernel_scene_make(KernelScene *scene, bool quick)
{
    *scene = (KernelScene){.rows = quick ? 96 : 2048,
                           .width = 576,
                           .feed_forward = 1536,
                           .vocabulary = quick ? 2048 : 49152,
                           .chunk = quick ? 16 : 128,
                           .elements = quick ? 1 << 16 : 1 << 23,
                           .heads = 9,
                           .kv_heads = 3,
                           .head_width = 64};
    int64_t rows = scene->rows, half = scene->head_width / 2;
    scene->positions = allocate((size_t)rows, sizeof *scene->positions);
    scene->tokens = allocate((size_t)rows, sizeof *scene->tokens);
    scene->rotary = allocate((size_t)(rows * scene->head_width), sizeof *scene->rotary);
    scene->targets = allocate((size_t)scene->chunk, sizeof *scene->targets);
    scene->uniform = allocate((size_t)scene->chunk, sizeof *scene->uniform);
    for (int64_t r = 0; r < rows; r++) {
        scene->positions[r] = (int32_t)r;
        scene->tokens[r] = (int32_t)(r * 773 % rows); // each once
        for (int64_t d = 0; d < half; d++) {
            double angle = (double)r * math_pow(1e4, -(double)d / (double)half);
            scene->rotary[r * 2 * half + d] = (float)math_cos(angle);
            scene->rotary[r * 2 * half + half + d] = (float)math_sin(angle);
        }
    }
    for (int64_t r = 0; r < scene->chunk; r++) {
        scene->targets[r] = (Target){(int32_t)r, (int32_t)(r * 7919 % scene->vocabulary)};
        scene->uniform[r] = ((double)r + 0.5) / (double)scene->chunk;
    }
}

void kernel_scene_free(KernelScene *scene)
{
    release(scene->positions);
    release(scene->tokens);
    release(scene->rotary);
    release(scene->targets);
    release(scene->uniform);
}

void kernel_case_make_arrays(const KernelCase *c, uint32_t seed, float **arrays)
{
    for (int i = 0; i < MOST_ARRAYS; i++) {
        arrays[i] = NULL;
        if (c->zeroed >> i & 1)
            arrays[i] = allocate((size_t)c->elements[i], sizeof(float));
        else if (c->elements[i] > 0)
            arrays[i] = numbers_make(c->elements[i], seed + (uint32_t)i);
    }
    for (int64_t i = 0; c->spread > 0 && i < c->elements[0]; i++)
        arrays[0][i] *= c->spread;
}

void kernel_case_free_arrays(float **arrays)
{
    for (int i = 0; i < MOST_ARRAYS; i++)
        release(arrays[i]);
}

int64_t kernel_case_bytes(const KernelCase *c)
{
    int64_t elements = 0;
    for (int i = 0; i < MOST_ARRAYS; i++)
        elements += c->elements[i];
    return elements * (int64_t)sizeof(float);
}
