// test_served.c - the client of a served model against one that misbehaves in every way we know.

#define _GNU_SOURCE // setenv

#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask/ask.h"
#include "ask/served.h"
#include "base/clock.h"
#include "base/fail.h"
#include "tests/ask/server.h"

#define KEY "s3cret-key-of-this-test"

static Server server;

static int start(void **state)
{
    (void)state;
    setenv("SERVED_TEST_KEY", KEY, 1);
    return server_start(&server) ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    server_stop(&server);
    return 0;
}

static ServedSettings settings_of(const char *model)
{
    return (ServedSettings){.url = server.url,
                            .name = model,
                            .key_variable = "SERVED_TEST_KEY",
                            .temperature = 0.7,
                            .top_p = 0.9,
                            .repetition_penalty = 1,
                            .max_tokens = 77,
                            .in_flight = 8,
                            .timeout = 5,
                            .retries = 2,
                            .backoff = 0.01};
}

static void submit(Served *served, int64_t tag, const char *text)
{
    ChatMessage messages[] = {{"system", "be brief", 8}, {"user", text, strlen(text)}};
    served_submit(served, tag, messages, 2, 42);
}

// The answer to one question; to be freed.
static ServedAnswer ask_once(const ServedSettings *settings, const char *text)
{
    ServedAnswer answer;
    Served *served = served_open(settings);
    assert_non_null(served);
    submit(served, 5, text);
    assert_true(served_next(served, &answer));
    assert_false(served_next(served, &answer) && answer.tag != 5);
    served_close(served);
    return answer;
}

static void expect_answer(const char *model, const char *text, int64_t tries)
{
    ServedSettings settings = settings_of(model);
    ServedAnswer answer = ask_once(&settings, "hello");
    if (!answer.ok)
        fail_msg("%s: %s", model, answer.failure);
    assert_int_equal(answer.tag, 5);
    assert_string_equal(answer.text, text);
    assert_int_equal(answer.length, strlen(text));
    assert_int_equal(answer.tries, tries);
    served_answer_free(&answer);
}

static void expect_failure(const char *model, const char *part, int64_t tries)
{
    ServedSettings settings = settings_of(model);
    settings.timeout = 1;
    ServedAnswer answer = ask_once(&settings, "hello");
    assert_false(answer.ok);
    assert_null(answer.text);
    if (!strstr(answer.failure, part))
        fail_msg("%s: expected '%s' in '%s'", model, part, answer.failure);
    assert_non_null(strstr(answer.failure, server.url));
    assert_null(strstr(answer.failure, KEY));
    assert_int_equal(answer.tries, tries);
    served_answer_free(&answer);
}

static void an_answer_comes_with_its_tag(void **state)
{
    (void)state;
    expect_answer("normal", "hello", 1);
    expect_answer("parts", "two parts", 1);
    expect_answer("fixed:", "", 1);
}

static void what_passes_is_tried_again(void **state)
{
    (void)state;
    expect_answer("broken_twice", "hello", 3);
    double since = clock_now();
    expect_answer("too_many", "hello", 2);
    assert_true(clock_now() - since >= 1); // Retry-After
    expect_failure("always_503", "HTTP status 503: overloaded", 3);
    expect_failure("half", "Transferred a partial file", 3);
    expect_failure("hang", "Server returned nothing", 3);
    expect_failure("not_json", "no chat completion", 3);
    expect_failure("bad_utf8", "no chat completion", 3);
    expect_failure("no_choices", "no chat completion", 3);
    expect_failure("null", "no chat completion", 3);
    expect_failure("delay:3", "Timeout was reached", 3);
}

static void what_is_refused_is_not(void **state)
{
    (void)state;
    expect_failure("refused", "HTTP status 401: no entry with Bearer ****", 1);
    expect_failure("long", "longer than 8 MiB", 1);
    expect_failure("moved", "HTTP status 302", 1);
}

