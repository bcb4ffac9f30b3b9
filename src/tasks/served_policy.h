// served_policy.h - responses of a served model ([policy]), as trees without tokens.

#ifndef L2A_TASKS_SERVED_POLICY_H
#define L2A_TASKS_SERVED_POLICY_H

#include "tasks/rollout.h"

// rollout_run where the policy is served: every rank asks for its share of the contexts. A response
// that the server did not give leaves its branch `missing`. EXIT_UNAVAILABLE where it gave none at
// all. Collective over world->all.
int served_policy_run(Job *job, const RolloutPlan *plan, const SessionPart *parts, int64_t count,
                      TreeList *all, RolloutTimes *times);

#endif
