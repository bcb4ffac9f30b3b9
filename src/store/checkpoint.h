// checkpoint.h - put a run on disk and take it back, whatever the number of ranks.
//
// A run is a list of named tensors, of each of which a rank holds some flat ranges in host memory;
// this module knows no owner. A tensor is stored once with its global shape, so any number of ranks
// can read it. A file appears under its name only after it was flushed, read back and compared.

#ifndef L2A_STORE_CHECKPOINT_H
#define L2A_STORE_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "files/checkpoint_file.h"
#include "parallel/group.h"

// Flat elements [first, first + count) of a tensor, row-major, held by this rank at `data`. Several
// items of one name are several ranges of one tensor; a range held by several ranks is written by
// each that lists it with count > 0, so list it on one.
typedef struct {
    const char *name; // an HDF5 path: "/weights/model.norm.weight"
    StoredType type;
    int rank;
    int64_t shape[STORED_RANK_MAXIMUM];
    int64_t first, count;
    void *data; // borrowed, host memory; a save only reads it
} CheckpointItem;

// What goes into a file. Rank 0 lists every tensor, with count 0 where it holds nothing of it, and
// gives the attributes; other ranks list what they hold.
typedef struct {
    const CheckpointItem *items;
    int64_t count;
    const CheckpointAttribute *attributes;
    int64_t attribute_count;
} CheckpointContent;

// A file that is written while its ranks do other things: threads write it, flush it and read it
// back, and the callers agree on what came of that whenever they look.
typedef struct CheckpointSave CheckpointSave;

// Called on rank 0 in a thread of the save; a failure is the save's. Each may be NULL.
typedef struct {
    int (*before)(void *context); // the whole file is there, without its name
    int (*after)(void *context);  // it has its name
    void *context;                // borrowed
} CheckpointHooks;

// Begins to write `path`. The content is borrowed for this call only, but for the items' data,
// which stay as they are until the save is over. Elements that no rank holds, or an item that
// differs from rank 0's, are EXIT_BUG; then NULL on every rank. Collective over group.
CheckpointSave *checkpoint_save_begin(const Group *group, const char *path,
                                      CheckpointContent content, CheckpointHooks hooks);

// Carries the save on as far as it goes without waiting for a disk. Whether it is over; the same
// on every rank. Collective over group.
bool checkpoint_save_progress(CheckpointSave *save);

// Waits until the save is over, and frees it. On failure nothing is left and any older file is
// unchanged (unless it was hooks.after that failed). EXIT_CANNOT_CREATE, EXIT_CANNOT_WRITE.
// `seconds` (may be NULL) receives how long this rank's threads have worked, not counted what they
// waited for somebody to look. Collective over group.
int checkpoint_save_end(CheckpointSave *save, double *seconds);

// Begins and ends a save. Collective over group.
int checkpoint_write(const Group *group, const char *path, CheckpointContent content);

typedef struct Checkpoint Checkpoint;

// Opens for reading: rank 0 reads the structure, once it is verified. NULL on every rank with
// EXIT_NO_INPUT or EXIT_BAD_DATA. Collective over group.
Checkpoint *checkpoint_open(const Group *group, const char *path);

// Fills the items' ranges, each block of the file compared with its checksum as it comes. Items may
// be of the stored type, F32 for stored BF16 and F16, or BF16 for stored F32, rounded to nearest
// even. A missing tensor or another shape is EXIT_BAD_DATA, and so is damage. Collective over the
// group it was opened with.
int checkpoint_read(Checkpoint *checkpoint, const CheckpointItem *items, int64_t count);

// Compares the blocks that nobody has read so far. EXIT_BAD_DATA, EXIT_NO_INPUT. Collective.
int checkpoint_verify(Checkpoint *checkpoint);

// Whether the file failed, not what was asked of it. The same on every rank.
bool checkpoint_damaged(const Checkpoint *checkpoint);

void checkpoint_close(Checkpoint *checkpoint); // NULL is fine

// The same on every rank, without communication.
const CheckpointTensor *checkpoint_tensor(const Checkpoint *checkpoint,
                                          const char *name); // or NULL
int64_t checkpoint_count(const Checkpoint *checkpoint);
const CheckpointTensor *checkpoint_tensor_at(const Checkpoint *checkpoint, int64_t index);
const CheckpointAttribute *checkpoint_attribute(const Checkpoint *checkpoint, const char *name);

// A text or whole number that must be there: EXIT_BAD_DATA when it is not. The text is borrowed.
int checkpoint_text(const Checkpoint *checkpoint, const char *name, const char **text);
int checkpoint_integer(const Checkpoint *checkpoint, const char *name, int64_t *value);
int checkpoint_real(const Checkpoint *checkpoint, const char *name, double *value);

#endif
