// peft_adapter.h - a PEFT directory: adapter_config.json beside adapter_model.safetensors.
//
// Only what this program computes the same is taken: plain LoRA with one rank and one alpha, on
// whole layers by name. Anything else is refused by its key. The base is a path, as PEFT reads it:
// from the working directory.

#ifndef L2A_TASKS_PEFT_ADAPTER_H
#define L2A_TASKS_PEFT_ADAPTER_H

#include "model/parameters.h"
#include "tasks/stored_adapter.h"

bool peft_adapter_is(const char *path);

// What its configuration says; of the base only where it is. EXIT_NO_INPUT, EXIT_BAD_DATA.
int peft_adapter_read(StoredAdapter *stored, const char *directory);

// This rank's shards of its pairs into values [parameters->local]. EXIT_NO_INPUT, EXIT_BAD_DATA.
int peft_adapter_load(const char *directory, const Parameters *parameters, float *values);

#endif
