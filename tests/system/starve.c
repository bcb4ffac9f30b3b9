// starve.c - to be preloaded: from main()'s first line on, the STARVE_AT-th allocation fails.
//
// At the end of the program the number of allocations is written to the file STARVE_COUNT. main()
// is known by its giving jansson an allocation. iniparser's tables are always to be had:
// src/input/ini_scan.c says why.

#define _GNU_SOURCE // dladdr, RTLD_NEXT
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

static long made, refused;
static bool armed;

void json_set_alloc_funcs(void *(*take)(size_t), void (*give)(void *))
{
    void (*set)(void *(*)(size_t), void (*)(void *)) = NULL;
    void *found = dlsym(RTLD_NEXT, "json_set_alloc_funcs");
    memcpy(&set, &found, sizeof set);
    set(take, give);
    const char *at = getenv("STARVE_AT");
    refused = at ? strtol(at, NULL, 10) : 0;
    armed = true;
}

static bool is_refused(void)
{
    if (!armed || __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED) != refused)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t bytes)
{
    return is_refused() ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t size)
{
    Dl_info caller;
    bool given = armed && dladdr(__builtin_return_address(0), &caller) &&
                 strstr(caller.dli_fname, "libiniparser");
    return !given && is_refused() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t bytes)
{
    return is_refused() ? NULL : __libc_realloc(memory, bytes);
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    *memory = is_refused() ? NULL : __libc_memalign(alignment, bytes);
    return *memory ? 0 : ENOMEM;
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("STARVE_COUNT");
    armed = false;
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file) {
        fprintf(file, "%ld\n", made);
        fclose(file);
    }
}
