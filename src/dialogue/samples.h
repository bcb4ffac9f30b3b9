// samples.h - what training and evaluation read: contexts with their labels (section 4).
//
// Reads the final form and the processed form alike, and sessions, which it cuts into rounds
// without known facts. Samples keep the order of the file. All texts of a set live in its arena;
// the samples of one session share one array of messages where their contexts are prefixes of one
// another, so a group is a session tree: its trunk is the longest context, and sample k sees the
// first message_count messages of it.

#ifndef L2A_DIALOGUE_SAMPLES_H
#define L2A_DIALOGUE_SAMPLES_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "dialogue/arena.h"
#include "dialogue/message.h"
#include "dialogue/rounds.h"
#include "input/jsonl.h"

#define STOP_TEXT "<stop />"

typedef struct {
    const char *cid;
    const char *diagn;       // "" where absent
    json_t *record;          // owned by the set: the line without messages and remaining_chat
    json_t *session_id;      // borrowed from record, raw type
    int64_t session;         // ordinal of the session id in the file, from 0
    int64_t round;           // N of a cid "{session_id}_N"; see samples_read
    const Message *messages; // the context; borrowed from the set
    int64_t message_count;
    Truth truth;
    const char *info_truth;   // "" where nothing is known
    const char *const *items; // info_set; from info_truth cut at ", " where there is no info_set
    int64_t item_count;
    const Message *expert; // the target of sft: the assistant run that opens the future, or one
    int64_t expert_count;  // message "<stop />" where the truth is stop; 0 where unknown
} Sample;

// The text of the sample's own field "rejected", a response worse than the expert's; NULL: none.
const char *sample_rejected(const Sample *sample);

typedef struct {
    int64_t first_sample, sample_count; // consecutive samples of one session, contexts growing
    const Message *messages;            // the longest context, shared by all
    int64_t message_count;
} SessionGroup;

// What the lines of a file became; bad lines never become samples.
typedef struct {
    int64_t kept, kept_continue, kept_stop;
    int64_t speechless;     // of kept_continue: nothing tells what the expert said next
    int64_t dropped_empty;  // continue with an empty info_set
    int64_t dropped_failed; // extraction failed: info_set is null
    int64_t bad;
} SampleCounts;

typedef struct {
    bool skip_bad;   // leave bad lines out instead of failing
    bool keep_empty; // no drop rule: for sft, which needs no info_set
} SampleOptions;

typedef struct {
    Sample *samples; // owned
    int64_t count;
    SessionGroup *groups; // owned; tile the samples
    int64_t group_count;
    int64_t session_count; // distinct session ids
    SampleCounts counts;
    Arena *arena; // owned
} SampleSet;

// Reads a JSONL file. A sample's (session, round) is unique in the set: rounds are the N of
// "{session_id}_N" where all cids of the session have that form, else 1, 2, ... in file order.
// Fails on bad lines (unless skip_bad), on duplicate cids, and where no sample is left.
int samples_read(SampleSet *set, const char *path, SampleOptions options);
void samples_free(SampleSet *set);

// One line of counts for the log, no newline.
void samples_describe(const SampleSet *set, Bytes *text);

#endif
