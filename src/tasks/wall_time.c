#include "tasks/wall_time.h"

#include <math.h>

static const double WORK_MARGIN = 1.2, CHECKPOINT_MARGIN = 1.5, END_SECONDS = 60;
static const double FIRST_RATE = 250e6; // bytes a second

WallTime wall_time_make(double started, double max_hours, double now, double seconds_left,
                        int64_t bytes)
{
    WallTime wall_time = {.end = INFINITY, .first_checkpoint = (double)bytes / FIRST_RATE};
    if (max_hours > 0) {
        wall_time.end = started + 3600 * max_hours;
        wall_time.set_by = "run.max_hours";
    }
    if (now + seconds_left < wall_time.end) { // false of NAN
        wall_time.end = now + seconds_left;
        wall_time.set_by = "the batch job";
    }
    return wall_time;
}

void wall_time_took(WallTime *wall_time, Work work, double seconds)
{
    if (seconds > wall_time->longest[work])
        wall_time->longest[work] = seconds;
}

double wall_time_need(const WallTime *wall_time, bool step, bool evaluation)
{
    const double *longest = wall_time->longest;
    double work = (step ? longest[WORK_STEP] : 0) + (evaluation ? longest[WORK_EVALUATION] : 0);
    double checkpoint =
        longest[WORK_CHECKPOINT] > 0 ? longest[WORK_CHECKPOINT] : wall_time->first_checkpoint;
    return WORK_MARGIN * work + CHECKPOINT_MARGIN * checkpoint + END_SECONDS;
}

void wall_time_print(double seconds, Bytes *text)
{
    long long whole = seconds > 0 ? (long long)seconds : 0;
    bytes_print(text, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
}
