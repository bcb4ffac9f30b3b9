#include "dialogue/rounds.h"

#include <string.h>

#include "base/fail.h"
#include "base/memory.h"

static int64_t last_user(const Message *messages, int64_t count)
{
    int64_t last = count - 1;
    while (last >= 0 && !message_is_user(&messages[last]))
        last--;
    return last;
}

Round *rounds_cut(const Message *messages, int64_t message_count, RoundsCompat compat,
                  int64_t *round_count)
{
    Round *rounds = NULL;
    size_t capacity = 0, count = 0;
    int64_t last = last_user(messages, message_count), cursor = 0;
    while (cursor < message_count && (cursor <= last || compat.trailing_round)) {
        int64_t start = cursor;
        while (cursor < message_count && !message_is_user(&messages[cursor]))
            cursor++;
        while (cursor < message_count && message_is_user(&messages[cursor]))
            cursor++;
        grow((void **)&rounds, &capacity, count + 1, sizeof *rounds);
        rounds[count] = (Round){.first = compat.round_context ? start : 0,
                                .end = cursor,
                                .number = (int64_t)count + 1,
                                .truth = cursor <= last ? TRUTH_CONTINUE : TRUTH_STOP};
        count++;
    }
    *round_count = (int64_t)count;
    return rounds;
}

static json_t *slice(const json_t *list, int64_t first, int64_t end)
{
    json_t *part = json_array();
    for (int64_t i = first; i < end; i++)
        json_array_append(part, json_array_get(list, (size_t)i));
    return part;
}

json_t *rounds_record(const json_t *session, const char *name, Round round)
{
    const json_t *messages = json_object_get(session, "messages");
    json_t *record = json_object(), *diagn = json_object_get(session, "diagn");
    json_object_set_new(record, "cid",
                        json_sprintf("%s_%" JSON_INTEGER_FORMAT, name, (json_int_t)round.number));
    json_object_set(record, "session_id", json_object_get(session, "session_id"));
    json_object_set_new(record, "diagn",
                        json_is_string(diagn) ? json_incref(diagn) : json_string(""));
    json_object_set_new(record, "messages", slice(messages, round.first, round.end));
    json_object_set_new(record, "remaining_chat",
                        slice(messages, round.end, (int64_t)json_array_size(messages)));
    json_object_set_new(record, "decision_truth", json_string(truth_name(round.truth)));
    json_object_update_missing(record, (json_t *)session);
    return record;
}

const char *truth_name(Truth truth)
{
    return truth == TRUTH_STOP ? "stop" : "continue";
}

bool truth_parse(const char *name, Truth *truth)
{
    *truth = strcmp(name, "stop") == 0 ? TRUTH_STOP : TRUTH_CONTINUE;
    return strcmp(name, truth_name(*truth)) == 0;
}
