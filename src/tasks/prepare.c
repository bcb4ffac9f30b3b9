// prepare.c - sessions to samples. Facts come with the input; no model is asked yet.

#include "base/fail.h"
#include "dialogue/prepare.h"
#include "parallel/group.h"
#include "tasks/tasks.h"

static const char *given(const char *text)
{
    return text[0] ? text : NULL;
}

static int prepare_on_one_rank(const Settings *settings)
{
    PrepareSettings prepare = {
        .input = settings->prepare.input,
        .labels = given(settings->prepare.info_sets),
        .processed = given(settings->prepare.processed),
        .samples = given(settings->prepare.output),
        .compat = {.round_context = settings->prepare.round_context,
                   .trailing_round = settings->prepare.trailing_round},
        .skip_bad = settings->data.skip_bad,
    };
    PrepareCounts counts;
    return prepare_run(&prepare, &counts);
}

int task_prepare(const Settings *settings)
{
    Group world = group_world();
    int status = world.rank == 0 ? prepare_on_one_rank(settings) : 0;
    status = group_agree(&world, status);
    group_free(&world);
    return status != 0 ? (int)fail_code() : EXIT_DONE;
}
