#include "tools/show_commands.h"

#include "tools/report.h"
#include "tools/show_run.h"

int show_report(const ShowArguments *arguments, Bytes *out)
{
    const char *directory = arguments->operands[0];
    ReportOptions options = {
        .output = arguments->output,
        .samples = arguments->samples > 0 ? arguments->samples : REPORT_SAMPLES,
    };
    Bytes output = {0};
    ShowRun run;
    if (show_run_open(&run, directory) != 0)
        return -1;
    bytes_print(&output, "%s/report.html", directory);
    if (!options.output)
        options.output = output.data;
    int status = report_write(&run, &options);
    if (status == 0)
        bytes_print(out, "%s\n", options.output);
    bytes_free(&output);
    show_run_close(&run);
    return status;
}
