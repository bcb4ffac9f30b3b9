// report_sources.h - the page, style and script of a report, as they were when the program was
// built (tools/report/embed.cmake).

#ifndef L2A_TOOLS_REPORT_SOURCES_H
#define L2A_TOOLS_REPORT_SOURCES_H

typedef struct {
    const char *text;
    unsigned char digest[32]; // SHA-256
} ReportSource;

extern const ReportSource report_source_page, report_source_style, report_source_script;

#endif
