// report_settings.c - what a run was set to, what differs from the defaults first.

#include <string.h>

#include "input/settings_table.h"
#include "tools/report_html.h"
#include "tools/report_parts.h"

// The default of a row in this run: its algorithm may have one of its own.
static void append_default(const SettingRow *row, const Settings *settings, Bytes *text)
{
    for (const OwnDefault *own = settings_own_defaults; own->key; own++) {
        if (own->algorithm == settings->algorithm.name && strcmp(row->key, own->key) == 0 &&
            strcmp(row->section, "algorithm") == 0) {
            bytes_append_text(text, own->value);
            return;
        }
    }
    bytes_append_text(text, row->initial);
}

static void append_value(const char *text, Bytes *html)
{
    bytes_append_text(html, "<td>");
    if (*text) {
        bytes_append_text(html, "<code>");
        report_html_text(html, text);
        bytes_append_text(html, "</code>");
    } else {
        bytes_append_text(html, "<span class=\"not-given\">not given</span>");
    }
    bytes_append_text(html, "</td>");
}

static void append_row(const SettingRow *row, const char *value, const char *initial, Bytes *html)
{
    bytes_print(html, "<tr><th scope=\"row\"><code>%s.%s</code></th>", row->section, row->key);
    append_value(value, html);
    append_value(initial, html);
    bytes_append_text(html, "<td class=\"help\">");
    report_html_text(html, row->help);
    bytes_append_text(html, "</td></tr>\n");
}

// Those that differ, or all of them. Returns their number.
static int64_t append_rows(const Settings *settings, bool all, Bytes *html)
{
    int64_t count = 0;
    for (int64_t i = 0; i < settings_count; i++) {
        Bytes value = {0}, initial = {0};
        bytes_append_text(&value, "");
        bytes_append_text(&initial, "");
        setting_print(&settings_table[i], settings, &value);
        append_default(&settings_table[i], settings, &initial);
        if (all || strcmp(value.data, initial.data) != 0) {
            append_row(&settings_table[i], value.data, initial.data, html);
            count++;
        }
        bytes_free(&value);
        bytes_free(&initial);
    }
    return count;
}

static void append_table(const char *summary, const Bytes *rows, int64_t count, Bytes *html)
{
    bytes_print(html,
                "<details><summary>%s: %lld</summary>\n<div class=\"wide\" tabindex=\"0\" "
                "role=\"region\" aria-label=\"%s\">"
                "<table class=\"settings\"><thead><tr><th scope=\"col\">setting</th>"
                "<th scope=\"col\">value</th><th scope=\"col\">default</th>"
                "<th scope=\"col\">meaning</th></tr></thead>\n<tbody>\n",
                summary, (long long)count, summary);
    bytes_append_text(html, rows->data);
    bytes_append_text(html, "</tbody></table></div></details>\n");
}

void report_settings(const ShowRun *run, Bytes *html)
{
    Bytes differing = {0}, all = {0};
    bytes_append_text(&differing, "");
    int64_t count = append_rows(&run->settings, false, &differing);
    append_table("Settings that differ from their defaults", &differing, count, html);
    append_rows(&run->settings, true, &all);
    append_table("All settings", &all, settings_count, html);
    bytes_free(&differing);
    bytes_free(&all);
}
