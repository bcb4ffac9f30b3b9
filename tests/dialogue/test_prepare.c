// test_prepare.c - sessions become rounds and samples, whole files or none.

#include "tests/testing.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fail.h"
#include "dialogue/prepare.h"

#include "tests/dialogue/dialogue_testing.h"

static const char session[] =
    "{\"session_id\": 5, \"clinic\": \"north\", \"messages\": [{\"role\": \"user\", \"content\": "
    "\"My ear hurts.\"}, {\"role\": \"assistant\", \"content\": \"Since when?\"}, {\"role\": "
    "\"user\", \"content\": \"Two days.\"}, {\"role\": \"assistant\", \"content\": \"And?\"}, "
    "{\"role\": \"user\", \"content\": \"No.\"}]}\n";

typedef struct {
    char folder[64], processed[96], samples[96];
} Place;

static Place place_make(void)
{
    Place place = {.folder = "/tmp/learn2ask_test_XXXXXX"};
    assert_non_null(mkdtemp(place.folder));
    snprintf(place.processed, sizeof place.processed, "%s/processed.jsonl", place.folder);
    snprintf(place.samples, sizeof place.samples, "%s/samples.jsonl", place.folder);
    return place;
}

static void place_remove(Place *place)
{
    unlink(place->processed);
    unlink(place->samples);
    assert_int_equal(rmdir(place->folder), 0); // nothing else was left behind
}

static int run(const PrepareSettings *settings, PrepareCounts *counts)
{
    PreparedSet set;
    if (prepare_read(&set, settings) != 0)
        return -1;
    int status = prepare_write(&set, settings);
    *counts = set.counts;
    prepare_free(&set);
    return status;
}

static int prepare(const Place *place, const char *input, const char *labels, PrepareCounts *counts)
{
    PrepareSettings settings = {
        .input = input, .labels = labels, .processed = place->processed, .samples = place->samples};
    return run(&settings, counts);
}

static void labels_are_found_by_cid_and_the_last_one_wins(void **state)
{
    (void)state;
    Place place = place_make();
    PrepareCounts counts;
    const char *labels =
        file_with("{\"cid\": \"5_1\", \"info_set\": null}\n"
                  "{\"cid\": \"5_1\", \"info_set\": [\"onset: two days\", \"b\"]}\n"
                  "{\"cid\": \"5_2\", \"info_set\": null}\n"
                  "{\"cid\": \"9_9\", \"info_set\": []}\n");
    assert_int_equal(prepare(&place, file_with(session), labels, &counts), 0);
    assert_int_equal(counts.rounds, 3); // NOLINT: it is there
    assert_int_equal(counts.labelled, 2); // the empty future of the third is not asked about
    assert_int_equal(counts.failed, 1);
    assert_int_equal(counts.unused_labels, 1);
    assert_int_equal(counts.samples, 2);
    assert_int_equal(counts.dropped_failed, 1);
    char *samples = contents_of(place.samples);
    assert_string_equal(
        samples,
        "{\"cid\": \"5_1\", \"session_id\": 5, \"diagn\": \"\", \"messages\": [{\"role\": "
        "\"user\", "
        "\"content\": \"My ear hurts.\"}], \"decision_truth\": \"continue\", \"info_truth\": "
        "\"onset: two days, b\", \"clinic\": \"north\"}\n"
        "{\"cid\": \"5_3\", \"session_id\": 5, \"diagn\": \"\", \"messages\": [{\"role\": "
        "\"user\", "
        "\"content\": \"My ear hurts.\"}, {\"role\": \"assistant\", \"content\": \"Since when?\"}, "
        "{\"role\": \"user\", \"content\": \"Two days.\"}, {\"role\": \"assistant\", \"content\": "
        "\"And?\"}, {\"role\": \"user\", \"content\": \"No.\"}], \"decision_truth\": \"stop\", "
        "\"info_truth\": \"\", \"clinic\": \"north\"}\n");
    char *processed = contents_of(place.processed);
    assert_non_null(strstr(processed, "\"info_set\": null, \"decision_truth\": \"continue\", "
                                      "\"clinic\""));
    free(samples);
    free(processed);
    place_remove(&place);
}

static void without_labels_only_stops_become_samples(void **state)
{
    (void)state;
    Place place = place_make();
    PrepareCounts counts;
    assert_int_equal(prepare(&place, file_with(session), NULL, &counts), 0);
    assert_int_equal(counts.unlabelled, 2);
    assert_int_equal(counts.dropped_empty, 2);
    assert_int_equal(counts.samples, 1);
    char *processed = contents_of(place.processed);
    assert_null(strstr(processed, "info_set\": null"));
    free(processed);
    place_remove(&place);
}

static void preparing_the_processed_form_again_changes_nothing(void **state)
{
    (void)state;
    Place place = place_make(), again = place_make();
    PrepareCounts counts, second;
    const char *labels = file_with("{\"cid\": \"5_1\", \"info_set\": [\"b\"]}\n");
    assert_int_equal(prepare(&place, file_with(session), labels, &counts), 0);
    assert_int_equal(prepare(&again, place.processed, NULL, &second), 0);
    char *a = contents_of(place.processed), *b = contents_of(again.processed);
    assert_string_equal(a, b);
    assert_int_equal(second.samples, counts.samples);
    free(a);
    free(b);
    place_remove(&place);
    place_remove(&again);
}

