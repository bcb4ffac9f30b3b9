#include "dialogue/samples.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "dialogue/labels.h"
#include "dialogue/sessions.h"

enum { ROUND_LIMIT = 1 << 14 }; // of the draws that rounds are indices of

typedef struct {
    SampleSet *set;
    size_t capacity;
    SampleOptions options;
    JsonlReader *reader;
    json_t *cids;     // cid -> line
    json_t *sessions; // type and text of the session id -> ordinal
    const char *user, *assistant;
} Builder;

static const char *role_text(Builder *builder, const char *role)
{
    if (strcmp(role, builder->user) == 0)
        return builder->user;
    if (strcmp(role, builder->assistant) == 0)
        return builder->assistant;
    return arena_text(builder->set->arena, role);
}

// Copies `count` messages; the texts of the first ones are shared with `before` as far as they are
// the same.
static const Message *copy_messages(Builder *builder, const json_t *list, int64_t count,
                                    const Sample *before)
{
    Message *copies = arena_take(builder->set->arena, (size_t)count * sizeof *copies);
    bool same = before;
    for (int64_t i = 0; i < count; i++) {
        const json_t *message = json_array_get(list, (size_t)i);
        Message read = {.role = json_string_value(json_object_get(message, "role")),
                        .content = json_string_value(json_object_get(message, "content"))};
        // cppcheck-suppress nullPointer; not without one before
        same = same && i < before->message_count && message_equal(&before->messages[i], &read);
        if (same)
            copies[i] = before->messages[i];
        else
            copies[i] = (Message){.role = role_text(builder, read.role),
                                  .content = arena_text(builder->set->arena, read.content)};
    }
    return copies;
}

static const Sample *last_sample(const Builder *builder)
{
    return builder->set->count ? &builder->set->samples[builder->set->count - 1] : NULL;
}

static int64_t session_ordinal(Builder *builder, const json_t *id)
{
    char *name = session_name(id);
    Bytes key = {0};
    bytes_print(&key, "%c%s", json_is_string(id) ? 's' : 'i', name);
    const json_t *known = json_object_get(builder->sessions, key.data);
    int64_t ordinal = known ? json_integer_value(known) : builder->set->session_count++;
    if (!known)
        json_object_set_new(builder->sessions, key.data, json_integer(ordinal));
    release(name);
    bytes_free(&key);
    return ordinal;
}

// N of "{session_id}_N", or 0.
static int64_t round_of_cid(const char *cid, const json_t *id)
{
    char *name = session_name(id);
    size_t length = strlen(name);
    int64_t round = 0;
    if (strncmp(cid, name, length) == 0 && cid[length] == '_') {
        const char *digits = cid + length + 1;
        size_t count = strspn(digits, "0123456789");
        if (count >= 1 && count <= 5 && digits[count] == 0 && digits[0] != '0')
            round = strtol(digits, NULL, 10);
    }
    release(name);
    return round < ROUND_LIMIT ? round : 0;
}

static void set_items(Builder *builder, Sample *sample, json_t *items)
{
    size_t count = json_array_size(items);
    const char **texts = arena_take(builder->set->arena, count * sizeof *texts);
    for (size_t i = 0; i < count; i++)
        texts[i] = arena_text(builder->set->arena, json_string_value(json_array_get(items, i)));
    char *joined = labels_join(items);
    sample->items = texts;
    sample->item_count = (int64_t)count;
    sample->info_truth = arena_text(builder->set->arena, joined);
    release(joined);
}

static void set_expert(Builder *builder, Sample *sample, const json_t *future)
{
    if (sample->truth == TRUTH_STOP) {
        Message *stop = arena_take(builder->set->arena, sizeof *stop);
        *stop = (Message){.role = builder->assistant, .content = STOP_TEXT};
        sample->expert = stop;
        sample->expert_count = 1;
    } else if (future) {
        int64_t count;
        Message *messages = messages_borrow(future, &count);
        sample->expert_count = messages_assistant_run(messages, count);
        sample->expert = copy_messages(builder, future, sample->expert_count, NULL);
        release(messages);
    }
}