// A key across the place where messages are cut, and one that looks as if it were taken out.
static void no_part_of_a_key_is_shown(void **state)
{
    (void)state;
    ServedSettings settings = settings_of("refused_late");
    ServedAnswer answer = ask_once(&settings, "hello");
    assert_false(answer.ok);
    assert_non_null(strstr(answer.failure, "xxx**********"));
    assert_null(strstr(answer.failure, "s3cret"));
    served_answer_free(&answer);
    setenv("SERVED_TEST_STARS", "****", 1);
    settings.key_variable = "SERVED_TEST_STARS";
    settings.name = "refused";
    answer = ask_once(&settings, "hello");
    assert_false(answer.ok);
    served_answer_free(&answer);
}

// A proxy would see the key of an address without encryption: none is used.
static void no_proxy_comes_between(void **state)
{
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    expect_answer("normal", "hello", 1);
    unsetenv("http_proxy");
}

static void an_answer_cut_by_its_limit_is_not_whole(void **state)
{
    (void)state;
    ServedSettings settings = settings_of("cut_off");
    ServedAnswer answer = ask_once(&settings, "x");
    assert_true(answer.ok && !answer.whole);
    served_answer_free(&answer);
    settings.name = "normal";
    answer = ask_once(&settings, "x");
    assert_true(answer.ok && answer.whole);
    served_answer_free(&answer);
}

static void requests_say_what_was_asked(void **state)
{
    (void)state;
    static const char text[] = "quote \" backslash \\ line\nend \xC3\xA4 \xE2\x82\xAC bad \xFF.";
    ServedSettings settings = settings_of("normal");
    settings.repetition_penalty = 1.25;
    ServedAnswer answer = ask_once(&settings, text);
    assert_true(answer.ok);
    assert_string_equal(answer.text, "quote \" backslash \\ line\nend \xC3\xA4 \xE2\x82\xAC bad "
                                     "\xEF\xBF\xBD.");
    json_t *stats = server_stats(&server), *body = json_object_get(stats, "body");
    assert_int_equal(json_integer_value(json_object_get(body, "seed")), 42);
    assert_int_equal(json_integer_value(json_object_get(body, "max_tokens")), 77);
    assert_true(json_number_value(json_object_get(body, "temperature")) == 0.7);
    assert_true(json_number_value(json_object_get(body, "top_p")) == 0.9);
    assert_true(json_number_value(json_object_get(body, "repetition_penalty")) == 1.25);
    assert_int_equal(json_array_size(json_object_get(body, "messages")), 2);
    json_decref(stats);
    served_answer_free(&answer);
    settings.repetition_penalty = 1;
    answer = ask_once(&settings, text);
    stats = server_stats(&server);
    assert_null(json_object_get(json_object_get(stats, "body"), "repetition_penalty"));
    json_decref(stats);
    served_answer_free(&answer);
}

// Highest number of requests that the server has had from a model at once.
static int64_t peak_of(const char *model)
{
    json_t *stats = server_stats(&server);
    int64_t peak = json_integer_value(json_object_get(json_object_get(stats, "peak"), model));
    json_decref(stats);
    return peak;
}

static void requests_overlap_up_to_the_limit(void **state)
{
    (void)state;
    enum { REQUESTS = 64 };
    ServedSettings settings = settings_of("delay:0.3");
    settings.in_flight = 32;
    Served *served = served_open(&settings);
    ServedAnswer answer;
    int64_t tags = 0;
    double since = clock_now();
    for (int64_t i = 0; i < REQUESTS; i++)
        submit(served, i, "hello");
    assert_false(served_poll(served, &answer)); // and does not wait
    assert_true(clock_now() - since < 0.3);
    for (int64_t i = 0; i < REQUESTS; i++) {
        assert_true(served_next(served, &answer));
        assert_true(answer.ok);
        tags += answer.tag;
        served_answer_free(&answer);
    }
    double seconds = clock_now() - since;
    assert_int_equal(tags, REQUESTS * (REQUESTS - 1) / 2);
    assert_true(seconds >= 0.6 && seconds < 2);
    served_close(served);
    assert_int_equal(peak_of("delay:0.3"), 32);
}

