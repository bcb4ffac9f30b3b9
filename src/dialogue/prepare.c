#include "dialogue/prepare.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "dialogue/labels.h"
#include "dialogue/sessions.h"

typedef struct {
    PreparedSet *set;
    size_t capacity;
    RoundsCompat compat;
    JsonlReader *reader;
    json_t *seen; // cids, and names of sessions -> line
} Reading;

const char *prepare_cid(const PreparedRound *round)
{
    return json_string_value(json_object_get(round->record, "cid"));
}

Message *prepare_future(const PreparedRound *round, int64_t *count)
{
    return messages_borrow(json_object_get(round->record, "remaining_chat"), count);
}

static bool future_is_empty(const PreparedRound *round)
{
    return json_array_size(json_object_get(round->record, "remaining_chat")) == 0;
}

void prepare_set_info(PreparedSet *set, int64_t round, json_t *info)
{
    PreparedRound *changed = &set->rounds[round];
    json_decref(changed->info);
    changed->info = json_incref(info);
    changed->info_state = info ? INFO_KNOWN : INFO_FAILED;
}

// Takes over `record`. Nothing can be collected from an empty future: no one is asked about it.
static PreparedRound *add_round(Reading *reading, json_t *record, Truth truth)
{
    PreparedSet *set = reading->set;
    grow((void **)&set->rounds, &reading->capacity, (size_t)set->count + 1, sizeof *set->rounds);
    PreparedRound *round = &set->rounds[set->count++];
    *round = (PreparedRound){.record = record, .truth = truth};
    if (future_is_empty(round)) {
        round->info = json_array();
        round->info_state = INFO_KNOWN;
    }
    return round;
}

static bool is_new(Reading *reading, const char *what, const char *name)
{
    Bytes key = {0};
    bytes_print(&key, "%s %s", what, name);
    const json_t *before = json_object_get(reading->seen, key.data);
    if (before)
        jsonl_reject(reading->reader, "%s occurred before, in line %" JSON_INTEGER_FORMAT, key.data,
                     json_integer_value(before));
    else
        json_object_set_new(reading->seen, key.data, json_integer(jsonl_line(reading->reader)));
    bytes_free(&key);
    return !before;
}

static void add_session(Reading *reading, const json_t *session)
{
    if (!session_check(reading->reader, session))
        return;
    char *name = session_name(json_object_get(session, "session_id"));
    if (is_new(reading, "session_id", name)) {
        int64_t message_count, count;
        Message *messages = messages_borrow(json_object_get(session, "messages"), &message_count);
        Round *rounds = rounds_cut(messages, message_count, reading->compat, &count);
        for (int64_t i = 0; i < count; i++)
            add_round(reading, rounds_record(session, name, rounds[i]), rounds[i].truth);
        reading->set->counts.sessions++;
        release(rounds);
        release(messages);
    }
    release(name);
}

// A line of the processed form: its decision is made anew, on roles.
static void add_processed(Reading *reading, json_t *record)
{
    Labels labels = {0};
    if (!labels_read(&labels, record, reading->reader) ||
        !is_new(reading, "cid", json_string_value(json_object_get(record, "cid")))) {
        labels_free(&labels);
        return;
    }
    if (!labels.future) {
        jsonl_reject(reading->reader, "remaining_chat is missing: this is the final form");
        labels_free(&labels);
        return;
    }
    Truth truth = labels_truth(labels.future);
    reading->set->counts.changed_decisions += truth != labels.truth;
    json_t *copy = json_copy(record);
    json_object_set(copy, "remaining_chat", labels.future);
    json_object_set_new(copy, "decision_truth", json_string(truth_name(truth)));
    if (!json_is_string(json_object_get(copy, "diagn")))
        json_object_set_new(copy, "diagn", json_string(""));
    json_object_del(copy, "info_set");
    json_object_del(copy, "info_truth");
    add_round(reading, copy, truth);
    if (labels.known)
        prepare_set_info(reading->set, reading->set->count - 1,
                         labels.failed ? NULL : labels.items);
    labels_free(&labels);
}

