// report_choice.h - which responses of a run a report keeps: the same ones each time.
//
// Steps that sampled are taken evenly, the first and the last among them, and of each some contexts
// evenly, with all of their responses. Besides, of the last steps, the contexts of the worst and of
// the best responses, one a session.

#ifndef L2A_TOOLS_REPORT_CHOICE_H
#define L2A_TOOLS_REPORT_CHOICE_H

#include "tools/show_run.h"
#include "tools/show_samples.h"

typedef enum { CHOSEN_EVENLY, CHOSEN_WORST, CHOSEN_BEST } ChoiceReason;

// The responses to one context in one step: consecutive ones of the samples.
typedef struct {
    int64_t first, count;
    ChoiceReason reason;
} ChoiceGroup;

enum { CHOICE_STEPS = 12, CHOICE_LAST_STEPS = 5, CHOICE_EXTREMES = 8 };

typedef struct {
    ShowSamples samples; // those of the groups and no others
    ChoiceGroup *groups; // owned
    int64_t count;
    size_t capacity;
    int64_t steps;               // that sampled
    int64_t looked_at;           // of them
    int64_t taken[CHOICE_STEPS]; // evenly
    int64_t taken_count;
    int64_t extremes;            // worst and best contexts that were sought, each
    int64_t extremes_from;       // the first of the last steps
    int64_t contexts, responses; // of the steps that were looked at
    bool passed_over;            // contexts whose texts were too much
    Bytes left_out;              // why samples or conversations are not there; "": they are
} ReportChoice;

// Chooses about `samples` responses, with some text each at most (report_choice.c). EXIT_BAD_DATA
// where samples.jsonl is damaged; a missing file of it or of conversations is told in left_out.
int report_choice_make(ReportChoice *choice, const ShowRun *run, int64_t samples);
void report_choice_free(ReportChoice *choice);

#endif
