// test_show_script.c - what gnuplot is told draws what there is, and nothing in a name is a
// command.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "tools/show_script.h"

static int64_t steps[] = {0, 1, 2};
static double rewards[] = {NAN, 1, 3}, evaluations[] = {0.5, NAN, NAN};
static MetricsColumn columns[] = {{"reward", rewards, 3, 3}, {"val", evaluations, 3, 3}};

static ShowRun run_called(const char *name)
{
    return (ShowRun){.directory = name,
                     .metrics = {.rows = 3, .count = 2, .steps = steps, .columns = columns}};
}

static Bytes script_of(const char *name, int runs, const ScriptPanel *panels, int count)
{
    ShowRun list[] = {run_called(name), run_called("b")};
    Bytes out = {0};
    show_script_print(list, runs, panels, count, false, &out);
    return out;
}

static void assert_holds(const Bytes *script, const char *part, bool expected)
{
    if ((strstr(script->data, part) != NULL) != expected)
        fail_msg("'%s' is%s in:\n%s", part, expected ? " not" : "", script->data);
}

static void a_panel_has_steps_means_and_evaluations(void **state)
{
    (void)state;
    const ScriptPanel panels[] = {{"Reward", "reward", "val", true}, {"None", "none", NULL, false}};
    Bytes script = script_of("a", 1, panels, 2);
    assert_holds(&script, "$data_0_0 << END\n0 nan nan 0.5\n1 1 1 nan\n2 3 2 nan\nEND\n", true);
    assert_holds(&script, "$data_0_1 << END\nEND\n", true);
    assert_holds(&script, "set xrange [0:2]\nset multiplot layout 1,2 title 'a'\n", true);
    assert_holds(
        &script,
        "set title 'Reward'\nset yrange [0:*]\n"
        "plot $data_0_0 using 1:2 with lines lc rgb '#bbbbbb' title 'step', \\\n"
        "     $data_0_0 using 1:3 with lines lw 2 lc rgb '#1f4e79' title 'mean of ten', \\\n"
        "     $data_0_0 using 1:4 with points pt 7 lc rgb '#c0392b' title 'evaluation'\n",
        true);
    assert_holds(&script, "set title 'None'\nset yrange [*:*]\nset multiplot next\n", true);
    bytes_free(&script);

    script = script_of("a", 2, panels, 1);
    assert_holds(&script, "$data_1_0 using 1:3 with lines lw 2 lc rgb '#b35806' title 'b'", true);
    assert_holds(&script, "title 'step'", false);
    bytes_free(&script);
}

// In single quotes nothing is special but a quote; line ends never come there.
static void names_stay_within_their_quotes(void **state)
{
    (void)state;
    const ScriptPanel panels[] = {{"x'; system('id'); '", "reward", NULL, false}};
    Bytes script = script_of("a' ; !id\n!id\r`id`\033[2J", 1, panels, 1);
    assert_holds(&script, "title 'a'' ; !id?!id?`id`?[2J'\n", true);
    assert_holds(&script, "set title 'x''; system(''id''); '''\n", true);
    assert_holds(&script, "\n!id", false);
    assert_holds(&script, "\033", false);
    bytes_free(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_panel_has_steps_means_and_evaluations),
        cmocka_unit_test(names_stay_within_their_quotes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
