// test_rounds.c - sessions are read strictly and cut where the patient has spoken.

#include "tests/testing.h"

#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "dialogue/rounds.h"
#include "dialogue/sessions.h"

#include "tests/dialogue/dialogue_testing.h"

enum { MOST = 64 };

// "UUA" -> messages; S is system.
static int64_t messages_of(const char *roles, Message *messages)
{
    int64_t count = 0;
    for (; roles[count]; count++)
        messages[count].role = roles[count] == 'U'   ? "user"
                               : roles[count] == 'A' ? "assistant"
                                                     : "system";
    return count;
}

static void check(const char *roles, RoundsCompat compat, const char *expected)
{
    Message messages[MOST] = {{0}};
    int64_t count;
    Round *rounds = rounds_cut(messages, messages_of(roles, messages), compat, &count);
    Bytes text = {0};
    bytes_append_text(&text, "");
    for (int64_t i = 0; i < count; i++) {
        assert_int_equal(rounds[i].number, i + 1);
        bytes_print(&text, "%lld-%lld%c ", (long long)rounds[i].first, (long long)rounds[i].end,
                    *truth_name(rounds[i].truth));
    }
    assert_string_equal(text.data, expected);
    release(rounds);
    bytes_free(&text);
}

#define LONG_SESSION "UUUUUAUUAUUAAUAUUUAUUUUAAUUA"

static void the_specifications_session_gives_its_seven_rounds(void **state)
{
    (void)state;
    check(LONG_SESSION, (RoundsCompat){0}, "0-5c 0-8c 0-11c 0-14c 0-18c 0-23c 0-27s ");
}

static void the_references_first_version_is_behind_its_options(void **state)
{
    (void)state;
    check(LONG_SESSION, (RoundsCompat){.trailing_round = true},
          "0-5c 0-8c 0-11c 0-14c 0-18c 0-23c 0-27s 0-28s ");
    check(LONG_SESSION, (RoundsCompat){.round_context = true},
          "0-5c 5-8c 8-11c 11-14c 14-18c 18-23c 23-27s ");
    check("UA", (RoundsCompat){.round_context = true, .trailing_round = true}, "0-1s 1-2s ");
}

static void odd_sessions_are_cut_on_roles(void **state)
{
    (void)state;
    check("", (RoundsCompat){0}, "");
    check("AAA", (RoundsCompat){0}, "");
    check("AAA", (RoundsCompat){.trailing_round = true}, "0-3s ");
    check("U", (RoundsCompat){0}, "0-1s ");
    check("SAUSUA", (RoundsCompat){0}, "0-3c 0-5s ");
}

static int read_text(const char *text, bool skip_bad, SessionSet *set)
{
    const char *path = file_with(text);
    int status = sessions_read(set, path, skip_bad);
    unlink(path);
    return status;
}

static void sessions_keep_their_ids_and_every_message(void **state)
{
    (void)state;
    SessionSet set;
    assert_int_equal(
        read_text("{\"session_id\": 35310, \"diagn\": \"Cough\", \"messages\": [{\"role\": "
                  "\"user\", \"content\": \"a\"}, {\"role\": \"user\", \"content\": \"\"}]}\n"
                  "{\"messages\": [], \"session_id\": \"x y\"}\n",
                  false, &set),
        0);
    assert_int_equal(set.count, 2);
    assert_true(json_is_integer(set.sessions[0].id));
    assert_string_equal(set.sessions[0].name, "35310");
    assert_int_equal(set.sessions[0].message_count, 2);
    assert_true(json_is_string(set.sessions[1].id));
    assert_int_equal(set.sessions[1].message_count, 0);
    sessions_free(&set);
}

static void unusable_sessions_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"messages\": []}", "session_id is missing"},
        {"{\"session_id\": 1.5, \"messages\": []}", "neither an integer nor a string"},
        {"{\"session_id\": 1}", "messages: is missing"},
        {"{\"session_id\": 1, \"messages\": {}}", "messages: is not a list"},
        {"{\"session_id\": 1, \"messages\": [[]]}", "message 1 is not an object"},
        {"{\"session_id\": 1, \"messages\": [{\"content\": \"a\"}]}",
         "message 1 has no string role"},
        {"{\"session_id\": 1, \"messages\": [{\"role\": \"user\", \"content\": \"a\"}, "
         "{\"role\": \"user\", \"content\": 3}]}",
         "message 2 has no string content"},
        {"{\"session_id\": 1, \"diagn\": 5, \"messages\": []}", "diagn is not a string"},
        {"{\"session_id\": \"0\", \"messages\": []}", "session_id 0 occurred before, in line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Bytes text = {0};
        bytes_print(&text, "{\"session_id\": 0, \"messages\": []}\n%s\n", cases[i][0]);
        SessionSet set;
        assert_int_equal(read_text(text.data, false, &set), -1);
        assert_int_equal(fail_code(), EXIT_BAD_DATA);
        assert_message(cases[i][1]);
        assert_message(":2: ");
        assert_int_equal(read_text(text.data, true, &set), 0);
        assert_int_equal(set.count, 1);
        assert_int_equal(set.report.bad, 1);
        sessions_free(&set);
        bytes_free(&text);
    }
}

static void a_rounds_line_carries_unknown_fields_unchanged(void **state)
{
    (void)state;
    json_t *session = json_loads(
        "{\"session_id\": 7, \"clinic\": {\"ward\": 2.50}, \"messages\": [{\"role\": \"user\", "
        "\"content\": \"a\", \"time\": 3}, {\"role\": \"assistant\", \"content\": \"b\"}]}",
        0, NULL);
    json_t *record =
        rounds_record(session, "7", (Round){.end = 1, .number = 1, .truth = TRUTH_STOP});
    Bytes text = {0};
    jsonl_append(&text, record);
    assert_string_equal(
        text.data,
        "{\"cid\": \"7_1\", \"session_id\": 7, \"diagn\": \"\", \"messages\": [{\"role\": "
        "\"user\", "
        "\"content\": \"a\", \"time\": 3}], \"remaining_chat\": [{\"role\": \"assistant\", "
        "\"content\": \"b\"}], \"decision_truth\": \"stop\", \"clinic\": {\"ward\": 2.5}}");
    bytes_free(&text);
    json_decref(record);
    json_decref(session);
}

static void chats_written_as_text_are_understood(void **state)
{
    (void)state;
    json_t *list = messages_from_text("assistant: Any fever?\nOr chills: yes?\nuser: No: user: x\n"
                                      "\nassistant: ");
    Bytes text = {0};
    jsonl_append(&text, list);
    assert_string_equal(
        text.data,
        "[{\"role\": \"assistant\", \"content\": \"Any fever?\\nOr chills: yes?\"}, {\"role\": "
        "\"user\", \"content\": \"No: user: x\\n\"}, {\"role\": \"assistant\", \"content\": "
        "\"\"}]");
    json_decref(list);
    bytes_free(&text);
    assert_null(messages_from_text("no role"));
    list = messages_from_text("");
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_specifications_session_gives_its_seven_rounds),
        cmocka_unit_test(the_references_first_version_is_behind_its_options),
        cmocka_unit_test(odd_sessions_are_cut_on_roles),
        cmocka_unit_test(sessions_keep_their_ids_and_every_message),
        cmocka_unit_test(unusable_sessions_are_refused_with_a_reason),
        cmocka_unit_test(a_rounds_line_carries_unknown_fields_unchanged),
        cmocka_unit_test(chats_written_as_text_are_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
