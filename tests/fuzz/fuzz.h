// fuzz.h - what every fuzz target stands on: parts of an input, files in memory, ends that are
// findings.
//
// A target is one file fuzz_NAME.c with LLVMFuzzerTestOneInput. Where a parser reads several
// texts, the input holds them one behind the other, an ASCII record separator (0x1E, which no JSON
// and no .ini file may hold) between two. A program that would end - die, CHECK - is aborted, so
// the fuzzer keeps the input: outside input may make a parser fail, never end it.

#ifndef L2A_TESTS_FUZZ_FUZZ_H
#define L2A_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A target calls it where its parser begins: before that, memory is always to be had.
void fuzz_begin(void);

typedef struct {
    const char *data; // NULL: the input has no such part
    size_t length;
} FuzzPart;

// Fills parts [most]; the last one takes all that is left.
void fuzz_parts(const uint8_t *data, size_t size, FuzzPart *parts, int most);

// A copy with a closing 0, to be released; it ends at a NUL of the part.
char *fuzz_text(FuzzPart part);

// The path of a file in memory that holds `part` (the same one at every call).
const char *fuzz_file(FuzzPart part);

// A directory of this process alone, in /dev/shm or TMPDIR; removed at its end.
const char *fuzz_directory(void);

// Writes a file of that directory; a part without data removes it. Returns its path (the same
// buffer at every call).
const char *fuzz_write(const char *name, FuzzPart part);

#endif