static void requests_go_on_while_the_caller_does_nothing(void **state)
{
    (void)state;
    enum { REQUESTS = 64 };
    ServedSettings settings = settings_of("delay:0.30");
    settings.in_flight = REQUESTS;
    Served *served = served_open(&settings);
    ServedAnswer answer;
    for (int64_t i = 0; i < REQUESTS; i++)
        submit(served, i, "hello");
    usleep(1400000);
    double since = clock_now();
    for (int64_t i = 0; i < REQUESTS; i++) {
        assert_true(served_poll(served, &answer));
        assert_true(answer.ok);
        served_answer_free(&answer);
    }
    assert_true(clock_now() - since < 0.1);
    assert_false(served_poll(served, &answer));
    assert_false(served_next(served, &answer)); // nothing is outstanding
    served_close(served);
    assert_int_equal(peak_of("delay:0.30"), REQUESTS);
}

static void expect_quick_close(Served *served)
{
    double since = clock_now();
    served_close(served);
    assert_true(clock_now() - since < 0.2);
}

static Served *submit_twenty(const ServedSettings *settings)
{
    Served *served = served_open(settings);
    assert_non_null(served);
    for (int64_t i = 0; i < 20; i++)
        submit(served, i, "to be closed");
    return served;
}

static void closing_gives_up_what_is_under_way(void **state)
{
    (void)state;
    ServedSettings settings = settings_of("delay:2");
    expect_quick_close(submit_twenty(&settings));
    settings.name = "delay:2.0";
    Served *served = submit_twenty(&settings);
    for (int i = 0; i < 50 && peak_of("delay:2.0") < settings.in_flight; i++)
        usleep(10000);
    assert_int_equal(peak_of("delay:2.0"), settings.in_flight);
    expect_quick_close(served);
}

static void closing_gives_up_what_waits_for_another_try(void **state)
{
    (void)state;
    ServedSettings settings = settings_of("always_503");
    settings.backoff = 30;
    Served *served = submit_twenty(&settings);
    ServedAnswer answer;
    usleep(300000);
    assert_false(served_poll(served, &answer));
    expect_quick_close(served);
}

static void a_server_that_is_not_there_is_named(void **state)
{
    (void)state;
    ServedSettings settings = settings_of("normal");
    settings.url = "http://127.0.0.1:1/v1/chat/completions";
    ServedAnswer answer = ask_once(&settings, "hello");
    assert_false(answer.ok);
    assert_non_null(strstr(answer.failure, "Couldn't connect to server"));
    assert_non_null(strstr(answer.failure, "(http://127.0.0.1:1/v1/chat/completions, 3 tries)"));
    assert_int_equal(answer.tries, 3);
    served_answer_free(&answer);
}

static void expect_refusal(ServedSettings settings, const char *message)
{
    assert_int_equal(served_check(&settings), -1);
    assert_int_equal(fail_code(), EXIT_BAD_SETTINGS);
    if (!strstr(fail_message(), message))
        fail_msg("expected '%s' in '%s'", message, fail_message());
    assert_null(served_open(&settings));
}

static void addresses_and_keys_that_cannot_be_are_refused(void **state)
{
    (void)state;
    ServedSettings settings = settings_of("normal");
    assert_int_equal(served_check(&settings), 0);
    settings.url = "localhost:8000";
    expect_refusal(settings, "must be an address such as");
    settings.url = "ftp://x/v1";
    expect_refusal(settings, "must be an address such as");
    settings.url = "http://me:word@host/v1";
    expect_refusal(settings, "use key_variable");
    assert_null(strstr(fail_message(), "word@"));
    settings = settings_of("normal");
    settings.key_variable = "SERVED_TEST_NO_SUCH";
    expect_refusal(settings, "the environment has no variable SERVED_TEST_NO_SUCH");
    settings.key_variable = "SERVED_TEST_BAD";
    setenv("SERVED_TEST_BAD", "", 1);
    expect_refusal(settings, "the environment has no variable SERVED_TEST_BAD");
    static const char *const keys[] = {"se cret", "secret\r\nX:y", "secret\t", "secret\x7f",
                                       "secret\xC3\xA4"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        setenv("SERVED_TEST_BAD", keys[i], 1);
        expect_refusal(settings, "SERVED_TEST_BAD holds something that is no key");
        assert_null(strstr(fail_message(), keys[i]));
    }
}

