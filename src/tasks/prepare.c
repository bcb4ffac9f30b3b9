// prepare.c - sessions to samples: read, ask a model for the facts that are not given, write.

#include <stdio.h>

#include "base/fail.h"
#include "dialogue/prepare.h"
#include "parallel/watchdog.h"
#include "tasks/extraction.h"
#include "tasks/job.h"
#include "tasks/tasks.h"

// Files are written by one rank, whatever the number of ranks: they are always the same.
static int write_files(const Group *world, PreparedSet *set, const PrepareSettings *settings,
                       Bytes *text)
{
    if (world->rank != 0)
        return 0;
    if (prepare_write(set, settings) != 0)
        return -1;
    prepare_describe(&set->counts, text);
    fputs(text->data, stdout);
    return 0;
}

static int prepare_files(const Group *world, const Settings *settings)
{
    bool asks = settings->prepare.extractor != ASKED_NOBODY;
    PrepareSettings prepare = extraction_files(settings);
    PreparedSet set = {0};
    Bytes text = {0};
    int status = asks || world->rank == 0 ? prepare_read(&set, &prepare) : 0;
    status = group_agree(world, status);
    if (status == 0 && asks) {
        job_set_threads(world, settings);
        status = extraction_run(world, settings, &set, &text);
    }
    if (status == 0)
        status = group_agree(world, write_files(world, &set, &prepare, &text));
    prepare_free(&set);
    bytes_free(&text);
    return status;
}

int task_prepare(const Settings *settings)
{
    Group world = group_world();
    watchdog_open(&world, NULL);
    int status = prepare_files(&world, settings);
    int code = status == 0 ? EXIT_DONE : (int)fail_code();
    if (code == EXIT_AGAIN && world.rank == 0)
        warn("%s", fail_message());
    watchdog_close(&world);
    group_free(&world);
    return code;
}
