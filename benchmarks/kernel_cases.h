// kernel_cases.h - the kernels of a step but for its products: what they are run on, what they
// cost.
//
// Sizes are those of SmolLM2-135M: a micro-batch of rows through a layer, a chunk of scored rows
// over the vocabulary, a session's tree, 80 branches that decode together. Bytes are those that a
// kernel must read and write at least once each; operations those of its formula in kernels.h, a
// fused multiply-add two of them, a division or root one, an exp EXP_OPERATIONS.

#ifndef L2A_BENCHMARKS_KERNEL_CASES_H
#define L2A_BENCHMARKS_KERNEL_CASES_H

#include "kernels/kernels.h"

enum { MOST_ARRAYS = 9, MOST_CASES = 32, MOST_CASE_SPANS = 96, EXP_OPERATIONS = 19 };

// Sizes, and the integers and tables that go with them.
typedef struct {
    int64_t rows, width, feed_forward, vocabulary, chunk, elements;
    int32_t heads, kv_heads, head_width;
    int32_t *positions, *tokens; // owned [rows]
    float *rotary;               // owned [rows, head_width]
    Target *targets;             // owned [chunk]
    double *uniform;             // owned [chunk]
} KernelScene;

void kernel_scene_make(KernelScene *scene, bool quick);
void kernel_scene_free(KernelScene *scene);

// Rows of queries over cached keys and values.
typedef struct {
    Span spans[MOST_CASE_SPANS];
    int64_t count, rows, slots;
    double pairs; // of a row and a key that it sees
    double seen;  // slots that are read
} AttentionScene;

typedef struct KernelCase {
    const char *name;
    char shape[40];
    const KernelScene *scene;
    AttentionScene attention;
    ElementType type;              // of what is packed, cached or kept
    double bytes, operations;      // of a run
    bool reads;                    // and hardly writes
    int64_t elements[MOST_ARRAYS]; // of its arrays, fp32 each; 0 behind the last one
    float spread;                  // of array 0's random numbers, from least to most; 0: 1
    unsigned zeroed;               // bit i: array i begins as zero, others as random numbers
    unsigned opaque;               // bit i: array i has a form that each set chooses for itself
    // What is timed; before it, what it needs; after it, what makes opaque arrays to be compared.
    void (*before)(const struct KernelCase *c, const Kernels *kernels, float *const *arrays);
    void (*run)(const struct KernelCase *c, const Kernels *kernels, float *const *arrays);
    void (*after)(const struct KernelCase *c, const Kernels *kernels, float *const *arrays);
    const char *peer_name; // NULL: none
    void (*peer)(const struct KernelCase *c, float *const *arrays);
} KernelCase;

// Arrays of a case, `seed` naming the random numbers.
void kernel_case_make_arrays(const KernelCase *c, uint32_t seed, float **arrays);
void kernel_case_free_arrays(float **arrays);
int64_t kernel_case_bytes(const KernelCase *c);

// Append to cases [MOST_CASES]; return how many there are then.
int kernel_cases_rows(const KernelScene *scene, KernelCase *cases, int count);
int kernel_cases_vocabulary(const KernelScene *scene, KernelCase *cases, int count);
int kernel_cases_flat(const KernelScene *scene, KernelCase *cases, int count);
int kernel_cases_attention(const KernelScene *scene, bool quick, KernelCase *cases, int count);

#endif
