#include "tools/show_run.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/regular.h"
#include "input/suggest.h"

enum { SETTINGS_LIMIT = 1 << 20 }; // bytes of run.ini

static char *path_in(const char *directory, const char *name)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s", directory, name);
    return path.data;
}

static int read_settings(ShowRun *run)
{
    char *path = path_in(run->directory, "run.ini");
    Bytes text = {0}, faults = {0};
    int status = regular_read(path, SETTINGS_LIMIT, &text);
    if (status != 0)
        fail_context("%s is no run's directory", run->directory);
    else
        status = settings_read_text(&run->settings, text.data, text.length, path, NULL, 0, &faults);
    bytes_free(&text);
    bytes_free(&faults);
    release(path);
    return status;
}

static int read_metrics(ShowRun *run)
{
    char *path = path_in(run->directory, "metrics.jsonl");
    int status = access(path, F_OK) == 0 ? metrics_table_read(&run->metrics, path) : 0;
    release(path);
    return status;
}

static int read_evaluations(ShowRun *run)
{
    static const char *const names[SHOW_EVALUATIONS] = {"start", "warm-up", "final"};
    for (int i = 0; i < SHOW_EVALUATIONS; i++) {
        Bytes path = {0};
        bytes_print(&path, "%s/evaluation-%s.json", run->directory, names[i]);
        bool there = access(path.data, F_OK) == 0;
        int status =
            there ? evaluation_result_read(path.data, &run->evaluations[run->evaluation_count]) : 0;
        bytes_free(&path);
        if (status != 0)
            return -1;
        if (there)
            run->evaluation_names[run->evaluation_count++] = names[i];
    }
    return 0;
}

static bool is_held(const ShowRun *run)
{
    char *path = path_in(run->directory, "lock");
    struct stat status;
    bool held = stat(path, &status) == 0 && status.st_size > 0;
    release(path);
    return held;
}

int show_run_open_head(ShowRun *run, const char *directory)
{
    *run = (ShowRun){.directory = directory};
    if (read_settings(run) != 0)
        return -1;
    run->progress = progress_read(directory);
    run->held = is_held(run);
    return 0;
}

int show_run_open(ShowRun *run, const char *directory)
{
    if (show_run_open_head(run, directory) != 0)
        return -1;
    if (read_metrics(run) == 0 && read_evaluations(run) == 0)
        return 0;
    show_run_close(run);
    return -1;
}

static int fail_name(const MetricsTable *table, const char *directory, const char *name)
{
    const char **names = allocate((size_t)table->count + 1, sizeof *names);
    for (int64_t i = 0; i < table->count; i++)
        names[i] = table->columns[i].name;
    const char *near = suggest_nearest(name, names);
    int status =
        near ? fail(EXIT_USAGE, "no number of %s is called '%s'; did you mean '%s'?", directory,
                    name, near)
             : fail(EXIT_USAGE, "no number of %s is called '%s': l2a-show metrics %s --names",
                    directory, name, directory);
    release(names);
    return status;
}

int show_run_find(const ShowRun *run, const char *name, const double **values)
{
    *values = metrics_table_find(&run->metrics, name);
    return *values ? 0 : fail_name(&run->metrics, run->directory, name);
}

void show_run_close(ShowRun *run)
{
    settings_free(&run->settings);
    metrics_table_free(&run->metrics);
}
