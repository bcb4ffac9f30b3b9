// faults.h - everything that is wrong with an input, listed: one line a fault, with its place.
//
// A user repairs a file once, not once a fault. A list holds the first FAULTS_LISTED lines and
// counts the rest.

#ifndef L2A_INPUT_FAULTS_H
#define L2A_INPUT_FAULTS_H

#include <stdarg.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/memory.h"

enum { FAULTS_LISTED = 50, FAULTS_PLACE_BYTES = 512 };

typedef struct {
    const char *kind; // "error" or "warning", the beginning of every line
    Bytes *lines;     // borrowed; NULL: only counted
    int64_t count;
    Bytes first; // owned; the first one, "place: message"
} Faults;

// `lines` (may be NULL) receives "kind: place: message\n" for each.
Faults faults_make(const char *kind, Bytes *lines);

void faults_add(Faults *faults, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void faults_add_list(Faults *faults, const char *place, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

// Ends the list and frees what `faults` owns. 0 when it is empty, else -1 with the first fault as
// message and `code`.
int faults_finish(Faults *faults, ExitCode code);

// "file:line", or "file" for line 0. `place` holds FAULTS_PLACE_BYTES.
void faults_place(char *place, const char *file, int64_t line);

#endif
