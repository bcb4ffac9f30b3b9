#define _GNU_SOURCE // nftw
#include "files/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/raw.h"

static int fail_make(const char *path, int reason)
{
    return fail(EXIT_CANNOT_CREATE, "cannot make directory %s: %s", path, strerror(reason));
}

static int make_one(const char *path)
{
    struct stat status;
    if (mkdir(path, 0777) == 0)
        return 0;
    int reason = errno;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return 0; // there already; on some systems mkdir says EROFS or EACCES of it
    return fail_make(path, reason);
}

int directory_make(const char *path)
{
    char *part = duplicate(path);
    int status = 0;
    for (char *slash = strchr(part + (part[0] == '/'), '/'); slash && status == 0;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        status = make_one(part);
        *slash = '/';
    }
    if (status == 0)
        status = make_one(part);
    release(part);
    return status;
}

int directory_make_new(const char *path)
{
    char *parent = directory_of(path);
    int status = directory_make(parent);
    if (status == 0 && mkdir(path, 0777) != 0)
        status = fail_make(path, errno);
    release(parent);
    return status;
}

int directory_sync(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return raw_fail_write("open directory", path);
    int status;
    do {
        status = fsync(descriptor);
    } while (status != 0 && errno == EINTR);
    // Some file systems cannot flush a directory and say EINVAL: there is nothing to be done.
    if (status != 0 && errno != EINVAL)
        raw_fail_write("flush directory", path);
    else
        status = 0;
    close(descriptor);
    return status;
}

char *directory_of(const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    while (length > 0 && path[length - 1] != '/')
        length--;
    if (length == 0)
        return duplicate(".");
    while (length > 1 && path[length - 1] == '/')
        length--;
    char *directory = allocate(length + 1, 1);
    memcpy(directory, path, length);
    return directory;
}

int64_t directory_free_bytes(const char *path)
{
    struct statvfs space;
    if (statvfs(path, &space) != 0)
        return fail(EXIT_NO_INPUT, "cannot ask for the free space of %s: %s", path,
                    strerror(errno));
    int64_t bytes;
    if (__builtin_mul_overflow((int64_t)space.f_bavail, (int64_t)space.f_frsize, &bytes))
        return INT64_MAX;
    return bytes;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path) == 0 ? 0 : raw_fail_write("remove", path);
}

int directory_remove_tree(const char *path)
{
    enum { OPEN_DIRECTORIES = 16 };
    int status = nftw(path, remove_entry, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
    return status == 0 ? 0 : -1;
}
