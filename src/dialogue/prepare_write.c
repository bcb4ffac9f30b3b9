// prepare_write.c - the two output files of prepare.

#include "dialogue/prepare.h"

#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "dialogue/labels.h"
#include "files/atomic.h"

enum { FLUSH_BYTES = 1024 * 1024 };

// An output under its temporary name; no file where it is not wanted.
typedef struct {
    AtomicFile *file; // owned; NULL: not wanted
    Bytes pending;
} Output;

static int output_open(Output *output, const char *path)
{
    *output = (Output){0};
    if (!path)
        return 0;
    output->file = atomic_open(path);
    return output->file ? 0 : -1;
}

static int output_flush(Output *output, size_t least)
{
    if (!output->file || output->pending.length < least || output->pending.length == 0)
        return 0;
    int status = atomic_append(output->file, output->pending.data, output->pending.length);
    bytes_clear(&output->pending);
    return status;
}

static int output_commit(Output *output)
{
    if (!output->file)
        return 0;
    AtomicFile *file = output->file;
    output->file = NULL;
    return atomic_commit(file);
}

static void output_close(Output *output)
{
    atomic_abandon(output->file);
    bytes_free(&output->pending);
}

static void append_field(Bytes *line, const char *key, const json_t *value)
{
    bytes_append_text(line, line->data[line->length - 1] == '{' ? "" : ", ");
    jsonl_append_string(line, key);
    bytes_append_text(line, ": ");
    jsonl_append(line, value);
}

// The fields that we know, in the order that readers expect; then the others, unchanged.
static void append_line(Bytes *line, const PreparedRound *round, bool processed)
{
    static const char *const fields[] = {"cid",      "session_id",     "diagn",
                                         "messages", "remaining_chat", "decision_truth"};
    enum { FIELD_COUNT = sizeof fields / sizeof *fields, FUTURE = 4, DECISION = 5 };
    const json_t *record = round->record;
    char *info_truth = labels_join(round->info);
    json_t *joined = json_string(info_truth), *nothing = json_null();
    bytes_append_text(line, "{");
    for (int i = 0; i < FIELD_COUNT; i++) {
        if (i == DECISION && processed && round->info_state != INFO_MISSING)
            append_field(line, "info_set", round->info ? round->info : nothing);
        if (i != FUTURE || processed)
            append_field(line, fields[i], json_object_get(record, fields[i]));
    }
    if (round->info || !processed)
        append_field(line, "info_truth", joined);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)record, key, value)
    {
        bool known = false;
        for (int i = 0; i < FIELD_COUNT; i++)
            known = known || strcmp(key, fields[i]) == 0;
        if (!known)
            append_field(line, key, value);
    }
    bytes_append_text(line, "}\n");
    json_decref(joined);
    json_decref(nothing);
    release(info_truth);
}

// Section 4: failed extractions never become samples; otherwise stop always, continue with facts.
static bool becomes_sample(const PreparedRound *round, PrepareCounts *counts)
{
    bool failed = round->info_state == INFO_FAILED;
    bool empty = round->truth == TRUTH_CONTINUE && json_array_size(round->info) == 0;
    counts->dropped_failed += failed;
    counts->dropped_empty += empty && !failed;
    return !failed && !empty;
}

static void count_round(const PreparedRound *round, PrepareCounts *counts)
{
    counts->rounds++;
    counts->continues += round->truth == TRUTH_CONTINUE;
    counts->stops += round->truth == TRUTH_STOP;
    counts->labelled += round->info_state == INFO_KNOWN;
    counts->unlabelled += round->info_state == INFO_MISSING;
    counts->failed += round->info_state == INFO_FAILED;
}

static int write_rounds(PreparedSet *set, Output *processed, Output *samples)
{
    for (int64_t i = 0; i < set->count; i++) {
        const PreparedRound *round = &set->rounds[i];
        count_round(round, &set->counts);
        if (processed->file)
            append_line(&processed->pending, round, true);
        if (becomes_sample(round, &set->counts)) {
            set->counts.samples++;
            set->counts.sample_continues += round->truth == TRUTH_CONTINUE;
            if (samples->file)
                append_line(&samples->pending, round, false);
        }
        if (output_flush(processed, FLUSH_BYTES) || output_flush(samples, FLUSH_BYTES))
            return -1;
    }
    return output_flush(processed, 1) || output_flush(samples, 1) ? -1 : 0;
}

int prepare_write(PreparedSet *set, const PrepareSettings *settings)
{
    Output processed = {0}, samples = {0};
    int status = output_open(&processed, settings->processed) ||
                 output_open(&samples, settings->samples) ||
                 write_rounds(set, &processed, &samples) || output_commit(&processed) ||
                 output_commit(&samples);
    output_close(&processed);
    output_close(&samples);
    return status ? -1 : 0;
}
