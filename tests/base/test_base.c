// test_base.c - failures, memory, draws and elementary functions.

#include "tests/testing.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/background.h"
#include "base/fail.h"
#include "base/mathematics.h"
#include "base/memory.h"
#include "base/random.h"

static void failures_keep_the_first_reason_and_gain_context(void **state)
{
    (void)state;
    assert_int_equal(fail(EXIT_BAD_DATA, "line %d", 7), -1);
    assert_int_equal(fail_context("file.txt"), -1);
    assert_string_equal(fail_message(), "file.txt: line 7");
    assert_int_equal(fail_code(), EXIT_BAD_DATA);
}

static void a_kept_failure_survives_others(void **state)
{
    (void)state;
    Failure failure = {0};
    fail(EXIT_CANNOT_WRITE, "the disk is full");
    failure_keep(&failure);
    fail(EXIT_BUG, "something else");
    assert_int_equal(failure_repeat(&failure), -1);
    assert_string_equal(fail_message(), "the disk is full");
    assert_int_equal(fail_code(), EXIT_CANNOT_WRITE);
    assert_null(failure.message);
    fail_as(EXIT_NO_PROGRESS);
    assert_string_equal(fail_message(), "the disk is full");
    assert_int_equal(fail_code(), EXIT_NO_PROGRESS);
}

// Waits until it is let go, then fails if it is to.
typedef struct {
    atomic_bool go;
    bool fails;
    pthread_t thread;
    bool gets_signals;
} Work;

static int do_work(void *context)
{
    Work *work = context;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    work->gets_signals = !sigismember(&blocked, SIGTERM);
    work->thread = pthread_self();
    while (!atomic_load(&work->go))
        usleep(100);
    return work->fails ? fail(EXIT_NO_INPUT, "no luck") : 0;
}

static void background_work_goes_on_beside_and_tells_its_failure(void **state)
{
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        Work work = {.fails = fails};
        Background background;
        background_begin(&background, do_work, &work);
        assert_false(background_done(&background));
        atomic_store(&work.go, true);
        fail(EXIT_BUG, "of this thread");
        assert_int_equal(background_end(&background), fails ? -1 : 0);
        assert_string_equal(fail_message(), fails ? "no luck" : "of this thread");
        assert_int_equal(fail_code(), fails ? EXIT_NO_INPUT : EXIT_BUG);
        assert_false(pthread_equal(work.thread, pthread_self()));
        assert_false(work.gets_signals);
    }
}

static void messages_hold_nothing_that_a_terminal_obeys(void **state)
{
    (void)state;
    fail(EXIT_BAD_DATA, "%s",
         "a\033[2J\rb\177c\xC2\x9B"
         "d\te\n\xC3\xA9\xC2\xA0");
    fail_context("%s", "\a\x01x");
    assert_string_equal(fail_message(), "??x: a?[2J?b?c??"
                                        "d\te\n\xC3\xA9\xC2\xA0");
}

static void allocation_of_absurd_sizes_fails_with_a_message(void **state)
{
    (void)state;
    assert_null(allocate_or_fail(SIZE_MAX / 2, 4));
    assert_int_equal(fail_code(), EXIT_NO_MEMORY);
}

static void bytes_grow_and_stay_terminated(void **state)
{
    (void)state;
    Bytes bytes = {0};
    for (int i = 0; i < 1000; i++)
        bytes_print(&bytes, "%d,", i);
    assert_int_equal(bytes.data[bytes.length], 0);
    assert_int_equal(strlen(bytes.data), bytes.length);
    bytes_free(&bytes);
}

// Known answers of Random123's philox4x32-10.
static void philox_gives_its_authors_numbers(void **state)
{
    (void)state;
    uint32_t words[4];
    draw_words((Draw){.seed = 0}, words);
    assert_int_equal(words[0], 0x6627e8d5);
    assert_int_equal(words[1], 0xe169c58d);
    assert_int_equal(words[2], 0xbc57ac4c);
    assert_int_equal(words[3], 0x9b00dbd8);
}

static void every_field_of_a_draw_moves_it(void **state)
{
    (void)state;
    Draw draws[9] = {{0}};
    draws[1].seed = 1, draws[2].purpose = 1, draws[3].step = 1, draws[4].session = 1;
    draws[5].round = 1, draws[6].sample = 1, draws[7].completion = 1, draws[8].attempt = 1;
    for (int i = 0; i < 9; i++) {
        for (int j = 0; j < i; j++) {
            uint32_t a[4], b[4];
            draw_words(draws[i], a);
            draw_words(draws[j], b);
            assert_memory_not_equal(a, b, sizeof a);
        }
    }
}

static void a_shuffle_is_a_permutation(void **state)
{
    (void)state;
    int64_t order[100];
    int seen[100] = {0}, moved = 0;
    for (int i = 0; i < 100; i++)
        order[i] = i;
    draw_shuffle((Draw){.seed = 3, .purpose = PURPOSE_SHUFFLE}, order, 100);
    for (int i = 0; i < 100; i++) {
        seen[order[i]]++;
        moved += order[i] != i;
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
    assert_true(moved > 80);
}

static void assert_close(double value, double expected)
{
    if (fabs(value - expected) > 4e-15 * fmax(fabs(expected), 1.0))
        fail_msg("%.17g is not %.17g", value, expected);
}

static void elementary_functions_agree_with_libm(void **state)
{
    (void)state;
    for (int i = -2000; i <= 2000; i++) {
        double x = 0.317 * i;
        assert_close(math_sin(x), sin(x));
        assert_close(math_cos(x), cos(x));
        double e = math_exp(x);
        if (exp(x) > 0 && fabs(e / exp(x) - 1) > 4e-15 && exp(x) > 1e-300)
            fail_msg("exp(%g) = %.17g, not %.17g", x, e, exp(x));
        double positive = exp(0.3 * x);
        if (positive > 1e-300 && isfinite(positive))
            assert_close(math_log(positive), log(positive));
    }
    assert_true(math_exp(-1000) == 0 && isinf(math_exp(1000)));
    assert_true(math_exp(0) == 1 && math_log(1) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_keep_the_first_reason_and_gain_context),
        cmocka_unit_test(a_kept_failure_survives_others),
        cmocka_unit_test(background_work_goes_on_beside_and_tells_its_failure),
        cmocka_unit_test(messages_hold_nothing_that_a_terminal_obeys),
        cmocka_unit_test(allocation_of_absurd_sizes_fails_with_a_message),
        cmocka_unit_test(bytes_grow_and_stay_terminated),
        cmocka_unit_test(philox_gives_its_authors_numbers),
        cmocka_unit_test(every_field_of_a_draw_moves_it),
        cmocka_unit_test(a_shuffle_is_a_permutation),
        cmocka_unit_test(elementary_functions_agree_with_libm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
