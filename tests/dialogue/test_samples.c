// test_samples.c - samples, their labels, and the session trees that they form.

#include "tests/testing.h"

#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "dialogue/samples.h"

#include "tests/dialogue/dialogue_testing.h"

#define U1 "{\"role\": \"user\", \"content\": \"My ear hurts.\"}"
#define A1 "{\"role\": \"assistant\", \"content\": \"Since when?\"}"
#define A2 "{\"role\": \"assistant\", \"content\": \"Is it sharp or dull?\"}"
#define U2 "{\"role\": \"user\", \"content\": \"Two days.\"}"
#define END "{\"role\": \"assistant\", \"content\": \"<med_search>\"}"
#define FIRST                                                                                      \
    "{\"cid\": \"5_1\", \"session_id\": 5, \"diagn\": \"Otitis\", \"messages\": [" U1              \
    "], \"decision_truth\": \"continue\", \"info_set\": [\"onset: two days\", \"nature: sharp\"]," \
    " \"remaining_chat\": [" A1 ", " A2 ", " U2 ", " END "]}\n"
#define SECOND                                                                                     \
    "{\"cid\": \"5_2\", \"session_id\": 5, \"messages\": [" U1 ", " A1 ", " A2 ", " U2             \
    "], \"decision_truth\": \"stop\", \"info_truth\": \"\", \"ward\": 3}\n"

static int read_text(const char *text, SampleOptions options, SampleSet *set)
{
    const char *path = file_with(text);
    int status = samples_read(set, path, options);
    unlink(path);
    return status;
}

static void a_session_is_a_tree_of_growing_contexts(void **state)
{
    (void)state;
    SampleSet set;
    assert_int_equal(read_text(FIRST SECOND, (SampleOptions){0}, &set), 0);
    assert_int_equal(set.count, 2);
    assert_int_equal(set.group_count, 1);
    assert_int_equal(set.session_count, 1);
    assert_int_equal(set.groups[0].sample_count, 2);
    assert_int_equal(set.groups[0].message_count, 4);
    const Sample *first = &set.samples[0], *second = &set.samples[1];
    assert_ptr_equal(first->messages, second->messages);
    assert_int_equal(first->message_count, 1);
    assert_string_equal(second->messages[3].content, "Two days.");
    assert_string_equal(first->diagn, "Otitis");
    assert_string_equal(second->diagn, "");
    assert_int_equal(second->round, 2);
    assert_int_equal(json_integer_value(second->session_id), 5);
    assert_int_equal(json_integer_value(json_object_get(second->record, "ward")), 3);
    assert_string_equal(first->info_truth, "onset: two days, nature: sharp");
    assert_int_equal(first->item_count, 2);
    samples_free(&set);
}

static void the_experts_answer_is_the_next_run_or_the_stop(void **state)
{
    (void)state;
    SampleSet set;
    assert_int_equal(read_text(FIRST SECOND, (SampleOptions){0}, &set), 0);
    assert_int_equal(set.samples[0].expert_count, 2);
    assert_string_equal(set.samples[0].expert[1].content, "Is it sharp or dull?");
    assert_int_equal(set.samples[1].expert_count, 1);
    assert_string_equal(set.samples[1].expert[0].content, "<stop />");
    assert_string_equal(set.samples[1].expert[0].role, "assistant");
    samples_free(&set);
}

static void both_shapes_of_remaining_chat_and_of_info_are_read(void **state)
{
    (void)state;
    SampleSet set;
    assert_int_equal(read_text("{\"cid\": \"x\", \"session_id\": \"s\", \"messages\": [" U1
                               "], \"info_truth\": \"onset: two days, nature: sharp\", "
                               "\"remaining_chat\": \"assistant: Since when?\\nuser: Two.\"}\n",
                               (SampleOptions){0}, &set),
                     0);
    assert_int_equal(set.samples[0].truth, TRUTH_CONTINUE); // by roles: decision_truth is absent
    assert_string_equal(set.samples[0].expert[0].content, "Since when?");
    assert_int_equal(set.samples[0].item_count, 2);
    assert_string_equal(set.samples[0].items[1], "nature: sharp");
    assert_int_equal(set.samples[0].round, 1); // its cid tells none
    samples_free(&set);
}

#define LABELLED(cid, truth, info)                                                                 \
    "{\"cid\": \"" cid "\", \"session_id\": \"s\", \"messages\": [" U1                             \
    "], \"decision_truth\": \"" truth "\", \"info_set\": " info "}\n"

