// sample.h - a small checkpoint with tensors of every type and attributes of every kind.

#ifndef L2A_TESTS_FILES_SAMPLE_H
#define L2A_TESTS_FILES_SAMPLE_H

#include <stdint.h>

#include "files/checkpoint_file.h"

enum { SAMPLE_TENSORS = 7, SAMPLE_ATTRIBUTES = 4, SAMPLE_LARGE = 300 * 1000 };

extern const CheckpointTensor sample_tensors[SAMPLE_TENSORS]; // the first two have SAMPLE_LARGE
extern const CheckpointAttribute sample_attributes[SAMPLE_ATTRIBUTES];

int64_t sample_bytes(const CheckpointTensor *tensor);

// Bytes of tensor `i`, different at each place. To be released.
unsigned char *sample_content(int64_t i, int64_t bytes);

// Makes the checkpoint under this name in the scratch directory.
void sample_make(const char *name);

#endif
