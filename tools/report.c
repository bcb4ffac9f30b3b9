#include "tools/report.h"

#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/version.h"
#include "files/atomic.h"
#include "input/readable.h"
#include "tools/report_html.h"
#include "tools/report_parts.h"
#include "tools/report_sources.h"

typedef struct {
    const ShowRun *run;
    ReportChoice choice;
} Report;

// What stands in the page's source as {{name}}.
typedef struct {
    const char *name;
    void (*append)(const Report *report, Bytes *html);
} Place;

static void append_hash(const ReportSource *source, Bytes *html)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes_append_text(html, "sha256-");
    for (int i = 0; i < 33; i += 3) { // 32 bytes: the last three letters have two, the fourth is =
        const unsigned char *d = source->digest + i;
        unsigned bits = (unsigned)d[0] << 16 | (unsigned)d[1] << 8 | (i < 30 ? d[2] : 0U);
        bytes_print(html, "%c%c%c%c", letters[bits >> 18], letters[bits >> 12 & 63],
                    letters[bits >> 6 & 63], i < 30 ? letters[bits & 63] : '=');
    }
}

static void append_style_hash(const Report *report, Bytes *html)
{
    (void)report;
    append_hash(&report_source_style, html);
}

static void append_script_hash(const Report *report, Bytes *html)
{
    (void)report;
    append_hash(&report_source_script, html);
}

static void append_style(const Report *report, Bytes *html)
{
    (void)report;
    bytes_append_text(html, report_source_style.text);
}

static void append_script(const Report *report, Bytes *html)
{
    (void)report;
    bytes_append_text(html, report_source_script.text);
}

static void append_name(const Report *report, Bytes *html)
{
    report_html_text(html, report->run->settings.run.directory);
}

static void append_program(const Report *report, Bytes *html)
{
    (void)report;
    report_html_text(html, version_text);
}

static void append_state(const Report *report, Bytes *html)
{
    report_state(report->run, html);
}

static void append_glance(const Report *report, Bytes *html)
{
    report_glance(report->run, html);
}

static void append_scores(const Report *report, Bytes *html)
{
    report_scores(report->run, html);
}

static void append_settings(const Report *report, Bytes *html)
{
    report_settings(report->run, html);
}

static void append_times(const Report *report, Bytes *html)
{
    report_times(report->run, html);
}

static void append_chosen(const Report *report, Bytes *html)
{
    report_chosen(&report->choice, html);
}

static void append_data(const Report *report, Bytes *html)
{
    Bytes json = {0};
    bytes_append_text(&json, "{\"curves\":");
    report_curves(report->run, &json);
    bytes_append_text(&json, ",\n\"samples\":");
    report_samples(&report->choice, &json);
    bytes_append_text(&json, "}");
    report_html_json(html, &json);
    bytes_free(&json);
}

static const Place places[] = {
    {"style-hash", append_style_hash},
    {"script-hash", append_script_hash},
    {"style", append_style},
    {"script", append_script},
    {"name", append_name},
    {"program", append_program},
    {"state", append_state},
    {"glance", append_glance},
    {"scores", append_scores},
    {"settings", append_settings},
    {"times", append_times},
    {"chosen", append_chosen},
    {"data", append_data},
};

static void fill_place(const Report *report, const char *name, size_t length, Bytes *html)
{
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        if (strlen(places[p].name) == length && memcmp(places[p].name, name, length) == 0) {
            places[p].append(report, html);
            return;
        }
    }
    CHECK(false, "report.html: no place is called '%.*s'", (int)length, name);
}

static void fill_page(const Report *report, Bytes *html)
{
    const char *text = report_source_page.text;
    for (const char *open; (open = strstr(text, "{{")) != NULL;) {
        const char *close = strstr(open, "}}");
        CHECK(close, "report.html: a place is not closed");
        bytes_append(html, text, (size_t)(open - text));
        fill_place(report, open + 2, (size_t)(close - open - 2), html);
        text = close + 2;
    }
    bytes_append_text(html, text);
}

int report_write(const ShowRun *run, const ReportOptions *options)
{
    Report report = {.run = run};
    if (report_choice_make(&report.choice, run, options->samples) != 0)
        return -1;
    const Bytes *left_out = &report.choice.left_out;
    if (left_out->length > 0 && report.choice.count > 0)
        warn("the page goes without conversations: %s; paths are those of the directory where the "
             "run was started",
             left_out->data);
    else if (left_out->length > 0)
        warn("the page goes without samples: %s", left_out->data);
    Bytes html = {0};
    fill_page(&report, &html);
    readable_apply(run->settings.run.readable_by);
    int status = atomic_write_file(options->output, html.data, html.length);
    bytes_free(&html);
    report_choice_free(&report.choice);
    return status;
}
