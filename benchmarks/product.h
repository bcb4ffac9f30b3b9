// product.h - products of a layer, ours and oneDNN's, for benchmarks.
//
// Weights come in copies of 96 MiB together, as a small model's layers are; ours are packed and
// oneDNN's reordered to the form it asks for, outside the time.

#ifndef L2A_BENCHMARKS_PRODUCT_H
#define L2A_BENCHMARKS_PRODUCT_H

#include <dnnl.h>

#include "kernels/kernels.h"

enum { MOST_COPIES = 64, ROTATED_BYTES = 96 << 20 };

typedef enum { NT, NN, TN, INNER } Kind; // INNER: product_nt as oneDNN's inner product

// How both factors are multiplied: W in f32 or bf16 by the kernels that give the same bits
// everywhere (oneDNN in f32 then), or both in bf16 by those of this machine (oneDNN, too).
typedef enum { PRECISION_F32, PRECISION_BF16, PRECISION_NATIVE, PRECISION_COUNT } Precision;

extern const char *const precision_names[PRECISION_COUNT];

int precision_find(const char *name); // -1: it is none of them
ElementType precision_type(Precision precision);
const Kernels *precision_kernels(Precision precision); // NULL: this machine has none

typedef struct {
    Kind kind;
    Precision precision;
    const Kernels *kernels; // borrowed
    int64_t m, n, k;        // of the layer: W [n, k], m rows
    int copies;             // of the weights
    float *x, *y;           // owned [m, k], [m, n]
    float *c;               // owned: written
    float *w[MOST_COPIES];  // owned [n, k]
    Matrix packed[MOST_COPIES];
} Layer;

typedef struct {
    dnnl_primitive_t primitive;
    dnnl_memory_t source, target, weights[MOST_COPIES];
} Peer;

// A layer of random numbers. `kind` is one of NT, NN, TN.
Layer layer_make(Kind kind, Precision precision, int64_t m, int64_t n, int64_t k);
void layer_free(Layer *layer);

// Our product with the turn's copy of the weights.
void layer_run(const Layer *layer, int turn);

// The same product as oneDNN computes it, as a matmul or (NT) as an inner product. Of native
// products it has both factors in bf16 beforehand, while ours round x or y in the product.
Peer peer_make(const Layer *layer, Kind kind);
void peer_free(Peer *peer, const Layer *layer);
void peer_run(const Peer *peer, const Layer *layer, int turn);

void peer_version(char *text, size_t size); // "oneDNN 2.6.3"

// The machine's matrix rate in GFLOP/s as this process's threads reach it: the product of 2,048
// rows with W [1,536, 576], ours and oneDNN's (the better of its two ways), of so many runs.
typedef struct {
    double ours, peer;
} MatrixRate;

typedef struct {
    Layer layer;
    Peer peers[2];
} MatrixProbe;

MatrixProbe matrix_probe_make(Precision precision);
MatrixRate matrix_probe_run(const MatrixProbe *probe, int runs);
void matrix_probe_free(MatrixProbe *probe);

#endif
