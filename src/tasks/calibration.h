// calibration.h - how well a prompt agrees with labelled examples (section 10).
//
// A target is what a prompt is for: each has labelled examples and a way to measure one of them.
// Every measure is a number that is better when larger, and may come with two errors.

#ifndef L2A_TASKS_CALIBRATION_H
#define L2A_TASKS_CALIBRATION_H

#include "input/settings.h"
#include "tasks/candidates.h"

// What one example says about one prompt.
typedef struct {
    double score;                       // judge: 1 where both scores are the label's; extractor:
                                        // F1; policy: mean reward of the responses
    double content_error, format_error; // judge: distance from the label
    double measured;                    // 1, or 0: it says nothing
    double unanswered;                  // share of its questions without a usable answer
} Measure;

typedef struct Calibration Calibration;

// Opens examples and whoever is asked. Collective over group.
int calibration_open(Calibration **calibration, const Group *group, const Settings *settings,
                     const Backend *backend, const CandidateList *candidates);
void calibration_close(Calibration *calibration); // NULL is fine

int64_t calibration_count(const Calibration *calibration); // examples
// Examples of one group are resampled together.
const int64_t *calibration_groups(const Calibration *calibration);

// Measures examples order[first .. end) with a candidate's prompt into measures[0 .. end - first),
// the same on every rank. Collective.
int calibration_measure(Calibration *calibration, int64_t candidate, const int64_t *order,
                        int64_t first, int64_t end, Measure *measures);

#endif
