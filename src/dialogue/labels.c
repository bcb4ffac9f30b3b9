#include "dialogue/labels.h"

#include <string.h>

#include "base/memory.h"
#include "dialogue/sessions.h"

bool labels_are_strings(const json_t *value)
{
    if (!json_is_array(value))
        return false;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_is_string(json_array_get(value, i)))
            return false;
    return true;
}

char *labels_join(const json_t *items)
{
    Bytes joined = {0};
    bytes_append_text(&joined, "");
    for (size_t i = 0; i < json_array_size(items); i++) {
        bytes_append_text(&joined, i ? ", " : "");
        bytes_append_text(&joined, json_string_value(json_array_get(items, i)));
    }
    return joined.data;
}

static json_t *split(const char *info_truth)
{
    json_t *items = json_array();
    while (*info_truth) {
        const char *end = strstr(info_truth, ", ");
        size_t length = end ? (size_t)(end - info_truth) : strlen(info_truth);
        if (length > 0)
            json_array_append_new(items, json_stringn(info_truth, length));
        info_truth += end ? length + 2 : length;
    }
    return items;
}

// NULL, or why the line's facts cannot be used.
static const char *read_info(Labels *labels, const json_t *record)
{
    json_t *set = json_object_get(record, "info_set");
    const json_t *truth = json_object_get(record, "info_truth");
    if (truth && !json_is_string(truth) && !json_is_null(truth))
        return "info_truth is not a string";
    if (set && !json_is_null(set) && !labels_are_strings(set))
        return "info_set is not a list of strings";
    labels->known = set || json_is_string(truth);
    labels->failed = json_is_null(set);
    if (set && !labels->failed)
        labels->items = json_incref(set);
    else
        labels->items = split(json_is_string(truth) && !set ? json_string_value(truth) : "");
    return NULL;
}

static const char *read_future(Labels *labels, const json_t *record)
{
    json_t *chat = json_object_get(record, "remaining_chat");
    if (json_is_string(chat)) {
        labels->future = messages_from_text(json_string_value(chat));
        return labels->future ? NULL : "does not begin with \"user: \" or \"assistant: \"";
    }
    if (chat && messages_fault(chat))
        return messages_fault(chat);
    labels->future = json_incref(chat);
    return NULL;
}

Truth labels_truth(const json_t *future)
{
    int64_t count, users = 0;
    Message *messages = messages_borrow(future, &count);
    for (int64_t i = 0; i < count; i++)
        users += message_is_user(&messages[i]);
    release(messages);
    return users ? TRUTH_CONTINUE : TRUTH_STOP;
}

static const char *read_truth(Labels *labels, const json_t *record)
{
    const json_t *truth = json_object_get(record, "decision_truth");
    if (json_is_string(truth) && truth_parse(json_string_value(truth), &labels->truth))
        return NULL;
    if (truth)
        return "decision_truth is neither \"continue\" nor \"stop\"";
    if (!labels->future)
        return "decision_truth is missing";
    labels->truth = labels_truth(labels->future);
    return NULL;
}

bool labels_read(Labels *labels, const json_t *record, JsonlReader *reader)
{
    const char *fault;
    *labels = (Labels){0};
    if (!json_is_string(json_object_get(record, "cid"))) {
        jsonl_reject(reader, "cid %s",
                     json_object_get(record, "cid") ? "is not a string" : "is missing");
        return false;
    }
    if (!session_check(reader, record))
        return false;
    if ((fault = read_future(labels, record))) {
        jsonl_reject(reader, "remaining_chat: %s", fault);
        return false;
    }
    if ((fault = read_info(labels, record)) || (fault = read_truth(labels, record))) {
        jsonl_reject(reader, "%s", fault);
        return false;
    }
    return true;
}

void labels_free(Labels *labels)
{
    json_decref(labels->items);
    json_decref(labels->future);
    *labels = (Labels){0};
}
