// extraction.h - the facts of rounds that have none yet, from a language model (section 5).
//
// Every rank asks for its share of the rounds and appends each answer to a journal of its own,
// OUTPUT.extract-NNNN.jsonl. A later start, on any number of ranks, reads all of them and asks for
// the rest. An answer counts as long as the question, the model and the sampling are those that it
// was given to.

#ifndef L2A_TASKS_EXTRACTION_H
#define L2A_TASKS_EXTRACTION_H

#include "dialogue/prepare.h"
#include "input/settings.h"
#include "parallel/group.h"

// What [prepare] and [data] say of files.
PrepareSettings extraction_files(const Settings *settings);

// Gives every round of `set` (the same on every rank) that misses its facts its own, or marks it
// failed, and appends a report to `text`. Fails with EXIT_UNAVAILABLE where a server gave no answer
// at all, and with EXIT_AGAIN where some of the rounds found none: those answered are kept.
// Collective over group.
int extraction_run(const Group *group, const Settings *settings, PreparedSet *set, Bytes *text);

#endif