static void a_models_facts_are_set_round_by_round(void **state)
{
    (void)state;
    PreparedSet set;
    PrepareSettings settings = {.input = file_with(session)};
    assert_int_equal(prepare_read(&set, &settings), 0);
    assert_string_equal(prepare_cid(&set.rounds[1]), "5_2");
    assert_int_equal(set.rounds[1].info_state, INFO_MISSING);
    int64_t count;
    Message *future = prepare_future(&set.rounds[1], &count);
    assert_int_equal(count, 2);
    assert_string_equal(future[0].content, "And?");
    release(future);
    json_t *facts = json_pack("[s]", "symptom: ear pain");
    prepare_set_info(&set, 0, facts);
    prepare_set_info(&set, 1, NULL);
    json_decref(facts);
    assert_int_equal(prepare_write(&set, &settings), 0); // no outputs: counts only
    assert_int_equal(set.counts.samples, 2);
    assert_int_equal(set.counts.failed, 1);
    prepare_free(&set);
}

static void decisions_follow_roles_not_text(void **state)
{
    (void)state;
    Place place = place_make();
    PrepareCounts counts;
    const char *input =
        file_with("{\"cid\": \"5_1\", \"session_id\": 5, \"messages\": [], \"decision_truth\": "
                  "\"continue\", \"remaining_chat\": [{\"role\": \"assistant\", \"content\": "
                  "\"user: bye\"}]}\n");
    assert_int_equal(prepare(&place, input, NULL, &counts), 0);
    assert_int_equal(counts.stops, 1);
    assert_int_equal(counts.changed_decisions, 1);
    place_remove(&place);
}

static void bad_input_leaves_the_old_outputs_alone(void **state)
{
    (void)state;
    Place place = place_make();
    PrepareCounts counts;
    assert_int_equal(prepare(&place, file_with(session), NULL, &counts), 0);
    char *before = contents_of(place.samples);
    static const char *const cases[][2] = {
        {"{\"session_id\": 5}\n", "messages: is missing"},
        {"{\"session_id\": 5, \"messages\": []}\n", "nothing to prepare"},
        {"{\"cid\": \"5_1\", \"session_id\": 5, \"messages\": [], \"decision_truth\": \"stop\"}\n",
         "remaining_chat is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(prepare(&place, file_with(cases[i][0]), NULL, &counts), -1);
        assert_message(cases[i][1]);
    }
    static const char *const labels[][2] = {
        {"{\"info_set\": []}\n", "cid is missing"},
        {"{\"cid\": \"5_1\"}\n", "info_set is missing"},
        {"{\"cid\": \"5_1\", \"info_set\": \"Error\"}\n", "info_set is missing or not a list"},
    };
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        assert_int_equal(prepare(&place, file_with(session), file_with(labels[i][0]), &counts), -1);
        assert_message(labels[i][1]);
    }
    char *after = contents_of(place.samples);
    assert_string_equal(before, after);
    free(before);
    free(after);
    place_remove(&place);
}

static void outputs_that_cannot_be_written_are_refused(void **state)
{
    (void)state;
    PrepareCounts counts;
    PrepareSettings settings = {.input = file_with(session), .samples = "/nowhere/samples.jsonl"};
    assert_int_equal(run(&settings, &counts), -1);
    assert_int_equal(fail_code(), EXIT_CANNOT_CREATE);
}

// MTS-Dialog's origin files, with its labels by cid, give its processed files byte for byte.
static void check_mts_dialog(const char *origin, const char *processed, int64_t rounds,
                             int64_t samples)
{
    char *input = mts_dialog(origin), *expected = mts_dialog(processed);
    Place place = place_make();
    PrepareCounts counts = {0};
    clock_t start = clock(); // of this process: others on the machine do not matter
    assert_int_equal(prepare(&place, input, expected, &counts), 0);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    assert_true(seconds < 2 + (double)rounds / 2500);
    assert_int_equal(counts.rounds, rounds);
    if (samples)
        assert_int_equal(counts.samples, samples);
    char *a = contents_of(place.processed), *b = contents_of(expected);
    assert_true(strcmp(a, b) == 0);
    free(a);
    free(b);
    free(input);
    free(expected);
    place_remove(&place);
}

static void mts_dialog_is_reproduced(void **state)
{
    (void)state;
    check_mts_dialog("train_origin.jsonl", "train_processed.jsonl", 5261, 4120);
    check_mts_dialog("valid_origin.jsonl", "valid_processed.jsonl", 373, 0);
    check_mts_dialog("test_origin.jsonl", "test_processed.jsonl", 794, 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_found_by_cid_and_the_last_one_wins),
        cmocka_unit_test(without_labels_only_stops_become_samples),
        cmocka_unit_test(preparing_the_processed_form_again_changes_nothing),
        cmocka_unit_test(a_models_facts_are_set_round_by_round),
        cmocka_unit_test(decisions_follow_roles_not_text),
        cmocka_unit_test(bad_input_leaves_the_old_outputs_alone),
        cmocka_unit_test(outputs_that_cannot_be_written_are_refused),
        cmocka_unit_test(mts_dialog_is_reproduced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
