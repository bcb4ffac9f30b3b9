#include "dialogue/stem_weights.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/mathematics.h"
#include "base/memory.h"
#include "files/atomic.h"
#include "input/json_file.h"
#include "input/jsonl.h"

enum { LEAST_CAPACITY = 64 };

static size_t hash(Stem stem)
{
    uint64_t mixed = 0;
    for (int i = 0; i < 3; i++) {
        mixed = (mixed ^ stem.part[i]) * 0x9E3779B97F4A7C15u;
        mixed ^= mixed >> 29;
    }
    return (size_t)mixed;
}

// The slot that holds `stem`, or the free one where it belongs.
static StemFrequency *slot_of(const StemWeights *weights, Stem stem)
{
    size_t at = hash(stem) & (weights->capacity - 1);
    while (weights->table[at].documents && stem_compare(&weights->table[at].stem, &stem) != 0)
        at = (at + 1) & (weights->capacity - 1);
    return &weights->table[at];
}

static void make_room(StemWeights *weights)
{
    if (weights->count * 2 < weights->capacity)
        return;
    StemWeights larger = *weights;
    larger.capacity = weights->capacity ? weights->capacity * 2 : LEAST_CAPACITY;
    larger.table = allocate(larger.capacity, sizeof *larger.table);
    for (size_t i = 0; i < weights->capacity; i++)
        if (weights->table[i].documents)
            *slot_of(&larger, weights->table[i].stem) = weights->table[i];
    release(weights->table);
    *weights = larger;
}

static void add_documents(StemWeights *weights, Stem stem, int64_t documents)
{
    make_room(weights);
    StemFrequency *slot = slot_of(weights, stem);
    weights->count += slot->documents == 0;
    slot->stem = stem;
    slot->documents += documents;
}

void stem_weights_count(StemWeights *weights, const StemSet *stems)
{
    weights->documents++;
    for (size_t i = 0; i < stems->count; i++)
        add_documents(weights, stems->stems[i], 1);
}

StemWeights stem_weights_make(const SampleSet *training)
{
    StemWeights weights = {0};
    StemSet stems = {0};
    for (int64_t i = 0; i < training->count; i++) {
        const Sample *sample = &training->samples[i];
        if (sample->truth != TRUTH_CONTINUE || sample->item_count == 0)
            continue;
        stems_clear(&stems);
        for (int64_t k = 0; k < sample->item_count; k++)
            stems_add(&stems, sample->items[k], strlen(sample->items[k]));
        stem_weights_count(&weights, &stems);
    }
    stems_free(&stems);
    return weights;
}

int64_t stem_weights_documents(const StemWeights *weights, Stem stem)
{
    return weights->capacity ? slot_of(weights, stem)->documents : 0;
}

double stem_weights_of(const StemWeights *weights, Stem stem)
{
    return math_log((double)(weights->documents + 1) /
                    (double)(stem_weights_documents(weights, stem) + 1));
}

double stem_weights_sum(const StemWeights *weights, const StemSet *stems)
{
    double sum = 0;
    for (size_t i = 0; i < stems->count; i++)
        sum += stem_weights_of(weights, stems->stems[i]);
    return sum;
}

double stem_weights_overlap(const StemWeights *weights, const StemSet *q, const StemSet *i)
{
    double shared = 0, all = stem_weights_sum(weights, q) + stem_weights_sum(weights, i);
    for (size_t k = 0; k < q->count; k++)
        if (stems_hold(i, q->stems[k]))
            shared += stem_weights_of(weights, q->stems[k]);
    return all > 0 ? 2 * shared / all : 0;
}

static int compare_frequencies(const void *a, const void *b)
{
    return stem_compare(&((const StemFrequency *)a)->stem, &((const StemFrequency *)b)->stem);
}

StemFrequency *stem_weights_sorted(const StemWeights *weights)
{
    StemFrequency *sorted = allocate(weights->count, sizeof *sorted);
    size_t count = 0;
    for (size_t i = 0; i < weights->capacity; i++)
        if (weights->table[i].documents)
            sorted[count++] = weights->table[i];
    qsort(sorted, count, sizeof *sorted, compare_frequencies);
    return sorted;
}

int stem_weights_write(const StemWeights *weights, const char *path)
{
    Bytes text = {0};
    StemFrequency *sorted = stem_weights_sorted(weights);
    bytes_print(&text, "{\"documents\": %lld, \"stems\": {", (long long)weights->documents);
    for (size_t i = 0; i < weights->count; i++) {
        char name[STEM_TEXT_BYTES];
        stem_text(sorted[i].stem, name);
        bytes_append_text(&text, i ? ",\n" : "\n");
        jsonl_append_string(&text, name);
        bytes_print(&text, ": %lld", (long long)sorted[i].documents);
    }
    bytes_append_text(&text, "\n}}\n");
    release(sorted);
    int status = atomic_write_file(path, text.data, text.length);
    bytes_free(&text);
    return status;
}

static int read_stems(StemWeights *weights, json_t *stems)
{
    const char *name;
    json_t *value;
    json_object_foreach(stems, name, value)
    {
        Stem stem;
        int64_t documents = json_integer_value(value);
        if (!stem_parse(name, &stem) || documents < 1 || documents > weights->documents)
            return fail(EXIT_BAD_DATA, "'%s' is not a stem with its number of documents", name);
        add_documents(weights, stem, documents);
    }
    return 0;
}

int stem_weights_read(StemWeights *weights, const char *path)
{
    json_t *root;
    *weights = (StemWeights){0};
    if (json_file_read(path, STEM_WEIGHTS_FILE_LIMIT, &root) != 0)
        return fail_context("cannot read the stem weights");
    json_t *documents = json_object_get(root, "documents"), *stems = json_object_get(root, "stems");
    int status;
    weights->documents = json_integer_value(documents);
    if (!json_is_integer(documents) || weights->documents < 0 || !json_is_object(stems))
        status = fail(EXIT_BAD_DATA, "no stem weights ('documents' and 'stems') in the file");
    else
        status = read_stems(weights, stems);
    json_decref(root);
    if (status) {
        stem_weights_free(weights);
        return fail_context("%s", path);
    }
    return 0;
}

void stem_weights_free(StemWeights *weights)
{
    release(weights->table);
    *weights = (StemWeights){0};
}
