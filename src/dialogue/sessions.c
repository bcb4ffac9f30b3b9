#include "dialogue/sessions.h"

#include "base/fail.h"
#include "base/memory.h"

char *session_name(const json_t *id)
{
    Bytes name = {0};
    if (json_is_string(id))
        bytes_append_text(&name, json_string_value(id));
    else
        bytes_print(&name, "%" JSON_INTEGER_FORMAT, json_integer_value(id));
    return name.data;
}

bool session_check(JsonlReader *reader, const json_t *record)
{
    const json_t *id = json_object_get(record, "session_id"),
                 *diagn = json_object_get(record, "diagn");
    const char *fault = messages_fault(json_object_get(record, "messages"));
    if (!json_is_integer(id) && !json_is_string(id))
        jsonl_reject(reader, "session_id %s",
                     id ? "is neither an integer nor a string" : "is missing");
    else if (diagn && !json_is_string(diagn) && !json_is_null(diagn))
        jsonl_reject(reader, "diagn is not a string");
    else if (fault)
        jsonl_reject(reader, "messages: %s", fault);
    else
        return true;
    return false;
}

// Takes over `record` if it becomes a session. `seen` maps names to line numbers: 7 and "7" would
// give the same cids, so they count as one.
static bool add_session(SessionSet *set, size_t *capacity, JsonlReader *reader, json_t *record,
                        json_t *seen)
{
    if (!session_check(reader, record))
        return false;
    json_t *id = json_object_get(record, "session_id");
    char *name = session_name(id);
    const json_t *before = json_object_get(seen, name);
    if (before) {
        jsonl_reject(reader, "session_id %s occurred before, in line %" JSON_INTEGER_FORMAT, name,
                     json_integer_value(before));
        release(name);
        return false;
    }
    json_object_set_new(seen, name, json_integer(jsonl_line(reader)));
    grow((void **)&set->sessions, capacity, (size_t)set->count + 1, sizeof *set->sessions);
    Session *session = &set->sessions[set->count++];
    *session = (Session){.record = record, .id = id, .name = name};
    session->messages =
        messages_borrow(json_object_get(record, "messages"), &session->message_count);
    return true;
}

int sessions_read(SessionSet *set, const char *path, bool skip_bad)
{
    *set = (SessionSet){0};
    JsonlReader *reader;
    if (jsonl_open(&reader, path))
        return -1;
    json_t *seen = json_object(), *record;
    size_t capacity = 0;
    int status;
    while ((status = jsonl_next(reader, &record)) == 1)
        if (!add_session(set, &capacity, reader, record, seen))
            json_decref(record);
    json_decref(seen);
    if (status)
        jsonl_abandon(reader);
    else
        status = jsonl_close(reader, skip_bad, &set->report);
    if (status)
        sessions_free(set);
    return status;
}

void sessions_free(SessionSet *set)
{
    for (int64_t i = 0; i < set->count; i++) {
        json_decref(set->sessions[i].record);
        release((void *)set->sessions[i].name);
        release((void *)set->sessions[i].messages);
    }
    release(set->sessions);
    *set = (SessionSet){0};
}
