// libraries.cu - how libraries are found.

#include "kernels/cuda/libraries.h"

#include <dlfcn.h>
#include <stddef.h>

extern "C" {
#ifndef _Noreturn
#define _Noreturn [[noreturn]] // C11's word in headers of ours
#endif
#include "base/fail.h"
}

int library_load(Library *library)
{
    if (!library->handle)
        library->handle = dlopen(library->name, RTLD_NOW | RTLD_LOCAL);
    if (library->handle)
        return 0;
    return fail(EXIT_UNAVAILABLE,
                "%s cannot be loaded: %s (put its folder, such as /usr/local/cuda/lib64, into "
                "LD_LIBRARY_PATH)",
                library->what, dlerror());
}

void *library_symbol(const Library *library, const char *symbol)
{
    CHECK(library->handle, "%s before %s is loaded", symbol, library->what);
    void *found = dlsym(library->handle, symbol);
    if (!found)
        die(EXIT_UNAVAILABLE, "%s (%s) has no %s: its version does not fit this program",
            library->what, library->name, symbol);
    return found;
}
