// scaling_model.h - what sharded training costs on paper: units, collectives, and what stays
// exposed.
//
// A collective of S bytes among n ranks takes t = (n - 1) alpha + S (n - 1) / (n B), on the slower
// link where its ranks lie on several nodes. One collective is under way at a time. The next unit
// is gathered under this unit's arithmetic, and the last one's gradient reduce-scattered under it.
// Groups that hold the same shards add them up behind the last micro-batch, under nothing.

#ifndef L2A_BENCHMARKS_SCALING_MODEL_H
#define L2A_BENCHMARKS_SCALING_MODEL_H

#include "model/parameters.h"

typedef struct {
    double latency;   // alpha, seconds
    double bandwidth; // B, bytes a second and rank
} Link;

typedef struct {
    int ranks, shard_group, node; // learner ranks; those that share the parameters; those of a node
    Link inside, between;         // nodes
    double rate;                  // floating-point operations a second and rank
    double rows;                  // of a rank and micro-batch
    double scored;                // rows of these that meet the vocabulary
    int micro_batches;
    double weight_bytes; // of an element when gathered; gradients have 4
    bool reshards;       // units are gathered again for the backward pass
} ScalingCase;

typedef struct {
    double arithmetic, communication; // seconds, each alone
    double step;
    double exposed; // step - arithmetic
    double memory;  // bytes a rank: masters, moments, gradients, reference, the gathered units
} ScalingResult;

double scaling_collective(const ScalingCase *scaling, int ranks, bool spans, double bytes);

// `parameters` of any number of ranks: the sizes of its units are read.
ScalingResult scaling_step(const ScalingCase *scaling, const Parameters *parameters);

// The shard group, a divisor of the ranks (powers of two from the node's size on, and all), whose
// step is the shortest with `memory` bytes a rank; 0: none fits.
int scaling_best(const ScalingCase *scaling, const Parameters *parameters, double memory);

#endif