static void only_continue_without_facts_and_failures_are_dropped(void **state)
{
    (void)state;
    static const char text[] = LABELLED("a", "continue", "[]") LABELLED("b", "continue", "[\"x\"]")
        LABELLED("c", "stop", "[]") LABELLED("d", "continue", "null");
    SampleSet set;
    assert_int_equal(read_text(text, (SampleOptions){0}, &set), 0);
    assert_int_equal(set.count, 2);
    assert_int_equal(set.counts.dropped_empty, 1);
    assert_int_equal(set.counts.dropped_failed, 1);
    assert_int_equal(set.counts.kept_continue, 1);
    assert_int_equal(set.counts.kept_stop, 1);
    Bytes counts = {0};
    samples_describe(&set, &counts);
    assert_string_equal(counts.data,
                        "2 samples (1 continue, 1 stop) of 1 sessions; dropped 1 without facts, 1 "
                        "whose extraction failed, 0 bad lines; 1 do not tell what the expert said "
                        "next");
    bytes_free(&counts);
    samples_free(&set);
    assert_int_equal(read_text(text, (SampleOptions){.keep_empty = true}, &set), 0);
    assert_int_equal(set.count, 4);
    samples_free(&set);
    assert_int_equal(read_text(LABELLED("a", "continue", "[]"), (SampleOptions){0}, &set), -1);
    assert_message("no sample is left");
}

static void unrelated_contexts_of_one_session_are_separate_trees(void **state)
{
    (void)state;
    SampleSet set;
    assert_int_equal(read_text("{\"cid\": \"s_3\", \"session_id\": \"s\", \"messages\": [" U1
                               ", " A1 ", " U2 "], \"decision_truth\": \"stop\"}\n"
                               "{\"cid\": \"s_2\", \"session_id\": \"s\", \"messages\": [" U1
                               ", " A2 ", " U2 "], \"decision_truth\": \"stop\"}\n"
                               "{\"cid\": \"t_1\", \"session_id\": \"t\", \"messages\": [" U1
                               ", " A2 ", " U2 "], \"decision_truth\": \"stop\"}\n"
                               "{\"cid\": \"s_1\", \"session_id\": \"s\", \"messages\": [" U1
                               "], \"decision_truth\": \"stop\"}\n",
                               (SampleOptions){0}, &set),
                     0);
    assert_int_equal(set.group_count, 4);
    assert_int_equal(set.session_count, 2);
    assert_int_equal(set.samples[0].round, 3);
    assert_int_equal(set.samples[3].session, 0);
    samples_free(&set);
}

static void sessions_are_cut_on_reading(void **state)
{
    (void)state;
    SampleSet set;
    const char *session = "{\"session_id\": 5, \"messages\": [" U1 ", " A1 ", " U2 ", " END "]}\n";
    assert_int_equal(read_text(session, (SampleOptions){.keep_empty = true}, &set), 0);
    assert_int_equal(set.count, 2);
    assert_int_equal(set.group_count, 1);
    assert_string_equal(set.samples[1].cid, "5_2");
    assert_string_equal(set.samples[0].expert[0].content, "Since when?");
    samples_free(&set);
    assert_int_equal(read_text(session, (SampleOptions){0}, &set), 0);
    assert_int_equal(set.count, 1);
    samples_free(&set);
}

static void unusable_samples_are_refused_with_a_reason(void **state)
{
    (void)state;
#define BASE "\"session_id\": \"s\", \"messages\": [" U1 "]"
    static const char *const cases[][2] = {
        {"{" BASE ", \"cid\": 4}", "cid is not a string"},
        {"{\"session_id\": 4}", "cid is missing"},
        {"{\"cid\": \"c\", \"messages\": []}", "session_id is missing"},
        {"{\"cid\": \"c\", " BASE "}", "decision_truth is missing"},
        {"{\"cid\": \"c\", " BASE ", \"decision_truth\": \"go\"}", "neither \"continue\" nor"},
        {"{\"cid\": \"c\", " BASE ", \"decision_truth\": \"stop\", \"info_truth\": 3}",
         "info_truth is not a string"},
        {"{\"cid\": \"c\", " BASE ", \"decision_truth\": \"stop\", \"info_set\": [3]}",
         "info_set is not a list of strings"},
        {"{\"cid\": \"c\", " BASE ", \"decision_truth\": \"stop\", \"info_set\": \"Error\"}",
         "info_set is not a list of strings"},
        {"{\"cid\": \"c\", " BASE ", \"remaining_chat\": \"hello\"}", "remaining_chat: does not"},
        {"{\"cid\": \"c\", " BASE ", \"remaining_chat\": [3]}", "remaining_chat: message 1"},
        {"{\"cid\": \"5_2\", " BASE ", \"decision_truth\": \"stop\"}",
         "cid 5_2 occurred before, in line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Bytes text = {0};
        bytes_print(&text, "%s%s\n", SECOND, cases[i][0]);
        SampleSet set;
        assert_int_equal(read_text(text.data, (SampleOptions){0}, &set), -1);
        assert_int_equal(fail_code(), EXIT_BAD_DATA);
        assert_message(cases[i][1]);
        assert_int_equal(read_text(text.data, (SampleOptions){.skip_bad = true}, &set), 0);
        assert_int_equal(set.counts.bad, 1);
        samples_free(&set);
        bytes_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_a_tree_of_growing_contexts),
        cmocka_unit_test(the_experts_answer_is_the_next_run_or_the_stop),
        cmocka_unit_test(both_shapes_of_remaining_chat_and_of_info_are_read),
        cmocka_unit_test(only_continue_without_facts_and_failures_are_dropped),
        cmocka_unit_test(unrelated_contexts_of_one_session_are_separate_trees),
        cmocka_unit_test(sessions_are_cut_on_reading),
        cmocka_unit_test(unusable_samples_are_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
