#include "store/run_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/run_holder.h"
#include "parallel/slurm.h"

_Static_assert(sizeof((RunHolder *)0)->job >= SLURM_JOB_BYTES, "the name of a job does not fit");

static RunHolder holder_self(void)
{
    RunHolder self = {.pid = (long)getpid()};
    slurm_name_job(self.job);
    if (gethostname(self.host, sizeof self.host - 1) != 0 || !self.host[0])
        snprintf(self.host, sizeof self.host, "unknown");
    return self;
}

static bool read_holder(int descriptor, RunHolder *holder)
{
    char text[RUN_HOLDER_BYTES] = {0};
    ssize_t bytes = pread(descriptor, text, sizeof text - 1, 0);
    return bytes > 0 && run_holder_parse(text, holder);
}

static int write_holder(int descriptor, const char *path)
{
    RunHolder self = holder_self();
    Bytes line = {0};
    run_holder_print(&self, &line);
    int status = 0;
    if (ftruncate(descriptor, 0) != 0 ||
        pwrite(descriptor, line.data, line.length, 0) != (ssize_t)line.length)
        status = fail(EXIT_CANNOT_CREATE, "cannot write %s: %s", path, strerror(errno));
    bytes_free(&line);
    return status;
}

static int fail_held(const char *path, const RunHolder *holder)
{
    return fail(EXIT_CANNOT_CREATE,
                "the run is in use: %s is held by process %ld on %s (job %s); wait for it, or use "
                "another run name; if that job is gone for sure, delete the lock file",
                path, holder->pid, holder->host, holder->job);
}

// Whether flock holds between nodes, as far as one can know: on these file systems it may hold on
// one node only, by the way they are mounted or configured.
static bool flock_reaches_other_nodes(int descriptor)
{
    static const uint32_t doubtful[] = {0x0BD00BD0 /* Lustre */, 0x19830326 /* BeeGFS */,
                                        0x47504653 /* GPFS */, 0x65735546 /* FUSE */};
    struct statfs status;
    if (fstatfs(descriptor, &status) != 0)
        return false;
    for (size_t i = 0; i < sizeof doubtful / sizeof *doubtful; i++)
        if ((uint32_t)status.f_type == doubtful[i])
            return false;
    return true;
}

// A holder that did not give the lock back is gone if it was a former life of this very job
// (requeued), or if flock (`locked`: we have it now), its process or Slurm proves it.
static bool holder_is_gone(const RunHolder *holder, int descriptor, bool locked)
{
    RunHolder self = holder_self();
    if (strcmp(holder->job, "none") != 0 && strcmp(holder->job, self.job) == 0)
        return true;
    if (strcmp(holder->host, self.host) == 0)
        return locked || (kill((pid_t)holder->pid, 0) != 0 && errno == ESRCH);
    return (locked && flock_reaches_other_nodes(descriptor)) || slurm_job_has_ended(holder->job);
}

static int lock(int descriptor, const char *path)
{
    RunHolder holder = {0};
    int status;
    do {
        status = flock(descriptor, LOCK_EX | LOCK_NB);
    } while (status != 0 && errno == EINTR);
    int reason = status == 0 ? 0 : errno;
    bool named = read_holder(descriptor, &holder);
    if (reason == EWOULDBLOCK) {
        if (!named)
            snprintf(holder.host, sizeof holder.host, "unknown");
        return fail_held(path, &holder);
    }
    if (named && !holder_is_gone(&holder, descriptor, reason == 0))
        return fail_held(path, &holder);
    if (named)
        warn("%s: process %ld on %s (job %s) ended without giving the run back; taking it over",
             path, holder.pid, holder.host, holder.job);
    return write_holder(descriptor, path);
}

int run_lock_take(const char *directory)
{
    Bytes path = {0};
    bytes_print(&path, "%s/lock", directory);
    int descriptor = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (descriptor < 0) {
        fail(EXIT_CANNOT_CREATE, "cannot open %s: %s", path.data, strerror(errno));
    } else if (lock(descriptor, path.data)) {
        close(descriptor);
        descriptor = -1;
    }
    bytes_free(&path);
    return descriptor;
}

void run_lock_release(int descriptor)
{
    // Emptied, not removed: a job that waits with the old file open would lock a file without name.
    if (ftruncate(descriptor, 0) != 0)
        warn("cannot empty the run's lock file: %s", strerror(errno));
    close(descriptor);
}
