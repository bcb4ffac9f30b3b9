// evaluation_journal.h - the responses of an evaluation under way, kept for a start that goes on.
//
// OUTPUT.part-N holds them as lines; its first line is a key made of all that decides them:
// settings, texts of prompts and samples, the rule judge's weights, the policy's weights. (Of a
// judge model it is the path: weights replaced in place are not noticed.) A start with the same key
// goes on behind it, one with another key sets the file aside as .orphan: two evaluations never
// mix.

#ifndef L2A_TASKS_EVALUATION_JOURNAL_H
#define L2A_TASKS_EVALUATION_JOURNAL_H

#include "files/journal.h"
#include "tasks/job.h"
#include "tasks/responses.h"

typedef struct {
    Journal *journal;   // owned; on the rank that writes, else NULL
    ResponseList known; // of earlier starts, on every rank
} EvaluationJournal;

// `identity` is what evaluation_identify tells; `number` tells the models of one evaluation apart,
// `weights` is a checksum of this one's (0: it is served). Collective over world->all.
int evaluation_journal_open(EvaluationJournal *journal, const Job *job, const SampleSet *set,
                            const Bytes *identity, int number, uint64_t weights);

// Appends responses from the `first` on, but for those that an outage left without a text or a
// grade: they are asked for again.
void evaluation_journal_add(EvaluationJournal *journal, const ResponseList *list, int64_t first);

void evaluation_journal_close(EvaluationJournal *journal);

// Removes the file, once what it holds is under its final name.
void evaluation_journal_remove(const Settings *settings, int number);

#endif