// Takes over `record`.
static void keep(Builder *builder, json_t *record, const Labels *labels)
{
    SampleSet *set = builder->set;
    const json_t *messages = json_object_get(record, "messages");
    const char *diagn = json_string_value(json_object_get(record, "diagn"));
    Sample sample = {
        .cid = json_string_value(json_object_get(record, "cid")),
        .diagn = diagn ? diagn : "",
        .record = record,
        .session_id = json_object_get(record, "session_id"),
        .truth = labels->truth,
        .message_count = (int64_t)json_array_size(messages),
    };
    sample.messages = copy_messages(builder, messages, sample.message_count, last_sample(builder));
    sample.session = session_ordinal(builder, sample.session_id);
    sample.round = round_of_cid(sample.cid, sample.session_id);
    set_items(builder, &sample, labels->items);
    set_expert(builder, &sample, labels->future);
    json_object_del(record, "messages");
    json_object_del(record, "remaining_chat");
    grow((void **)&set->samples, &builder->capacity, (size_t)set->count + 1, sizeof sample);
    set->samples[set->count++] = sample;
    set->counts.kept++;
    set->counts.kept_continue += sample.truth == TRUTH_CONTINUE;
    set->counts.kept_stop += sample.truth == TRUTH_STOP;
    set->counts.speechless += sample.expert_count == 0;
}

const char *sample_rejected(const Sample *sample)
{
    return json_string_value(json_object_get(sample->record, "rejected"));
}

static bool is_new(Builder *builder, const json_t *record)
{
    const char *cid = json_string_value(json_object_get(record, "cid"));
    const json_t *before = json_object_get(builder->cids, cid);
    if (before) {
        jsonl_reject(builder->reader, "cid %s occurred before, in line %" JSON_INTEGER_FORMAT, cid,
                     json_integer_value(before));
        return false;
    }
    json_object_set_new(builder->cids, cid, json_integer(jsonl_line(builder->reader)));
    return true;
}

// Takes over `record`.
static void add_record(Builder *builder, json_t *record)
{
    SampleCounts *counts = &builder->set->counts;
    Labels labels = {0};
    if (labels_read(&labels, record, builder->reader) && is_new(builder, record)) {
        bool empty = labels.truth == TRUTH_CONTINUE && json_array_size(labels.items) == 0;
        if (labels.failed && !builder->options.keep_empty)
            counts->dropped_failed++;
        else if (empty && !builder->options.keep_empty)
            counts->dropped_empty++;
        else
            keep(builder, json_incref(record), &labels);
    }
    labels_free(&labels);
    json_decref(record);
}

// Takes over `session`: a line without cid is a session, whose rounds have no known facts.
static void add_session(Builder *builder, json_t *session)
{
    if (session_check(builder->reader, session)) {
        int64_t message_count, count;
        Message *messages = messages_borrow(json_object_get(session, "messages"), &message_count);
        Round *rounds = rounds_cut(messages, message_count, (RoundsCompat){0}, &count);
        char *name = session_name(json_object_get(session, "session_id"));
        for (int64_t i = 0; i < count; i++)
            add_record(builder, rounds_record(session, name, rounds[i]));
        release(name);
        release(rounds);
        release(messages);
    }
    json_decref(session);
}

