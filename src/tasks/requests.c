#include "tasks/requests.h"

#include <math.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "parallel/slurm.h"

static volatile sig_atomic_t asked_checkpoint, asked_stop, asked_hurry;

static void on_signal(int number)
{
    if (number == SIGTERM && asked_hurry)
        _exit(128 + number); // the second one means it
    if (number == SIGTERM)
        asked_hurry = 1;
    else if (number == SIGUSR1)
        asked_stop = 1;
    else
        asked_checkpoint = 1;
}

void requests_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
}

void requests_answer_checkpoint(void)
{
    asked_checkpoint = 0;
}

void requests_open(Requests *requests, const Settings *settings, double started, int64_t bytes)
{
    char job[SLURM_JOB_BYTES];
    Bytes file = {0};
    bytes_print(&file, "%s/STOP", settings->run.directory);
    requests->file = file.data;
    double left = slurm_seconds_left();
    if (isnan(left)) {
        slurm_name_job(job);
        warn("squeue does not tell when job %s ends, so this run cannot stop before that: set "
             "run.max_hours, or let a signal come in time (sbatch --signal=USR1@300)",
             job);
    }
    requests->wall_time =
        wall_time_make(started, settings->run.max_hours, clock_now(), left, bytes);
}

void requests_close(Requests *requests)
{
    release(requests->file);
    bytes_free(&requests->reason);
    *requests = (Requests){0};
}

static Request look_at_signals(Bytes *reason)
{
    if (asked_hurry)
        bytes_append_text(reason, "signal TERM");
    else if (asked_stop)
        bytes_append_text(reason, "signal USR1");
    return asked_hurry        ? REQUEST_HURRY
           : asked_stop       ? REQUEST_STOP
           : asked_checkpoint ? REQUEST_CHECKPOINT
                              : REQUEST_NONE;
}

static Request look_at_file(Requests *requests, Bytes *reason)
{
    requests->file_asks = access(requests->file, F_OK) == 0;
    if (!requests->file_asks)
        return REQUEST_NONE;
    bytes_print(reason, "%s is there", requests->file);
    return REQUEST_STOP;
}

static Request look_at_clock(const WallTime *wall_time, bool step, bool evaluation, Bytes *reason)
{
    double left = wall_time->end - clock_now(), need = wall_time_need(wall_time, step, evaluation);
    if (left >= need)
        return REQUEST_NONE;
    bytes_print(reason, "%s leaves ", wall_time->set_by);
    wall_time_print(left, reason);
    bytes_print(reason, ", the next %s with its checkpoint may need ",
                step ? "step" : "evaluation");
    wall_time_print(need, reason);
    return step ? REQUEST_STOP : REQUEST_HURRY;
}

Request requests_look(Requests *requests, bool step, bool evaluation)
{
    Bytes reason = {0};
    Request most = look_at_signals(&reason);
    if (requests->file && most < REQUEST_STOP) {
        Request other = look_at_file(requests, &reason);
        if (other < REQUEST_STOP && (step || evaluation))
            other = look_at_clock(&requests->wall_time, step, evaluation, &reason);
        most = other > most ? other : most;
    }
    if (most >= REQUEST_STOP && requests->reason.length == 0)
        bytes_append(&requests->reason, reason.data, reason.length);
    bytes_free(&reason);
    return most;
}
