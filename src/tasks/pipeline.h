// pipeline.h - the steps of the main stage that were sampled ahead of their updates.
//
// Step s (from 0) turns W_s into W_{s+1} with rollouts from W_v, v = I floor(max(0, s - k) / I),
// k = staleness, I = interval (specification, "Versions"). Step s + k is therefore sampled while
// step s is learned, always with the newest published weights, and at the end of a step the queue
// holds the trees of the k steps to come: a checkpoint keeps them, and nothing else of the past.

#ifndef L2A_TASKS_PIPELINE_H
#define L2A_TASKS_PIPELINE_H

#include "tasks/rollout.h"
#include "tasks/stages.h"

typedef struct {
    int64_t staleness, interval;
    int64_t first;   // step of lists[0]
    TreeList *lists; // owned [staleness + 1]: trees of steps first, first + 1, ...
    int64_t count;
} Pipeline;

void pipeline_make(Pipeline *pipeline, int64_t staleness, int64_t interval);
void pipeline_free(Pipeline *pipeline);

// The version that step `step` is sampled from.
int64_t pipeline_version(const Pipeline *pipeline, int64_t step);

// Whether the weights after `updates` steps are to be published.
bool pipeline_publishes(const Pipeline *pipeline, int64_t updates);

// The step to be sampled next.
int64_t pipeline_next(const Pipeline *pipeline);

// Room for the trees of pipeline_next; the newest taken back; the trees of the oldest step; the
// oldest is done with.
TreeList *pipeline_push(Pipeline *pipeline);
void pipeline_drop_newest(Pipeline *pipeline);
TreeList *pipeline_front(Pipeline *pipeline);
void pipeline_pop(Pipeline *pipeline);

// The trees of place `index` of the queue as bytes, and back behind those that are there.
void pipeline_write(const Pipeline *pipeline, int64_t index, Bytes *out);
void pipeline_read(Pipeline *pipeline, const char *bytes, size_t length);

#endif
