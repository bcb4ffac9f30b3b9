// prepare.h - the data side of `learn2ask prepare`: sessions -> rounds -> labels -> samples.
//
// No model is asked here. A caller that has one reads, fills the rounds whose `info_state` is
// INFO_MISSING through prepare_set_info, and writes. Both outputs are written under a temporary
// name, synced and renamed: there is never a half-written file under the final name.

#ifndef L2A_DIALOGUE_PREPARE_H
#define L2A_DIALOGUE_PREPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "dialogue/samples.h"

typedef enum {
    INFO_MISSING, // not known (yet): nothing is written as info_set
    INFO_KNOWN,   // a list, possibly empty
    INFO_FAILED,  // the extraction failed: written as null, never becomes a sample
} InfoState;

typedef struct {
    const char *input;     // JSONL of sessions, or of rounds in the processed form
    const char *labels;    // JSONL with cid and info_set (null: failed); NULL for none
    const char *processed; // output; NULL for none
    const char *samples;   // output; NULL for none
    RoundsCompat compat;
    bool skip_bad;
} PrepareSettings;

typedef struct {
    json_t *record; // owned: the line of the processed form, but for info_set and info_truth
    Truth truth;
    InfoState info_state;
    json_t *info; // owned list of strings where info_state is INFO_KNOWN, else NULL
} PreparedRound;

typedef struct {
    int64_t sessions, rounds, continues, stops;
    int64_t labelled, unlabelled, failed; // by info_state
    int64_t samples, sample_continues;    // written
    int64_t dropped_empty, dropped_failed;
    int64_t bad_lines;
    int64_t unused_labels;     // labels whose cid is no round's
    int64_t changed_decisions; // decision_truth of the input that the roles contradict
} PrepareCounts;

typedef struct {
    PreparedRound *rounds; // owned, in file order
    int64_t count;
    PrepareCounts counts;
} PreparedSet;

// Reads `input` and `labels`. An empty future gets the empty info_set.
int prepare_read(PreparedSet *set, const PrepareSettings *settings);

const char *prepare_cid(const PreparedRound *round);
// The messages after the round's context; texts borrowed, the array is the caller's to release.
Message *prepare_future(const PreparedRound *round, int64_t *count);

// Gives a round its facts (a list of strings; a reference is kept), or with NULL marks it failed.
void prepare_set_info(PreparedSet *set, int64_t round, json_t *info);

// Writes both outputs and completes the counts.
int prepare_write(PreparedSet *set, const PrepareSettings *settings);
void prepare_free(PreparedSet *set);

// Appends the counts, one "name: number" a line.
void prepare_describe(const PrepareCounts *counts, Bytes *text);

#endif
