#include "tasks/responses.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "input/jsonl.h"
#include "input/utf8.h"

static void append_text(Bytes *line, const char *key, const char *text, size_t length)
{
    Bytes repaired = {0};
    bytes_append(&repaired, "", 0);
    utf8_append_repaired(&repaired, text, length);
    bytes_print(line, "\"%s\": ", key);
    jsonl_append_string(line, repaired.data);
    bytes_free(&repaired);
}

// A judge may have said what no float holds: JSON has no word for it.
static void append_score(Bytes *line, const char *key, float score)
{
    bytes_print(line, ", \"%s\": ", key);
    if (isfinite(score))
        bytes_print(line, "%.9g", (double)score);
    else
        bytes_append_text(line, "null");
}

void response_append_fields(const Sample *sample, const Branch *branch, Bytes *line)
{
    bytes_append_text(line, "\"cid\": ");
    jsonl_append_string(line, sample->cid);
    bytes_print(line, ", \"repeat\": %d, \"decision_truth\": \"%s\", ", branch->repeat,
                truth_name(sample->truth));
    append_text(line, "response", branch->text.data, branch->text.length);
    bytes_print(line, ", \"tokens\": %d, \"finished\": %s, \"graded\": %s", branch->count,
                branch->finished ? "true" : "false", branch->graded ? "true" : "false");
    append_score(line, "decision", branch->decision);
    append_score(line, "content", branch->content);
    append_score(line, "format", branch->format);
    append_score(line, "reward", branch->reward);
    if (branch->earlier.length > 0) {
        bytes_append_text(line, ", ");
        append_text(line, "earlier", branch->earlier.data, branch->earlier.length);
    }
    if (branch->verdict) {
        bytes_append_text(line, ", ");
        append_text(line, "verdict", branch->verdict, strlen(branch->verdict));
    }
}

static void put(ResponseList *list, Response response)
{
    grow((void **)&list->list, &list->capacity, (size_t)list->count + 1, sizeof *list->list);
    response.order = list->count;
    list->list[list->count++] = response;
}

static void add_branch(ResponseList *list, const SampleSet *set, const Branch *branch)
{
    const Sample *sample = &set->samples[branch->sample];
    Bytes line = {0};
    bytes_append_text(&line, "{");
    response_append_fields(sample, branch, &line);
    bytes_append_text(&line, branch->missing    ? ", \"failed\": true}"
                             : branch->unjudged ? ", \"unjudged\": true}"
                                                : "}");
    put(list,
        (Response){.sample = branch->sample,
                   .repeat = branch->repeat,
                   .tokens = branch->count,
                   .stops = reward_stops(branch->text.data, branch->text.length),
                   .failed = branch->missing != 0,
                   .unjudged = branch->unjudged != 0,
                   .grade = {(double)branch->decision, (double)branch->content,
                             (double)branch->format, (double)branch->reward, branch->graded != 0},
                   .line = line.data});
}

void responses_add_trees(ResponseList *list, const SampleSet *set, const TreeList *trees)
{
    for (int64_t t = 0; t < trees->count; t++)
        for (int32_t b = 0; b < trees->trees[t].branch_count; b++)
            add_branch(list, set, &trees->trees[t].branches[b]);
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

bool responses_add_line(ResponseList *list, const json_t *samples, const char *line, size_t length)
{
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
    const char *cid = json_string_value(json_object_get(object, "cid"));
    const json_t *text = json_object_get(object, "response");
    const json_t *sample = cid ? json_object_get(samples, cid) : NULL;
    if (sample && json_is_string(text)) {
        Bytes copy = {0};
        bytes_append(&copy, line, length);
        put(list,
            (Response){.sample = json_integer_value(sample),
                       .repeat = (int32_t)number(object, "repeat"),
                       .tokens = (int32_t)number(object, "tokens"),
                       .stops = reward_stops(json_string_value(text), json_string_length(text)),
                       .failed = json_is_true(json_object_get(object, "failed")),
                       .grade = {number(object, "decision"), number(object, "content"),
                                 number(object, "format"), number(object, "reward"),
                                 json_is_true(json_object_get(object, "graded"))},
                       .line = copy.data});
    }
    bool added = sample && json_is_string(text);
    json_decref(object);
    return added;
}

void responses_copy(ResponseList *list, const ResponseList *from)
{
    for (int64_t i = 0; i < from->count; i++) {
        Response copy = from->list[i];
        copy.line = duplicate(copy.line);
        put(list, copy);
    }
}

static bool is_same(const Response *a, const Response *b)
{
    return a->sample == b->sample && a->repeat == b->repeat;
}

static int by_place(const void *left, const void *right)
{
    const Response *a = left, *b = right;
    if (a->sample != b->sample)
        return a->sample < b->sample ? -1 : 1;
    if (a->repeat != b->repeat)
        return a->repeat < b->repeat ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

void responses_sort(ResponseList *list)
{
    int64_t kept = 0;
    if (list->count > 0)
        qsort(list->list, (size_t)list->count, sizeof *list->list, by_place);
    for (int64_t i = 0; i < list->count; i++) {
        if (kept > 0 && is_same(&list->list[kept - 1], &list->list[i]))
            release(list->list[i].line);
        else
            list->list[kept++] = list->list[i];
    }
    list->count = kept;
}

void responses_free(ResponseList *list)
{
    for (int64_t i = 0; i < list->count; i++)
        release(list->list[i].line);
    release(list->list);
    *list = (ResponseList){0};
}

Scores responses_score(const ResponseList *list, const SampleSet *set, int resamples, uint64_t seed)
{
    ScoreRow *rows = allocate((size_t)list->count, sizeof *rows);
    for (int64_t i = 0; i < list->count; i++) {
        const Response *response = &list->list[i];
        const Sample *sample = &set->samples[response->sample];
        rows[i] = (ScoreRow){.session = sample->session,
                             .truth = sample->truth,
                             .stops = response->stops,
                             .grade = response->grade};
        rows[i].grade.graded = response->grade.graded && !response->failed;
    }
    Scores scores = score_rows(rows, list->count, resamples, seed);
    release(rows);
    return scores;
}
