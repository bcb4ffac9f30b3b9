// report_html.h - texts of outside origin in a page: shown, never obeyed.

#ifndef L2A_TOOLS_REPORT_HTML_H
#define L2A_TOOLS_REPORT_HTML_H

#include <stdint.h>

#include "base/memory.h"

// Appends a text for an element or a quoted attribute. What is no UTF-8 and control characters
// become U+FFFD, but for tabs and newlines; marks that turn the direction of writing become their
// names, "U+202E".
void report_html_text(Bytes *html, const char *text);

// Appends JSON for a <script>: every "<" within becomes \u003c, so that no tag and no comment can
// begin, and U+2028 and U+2029 are escaped as well.
void report_html_json(Bytes *html, const Bytes *json);

// Appends "1,632".
void report_html_count(Bytes *html, int64_t count);

// Appends "1:04:09".
void report_html_time(Bytes *html, double seconds);

#endif
