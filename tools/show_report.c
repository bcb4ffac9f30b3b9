// show_report.c - the subcommand `l2a-show report`: its options.

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "tools/report.h"

enum { MOST_SAMPLES = 1000000 };

static const char help[] =
    "usage: l2a-show report RUN [--output FILE] [--samples N]\n"
    "\n"
    "Writes one page about a run, to be opened offline in a browser: curves, scores before and "
    "after,\n"
    "settings, times, and a browser of conversations and responses. It holds what patients said, "
    "and can\n"
    "be read by whom [run] readable_by names. Conversations are found where the run was started.\n"
    "\n"
    "  --output FILE   the page (default RUN/report.html)\n"
    "  --samples N     responses that it keeps, about (default 480)\n";

static int parse_samples(const char *text, int64_t *samples)
{
    size_t digits = strspn(text, "0123456789");
    *samples = digits > 0 && digits < 8 && !text[digits] ? strtol(text, NULL, 10) : 0;
    if (*samples < 1 || *samples > MOST_SAMPLES)
        return fail(EXIT_USAGE, "--samples is a number from 1 to %d, not '%s'", MOST_SAMPLES, text);
    return 0;
}

static int parse_options(int argc, char **argv, ReportOptions *options)
{
    static const struct option names[] = {{"output", required_argument, NULL, 'o'},
                                          {"samples", required_argument, NULL, 's'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int status = 0;
    opterr = 0;
    optind = 0;
    for (int option; status == 0 && (option = getopt_long(argc, argv, ":h", names, NULL)) != -1;) {
        if (option == 'o')
            options->output = optarg;
        else if (option == 's')
            status = parse_samples(optarg, &options->samples);
        else if (option == 'h')
            exit(fputs(help, stdout) < 0 ? EXIT_CANNOT_WRITE : EXIT_DONE);
        else
            status =
                fail(EXIT_USAGE, "%s '%s'; see l2a-show report --help",
                     option == ':' ? "no value for option" : "no such option", argv[optind - 1]);
    }
    if (status == 0 && argc - optind != 1)
        status =
            fail(EXIT_USAGE, "expected one run, not %d; see l2a-show report --help", argc - optind);
    return status;
}

int show_report(int argc, char **argv)
{
    ReportOptions options = {.samples = REPORT_SAMPLES};
    Bytes output = {0};
    ShowRun run;
    if (parse_options(argc, argv, &options) != 0 || show_run_open(&run, argv[optind]) != 0)
        return -1;
    bytes_print(&output, "%s/report.html", argv[optind]);
    if (!options.output)
        options.output = output.data;
    int status = report_write(&run, &options);
    if (status == 0)
        puts(options.output);
    bytes_free(&output);
    show_run_close(&run);
    return status;
}
