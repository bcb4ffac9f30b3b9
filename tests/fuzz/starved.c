// starved.c - a fuzz target run on its seeds with no memory at the n-th allocation, for every n.
//
//     starved_TARGET SEEDS_DIRECTORY
//
// Each run is a process of its own. It may come back, if nothing of ours is left allocated and
// EXIT_NO_MEMORY was recorded, or end with exit code 71 and one line.
//
// The C library's allocation is replaced for the program and all its libraries. What is counted as
// left behind is ours alone: base/memory.h, and jansson through memory_take.

#define _GNU_SOURCE // dladdr
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/regular.h"
#include "tests/fuzz/fuzz.h"

enum { SECONDS = 20, SAID_BYTES = 1000 };
enum { OUTCOME_KEPT = 100, OUTCOME_SILENT, OUTCOME_NOT_REACHED };

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *memory);

static bool counts; // allocations are counted, and the one is refused
static bool in_hdf5;
static bool told;             // EXIT_NO_MEMORY was recorded
static int64_t made, refused; // refused: the number of the one, from 1; 0: none
static bool waits_for_begin;  // the target prepares its files first
static void *ours[1 << 16];   // what our code holds
static size_t ours_count;

static bool is_refused(void)
{
    if (!counts || ++made != refused)
        return false;
    errno = ENOMEM;
    return true;
}

static void *keep(void *memory)
{
    if (!memory || !counts)
        return memory;
    if (ours_count == sizeof ours / sizeof *ours)
        abort();
    return ours[ours_count++] = memory;
}

// Two libraries do not look whether they got memory, and crash: before they are called, the program
// sees that there is (hdf5.c, ini_scan.c), and here they always get it.
void __real_hdf5_enter(void);
void __real_hdf5_leave(void);
void __wrap_hdf5_enter(void);
void __wrap_hdf5_leave(void);

void __wrap_hdf5_enter(void)
{
    __real_hdf5_enter();
    in_hdf5 = true;
}

void __wrap_hdf5_leave(void)
{
    in_hdf5 = false;
    __real_hdf5_leave();
}

static bool is_iniparser(const void *caller)
{
    Dl_info found;
    return counts && dladdr(caller, &found) && strstr(found.dli_fname, "libiniparser");
}

void *malloc(size_t bytes)
{
    return !in_hdf5 && is_refused() ? NULL : __libc_malloc(bytes);
}

// iniparser's tables; it does look whether it got its texts.
void *calloc(size_t count, size_t size)
{
    bool given = in_hdf5 || is_iniparser(__builtin_return_address(0));
    return !given && is_refused() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t bytes)
{
    bool given = in_hdf5 || (memory && bytes <= malloc_usable_size(memory));
    return !given && is_refused() ? NULL : __libc_realloc(memory, bytes);
}

// Only base/memory.c asks for alignment.
int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    *memory = is_refused() ? NULL : keep(__libc_memalign(alignment, bytes));
    return *memory ? 0 : ENOMEM;
}

void free(void *memory)
{
    for (size_t i = ours_count; counts && i-- > 0;)
        if (ours[i] == memory) {
            ours[i] = ours[--ours_count];
            break;
        }
    __libc_free(memory);
}

static void *take_for_jansson(size_t bytes)
{
    return keep(memory_take(bytes));
}

int __real_fail(ExitCode code, const char *format, ...);
int __wrap_fail(ExitCode code, const char *format, ...);

// In front of fail: another failure may follow.
int __wrap_fail(ExitCode code, const char *format, ...)
{
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    told = told || code == EXIT_NO_MEMORY;
    return __real_fail(code, "%s", text);
}

void fuzz_begin(void)
{
    waits_for_begin = true;
    counts = true;
}

// A target's own checks fail where a parser, rightly, has no memory.
static void end(int code)
{
    _exit(code == EXIT_BUG && told ? 0 : code);
}

static int64_t run(const Bytes *seed, int64_t number)
{
    made = 0;
    refused = number;
    ours_count = 0;
    counts = !waits_for_begin;
    told = false;
    LLVMFuzzerTestOneInput((const uint8_t *)seed->data, seed->length);
    counts = false;
    return made;
}

static int child_outcome(const Bytes *seed, int64_t number)
{
    if (run(seed, number) < number)
        return OUTCOME_NOT_REACHED;
    if (ours_count > 0)
        return OUTCOME_KEPT;
    return told ? 0 : OUTCOME_SILENT;
}

// What the child says on standard error, and how it ends.
static int run_child(const Bytes *seed, int64_t number, char *said)
{
    int ends[2], status;
    if (pipe(ends) != 0)
        die(EXIT_NO_MEMORY, "pipe: %s", strerror(errno));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        alarm(SECONDS);
        _exit(child_outcome(seed, number));
    }
    close(ends[1]);
    ssize_t got, length = 0;
    while ((got = read(ends[0], said + length, (size_t)(SAID_BYTES - 1 - length))) > 0)
        length += got;
    said[length] = 0;
    close(ends[0]);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// Warnings of what was read before may stand above.
static bool is_one_error(const char *said)
{
    const char *error = strstr(said, "error: "), *newline = error ? strchr(error, '\n') : NULL;
    return newline && newline[1] == 0 && (error == said || error[-1] == '\n') &&
           strstr(error, "out of memory");
}

static int check(const char *name, const Bytes *seed, int64_t number)
{
    char said[SAID_BYTES];
    const char *what = NULL;
    int outcome = run_child(seed, number, said);
    if (outcome < 0)
        what = "ends by a signal";
    else if (outcome == OUTCOME_KEPT)
        what = "keeps memory";
    else if (outcome == OUTCOME_SILENT)
        what = "goes on without a word";
    else if (outcome == EXIT_NO_MEMORY && !is_one_error(said))
        what = "does not say so in one line of its own";
    else if (outcome != 0 && outcome != EXIT_NO_MEMORY && outcome != OUTCOME_NOT_REACHED)
        what = "ends with another code";
    if (!what)
        return 0;
    printf("%s: without memory at allocation %lld it %s (%d) %s\n", name, (long long)number, what,
           outcome, said);
    return 1;
}

static int64_t check_seed(const char *name, const char *path, int *faults)
{
    Bytes seed = {0};
    if (regular_read(path, SIZE_MAX, &seed) != 0)
        die_failed();
    run(&seed, 0); // what is made once and kept is not counted
    int64_t allocations = run(&seed, 0);
    for (int64_t number = 1; number <= allocations; number++)
        *faults += check(name, &seed, number);
    bytes_free(&seed);
    return allocations;
}

int main(int argc, char **argv)
{
    const char *directory = argc > 1 ? argv[1] : ".";
    DIR *seeds = opendir(directory);
    int64_t runs = 0;
    int faults = 0;
    if (!seeds)
        die(EXIT_NO_INPUT, "cannot open %s: %s", directory, strerror(errno));
    LLVMFuzzerInitialize(&argc, &argv);
    die_set_end(end);
    json_set_alloc_funcs(take_for_jansson, release);
    for (const struct dirent *entry = readdir(seeds); entry; entry = readdir(seeds)) {
        if (entry->d_name[0] == '.')
            continue;
        Bytes path = {0};
        bytes_print(&path, "%s/%s", directory, entry->d_name);
        runs += check_seed(entry->d_name, path.data, &faults);
        bytes_free(&path);
    }
    closedir(seeds);
    printf("%lld runs, %d faults\n", (long long)runs, faults);
    return faults > 0 || runs == 0;
}
