// show_plot.c - l2a-show plot: learning curves, by gnuplot or into the terminal.

#include <string.h>
#include <sys/wait.h>

#include "base/command.h"
#include "base/fail.h"
#include "files/atomic.h"
#include "tools/show_commands.h"
#include "tools/show_curves.h"
#include "tools/show_script.h"
#include "tools/show_text.h"

enum { RUNS_MAXIMUM = 8, PANELS = 4, PICTURE_BYTES = 256 << 20, CHART_ROWS = 6 };

static const double seconds_to_draw = 300;

static const ScriptPanel of_rewards[PANELS] = {
    {"reward", "critic/rewards/mean", "val/ave_total_reward", true},
    {"decision", "reward/decision", "val/ave_total_decision", true},
    {"content", "reward/content", "val/ave_continue_content", true},
    {"format", "reward/format", "val/ave_total_format", true},
};
static const ScriptPanel of_losses[PANELS] = {
    {"loss", "actor/pg_loss", "val/expert_loss", false},
    {"gradient", "actor/grad_norm", NULL, true},
    {"entropy", "actor/entropy", NULL, true},
    {"learning rate", "actor/lr", NULL, true},
};

typedef struct {
    ShowRun runs[RUNS_MAXIMUM];
    int count;
    ScriptPanel panels[PANELS];
    int panel_count;
} Picture;

static void close_all(Picture *picture)
{
    for (int r = 0; r < picture->count; r++)
        show_run_close(&picture->runs[r]);
}

// The numbers that are asked for; some run must have each.
static int take_metrics(Picture *picture, const ShowArguments *arguments)
{
    for (int m = 0; m < arguments->metric_count; m++) {
        const char *name = arguments->metrics[m];
        const double *values = NULL;
        for (int r = picture->count - 1; r >= 0 && !values; r--)
            if (show_run_find(&picture->runs[r], name, &values) != 0 && r == 0)
                return -1;
        picture->panels[picture->panel_count++] = (ScriptPanel){name, name, NULL, false};
    }
    return 0;
}

static void take_defaults(Picture *picture)
{
    bool rewarded = false;
    for (int r = 0; r < picture->count; r++)
        rewarded = rewarded || metrics_table_find(&picture->runs[r].metrics, "critic/rewards/mean");
    memcpy(picture->panels, rewarded ? of_rewards : of_losses, sizeof picture->panels);
    picture->panel_count = PANELS;
}

static int open_all(Picture *picture, const ShowArguments *arguments)
{
    int status = 0;
    int64_t rows = 0;
    for (int r = 0; r < arguments->operand_count && status == 0; r++) {
        status = show_run_open(&picture->runs[r], arguments->operands[r]);
        picture->count += status == 0;
        rows += status == 0 ? picture->runs[r].metrics.rows : 0;
    }
    if (status == 0 && rows == 0)
        status = fail(EXIT_NO_INPUT, "%s: no step is done yet: there is nothing to draw",
                      arguments->operands[0]);
    if (status == 0 && arguments->metric_count > 0)
        status = take_metrics(picture, arguments);
    else if (status == 0)
        take_defaults(picture);
    if (status != 0)
        close_all(picture);
    return status;
}

static int run_gnuplot(const Bytes *script, Bytes *drawn)
{
    char *const words[] = {"gnuplot", "-d", "-", NULL}; // -d: without anybody's own settings
    static const char *const keeps[] = {"PATH", "HOME", "TMPDIR", "FONTCONFIG_PATH", NULL};
    Command command = {words, keeps, seconds_to_draw, PICTURE_BYTES};
    int status = 0;
    CommandEnd end = command_run(&command, script, drawn, &status);
    if (end == COMMAND_NOT_STARTED)
        return fail(EXIT_UNAVAILABLE, "there is no gnuplot in PATH: install it (gnuplot-nox), or "
                                      "draw into the terminal: l2a-show plot --text");
    if (end == COMMAND_ENDED && WIFEXITED(status) && WEXITSTATUS(status) == 0 && drawn->length > 0)
        return 0;
    return fail(EXIT_UNAVAILABLE,
                "gnuplot %s: has it the terminals pngcairo and svg (gnuplot-nox "
                "has)? l2a-show plot --text draws without it",
                end == COMMAND_LATE ? "took longer than five minutes" : "could not draw this");
}

static int draw(const Picture *picture, const char *path, bool svg, Bytes *out)
{
    Bytes script = {0}, drawn = {0};
    show_script_print(picture->runs, picture->count, picture->panels, picture->panel_count, svg,
                      &script);
    int status = run_gnuplot(&script, &drawn);
    if (status == 0)
        status = atomic_write_file(path, drawn.data, drawn.length);
    if (status == 0) {
        show_text_line(out, path);
        bytes_append_text(out, "\n");
    }
    bytes_free(&script);
    bytes_free(&drawn);
    return status;
}

static bool ends_in(const char *text, const char *ending)
{
    size_t length = strlen(text), wanted = strlen(ending);
    return length > wanted && strcmp(text + length - wanted, ending) == 0;
}

// Where the picture goes: --output, or curves.png in the only run's directory. To be released.
static char *place_of(const ShowArguments *arguments)
{
    Bytes path = {0};
    if (arguments->output)
        bytes_print(&path, "%s", arguments->output);
    else
        bytes_print(&path, "%s/curves.png", arguments->operands[0]);
    return path.data;
}

static int check_output(const ShowArguments *arguments)
{
    const char *output = arguments->output;
    if (arguments->text && output)
        return fail(EXIT_USAGE, "--text or --output, not both");
    if (!arguments->text && !output && arguments->operand_count > 1)
        return fail(EXIT_USAGE, "where to, with several runs? --output FILE.png, or --text");
    if (output && !ends_in(output, ".png") && !ends_in(output, ".svg"))
        return fail(EXIT_USAGE, "--output ends in .png or .svg, unlike '%s'", output);
    return 0;
}

int show_plot(const ShowArguments *arguments, Bytes *out)
{
    Picture picture = {0};
    Screen screen = show_text_screen();
    if (check_output(arguments) != 0 || open_all(&picture, arguments) != 0)
        return -1;
    int status = 0;
    for (int p = 0; p < picture.panel_count && arguments->text; p++)
        show_curves_print(picture.runs, picture.count, picture.panels[p].title,
                          picture.panels[p].name, (CurvesSize){screen.columns, CHART_ROWS}, out);
    if (!arguments->text) {
        char *path = place_of(arguments);
        status = draw(&picture, path, ends_in(path, ".svg"), out);
        release(path);
    }
    close_all(&picture);
    return status;
}
