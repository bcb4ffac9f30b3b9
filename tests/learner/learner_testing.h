// learner_testing.h - a learner's step on a grove, for the tests of this directory.

#ifndef L2A_TESTS_LEARNER_LEARNER_TESTING_H
#define L2A_TESTS_LEARNER_LEARNER_TESTING_H

#include "tests/testing.h"

#include "tests/model/tiny.h"

// One step on all the grove's trees; returns what it recorded as `metric`.
static inline double take_step(Learner *learner, const StepSettings *settings, Grove *grove,
                               const char *metric)
{
    Metrics metrics = {0};
    StepBatch batch = {.trees = grove->trees, .count = grove->count};
    assert_int_equal(learner_step(learner, settings, &batch, &metrics), 0);
    double value = metrics_get(&metrics, metric);
    metrics_free(&metrics);
    return value;
}

#endif
