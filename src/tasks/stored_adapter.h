// stored_adapter.h - what a checkpoint says of the adapter in it, beside the tensors.

#ifndef L2A_TASKS_STORED_ADAPTER_H
#define L2A_TASKS_STORED_ADAPTER_H

#include "files/checkpoint_file.h"
#include "input/adapter.h"

typedef struct {
    AdapterShape shape; // rank 0: the checkpoint holds a whole model
    char *base;         // owned: Hugging Face directory or checkpoint of the frozen model
    uint64_t checksum;  // of its weights (exchange_tensor_checksum); 0: not known yet
} StoredAdapter;

enum { STORED_ADAPTER_ATTRIBUTES = 5 };

// Of the checkpoint file `path`. EXIT_NO_INPUT, EXIT_BAD_DATA.
int stored_adapter_read(StoredAdapter *stored, const char *path);

// The same of attributes by name, which `find` looks up in `file` (NULL: there is none such).
typedef const CheckpointAttribute *FindAttribute(const void *file, const char *name);
int stored_adapter_take(StoredAdapter *stored, FindAttribute *find, const void *file);

void stored_adapter_free(StoredAdapter *stored);

// Fills attributes [STORED_ADAPTER_ATTRIBUTES]; `targets` and `checksum` hold their texts.
void stored_adapter_list(const StoredAdapter *stored, CheckpointAttribute *attributes,
                         Bytes *targets, Bytes *checksum);

#endif
