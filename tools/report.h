// report.h - one self-contained page about a run: opened offline, handed to a colleague.
//
// Tables are in the page as they are; curves and the browser of samples are drawn from data within
// it by its own script. It loads nothing, and its policy forbids it to.

#ifndef L2A_TOOLS_REPORT_H
#define L2A_TOOLS_REPORT_H

#include <stdint.h>

#include "tools/show_run.h"

enum { REPORT_SAMPLES = 480 }; // by default

typedef struct {
    const char *output; // the page
    int64_t samples;    // responses that it keeps, about
} ReportOptions;

// Writes the page, as private as the run. EXIT_BAD_DATA where the run's samples are damaged,
// EXIT_CANNOT_CREATE, EXIT_CANNOT_WRITE. Conversations that cannot be read are left out, with a
// warning.
int report_write(const ShowRun *run, const ReportOptions *options);

#endif
