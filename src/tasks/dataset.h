// dataset.h - samples and their contexts as tokens.
//
// Every context is tokenised once, at the start. A context longer than the limit is left out of all
// batches and counted.

#ifndef L2A_TASKS_DATASET_H
#define L2A_TASKS_DATASET_H

#include "dialogue/samples.h"
#include "text/chat.h"

typedef struct {
    int32_t *ids; // owned: the rendering with generation prompt
    int32_t count;
    bool usable; // not too long
} ContextTokens;

typedef struct {
    SampleSet set;
    ContextTokens *contexts; // owned, by sample
    int64_t usable, too_long;
    int64_t longest;     // usable context, in tokens
    int64_t tokens;      // of all usable contexts
    char *system_prompt; // owned; NULL: none
} Dataset;

typedef struct {
    const char *path;
    const char *system_prompt; // file name; "": none
    const json_t *tools;       // declared behind the system message; NULL: none; borrowed
    bool skip_bad;
    bool keep_empty; // see SampleOptions
    int64_t max_prompt_tokens;
} DatasetOptions;

// `chat` NULL: texts only; every context is usable then.
int dataset_open(Dataset *dataset, const Chat *chat, DatasetOptions options);
void dataset_close(Dataset *dataset);

// Of all that is learned from: contexts as tokens, labels, what the experts said.
uint64_t dataset_checksum(const Dataset *dataset);

// Messages of a sample as the chat wants them, system prompt first; to be released.
ChatMessage *dataset_messages(const Dataset *dataset, const Sample *sample, int64_t *count);

#endif
