// record.h - what a run writes for people: the log, the journal, the samples.
//
// Only the rank that speaks for the job opens a Record; on others every call does nothing.

#ifndef L2A_TASKS_RECORD_H
#define L2A_TASKS_RECORD_H

#include <stdio.h>

#include "base/metrics.h"
#include "files/event_file.h"
#include "files/journal.h"
#include "tasks/job.h"
#include "tasks/dataset.h"

typedef struct {
    char *directory; // owned; NULL: silent
    FILE *log;
    Journal *metrics, *samples; // owned
    int64_t samples_every;      // steps; 0: no responses are kept
    EventFile *events;          // owned; NULL: none are wanted, or the disk takes none
} Record;

// Opens log.txt, metrics.jsonl, samples.jsonl and, where wanted, TensorBoard's events in the run's
// directory, for steps behind `step`.
int record_open(Record *record, const Settings *settings, int64_t step);
void record_close(Record *record);

// A line to standard output and log.txt.
void record_say(const Record *record, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// On a terminal, where no launcher stands between, what is done of a step is shown until it is
// over: each over the one before.
void record_step_begins(const Record *record, int64_t step, int64_t total);
void record_step_ends(void);

// Versions, ranks and their cores, model, data: the head of a run's log. Collective over all ranks.
void record_header(const Record *record, const Job *job, const Dataset *dataset);

// A step's metrics as one line of the journal. While the disk takes none, lines wait in memory
// (files/journal.h); a warning says so once. Events that cannot be written end with a warning.
void record_metrics(Record *record, const Metrics *metrics);

// Every response of the step as a line of samples.jsonl, where it is one that is kept.
void record_samples(Record *record, const Dataset *dataset, const TreeList *trees, int64_t step);

// Writes the lines that wait. EXIT_CANNOT_WRITE.
int record_catch_up(Record *record);

// reward/*, response_length/* and the like, from a step's graded trees; what has no grade is
// counted and takes no part in the means of what was earned.
void record_rewards(const Dataset *dataset, const TreeList *trees, Metrics *metrics);

// The same of advantages, over tokens, once they are there.
void record_advantages(const TreeList *trees, Metrics *metrics);

// A batch with all that the learner was given, a line a branch, to the new file `path`.
int record_batch(const char *path, const Dataset *dataset, const TreeList *trees);

#endif
