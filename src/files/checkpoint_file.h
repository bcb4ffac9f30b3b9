// checkpoint_file.h - our HDF5 checkpoints, without MPI: layout, attributes, slices by offset.
//
// HDF5 makes the layout (contiguous data sets, allocated early, never filled, large ones on
// 4 KiB boundaries) and is then closed; the data are written and read at their offsets by whoever
// holds them, without HDF5. A trailer of checksums stands behind HDF5's own end (files/checksum.h);
// it is checked before HDF5 ever sees a file. Names are HDF5 paths ("/weights/model.norm.weight");
// the last component may hold dots. BF16 and F16 are unsigned 16-bit data sets; every data set
// has an attribute dtype="F32", "BF16", ...

#ifndef L2A_FILES_CHECKPOINT_FILE_H
#define L2A_FILES_CHECKPOINT_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "files/checksum.h"
#include "files/stored_type.h"

#define CHECKPOINT_FORMAT "l2a-checkpoint"
enum {
    CHECKPOINT_FORMAT_VERSION = 1,
    CHECKPOINT_TEXT_MAXIMUM = 60000,      // bytes of an attribute
    CHECKPOINT_ATTRIBUTES_MAXIMUM = 1000, // of a file
    CHECKPOINT_OBJECTS_MAXIMUM = 100000,  // data sets and groups of a file
    CHECKPOINT_DEPTH_MAXIMUM = 8,         // groups around a data set
};

typedef struct {
    const char *name;
    StoredType type;
    int rank;
    int64_t shape[STORED_RANK_MAXIMUM];
    int64_t offset; // in the file, bytes; -1 for a tensor without elements
} CheckpointTensor;

int64_t checkpoint_tensor_bytes(const CheckpointTensor *tensor);

typedef enum { ATTRIBUTE_TEXT, ATTRIBUTE_INTEGER, ATTRIBUTE_REAL } AttributeKind;

// An attribute of the file. Text is UTF-8 of at most CHECKPOINT_TEXT_MAXIMUM bytes; longer texts
// are U8 data sets ("/files/tokenizer.json").
typedef struct {
    const char *name;
    AttributeKind kind;
    const char *text;
    int64_t integer;
    double real;
} CheckpointAttribute;

// Makes a new file (that must not exist) with room for the tensors; fills in their offsets and
// `payload_bytes`, HDF5's own end. Adds the attributes format and format_version. Removes
// the file on failure. EXIT_CANNOT_CREATE.
int checkpoint_file_create(const char *path, CheckpointTensor *tensors, int64_t count,
                           const CheckpointAttribute *attributes, int64_t attribute_count,
                           int64_t *payload_bytes);

// Hashes the finished payload with these tensors, writes the trailer, flushes: for one process
// alone.
int checkpoint_file_seal(const char *path, int64_t payload_bytes, const CheckpointTensor *tensors,
                         int64_t count);

// Notes in the trailer which blocks hold anything besides the tensors' data.
void checkpoint_file_note_structure(ChecksumTrailer *trailer, const CheckpointTensor *tensors,
                                    int64_t count);

typedef struct CheckpointFile CheckpointFile;

typedef enum {
    CHECKPOINT_VERIFY_ALL,       // every block of the file
    CHECKPOINT_VERIFY_STRUCTURE, // the trailer and what HDF5 reads: the caller verifies the data
} CheckpointVerify;

// NULL with EXIT_NO_INPUT or EXIT_BAD_DATA; damage is told with block and tensor. Links that lead
// elsewhere are not followed, and data that lie in another file, or in pieces, are refused. Whoever
// gives a file a fitting trailer has HDF5 read it, whose own parser is no match for hostile files:
// take checkpoints from where programs are taken from.
CheckpointFile *checkpoint_file_open(const char *path, CheckpointVerify verify);
void checkpoint_file_close(CheckpointFile *file); // NULL is fine

const char *checkpoint_file_path(const CheckpointFile *file);
int checkpoint_file_descriptor(const CheckpointFile *file);
const ChecksumTrailer *checkpoint_file_trailer(const CheckpointFile *file);

// Tensors in the order of their names.
int64_t checkpoint_file_count(const CheckpointFile *file);
const CheckpointTensor *checkpoint_file_tensor(const CheckpointFile *file, int64_t index);
int64_t checkpoint_file_find(const CheckpointFile *file, const char *name); // -1: not there

int64_t checkpoint_file_attribute_count(const CheckpointFile *file);
const CheckpointAttribute *checkpoint_file_attribute_at(const CheckpointFile *file, int64_t index);
// The attribute of that name, or NULL.
const CheckpointAttribute *checkpoint_file_attribute(const CheckpointFile *file, const char *name);

// out = elements [first, first + count) of a tensor in its stored type. Thread-safe.
int checkpoint_file_read(const CheckpointFile *file, int64_t index, int64_t first, int64_t count,
                         void *out);

// The same in fp32, for F32, BF16 and F16. Thread-safe.
int checkpoint_file_read_f32(const CheckpointFile *file, int64_t index, int64_t first,
                             int64_t count, float *out);

// Writes elements [first, first + count) of `tensor` at its offset of a file that is being made.
int checkpoint_file_write(int descriptor, const char *path, const CheckpointTensor *tensor,
                          int64_t first, int64_t count, const void *data);

// Whose bytes stand in [offset, offset + bytes): the tensor with most of them, or "the file's
// structure".
const char *checkpoint_file_owner(const CheckpointTensor *tensors, int64_t count, int64_t offset,
                                  int64_t bytes);

#endif