// A session whose cids do not all tell a round gets 1, 2, ... in file order.
static int number_rounds(SampleSet *set)
{
    bool *told = allocate((size_t)set->session_count, sizeof *told);
    int64_t *next = allocate((size_t)set->session_count, sizeof *next);
    memset(told, true, (size_t)set->session_count * sizeof *told);
    for (int64_t i = 0; i < set->count; i++)
        told[set->samples[i].session] &= set->samples[i].round > 0;
    int status = 0;
    for (int64_t i = 0; i < set->count && !status; i++) {
        Sample *sample = &set->samples[i];
        if (!told[sample->session])
            sample->round = ++next[sample->session];
        if (sample->round >= ROUND_LIMIT)
            status = fail(EXIT_BAD_DATA, "the session of sample %s has more than %d samples",
                          sample->cid, ROUND_LIMIT - 1);
    }
    release(told);
    release(next);
    return status;
}

static bool goes_on(const Sample *before, const Sample *sample)
{
    if (before->session != sample->session || before->message_count > sample->message_count)
        return false;
    // copy_messages shares the texts of a common beginning, so pointers tell.
    for (int64_t i = 0; i < before->message_count; i++)
        if (before->messages[i].content != sample->messages[i].content)
            return false;
    return true;
}

static void group_samples(SampleSet *set)
{
    set->groups = allocate((size_t)set->count, sizeof *set->groups);
    for (int64_t i = 0; i < set->count; i++) {
        const Sample *sample = &set->samples[i];
        if (i == 0 || !goes_on(&set->samples[i - 1], sample))
            set->groups[set->group_count++].first_sample = i;
        SessionGroup *group = &set->groups[set->group_count - 1];
        group->sample_count++;
        group->messages = sample->messages;
        group->message_count = sample->message_count;
    }
    for (int64_t g = 0; g < set->group_count; g++)
        for (int64_t i = 0; i < set->groups[g].sample_count; i++)
            set->samples[set->groups[g].first_sample + i].messages = set->groups[g].messages;
}

static int read_lines(Builder *builder)
{
    json_t *line;
    int status;
    while ((status = jsonl_next(builder->reader, &line)) == 1) {
        if (json_object_get(line, "cid") || !json_object_get(line, "messages"))
            add_record(builder, line);
        else
            add_session(builder, line);
    }
    JsonlReport report = {0};
    if (status)
        jsonl_abandon(builder->reader);
    else
        status = jsonl_close(builder->reader, builder->options.skip_bad, &report);
    builder->set->counts.bad = report.bad;
    return status;
}

int samples_read(SampleSet *set, const char *path, SampleOptions options)
{
    *set = (SampleSet){0};
    Builder builder = {.set = set, .options = options, .user = "user", .assistant = "assistant"};
    if (jsonl_open(&builder.reader, path))
        return -1;
    set->arena = arena_make();
    builder.cids = json_object();
    builder.sessions = json_object();
    int status = read_lines(&builder);
    json_decref(builder.cids);
    json_decref(builder.sessions);
    if (!status && set->count == 0) {
        Bytes counts = {0};
        samples_describe(set, &counts);
        status = fail(EXIT_BAD_DATA, "%s: no sample is left to work with: %s", path, counts.data);
        bytes_free(&counts);
    }
    if (!status)
        status = number_rounds(set);
    if (status)
        samples_free(set);
    else
        group_samples(set);
    return status;
}

void samples_free(SampleSet *set)
{
    for (int64_t i = 0; i < set->count; i++)
        json_decref(set->samples[i].record);
    release(set->samples);
    release(set->groups);
    arena_free(set->arena);
    *set = (SampleSet){0};
}

void samples_describe(const SampleSet *set, Bytes *text)
{
    const SampleCounts *counts = &set->counts;
    bytes_print(text,
                "%lld samples (%lld continue, %lld stop) of %lld sessions; dropped %lld without "
                "facts, %lld whose extraction failed, %lld bad lines",
                (long long)counts->kept, (long long)counts->kept_continue,
                (long long)counts->kept_stop, (long long)set->session_count,
                (long long)counts->dropped_empty, (long long)counts->dropped_failed,
                (long long)counts->bad);
    if (counts->speechless > 0)
        bytes_print(text, "; %lld do not tell what the expert said next",
                    (long long)counts->speechless);
}
