// faulty.c - a learn2ask whose ranks can be made to fail: linked with the recorder's calls wrapped.
//
//     FAULT=KIND,RANK,ACTIVITY,COUNT
//
// Before that rank enters its COUNT-th collective (from 1) during an activity (base/activity.h) it
// is stopped (`stop`), killed (`kill`), sleeps for longer than anybody waits (`slow`), or enters a
// barrier that the others do not (`mismatch`). `sign` in place of a count: at the first sign of
// life in the activity, in the middle of its work; there is no mismatch there.

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/activity.h"
#include "parallel/rank_record.h"
#include "parallel/recorder.h"

enum { SLEEP_SECONDS = 600 };

static MPI_Comm communicators[RECORD_GROUPS];

int __real_recorder_add_group(MPI_Comm comm, int size, const char *name);
int __wrap_recorder_add_group(MPI_Comm comm, int size, const char *name);
int64_t __real_recorder_enter(int group, const char *what, int64_t bytes);
int64_t __wrap_recorder_enter(int group, const char *what, int64_t bytes);
void __real_activity_sign(void);
void __wrap_activity_sign(void);

typedef struct {
    char kind[16], activity[ACTIVITY_NAME_BYTES], moment[16];
    int rank;
    bool done;
} Fault;

static Fault *fault(void)
{
    static Fault asked;
    static bool known;
    const char *text = getenv("FAULT");
    if (!known && (!text || sscanf(text, "%15[^,],%d,%31[^,],%15s", asked.kind, &asked.rank,
                                   asked.activity, asked.moment) != 4))
        asked.done = true;
    known = true;
    return &asked;
}

// Whether it is this rank's turn, now that the records are open.
static bool is_due(const Fault *asked)
{
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    return !asked->done && recorder_directory() && rank && atoi(rank) == asked->rank &&
           strcmp(activity_now()->name, asked->activity) == 0;
}

static void strike(Fault *asked, const char *where)
{
    asked->done = true;
    fprintf(stderr, "rank %d: %s in %s, %s\n", asked->rank, asked->kind, asked->activity, where);
    if (strcmp(asked->kind, "stop") == 0)
        raise(SIGSTOP);
    else if (strcmp(asked->kind, "kill") == 0)
        raise(SIGKILL);
    else
        sleep(SLEEP_SECONDS);
}

int __wrap_recorder_add_group(MPI_Comm comm, int size, const char *name)
{
    int group = __real_recorder_add_group(comm, size, name);
    communicators[group] = comm;
    return group;
}

// One that the others do not enter: the program has lost count.
static void enter_barrier(Fault *asked, int group, const char *instead)
{
    asked->done = true;
    fprintf(stderr, "rank %d: barrier in %s, %s\n", asked->rank, asked->activity, instead);
    int64_t call = __real_recorder_enter(group, "barrier", 0);
    recorder_wait(call);
    MPI_Barrier(communicators[group]);
    recorder_leave(call);
}

int64_t __wrap_recorder_enter(int group, const char *what, int64_t bytes)
{
    static int count;
    Fault *asked = fault();
    if (group == 0 || !is_due(asked) || ++count != atoi(asked->moment))
        return __real_recorder_enter(group, what, bytes);
    if (strcmp(asked->kind, "mismatch") == 0)
        enter_barrier(asked, group, what);
    else
        strike(asked, what);
    return __real_recorder_enter(group, what, bytes);
}

void __wrap_activity_sign(void)
{
    Fault *asked = fault();
    if (strcmp(asked->moment, "sign") == 0 && is_due(asked))
        strike(asked, "at work");
    __real_activity_sign();
}
