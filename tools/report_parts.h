// report_parts.h - the parts of a report's page; of report*.c alone.

#ifndef L2A_TOOLS_REPORT_PARTS_H
#define L2A_TOOLS_REPORT_PARTS_H

#include "tools/report_choice.h"
#include "tools/show_run.h"

// Each appends HTML: whether the run is done, and what it is; what it scored before and after; what
// was set; where the time went.
void report_state(const ShowRun *run, Bytes *html);
void report_glance(const ShowRun *run, Bytes *html);
void report_scores(const ShowRun *run, Bytes *html);
void report_settings(const ShowRun *run, Bytes *html);
void report_times(const ShowRun *run, Bytes *html);
void report_chosen(const ReportChoice *choice, Bytes *html); // which samples, of how many

// Each appends a JSON object for the page's script.
void report_curves(const ShowRun *run, Bytes *json);
void report_samples(const ReportChoice *choice, Bytes *json);

#endif
