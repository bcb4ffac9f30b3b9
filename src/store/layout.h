// layout.h - which tensors a checkpoint has, known alike to every rank; inside `store` only.

#ifndef L2A_STORE_LAYOUT_H
#define L2A_STORE_LAYOUT_H

#include <stdint.h>

#include "base/memory.h"
#include "store/checkpoint.h"

typedef struct {
    const char *name; // borrowed
    int64_t index;
} NamedIndex;

// A save's tensors stand in the order in which rank 0 lists them: what a rank holds of large ones
// then lies together in the file as it does in its memory. Those of a file that is read stand by
// name.
typedef struct {
    CheckpointTensor *tensors; // owned, with their names
    int64_t count;
    NamedIndex *by_name;             // owned [count], in the order of names
    CheckpointAttribute *attributes; // owned, with their names and texts
    int64_t attribute_count;
} Layout;

// The tensors that a content's items name, each once, and a copy of its attributes. EXIT_BUG when
// items of one name differ.
int layout_of_content(Layout *layout, const CheckpointContent *content);

// A copy of a file's tensors and attributes.
void layout_of_file(Layout *layout, const CheckpointFile *file);

// Gives every rank what `root` has. Collective over group.
void layout_broadcast(const Group *group, Layout *layout, int root);

// Index of a tensor, or -1.
int64_t layout_find(const Layout *layout, const char *name);

// -1 with EXIT_BUG when some element of some tensor is in no rank's item, or an item does not fit
// the layout. The same on every rank. Collective over group.
int layout_check_cover(const Group *group, const Layout *layout, const CheckpointItem *items,
                       int64_t count);

void layout_free(Layout *layout);

#endif
