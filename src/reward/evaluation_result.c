#include "reward/evaluation_result.h"

#include <stdbool.h>

#include "base/fail.h"
#include "files/atomic.h"
#include "input/json_file.h"

enum { FILE_LIMIT = 1 << 20 }; // bytes; what is written has less than 4 KiB

int evaluation_result_write(const char *path, const EvaluationResult *result)
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

// What is missing or of another kind makes the whole file unusable.
static double number(const json_t *value, bool *usable)
{
    *usable = *usable && json_is_number(value);
    return json_number_value(value);
}

static int64_t whole(const json_t *value, bool *usable)
{
    *usable = *usable && json_is_integer(value);
    return json_integer_value(value);
}

static bool read_result(const json_t *object, EvaluationResult *result)
{
    bool usable = true;
    for (int s = 0; s < SCORE_COUNT; s++) {
        const json_t *list = json_object_get(object, score_names[s]);
        result->scores.values[s] = (ScoreValue){.value = number(json_array_get(list, 0), &usable),
                                                .low = number(json_array_get(list, 1), &usable),
                                                .high = number(json_array_get(list, 2), &usable),
                                                .n = whole(json_array_get(list, 3), &usable)};
    }
    result->scores.rows = whole(json_object_get(object, "rows"), &usable);
    result->scores.ungraded = whole(json_object_get(object, "ungraded"), &usable);
    result->failures = whole(json_object_get(object, "failures"), &usable);
    result->scores.sessions = whole(json_object_get(object, "sessions"), &usable);
    result->expert_loss = number(json_object_get(object, "expert_loss"), &usable);
    result->expert_tokens = number(json_object_get(object, "expert_tokens"), &usable);
    result->response_tokens = number(json_object_get(object, "response_tokens"), &usable);
    result->seconds = number(json_object_get(object, "seconds"), &usable);
    return usable;
}

int evaluation_result_read(const char *path, EvaluationResult *result)
{
    json_t *object;
    *result = (EvaluationResult){0};
    if (json_file_read(path, FILE_LIMIT, &object) != 0)
        return -1;
    bool usable = read_result(object, result);
    json_decref(object);
    return usable ? 0 : fail(EXIT_BAD_DATA, "%s: is not the result of an evaluation", path);
}

static void print_value(Bytes *text, ScoreValue value)
{
    if (value.n == 0)
        bytes_print(text, "  %-28s", "n/a");
    else
        bytes_print(text, "  %5.3f [%5.3f, %5.3f] %6lld", value.value, value.low, value.high,
                    (long long)value.n);
}

void evaluation_result_print(const char *const *names, const EvaluationResult *results, int count,
                             Bytes *text)
{
    bytes_print(text, "%-33s", "metric [95 % interval] n");
    for (int r = 0; r < count; r++)
        bytes_print(text, "  %-28s", names[r]);
    bytes_append_text(text, "\n");
    for (int s = 0; s < SCORE_COUNT; s++) {
        bytes_print(text, "%-33s", score_names[s]);
        for (int r = 0; r < count; r++)
            print_value(text, results[r].scores.values[s]);
        bytes_append_text(text, "\n");
    }
    bytes_print(text, "%-33s", "expert_loss");
    for (int r = 0; r < count; r++)
        if (results[r].expert_tokens > 0)
            bytes_print(text, "  %-28.4f", results[r].expert_loss);
        else
            bytes_print(text, "  %-28s", "n/a");
    bytes_print(text, "\n%-33s", "response tokens (mean)");
    for (int r = 0; r < count; r++)
        if (results[r].response_tokens > 0)
            bytes_print(text, "  %-28.1f", results[r].response_tokens);
        else
            bytes_print(text, "  %-28s", "n/a"); // a served policy's are not told
    bytes_print(text, "\n%-33s", "responses");
    for (int r = 0; r < count; r++)
        bytes_print(text, "  %-28lld", (long long)results[r].scores.rows);
    bytes_print(text, "\n%-33s", "left out: no grade, no response");
    for (int r = 0; r < count; r++)
        bytes_print(text, "  %lld, %-25lld", (long long)results[r].scores.ungraded,
                    (long long)results[r].failures);
    bytes_append_text(text, "\n");
}
