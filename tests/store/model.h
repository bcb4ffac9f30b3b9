// model.h - a small run to put into checkpoints, cut over ranks at uneven places.

#ifndef L2A_TESTS_STORE_MODEL_H
#define L2A_TESTS_STORE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "store/checkpoint.h"

enum { MODEL_ITEMS = 8, MODEL_ATTRIBUTES = 3 };

typedef struct {
    CheckpointItem items[MODEL_ITEMS];
    int64_t count;
    CheckpointAttribute attributes[MODEL_ATTRIBUTES]; // config, step = version, best
} Model;

// This rank's part of the run whose content is a function of tensor, place and `version`.
Model model_make(const Group *group, uint32_t version);

// All of it, for checkpoint_write.
CheckpointContent model_content(const Model *model);

// Same ranges, same bytes.
bool model_equal(const Model *a, const Model *b);

void model_free(Model *model);

#endif
