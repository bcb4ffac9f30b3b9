// calibration_policy.h - the target policy: what responses earn under a system message.

#ifndef L2A_TASKS_CALIBRATION_POLICY_H
#define L2A_TASKS_CALIBRATION_POLICY_H

#include "tasks/calibration.h"

typedef struct PolicyCalibration PolicyCalibration;

// The samples of [calibrate] labels under every candidate, the model of [model] with the sampling
// of [evaluate], and the judge. An example is a context. Collective over all ranks.
int policy_calibration_open(PolicyCalibration **policy, const Settings *settings,
                            const CandidateList *candidates);
void policy_calibration_close(PolicyCalibration *policy); // NULL is fine

int64_t policy_calibration_count(const PolicyCalibration *policy);
const int64_t *policy_calibration_groups(const PolicyCalibration *policy); // by session

// As calibration_measure.
int policy_calibration_measure(PolicyCalibration *policy, int64_t candidate, const int64_t *order,
                               int64_t first, int64_t end, Measure *measures);

#endif
