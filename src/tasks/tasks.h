// tasks.h - what the program can be asked to do: one file a task, the algorithm from top to bottom.
//
// Each returns an exit code; a failure's message has then been recorded (fail_message) and `main`
// prints it. All but task_check and task_job are collective over MPI_COMM_WORLD.

#ifndef L2A_TASKS_TASKS_H
#define L2A_TASKS_TASKS_H

#include "input/settings.h"

int task_check(const Settings *settings);
int task_check_probed(const Settings *settings); // and measures how long it may take
int task_job(const Settings *settings);
int task_prepare(const Settings *settings);
int task_train(const Settings *settings);
int task_evaluate(const Settings *settings);
int task_calibrate(const Settings *settings);
int task_chat(const Settings *settings);

#endif
