#include "input/faults.h"

#include <stdio.h>

Faults faults_make(const char *kind, Bytes *lines)
{
    return (Faults){.kind = kind, .lines = lines};
}

void faults_add_list(Faults *faults, const char *place, const char *format, va_list arguments)
{
    char message[2048];
    vsnprintf(message, sizeof message, format, arguments);
    if (faults->count == 0)
        bytes_print(&faults->first, "%s: %s", place, message);
    if (faults->lines && faults->count < FAULTS_LISTED)
        bytes_print(faults->lines, "%s: %s: %s\n", faults->kind, place, message);
    faults->count++;
}

void faults_add(Faults *faults, const char *place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    faults_add_list(faults, place, format, arguments);
    va_end(arguments);
}

int faults_finish(Faults *faults, ExitCode code)
{
    int status = 0;
    if (faults->lines && faults->count > FAULTS_LISTED)
        bytes_print(faults->lines, "%s: %lld more are not listed\n", faults->kind,
                    (long long)(faults->count - FAULTS_LISTED));
    if (faults->count > 0)
        status = fail(code, "%s", faults->first.data);
    bytes_free(&faults->first);
    return status;
}

void faults_place(char *place, const char *file, int64_t line)
{
    if (line > 0)
        snprintf(place, FAULTS_PLACE_BYTES, "%s:%lld", file, (long long)line);
    else
        snprintf(place, FAULTS_PLACE_BYTES, "%s", file);
}
