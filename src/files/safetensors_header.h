// safetensors_header.h - the JSON header of one safetensors file, validated.
//
// A file is: u64 N; N bytes of JSON beginning with '{'; the data. Every rule of the format is held,
// and caps of ours besides: 100,000,000 bytes of header, 1,000,000 tensors, names of 1 KiB, 8
// dimensions.

#ifndef L2A_FILES_SAFETENSORS_HEADER_H
#define L2A_FILES_SAFETENSORS_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "files/stored_type.h"

typedef struct {
    char *name; // owned
    StoredType type;
    int rank;
    int64_t shape[STORED_RANK_MAXIMUM];
    int64_t elements;
    int64_t begin, end; // bytes within the data
} SafetensorsEntry;

// Parses and validates a header of `length` bytes in front of `data_bytes` of data. `*entries`
// (owned by the caller, in order of `begin`) and `*count` are set on success. EXIT_BAD_DATA.
int safetensors_header_parse(const char *path, const char *text, size_t length, int64_t data_bytes,
                             SafetensorsEntry **entries, int64_t *count);

// Reads the header of an open file and parses it; `*data_offset` is where the data begin.
int safetensors_header_read(int descriptor, const char *path, int64_t file_bytes,
                            SafetensorsEntry **entries, int64_t *count, int64_t *data_offset);

void safetensors_header_free(SafetensorsEntry *entries, int64_t count);

#endif
