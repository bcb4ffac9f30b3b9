#include "store/run_directory.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/directory.h"
#include "files/run_files.h"
#include "store/run_lock.h"

struct RunDirectory {
    const Group *group;   // borrowed
    char *path;           // owned
    int lock;             // rank 0's, else -1
    CheckpointSave *save; // NULL: none under way
    int64_t step;         // of it
    bool is_best;
    KeepPolicy policy;
};

static int open_and_lock(RunDirectory *run)
{
    if (directory_make(run->path))
        return -1;
    run->lock = run_lock_take(run->path);
    return run->lock < 0 ? -1 : run_files_clean(run->path);
}

RunDirectory *run_directory_open(const Group *group, const char *path)
{
    RunDirectory *run = allocate(1, sizeof *run);
    *run = (RunDirectory){.group = group, .path = duplicate(path), .lock = -1};
    if (group_agree(group, group->rank == 0 ? open_and_lock(run) : 0) == 0)
        return run;
    run_directory_close(run);
    return NULL;
}

void run_directory_close(RunDirectory *run)
{
    if (!run)
        return;
    CHECK(!run->save, "a checkpoint is still being written");
    if (run->lock >= 0)
        run_lock_release(run->lock);
    release(run->path);
    release(run);
}

char *run_directory_checkpoint_path(const RunDirectory *run, int64_t step)
{
    return run_files_path(run->path, step);
}

// Every rank gets rank 0's list. Collective.
static int64_t list_steps(const RunDirectory *run, int64_t **steps)
{
    const Group *group = run->group;
    int64_t count = 0;
    *steps = NULL;
    if (group->rank == 0)
        count = run_files_list(run->path, steps);
    if (group_agree(group, count < 0 ? -1 : 0))
        return -1;
    group_broadcast(group, &count, sizeof count, 0);
    if (group->rank != 0)
        *steps = allocate((size_t)count, sizeof **steps);
    group_broadcast(group, *steps, (size_t)count * sizeof **steps, 0);
    return count;
}

// 0: taken; 1: the file is no good; -1: `take` does not want it. Collective.
static int try_checkpoint(const RunDirectory *run, const char *path, CheckpointTake *take,
                          void *context)
{
    Checkpoint *checkpoint = checkpoint_open(run->group, path);
    if (!checkpoint)
        return 1;
    int status = take(context, checkpoint);
    if (status == 0)
        status = checkpoint_verify(checkpoint);
    status = checkpoint_damaged(checkpoint) ? 1 : status;
    checkpoint_close(checkpoint);
    return status;
}

int run_directory_resume(RunDirectory *run, CheckpointTake *take, void *context, int64_t *step)
{
    int64_t *steps;
    int64_t count = list_steps(run, &steps);
    int status = count < 0 ? -1 : count > 0;
    *step = -1;
    for (int64_t i = 0; i < count && status > 0; i++) {
        char *path = run_files_path(run->path, steps[i]);
        status = try_checkpoint(run, path, take, context);
        if (status == 0)
            *step = steps[i];
        else if (status > 0 && run->group->rank == 0)
            warn("%s; passing over to the checkpoint before it", fail_message());
        release(path);
    }
    release(steps);
    if (status > 0)
        fail_context("none of the %lld checkpoints in %s can be used (move them away to begin "
                     "anew); the oldest",
                     (long long)count, run->path);
    return status == 0 ? 0 : -1;
}

// `place` counts the checkpoints from `newest` on, itself 0.
static bool is_kept(int64_t step, int64_t place, int64_t best, KeepPolicy policy)
{
    if (policy.keep_last <= 0 || place < policy.keep_last)
        return true;
    if (policy.keep_every > 0 && step % policy.keep_every == 0)
        return true;
    return policy.keep_best && step == best;
}

static int prune(const RunDirectory *run)
{
    int64_t *steps, place = 0;
    int64_t count = run_files_list(run->path, &steps);
    int64_t best = run_files_pointer(run->path, "BEST");
    for (int64_t i = 0; i < count; i++) {
        // One that claims to be newer is from a run that was given up, or damaged: for the user.
        if (steps[i] > run->step || is_kept(steps[i], place++, best, run->policy))
            continue;
        char *path = run_files_path(run->path, steps[i]);
        if (unlink(path) != 0)
            warn("cannot remove the old checkpoint %s: %s", path, strerror(errno));
        release(path);
    }
    release(steps);
    return count < 0 ? -1 : 0;
}

// In the save's thread, before the checkpoint is there: it holds the lengths of the journals.
static int flush_journals(void *context)
{
    const RunDirectory *run = context;
    return run_files_flush(run->path);
}

// The same, once it is there. metrics.h5 is for people: that it cannot be made is a warning.
static int publish(void *context)
{
    const RunDirectory *run = context;
    int status = run_files_point(run->path, "LATEST", run->step);
    if (status == 0 && run->is_best)
        status = run_files_point(run->path, "BEST", run->step);
    if (status == 0)
        status = prune(run);
    if (status == 0 && run_files_make_series(run->path) != 0)
        warn("%s", fail_message());
    return status;
}

int run_directory_save(RunDirectory *run, const RunSave *save)
{
    CHECK(!run->save, "a checkpoint is still being written");
    run->step = save->step;
    run->is_best = save->is_best;
    run->policy = save->policy;
    char *path = run_files_path(run->path, save->step);
    run->save = checkpoint_save_begin(run->group, path, save->content,
                                      (CheckpointHooks){flush_journals, publish, run});
    release(path);
    return run->save ? 0 : -1;
}

bool run_directory_saves(const RunDirectory *run)
{
    return run->save != NULL;
}

bool run_directory_save_progress(RunDirectory *run)
{
    return checkpoint_save_progress(run->save);
}

int run_directory_save_end(RunDirectory *run, double *seconds)
{
    int status = checkpoint_save_end(run->save, seconds);
    run->save = NULL;
    return status;
}
