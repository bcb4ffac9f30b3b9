// show.c - l2a-show: what runs did and do, for people who watch and compare them.

#include <signal.h>
#include <stdio.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/version.h"
#include "tools/show_commands.h"
#include "tools/show_text.h"

#define PLACE(field) offsetof(ShowArguments, field)
#define FLAG(name, field, help)                                                                    \
    {                                                                                              \
        name, NULL, help, SHOW_FLAG, PLACE(field), 0, NULL                                         \
    }
#define NUMBER(name, field, least, help)                                                           \
    {                                                                                              \
        name, "N", help, SHOW_NUMBER, PLACE(field), least, NULL                                    \
    }
#define WORD(name, value, field, words, help)                                                      \
    {                                                                                              \
        name, value, help, SHOW_WORD, PLACE(field), 0, words                                       \
    }
#define METRIC(help)                                                                               \
    {                                                                                              \
        "--metric", "NAME", help, SHOW_METRIC, PLACE(metrics), 0, NULL                             \
    }

static const char *const decisions[] = {"wrong", "right", NULL};
static const char *const truths[] = {"continue", "stop", NULL};

static const ShowOption summary_options[] = {
    FLAG("--watch", watch, "follow it: a panel on a terminal, else a line a step; to its end"),
    {0},
};
static const ShowOption samples_options[] = {
    NUMBER("--step", step, 1, "of this step; default: the last one that has some"),
    FLAG("--last", last, "of the last step"),
    NUMBER("--worst", worst, 1, "the N that earned least; default: 3"),
    NUMBER("--best", best, 1, "the N that earned most"),
    WORD("--decision", "WORD", decision, decisions, "right: asked or stopped as the expert did"),
    WORD("--truth", "WORD", truth, truths, "continue or stop: what the expert did"),
    WORD("--cid", "CID", cid, NULL, "of this context, in the last step that had it"),
    WORD("--data", "FILE", data, NULL, "where the conversations are; default: [data] train"),
    FLAG("--json", json, "a line of JSON each, with the conversation"),
    {0},
};
static const ShowOption no_options[] = {{0}};
static const ShowOption checkpoint_options[] = {
    FLAG("--all", all, "every tensor and every setting"),
    {0},
};
static const ShowOption plot_options[] = {
    METRIC("of this number instead; up to four times"),
    WORD("--output", "FILE", output, NULL, "a .png or .svg; default: curves.png in RUN"),
    FLAG("--text", text, "into the terminal"),
    {0},
};
static const ShowOption metrics_options[] = {
    FLAG("--names", names, "their names, units and meanings instead"),
    {0},
};

static const ShowOption report_options[] = {
    WORD("--output", "FILE", output, NULL, "the page; default: report.html in RUN"),
    NUMBER("--samples", samples, 1, "responses that it keeps, about; default: 480"),
    {0},
};

static const ShowCommand commands[] = {
    {"summary", "RUN", "what it is, how it stands, what it learned, what deserves attention", 1, 1,
     show_summary, summary_options},
    {"samples", "RUN", "responses with their conversations; RUN may be an evaluate.output", 1, 1,
     show_responses, samples_options},
    {"compare", "RUN RUN...", "settings that differ, scores side by side, curves", 2, 8,
     show_compare, no_options},
    {"checkpoint", "FILE|RUN", "what is in a checkpoint, and whether it is whole", 1, 1,
     show_checkpoint, checkpoint_options},
    {"plot", "RUN...", "learning curves: reward, decision, content, format", 1, 8, show_plot,
     plot_options},
    {"report", "RUN", "one page for a browser, offline: curves, scores, and what was said", 1, 1,
     show_report, report_options},
    {"metrics", "RUN [NAME...]", "the journal as a table with tabs", 1, 1 << 20, show_metrics,
     metrics_options},
    {0},
};

static int run(int argc, char **argv, Bytes *out)
{
    ShowArguments arguments;
    if (show_arguments_read(&arguments, commands, argc, argv) != 0)
        return -1;
    int status = 0;
    if (arguments.help)
        show_arguments_print_help(commands, out);
    else if (arguments.version)
        bytes_print(out, "l2a-show %s\n", version_text);
    else
        status = arguments.command->run(&arguments, out);
    show_arguments_free(&arguments);
    return status;
}

int main(int argc, char **argv)
{
    Bytes out = {0};
    signal(SIGXFSZ, SIG_IGN); // a write past `ulimit -f` fails and is told instead
    json_set_alloc_funcs(memory_take, release);
    int status = run(argc, argv, &out);
    Failure failure = {0};
    if (status != 0)
        failure_keep(&failure);
    if (show_text_flush(&out) != 0)
        die_failed();
    bytes_free(&out);
    if (status == 0)
        return EXIT_DONE;
    failure_repeat(&failure);
    die_failed();
}
