// convert.h - the two directions of l2a-convert. In constant memory, and either the whole result
// under its final name or none of it.

#ifndef L2A_TOOLS_CONVERT_H
#define L2A_TOOLS_CONVERT_H

#include <stdbool.h>
#include <stdint.h>

#include "files/stored_type.h"

typedef struct {
    StoredType type;    // of the written tensors: STORED_BF16 or STORED_F32
    bool best;          // of a run's directory: BEST in place of LATEST
    int64_t shard_size; // bytes of data a file
    bool adapter;       // write the adapter alone, for PEFT; else it is merged with its base
    const char *base;   // where that base is; NULL: where the checkpoint says
} ConvertOptions;

typedef struct {
    int64_t tensors, elements, files;
} ConvertCounts;

// A checkpoint, or the directory of a run, to a new Hugging Face directory, or that of an adapter.
int convert_export(const char *from, const char *directory, const ConvertOptions *options,
                   ConvertCounts *counts);

// A Hugging Face directory to a new checkpoint with fp32 weights and the model's text files.
int convert_import(const char *directory, const char *path, ConvertCounts *counts);

#endif
