#define _GNU_SOURCE // memfd_create
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/directory.h"

enum { SEPARATOR = 0x1E, PATH_BYTES = 256 };

static void end_is_finding(int code)
{
    (void)code;
    abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    die_set_end(end_is_finding);
    json_set_alloc_funcs(memory_take, release);
    return 0;
}

// starved.c has another.
__attribute__((weak)) void fuzz_begin(void)
{
}

void fuzz_parts(const uint8_t *data, size_t size, FuzzPart *parts, int most)
{
    const char *at = (const char *)data, *end = at + size;
    memset(parts, 0, (size_t)most * sizeof *parts);
    for (int i = 0; i < most && at; i++) {
        const char *separator =
            i + 1 < most && at < end ? memchr(at, SEPARATOR, (size_t)(end - at)) : NULL;
        parts[i] = (FuzzPart){at, (size_t)((separator ? separator : end) - at)};
        at = separator ? separator + 1 : NULL;
    }
}

char *fuzz_text(FuzzPart part)
{
    char *text = allocate(part.length + 1, 1);
    if (part.length > 0)
        memcpy(text, part.data, part.length);
    return text;
}

static void fill(int descriptor, FuzzPart part)
{
    CHECK(ftruncate(descriptor, 0) == 0 &&
              pwrite(descriptor, part.data, part.length, 0) == (ssize_t)part.length,
          "no room for a file in memory");
}

const char *fuzz_file(FuzzPart part)
{
    static char path[PATH_BYTES];
    static int descriptor = -1;
    if (descriptor < 0)
        descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    CHECK(descriptor >= 0, "memfd_create");
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    fill(descriptor, part);
    return path;
}

static char directory[PATH_BYTES];

static void remove_directory(void)
{
    directory_remove_tree(directory);
}

const char *fuzz_directory(void)
{
    if (directory[0])
        return directory;
    const char *root = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/l2a-fuzz-XXXXXX", root ? root : "/dev/shm");
    CHECK(mkdtemp(directory), "%s", directory);
    atexit(remove_directory);
    return directory;
}

const char *fuzz_write(const char *name, FuzzPart part)
{
    static char path[2 * PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", fuzz_directory(), name);
    if (!part.data) {
        unlink(path);
        return path;
    }
    int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(descriptor >= 0, "%s", path);
    fill(descriptor, part);
    close(descriptor);
    return path;
}