static int read_input(Reading *reading, const PrepareSettings *settings)
{
    json_t *line;
    JsonlReport report;
    int status;
    if (jsonl_open(&reading->reader, settings->input))
        return -1;
    while ((status = jsonl_next(reading->reader, &line)) == 1) {
        if (json_object_get(line, "cid"))
            add_processed(reading, line);
        else
            add_session(reading, line);
        json_decref(line);
    }
    if (status) {
        jsonl_abandon(reading->reader);
        return status;
    }
    status = jsonl_close(reading->reader, settings->skip_bad, &report);
    reading->set->counts.bad_lines = report.bad;
    return status;
}

// A later line about the same round wins: a rerun appends.
static void add_label(PreparedSet *set, JsonlReader *reader, const json_t *rounds, json_t *label)
{
    const char *cid = json_string_value(json_object_get(label, "cid"));
    json_t *info = json_object_get(label, "info_set");
    const json_t *round = cid ? json_object_get(rounds, cid) : NULL;
    if (!cid)
        jsonl_reject(reader, "cid is missing or not a string");
    else if (!json_is_null(info) && !labels_are_strings(info))
        jsonl_reject(reader, "info_set is missing or not a list of strings");
    else if (!round)
        set->counts.unused_labels++;
    else
        prepare_set_info(set, json_integer_value(round), json_is_null(info) ? NULL : info);
}

static int read_labels(PreparedSet *set, const PrepareSettings *settings)
{
    JsonlReader *reader;
    JsonlReport report;
    json_t *line;
    int status;
    if (jsonl_open(&reader, settings->labels))
        return -1;
    json_t *rounds = json_object();
    for (int64_t i = 0; i < set->count; i++)
        json_object_set_new(rounds, prepare_cid(&set->rounds[i]), json_integer(i));
    while ((status = jsonl_next(reader, &line)) == 1) {
        add_label(set, reader, rounds, line);
        json_decref(line);
    }
    json_decref(rounds);
    if (status) {
        jsonl_abandon(reader);
        return status;
    }
    status = jsonl_close(reader, settings->skip_bad, &report);
    set->counts.bad_lines += report.bad;
    return status;
}

int prepare_read(PreparedSet *set, const PrepareSettings *settings)
{
    *set = (PreparedSet){0};
    Reading reading = {.set = set, .compat = settings->compat, .seen = json_object()};
    int status = read_input(&reading, settings);
    json_decref(reading.seen);
    if (!status && set->count == 0)
        status = fail(EXIT_BAD_DATA, "%s: no session has a user message: nothing to prepare",
                      settings->input);
    if (!status && settings->labels)
        status = read_labels(set, settings);
    if (status)
        prepare_free(set);
    return status;
}

void prepare_free(PreparedSet *set)
{
    for (int64_t i = 0; i < set->count; i++) {
        json_decref(set->rounds[i].record);
        json_decref(set->rounds[i].info);
    }
    release(set->rounds);
    *set = (PreparedSet){0};
}

void prepare_describe(const PrepareCounts *counts, Bytes *text)
{
    const struct {
        const char *name;
        int64_t count;
        bool always;
    } lines[] = {
        {"sessions", counts->sessions, false},
        {"rounds", counts->rounds, true},
        {"  continue", counts->continues, true},
        {"  stop", counts->stops, true},
        {"rounds with info_set", counts->labelled, true},
        {"rounds without info_set", counts->unlabelled, true},
        {"rounds whose extraction failed", counts->failed, true},
        {"samples", counts->samples, true},
        {"  continue", counts->sample_continues, true},
        {"  stop", counts->samples - counts->sample_continues, true},
        {"dropped: continue without facts", counts->dropped_empty, true},
        {"dropped: extraction failed", counts->dropped_failed, true},
        {"bad lines skipped", counts->bad_lines, true},
        {"labels of no round", counts->unused_labels, false},
        {"decisions corrected", counts->changed_decisions, false},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (lines[i].always || lines[i].count)
            bytes_print(text, "%s: %lld\n", lines[i].name, (long long)lines[i].count);
}