typedef struct {
    int64_t taken, failed, attempts;
    char text[64];
} Taken;

static bool is_yes(void *context, int64_t tag, const char *text, size_t length)
{
    (void)context, (void)tag;
    return length == 3 && memcmp(text, "yes", 3) == 0;
}

static void take(void *context, const AskAnswer *answer)
{
    Taken *taken = context;
    taken->taken++;
    taken->failed += answer->failure != NULL;
    taken->attempts += answer->attempts;
    snprintf(taken->text, sizeof taken->text, "%s", answer->text);
}

static Taken ask_served(const char *model, int64_t questions, AskCounts *counts)
{
    Asked asked = {.prompt = "",
                   .attempts = 3,
                   .top_p = 1,
                   .max_tokens = 10,
                   .repetition_penalty = 1,
                   .endpoint = {.url = server.url,
                                .name = (char *)model,
                                .key_variable = "",
                                .in_flight = 4,
                                .timeout = 5,
                                .retries = 1,
                                .backoff = 0.01}};
    Answerer answerer;
    Taken taken = {0};
    assert_int_equal(answerer_open(&answerer, ASKED_SERVED, &asked, "judge"), 0);
    assert_int_equal(answerer_build(&answerer, NULL, NULL), 0);
    Ask *ask =
        ask_make(&(AskSettings){.usable = is_yes, .take = take, .context = &taken}, &answerer);
    for (int64_t i = 0; i < questions; i++) {
        char text[16];
        int length = snprintf(text, sizeof text, "q %d", (int)i);
        ChatMessage message = {"user", text, (size_t)length};
        ask_submit(ask, &(AskQuestion){.messages = &message, .message_count = 1, .tag = i});
    }
    ask_finish(ask);
    *counts = ask_counts(ask);
    ask_free(ask);
    answerer_close(&answerer);
    return taken;
}

static void unusable_answers_are_asked_for_again(void **state)
{
    (void)state;
    AskCounts counts;
    Taken taken = ask_served("replies:no|maybe|yes", 5, &counts);
    assert_int_equal(taken.taken, 5);
    assert_int_equal(taken.failed, 0);
    assert_int_equal(taken.attempts, 15);
    assert_int_equal(counts.attempts, 15);
    assert_int_equal(counts.unusable, 10);
    taken = ask_served("fixed:no", 5, &counts);
    assert_int_equal(taken.failed, 5);
    assert_string_equal(taken.text, "no");
    assert_int_equal(counts.unanswered, 5);
    assert_int_equal(counts.unreached, 0);
    taken = ask_served("always_503", 2, &counts);
    assert_int_equal(taken.failed, 2);
    assert_int_equal(counts.unreached, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_with_its_tag),
        cmocka_unit_test(what_passes_is_tried_again),
        cmocka_unit_test(what_is_refused_is_not),
        cmocka_unit_test(no_part_of_a_key_is_shown),
        cmocka_unit_test(no_proxy_comes_between),
        cmocka_unit_test(an_answer_cut_by_its_limit_is_not_whole),
        cmocka_unit_test(requests_say_what_was_asked),
        cmocka_unit_test(requests_overlap_up_to_the_limit),
        cmocka_unit_test(requests_go_on_while_the_caller_does_nothing),
        cmocka_unit_test(closing_gives_up_what_is_under_way),
        cmocka_unit_test(closing_gives_up_what_waits_for_another_try),
        cmocka_unit_test(a_server_that_is_not_there_is_named),
        cmocka_unit_test(addresses_and_keys_that_cannot_be_are_refused),
        cmocka_unit_test(unusable_answers_are_asked_for_again),
    };
    if (system("python3 -c pass >/dev/null 2>&1") != 0)
        return 77;
    return cmocka_run_group_tests(tests, start, stop);
}
