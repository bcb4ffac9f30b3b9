// responses.h - graded responses: as lines of JSON, back from them, and as the numbers of a table.

#ifndef L2A_TASKS_RESPONSES_H
#define L2A_TASKS_RESPONSES_H

#include <jansson.h>

#include "exchange/exchange.h"
#include "reward/score.h"

// One response to a sample of an evaluation.
typedef struct {
    int64_t sample; // index in the sample set
    int32_t repeat, tokens;
    bool stops;    // decided to stop
    bool failed;   // a served policy gave no response
    bool unjudged; // a served judge did not reply
    Grade grade;
    int64_t order; // in which it was added
    char *line;    // owned: the object that says all of it, without a newline
} Response;

typedef struct {
    Response *list; // owned
    int64_t count;
    size_t capacity;
} ResponseList;

// Appends what is known of a response as fields of an object, without its braces: cid, repeat,
// decision_truth, response, tokens, finished, graded, decision, content, format, reward, and where
// there are any the turns before it and the judge's reply. Bytes that are not UTF-8 are repaired.
void response_append_fields(const Sample *sample, const Branch *branch, Bytes *line);

// Appends every response of the trees.
void responses_add_trees(ResponseList *list, const SampleSet *set, const TreeList *trees);

// Appends the response of a line; false where the line is none, or its cid is not in `samples`
// (cid -> index).
bool responses_add_line(ResponseList *list, const json_t *samples, const char *line, size_t length);

// Appends copies of another list's responses.
void responses_copy(ResponseList *list, const ResponseList *from);

// In the order of samples and repeats. Of two about the same response the one added first
// stays.
void responses_sort(ResponseList *list);

void responses_free(ResponseList *list);

// The nine numbers; failed responses are left out like those without a grade.
Scores responses_score(const ResponseList *list, const SampleSet *set, int resamples,
                       uint64_t seed);

#endif
