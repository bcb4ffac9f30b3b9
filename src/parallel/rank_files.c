#include "parallel/rank_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"

static const char prefix[] = "rank-", verdict[] = "verdict";

static char *path_of(const char *directory, int rank)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s%06d", directory, prefix, rank);
    return path.data;
}

static void clean(int directory, DIR *entries)
{
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        if (strncmp(entry->d_name, prefix, sizeof prefix - 1) == 0 ||
            strcmp(entry->d_name, verdict) == 0)
            unlinkat(directory, entry->d_name, 0);
}

int rank_files_make(const char *directory)
{
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        return fail(EXIT_CANNOT_CREATE, "cannot make %s: %s", directory, strerror(errno));
    DIR *entries = opendir(directory);
    if (!entries)
        return fail(EXIT_CANNOT_CREATE, "cannot look into %s: %s", directory, strerror(errno));
    clean(dirfd(entries), entries);
    closedir(entries);
    return 0;
}

static RankRecord *map(int descriptor, const char *path)
{
    int error = posix_fallocate(descriptor, 0, sizeof(RankRecord));
    void *memory = MAP_FAILED;
    if (error == 0) {
        memory = mmap(NULL, sizeof(RankRecord), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
        error = errno;
    }
    if (memory != MAP_FAILED)
        return memory;
    fail(EXIT_CANNOT_WRITE, "cannot map %s: %s", path, strerror(error));
    unlink(path);
    return NULL;
}

RankRecord *rank_file_map(const char *directory, int rank)
{
    RankRecord *record = NULL;
    char *path = path_of(directory, rank);
    int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0)
        fail(EXIT_CANNOT_CREATE, "cannot make %s: %s", path, strerror(errno));
    else
        record = map(descriptor, path);
    if (descriptor >= 0)
        close(descriptor);
    release(path);
    return record;
}

void rank_file_remove(const char *directory, int rank)
{
    char *path = path_of(directory, rank);
    unlink(path);
    release(path);
}

bool rank_file_read(const char *directory, int rank, RankRecord *record)
{
    char *path = path_of(directory, rank);
    int descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); // anew: what NFS then looks up
    release(path);
    if (descriptor < 0)
        return false;
    ssize_t bytes = pread(descriptor, record, sizeof *record, 0);
    close(descriptor);
    return bytes == (ssize_t)sizeof *record;
}

bool rank_files_judge(const char *directory, const char *text)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s", directory, verdict);
    int descriptor = open(path.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool later = descriptor < 0 && errno == EEXIST;
    size_t done = 0, length = strlen(text);
    for (ssize_t bytes = 1; descriptor >= 0 && done < length && bytes > 0;
         done += bytes > 0 ? (size_t)bytes : 0)
        bytes = write(descriptor, text + done, length - done);
    if (descriptor >= 0)
        close(descriptor);
    bytes_free(&path);
    return !later;
}
