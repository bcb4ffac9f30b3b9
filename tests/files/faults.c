#define _GNU_SOURCE // RTLD_NEXT

#include "tests/files/faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { DESCRIPTORS = 1024 };

static const char *meant_place;
static FaultKind armed_kind;
static int armed_at;
static atomic_int operations; // files are read by several threads
static const char *hit = "";
static bool is_meant[DESCRIPTORS], renamed, hit_after_rename;

void faults_arm(const char *place, FaultKind kind, int at)
{
    meant_place = place;
    armed_kind = kind;
    armed_at = at;
    operations = 0;
    renamed = hit_after_rename = false;
    hit = "";
}

const char *faults_hit(void)
{
    return hit;
}

bool faults_hit_after_rename(void)
{
    return hit_after_rename;
}

int faults_disarm(void)
{
    meant_place = NULL;
    return operations;
}

static bool meant_path(const char *path)
{
    return meant_place && strstr(path, meant_place);
}

static bool meant_descriptor(int descriptor)
{
    return meant_place && descriptor >= 0 && descriptor < DESCRIPTORS && is_meant[descriptor];
}

// Whether this operation, which EINTR and a short count can hit or not, is the one to fail.
static bool is_due(const char *function, bool interruptible, bool shortens)
{
    if ((armed_kind == FAULT_SIGNAL && !interruptible) || (armed_kind == FAULT_SHORT && !shortens))
        return false;
    if (atomic_fetch_add(&operations, 1) + 1 != armed_at)
        return false;
    if (armed_kind == FAULT_KILL)
        kill(getpid(), SIGKILL);
    hit_after_rename = renamed;
    hit = function;
    return true;
}

static int fault(void)
{
    errno = armed_kind == FAULT_NO_SPACE ? ENOSPC : armed_kind == FAULT_IO ? EIO : EINTR;
    return -1;
}

// The next definition of a function: libc's.
#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

static int open_meant(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode)
{
    bool meant = meant_path(path);
    if (meant && is_due("open", false, false))
        return fault();
    int descriptor = real(path, flags, mode);
    if (descriptor >= 0 && descriptor < DESCRIPTORS)
        is_meant[descriptor] = meant;
    return descriptor;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = flags & O_CREAT ? (mode_t)va_arg(arguments, unsigned) : 0;                   \
        va_end(arguments);                                                                         \
        return open_meant(REAL(name), path, flags, mode);                                          \
    }

// Whether so many bytes, or half of them, are read or written at all.
static bool may_transfer(const char *function, int descriptor, size_t *bytes)
{
    if (!meant_descriptor(descriptor) || !is_due(function, true, *bytes > 1))
        return true;
    if (armed_kind != FAULT_SHORT)
        return false;
    *bytes /= 2;
    return true;
}

#define TRANSFER(name, buffer)                                                                     \
    ssize_t name(int descriptor, buffer data, size_t bytes, off_t offset)                          \
    {                                                                                              \
        if (!may_transfer(#name, descriptor, &bytes))                                              \
            return fault();                                                                        \
        return REAL(name)(descriptor, data, bytes, offset);                                        \
    }

OPEN(open)
OPEN(open64)
TRANSFER(pread, void *)
TRANSFER(pread64, void *)
TRANSFER(pwrite, const void *)
TRANSFER(pwrite64, const void *)

#define TRANSFER_ON(name, buffer)                                                                  \
    ssize_t name(int descriptor, buffer data, size_t bytes)                                        \
    {                                                                                              \
        if (!may_transfer(#name, descriptor, &bytes))                                              \
            return fault();                                                                        \
        return REAL(name)(descriptor, data, bytes);                                                \
    }

TRANSFER_ON(read, void *)
TRANSFER_ON(write, const void *)

int fsync(int descriptor)
{
    if (meant_descriptor(descriptor) && is_due("fsync", true, false))
        return fault();
    return REAL(fsync)(descriptor);
}

int close(int descriptor)
{
    bool due = meant_descriptor(descriptor) && is_due("close", false, false);
    if (descriptor >= 0 && descriptor < DESCRIPTORS)
        is_meant[descriptor] = false;
    int status = REAL(close)(descriptor); // a close that fails has closed
    return due ? fault() : status;
}

int rename(const char *from, const char *to)
{
    if (meant_path(to) && is_due("rename", false, false))
        return fault();
    renamed = renamed || meant_path(to);
    return REAL(rename)(from, to);
}

// Not among what can fail: who removes a file does not mind.
int unlink(const char *path)
{
    if (armed_kind == FAULT_KILL && meant_path(path))
        is_due("unlink", false, false);
    return REAL(unlink)(path);
}

int mkdir(const char *path, mode_t mode)
{
    if (meant_path(path) && is_due("mkdir", false, false))
        return fault();
    return REAL(mkdir)(path, mode);
}

#define TRUNCATE(name)                                                                             \
    int name(int descriptor, off_t bytes)                                                          \
    {                                                                                              \
        if (meant_descriptor(descriptor) && is_due(#name, false, false))                           \
            return fault();                                                                        \
        return REAL(name)(descriptor, bytes);                                                      \
    }

TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)
