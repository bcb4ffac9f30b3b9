#include "files/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/directory.h"
#include "files/raw.h"

char *atomic_temporary_name(const char *path)
{
    static atomic_uint names;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    Bytes name = {0};
    bytes_append(&name, path, length);
    bytes_print(&name, ".tmp-%ld-%u", (long)getpid(), atomic_fetch_add(&names, 1));
    return name.data;
}

AtomicFile *atomic_open(const char *path)
{
    AtomicFile *file = allocate(1, sizeof *file);
    file->path = duplicate(path);
    file->temporary = atomic_temporary_name(path);
    file->descriptor = open(file->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file->descriptor >= 0)
        return file;
    fail(EXIT_CANNOT_CREATE, "cannot create %s: %s", file->temporary, strerror(errno));
    release(file->path);
    release(file->temporary);
    release(file);
    return NULL;
}

int atomic_append(AtomicFile *file, const void *data, size_t bytes)
{
    if (raw_write_at(file->descriptor, file->path, data, bytes, file->offset))
        return -1;
    file->offset += (int64_t)bytes;
    return 0;
}

int atomic_rename(const char *temporary, const char *path)
{
    if (rename(temporary, path) != 0) {
        int reason = errno;
        return fail(EXIT_CANNOT_CREATE, "cannot rename %s to %s: %s", temporary, path,
                    strerror(reason));
    }
    char *directory = directory_of(path);
    int status = directory_sync(directory);
    release(directory);
    return status;
}

static void free_file(AtomicFile *file)
{
    if (file->descriptor >= 0)
        close(file->descriptor);
    release(file->path);
    release(file->temporary);
    release(file);
}

int atomic_commit(AtomicFile *file)
{
    int status = raw_sync(file->descriptor, file->path);
    // Network file systems may report a lost write only here.
    int descriptor = file->descriptor;
    file->descriptor = -1;
    if (close(descriptor) != 0 && status == 0)
        status = raw_fail_write("close", file->path);
    if (status == 0)
        status = atomic_rename(file->temporary, file->path);
    if (status != 0)
        unlink(file->temporary);
    free_file(file);
    return status;
}

void atomic_abandon(AtomicFile *file)
{
    if (!file)
        return;
    unlink(file->temporary);
    free_file(file);
}

int atomic_write_file(const char *path, const void *data, size_t bytes)
{
    AtomicFile *file = atomic_open(path);
    if (!file)
        return -1;
    if (atomic_append(file, data, bytes)) {
        atomic_abandon(file);
        return -1;
    }
    return atomic_commit(file);
}
