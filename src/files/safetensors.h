// safetensors.h - tensors of a Hugging Face directory: a strict reader and a streaming writer.
//
// All headers of all shards are validated before the first tensor is read: no overlap, no hole, no
// duplicate, no name twice, no size that does not match, no shard that is named outside the
// directory (symbolic links are followed: a hub's cache is made of them). An index has at most
// 100,000,000 bytes and names at most 512 files; safetensors_header.h has the limits of a header.
// Data are read with pread, so a file that shrinks meanwhile is a message and not a signal.

#ifndef L2A_FILES_SAFETENSORS_H
#define L2A_FILES_SAFETENSORS_H

#include <stdbool.h>
#include <stdint.h>

#include "files/stored_type.h"

typedef struct SafetensorsSet SafetensorsSet;

typedef struct {
    const char *name; // borrowed from the set
    StoredType type;  // F32, F16 or BF16
    int rank;
    int64_t shape[STORED_RANK_MAXIMUM];
    int64_t elements;
} SafetensorsTensor;

// Opens a file, or a directory with model.safetensors or model.safetensors.index.json. NULL with
// EXIT_NO_INPUT or EXIT_BAD_DATA.
SafetensorsSet *safetensors_open(const char *directory_or_file);
void safetensors_close(SafetensorsSet *set); // NULL is fine

// Tensors are numbered in the order of their names.
int64_t safetensors_count(const SafetensorsSet *set);
const SafetensorsTensor *safetensors_tensor(const SafetensorsSet *set, int64_t index);

// The tensor's index, or -1 (no failure is recorded).
int64_t safetensors_find(const SafetensorsSet *set, const char *name);

// out [count] = elements [first, first + count) of a tensor, row-major, in fp32. Thread-safe.
int safetensors_read_f32(const SafetensorsSet *set, int64_t index, int64_t first, int64_t count,
                         float *out);

// The same in the stored type, as bytes. Thread-safe.
int safetensors_read_stored(const SafetensorsSet *set, int64_t index, int64_t first, int64_t count,
                            void *out);

// Writer: one file, in constant memory. The tensors are declared first; safetensors_write_order
// tells in which order their data must come (element size descending, then name, as the reference
// writer does, so the bytes of a file depend on nothing else).
typedef struct SafetensorsWriter SafetensorsWriter;

typedef struct {
    const char *name; // borrowed during the call
    StoredType type;  // any
    int rank;
    int64_t shape[STORED_RANK_MAXIMUM];
} SafetensorsDeclaration;

// NULL with EXIT_CANNOT_CREATE or EXIT_CANNOT_WRITE.
SafetensorsWriter *safetensors_create(const char *path, const SafetensorsDeclaration *tensors,
                                      int64_t count);

// Index (in the declarations) of the `position`-th tensor of the file.
int64_t safetensors_write_order(const SafetensorsWriter *writer, int64_t position);

// Appends `count` elements of the tensor that is due, in its stored type.
int safetensors_append(SafetensorsWriter *writer, const void *data, int64_t count);

// The same from fp32 values, rounded to the stored type (F32 or BF16).
int safetensors_append_f32(SafetensorsWriter *writer, const float *values, int64_t count);

// Renames the finished file into place; frees the writer in every case. A tensor short of elements
// is a broken precondition.
int safetensors_commit(SafetensorsWriter *writer);
void safetensors_abandon(SafetensorsWriter *writer); // NULL is fine; removes the temporary

#endif
