// convert_source.h - the weights that l2a-convert writes: those of a checkpoint, the pairs of its
// adapter, or the adapter's base with the pairs merged in.

#ifndef L2A_TOOLS_CONVERT_SOURCE_H
#define L2A_TOOLS_CONVERT_SOURCE_H

#include "base/memory.h"
#include "files/checkpoint_file.h"
#include "files/safetensors.h"
#include "tools/convert.h"

typedef struct {
    const char *name; // Hugging Face's or PEFT's; borrowed from the file
    StoredType type;
    int rank;
    int64_t shape[STORED_RANK_MAXIMUM];
    int64_t elements;
    int64_t index; // in its file
    int64_t a, b;  // indices of its pair in `file`; -1: none
} SourceTensor;

typedef struct {
    CheckpointFile *file; // owned: what was asked for
    // With an adapter that is merged, its base: one of the two.
    CheckpointFile *base_file; // owned
    SafetensorsSet *base_set;  // owned
    SourceTensor *tensors;     // owned, in the order of names
    int64_t count;
    double scale;         // of the pairs: alpha / rank
    float *pair;          // owned: A, then B of the tensor that was read last
    int64_t pair_of;      // that tensor, -1: none
    size_t pair_capacity; // floats
} Source;

// Opens a checkpoint, or the newest or best of a run, and lists what is to be written.
// EXIT_NO_INPUT, EXIT_BAD_DATA: among others for a base other than the adapter was trained beside.
int source_open(Source *source, const char *from, const ConvertOptions *options);
void source_close(Source *source);

// Elements [first, first + count) of tensor i in fp32, or as they are stored, where they are not
// merged.
int source_read_f32(Source *source, int64_t i, int64_t first, int64_t count, float *out);
int source_read_stored(Source *source, int64_t i, int64_t first, int64_t count, void *out);

// What PEFT wants to know of the adapter: adapter_config.json.
int source_adapter_config(const Source *source, Bytes *out);

#endif
