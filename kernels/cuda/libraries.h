// libraries.h - libraries that are looked for when a GPU is used, not when the program starts: one
// binary runs on machines with and without them.
//
// A source that forwards to a library defines its functions by FORWARD; the rest of the program
// calls them by their names, as if it were linked.

#ifndef L2A_KERNELS_CUDA_LIBRARIES_H
#define L2A_KERNELS_CUDA_LIBRARIES_H

typedef struct {
    const char *name; // of the file
    const char *what; // for messages
    void *handle;     // NULL until it is loaded
} Library;

// 0, or -1 with the reason recorded.
int library_load(Library *library);

// Dies where a loaded library lacks it.
void *library_symbol(const Library *library, const char *symbol);

// Defines `name` as a call of the library's function of that name.
#define FORWARD(library, result, name, parameters, arguments)                                      \
    extern "C" result name parameters                                                              \
    {                                                                                              \
        static const auto function =                                                               \
            reinterpret_cast<decltype(&name)>(library_symbol(&library, #name));                    \
        return function arguments;                                                                 \
    }

// 0, or -1 with the reason recorded; before the first call of a function of cuBLASLt.
int cublaslt_load(void);

#endif
