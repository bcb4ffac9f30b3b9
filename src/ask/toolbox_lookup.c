// toolbox_lookup.c - a look-up in a local file of knowledge.

#include <stdlib.h>
#include <string.h>

#include "ask/toolbox_kinds.h"
#include "base/fail.h"
#include "input/jsonl.h"

static bool add_entry(Knowledge *knowledge, const json_t *line)
{
    const char *title = json_string_value(json_object_get(line, "title"));
    const char *text = json_string_value(json_object_get(line, "text"));
    if (!title || !text)
        return false;
    grow((void **)&knowledge->entries, &knowledge->capacity, (size_t)knowledge->count + 1,
         sizeof *knowledge->entries);
    Entry *entry = &knowledge->entries[knowledge->count++];
    Bytes joined = {0};
    bytes_print(&joined, "%s: %s", title, text);
    *entry = (Entry){.text = joined.data};
    stems_add(&entry->stems, joined.data, joined.length);
    stem_weights_count(&knowledge->weights, &entry->stems);
    return true;
}

Knowledge *knowledge_open(const char *path)
{
    JsonlReader *reader;
    json_t *line;
    int status;
    if (jsonl_open(&reader, path) != 0)
        return NULL;
    Knowledge *knowledge = allocate(1, sizeof *knowledge);
    while ((status = jsonl_next(reader, &line)) == 1) {
        if (!add_entry(knowledge, line))
            jsonl_reject(reader, "title or text is missing or not a string");
        json_decref(line);
    }
    if (status == 0)
        status = jsonl_close(reader, false, NULL);
    else
        jsonl_abandon(reader);
    if (status == 0 && knowledge->count == 0)
        status = fail(EXIT_BAD_DATA, "%s: holds no entry", path);
    if (status == 0)
        return knowledge;
    knowledge_close(knowledge);
    return NULL;
}

void knowledge_close(Knowledge *knowledge)
{
    if (!knowledge)
        return;
    for (int64_t i = 0; i < knowledge->count; i++) {
        release(knowledge->entries[i].text);
        stems_free(&knowledge->entries[i].stems);
    }
    release(knowledge->entries);
    stem_weights_free(&knowledge->weights);
    release(knowledge);
}

typedef struct {
    double score;
    int64_t entry;
} Ranked;

static int by_score(const void *left, const void *right)
{
    const Ranked *a = left, *b = right;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->entry < b->entry ? -1 : a->entry > b->entry;
}

bool tool_run_lookup(const Tool *tool, const json_t *arguments, Bytes *result)
{
    const Knowledge *knowledge = tool->knowledge;
    const char *query = json_string_value(json_object_get(arguments, "query"));
    if (!query) {
        bytes_append_text(result, "error: the argument query is missing or not a string");
        return false;
    }
    StemSet stems = {0};
    stems_add(&stems, query, strlen(query));
    Ranked *ranked = allocate((size_t)knowledge->count, sizeof *ranked);
    for (int64_t i = 0; i < knowledge->count; i++)
        ranked[i] = (Ranked){
            stem_weights_overlap(&knowledge->weights, &stems, &knowledge->entries[i].stems), i};
    qsort(ranked, (size_t)knowledge->count, sizeof *ranked, by_score);
    for (int64_t i = 0; i < knowledge->count && i < tool->results && ranked[i].score > 0; i++)
        bytes_print(result, "%s%s", i ? "\n" : "", knowledge->entries[ranked[i].entry].text);
    if (result->length == 0)
        bytes_append_text(result, "nothing found");
    release(ranked);
    stems_free(&stems);
    return true;
}
