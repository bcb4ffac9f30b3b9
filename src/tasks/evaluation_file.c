#include "tasks/evaluation_file.h"

#include <jansson.h>

#include "base/fail.h"
#include "files/atomic.h"

int evaluation_file_write(const char *path, const EvaluationResult *result)
{
    Bytes text = {0};
    bytes_append_text(&text, "{\n");
    for (int s = 0; s < SCORE_COUNT; s++) {
        const ScoreValue *value = &result->scores.values[s];
        bytes_print(&text, "  \"%s\": [%.17g, %.17g, %.17g, %lld],\n", score_names[s], value->value,
                    value->low, value->high, (long long)value->n);
    }
    bytes_print(
        &text,
        "  \"rows\": %lld,\n  \"ungraded\": %lld,\n  \"failures\": %lld,\n  \"sessions\": %lld,\n"
        "  \"expert_loss\": %.17g,\n  \"expert_tokens\": %.17g,\n"
        "  \"response_tokens\": %.17g,\n  \"seconds\": %.3f\n}\n",
        (long long)result->scores.rows, (long long)result->scores.ungraded,
        (long long)result->failures, (long long)result->scores.sessions, result->expert_loss,
        result->expert_tokens, result->response_tokens, result->seconds);
    int status = atomic_write_file(path, text.data, text.length);
    bytes_free(&text);
    return status;
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

int evaluation_file_read(const char *path, EvaluationResult *result)
{
    json_error_t error;
    json_t *object = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    *result = (EvaluationResult){0};
    if (!object)
        return fail(EXIT_NO_INPUT, "%s: %s", path, error.text);
    for (int s = 0; s < SCORE_COUNT; s++) {
        const json_t *list = json_object_get(object, score_names[s]);
        result->scores.values[s] =
            (ScoreValue){.value = json_number_value(json_array_get(list, 0)),
                         .low = json_number_value(json_array_get(list, 1)),
                         .high = json_number_value(json_array_get(list, 2)),
                         .n = (int64_t)json_number_value(json_array_get(list, 3))};
    }
    result->scores.rows = (int64_t)number(object, "rows");
    result->scores.ungraded = (int64_t)number(object, "ungraded");
    result->failures = (int64_t)number(object, "failures");
    result->scores.sessions = (int64_t)number(object, "sessions");
    result->expert_loss = number(object, "expert_loss");
    result->expert_tokens = number(object, "expert_tokens");
    result->response_tokens = number(object, "response_tokens");
    result->seconds = number(object, "seconds");
    json_decref(object);
    return 0;
}
