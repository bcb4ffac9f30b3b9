#include "store/run_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"

enum { HOLDER_BYTES = 400, HOST_BYTES = 128, JOB_BYTES = 64 };

typedef struct {
    char host[HOST_BYTES], job[JOB_BYTES];
    long pid;
} Holder;

static Holder holder_self(void)
{
    Holder self = {.pid = (long)getpid()};
    const char *job = getenv("SLURM_JOB_ID");
    if (gethostname(self.host, sizeof self.host - 1) != 0 || !self.host[0])
        snprintf(self.host, sizeof self.host, "unknown");
    snprintf(self.job, sizeof self.job, "%s", job && job[0] && !strchr(job, ' ') ? job : "none");
    return self;
}

static bool read_holder(int descriptor, Holder *holder)
{
    char text[HOLDER_BYTES] = {0};
    ssize_t bytes = pread(descriptor, text, sizeof text - 1, 0);
    return bytes > 0 && sscanf(text, "host=%127s pid=%ld job=%63s", holder->host, &holder->pid,
                               holder->job) == 3;
}

static int write_holder(int descriptor, const char *path)
{
    Holder self = holder_self();
    char text[HOLDER_BYTES];
    int length =
        snprintf(text, sizeof text, "host=%s pid=%ld job=%s\n", self.host, self.pid, self.job);
    if (ftruncate(descriptor, 0) != 0 ||
        pwrite(descriptor, text, (size_t)length, 0) != (ssize_t)length)
        return fail(EXIT_CANNOT_CREATE, "cannot write %s: %s", path, strerror(errno));
    return 0;
}

static int fail_held(const char *path, const Holder *holder)
{
    return fail(EXIT_CANNOT_CREATE,
                "the run is in use: %s is held by process %ld on %s (job %s); wait for it, or use "
                "another run name; if that job is gone for sure, delete the lock file",
                path, holder->pid, holder->host, holder->job);
}

// Without flock: gone is a holder that gave the lock back, is a former life of this very job
// (requeued), or died on this host.
static bool holder_is_gone(const Holder *holder)
{
    Holder self = holder_self();
    if (strcmp(holder->job, "none") != 0 && strcmp(holder->job, self.job) == 0)
        return true;
    return strcmp(holder->host, self.host) == 0 && kill((pid_t)holder->pid, 0) != 0 &&
           errno == ESRCH;
}

static int lock(int descriptor, const char *path)
{
    Holder holder = {0};
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
    if (reason != 0 && named && !holder_is_gone(&holder))
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
    int descriptor = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
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
