// tensor_checksum.h - one number for the weights of a model, whatever files they lie in.
//
// Of a model it is the sum over its tensors, modulo 2^64, of the XXH3-64 of a tensor's fp32 values,
// seeded with the XXH3-64 of its name: neither the order of tensors nor a stored type that fp32
// holds shows.

#ifndef L2A_FILES_TENSOR_CHECKSUM_H
#define L2A_FILES_TENSOR_CHECKSUM_H

#include <stdint.h>

typedef struct TensorChecksum TensorChecksum;

// Values are added in row-major order; end gives the tensor's term and frees.
TensorChecksum *tensor_checksum_begin(const char *name);
void tensor_checksum_add(TensorChecksum *checksum, const float *values, int64_t count);
uint64_t tensor_checksum_end(TensorChecksum *checksum);

#endif
