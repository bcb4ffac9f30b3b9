// full_disk.c - to be preloaded: the disk takes no byte more of a run's journals and checkpoints
// while there is a file called FULL_DISK (an environment variable) beside them.

#define _GNU_SOURCE // RTLD_NEXT
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static bool is_full(int descriptor)
{
    char link[64], path[4096];
    const char *mark = getenv("FULL_DISK");
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = mark ? readlink(link, path, sizeof path - 1) : -1;
    if (length <= 0)
        return false;
    path[length] = 0;
    char *name = strrchr(path, '/');
    if (!name || (!strstr(name, ".jsonl") && !strstr(name, "step-")))
        return false;
    snprintf(name + 1, sizeof path - (size_t)(name + 1 - path), "%s", mark);
    if (access(path, F_OK) != 0)
        return false;
    errno = ENOSPC;
    return true;
}

// The next definition of a function: libc's.
#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

ssize_t write(int descriptor, const void *data, size_t bytes)
{
    return is_full(descriptor) ? -1 : REAL(write)(descriptor, data, bytes);
}

ssize_t pwrite(int descriptor, const void *data, size_t bytes, off_t offset)
{
    return is_full(descriptor) ? -1 : REAL(pwrite)(descriptor, data, bytes, offset);
}

ssize_t pwrite64(int descriptor, const void *data, size_t bytes, off_t offset)
{
    return is_full(descriptor) ? -1 : REAL(pwrite64)(descriptor, data, bytes, offset);
}
