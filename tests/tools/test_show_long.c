// test_show_long.c - of a run of 10,000 steps every command says its part within a second.
//
// The run is made up here: a journal with all numbers that a step has, 80,000 responses. Seconds
// are those of this process, so that others on the machine do not count.

#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "files/checkpoint_file.h"
#include "tests/files/sample.h"
#include "tests/files/scratch.h"
#include "tests/tools/made_run.h"
#include "tools/show_commands.h"

enum { STEPS = 10000, OTHER_NUMBERS = 60, RESPONSES = 8 };

static const char settings[] = "[run]\ndirectory = long\n[model]\npath = m\n[data]\ntrain = none\n"
                               "[train]\nbatch_contexts = 8\n";

static void make_journal(void)
{
    Bytes journal = {0}, more = {0};
    for (int64_t step = 1; step <= STEPS; step++) {
        double learned = 1 - exp(-(double)step / 2000);
        bytes_clear(&more);
        bytes_print(&more,
                    ",\"critic/rewards/mean\":%.17g,\"reward/decision\":%.17g,\"actor/entropy\":%.17g",
                    4 * learned + 0.1 * sin((double)step), learned, 3 - 2 * learned);
        for (int i = 0; i < OTHER_NUMBERS; i++)
            bytes_print(&more, ",\"made/up_%d\":%.17g", i, sin((double)(step * (i + 1))));
        if (step % 500 == 0)
            bytes_print(&more, ",\"val/ave_total_reward\":%.17g", 4 * learned);
        made_run_step(&journal, step, step > STEPS / 2, more.data);
    }
    made_run_file("long", "metrics.jsonl", journal.data);
    bytes_free(&journal);
    bytes_free(&more);
}

static void make_samples(void)
{
    Bytes text = {0};
    for (int64_t step = 1; step <= STEPS; step++)
        for (int r = 0; r < RESPONSES; r++)
            bytes_print(&text,
                        "{\"step\": %lld, \"cid\": \"%lld_1\", \"repeat\": %d, \"decision_truth\": "
                        "\"continue\", \"response\": \"Does it bother you much?\", \"tokens\": 7, "
                        "\"finished\": true, \"graded\": true, \"decision\": 1, \"content\": 0, "
                        "\"format\": 1, \"reward\": %d, \"advantage\": 0.35}\n",
                        (long long)step, (long long)step, r, r);
    made_run_file("long", "samples.jsonl", text.data);
    bytes_free(&text);
}

static void make_log(void)
{
    Bytes log = {0};
    bytes_append_text(&log, "learn2ask 0.1.0\nranks      2: x\nbackend    cpu, avx2\n");
    for (int64_t step = 1; step <= STEPS; step++)
        bytes_print(&log,
                    "step %lld/%d reward 3.961 decision 1.000 content 0.980 format 1.000 kl 0 "
                    "len 7.6 clip 0 grad 0.0475 lr 0.00011 gap 0 0.8 s (gen 0.2) left 0:00:07\n",
                    (long long)step, STEPS);
    bytes_append_text(&log, "RESULT steps=10000 status=ok\n");
    made_run_file("long", "log.txt", log.data);
    bytes_free(&log);
}

static int make_run(void **state)
{
    if (scratch_make(state) != 0)
        return -1;
    made_run_begin("long", settings);
    made_run_file("long", "progress", "step=0 of=10000 starts=1\n");
    make_journal();
    make_samples();
    make_log();
    sample_make("long/step-010000.h5");
    return 0;
}

static double cpu_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// Runs a command on the run; it must say `part`, and soon.
static void assert_soon(ShowRunCommand *command, const char *name, ShowArguments arguments,
                        const char *part)
{
    Bytes out = {0};
    char *directory = duplicate(scratch_path("long"));
    const char *operands[] = {directory, directory};
    arguments.operands = operands;
    arguments.operand_count = arguments.operand_count > 0 ? arguments.operand_count : 1;
    double since = cpu_now(), wall = clock_now();
    assert_int_equal(command(&arguments, &out), 0);
    double seconds = cpu_now() - since;
    print_message("%-24s %.3f s, %.3f s of this process\n", name, clock_now() - wall, seconds);
    if (!out.data || !strstr(out.data, part))
        fail_msg("%s does not say '%s': %.2000s", name, part, out.data ? out.data : "");
    if (seconds >= 1)
        fail_msg("%s took %.3f s", name, seconds);
    release(directory);
    bytes_free(&out);
}

static const ShowArguments nothing = {.step = -1, .worst = -1, .best = -1};

static void every_command_answers_within_a_second(void **state)
{
    (void)state;
    ShowArguments arguments = nothing;
    assert_soon(show_summary, "summary", nothing, "finished: 10000 of 10000 steps are done");
    assert_soon(show_responses, "samples", nothing, "step 10000, context 10000_1");
    arguments.step = 5000;
    assert_soon(show_responses, "samples --step 5000", arguments, "step 5000, context 5000_1");
    arguments = nothing;
    arguments.cid = "77_1";
    assert_soon(show_responses, "samples --cid 77_1", arguments, "step 77, context 77_1");
    arguments = nothing;
    arguments.operand_count = 2;
    assert_soon(show_compare, "compare", arguments, "10000 of 10000");
    assert_soon(show_metrics, "metrics", nothing, "made/up_59");
    arguments = nothing;
    arguments.names = true;
    assert_soon(show_metrics, "metrics --names", arguments, "critic/rewards/mean\t1\tmean reward");
    arguments = nothing;
    arguments.text = true;
    assert_soon(show_plot, "plot --text", arguments, "reward (mean of ten)");
    assert_soon(show_checkpoint, "checkpoint", nothing, "whole: all of its");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_answers_within_a_second),
    };
    return cmocka_run_group_tests(tests, make_run, scratch_remove);
}
