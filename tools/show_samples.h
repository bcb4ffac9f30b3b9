// show_samples.h - what a run's policy said, with the conversations it said it in.
//
// samples.jsonl is in the order of steps and may be large: the lines of a few steps are found by
// halving the file, the rest is never read. What `learn2ask evaluate` writes (evaluate.output) has
// the same lines without steps.

#ifndef L2A_TOOLS_SHOW_SAMPLES_H
#define L2A_TOOLS_SHOW_SAMPLES_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "dialogue/samples.h"

typedef struct {
    int64_t step;         // 0 of an evaluation
    const char *model;    // of an evaluation of two; "": of one
    const char *cid;      // this and the other texts are borrowed from `line`
    const Sample *sample; // its context; NULL where the data file does not have it (any more)
    int64_t repeat;
    Truth truth;
    const char *response;
    const char *earlier; // messages of tools before the response; "": none
    const char *verdict; // what a judge model said of it; "": none
    int64_t tokens;
    bool finished, graded;
    double decision, content, format, reward, advantage; // NaN where not known
    json_t *line;                                        // owned
} ShowSample;

typedef struct {
    ShowSample *list; // owned; in the order of the file
    int64_t count;
    size_t capacity;
    SampleSet set;    // of the run's data
    json_t *contexts; // owned; cid -> index in `set`
    bool has_set;
} ShowSamples;

// Reads the conversations of `data` (a file of samples or sessions), for show_samples_read. Where
// it cannot be read, the failure is recorded and samples come without conversations: -1.
int show_samples_open(ShowSamples *samples, const char *data);

// Adds the responses of steps [first, last] of RUN/samples.jsonl. EXIT_NO_INPUT, EXIT_BAD_DATA with
// the place.
int show_samples_read(ShowSamples *samples, const char *directory, int64_t first, int64_t last);

// The last step that has responses; 0: none has. Fails as show_samples_read does.
int show_samples_last(const char *directory, int64_t *step);

// The same of the responses to one context. Reads the whole file.
int show_samples_last_of(const char *directory, const char *cid, int64_t *step);

// Adds all responses of an evaluation's output. EXIT_NO_INPUT, EXIT_BAD_DATA.
int show_samples_read_output(ShowSamples *samples, const char *path);

// Forgets the responses from index `first` on of which kept [count - first] is false.
void show_samples_keep(ShowSamples *samples, int64_t first, const bool *kept);

void show_samples_close(ShowSamples *samples);

#endif
