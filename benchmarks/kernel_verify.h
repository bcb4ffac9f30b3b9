// kernel_verify.h - results that benchmarks of kernels are told for, compared before they are
// timed.
//
// A difference ends the program with its place.

#ifndef L2A_BENCHMARKS_KERNEL_VERIFY_H
#define L2A_BENCHMARKS_KERNEL_VERIFY_H

#include "benchmarks/kernel_cases.h"
#include "benchmarks/product.h"

// All arrays of a case are, after one run, what the plain set of kernels leaves, to the
// bit; of the plain set, what AVX2's leaves where this machine has it.
void kernel_verify_case(const KernelCase *c, const Kernels *kernels);

// Outputs all over the product, the last one among them, against chains that are computed here: of
// ours (peer NULL) to the bit, of the peer, and of native products, within the rounding of such
// sums in another order.
void kernel_verify_product(const Layer *layer, const Peer *peer);

#endif
