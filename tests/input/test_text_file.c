// test_text_file.c - a prompt is read whole, without its last newlines, or refused with a reason.

#include "tests/testing.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "input/text_file.h"

#include "tests/dialogue/dialogue_testing.h"

static const char setting[] = "[data] system_prompt";

static void expect_text(const char *written, const char *wanted)
{
    char *text = NULL;
    if (text_file_read(file_with(written), setting, &text) != 0)
        fail_msg("%s", fail_message());
    assert_string_equal(text, wanted);
    release(text);
}

static void expect_refusal(const char *path, ExitCode code, const char *reason)
{
    char *text = NULL;
    assert_int_equal(text_file_read(path, setting, &text), -1);
    assert_int_equal(fail_code(), code);
    assert_message(path);
    assert_message(reason);
    assert_message("[data] system_prompt: ");
}

static void only_newlines_at_the_end_are_taken_off(void **state)
{
    (void)state;
    expect_text("Ask one question.", "Ask one question.");
    expect_text("Ask one question.\n", "Ask one question.");
    expect_text("\n two\n\nlines \n\n\n", "\n two\n\nlines ");
    expect_text(" ", " ");
    expect_text("\u75db \u00e4\xF0\x9F\x98\x80\n", "\u75db \u00e4\xF0\x9F\x98\x80");
}

static void a_text_that_spans_many_reads_is_whole(void **state)
{
    (void)state;
    Bytes written = {0};
    for (int i = 0; i < 3000; i++)
        bytes_print(&written, "line %d\n", i);
    char *wanted = duplicate(written.data);
    wanted[written.length - 1] = 0;
    expect_text(written.data, wanted);
    release(wanted);
    bytes_free(&written);
}

static void files_that_cannot_be_read_are_named(void **state)
{
    (void)state;
    expect_refusal("/nowhere/prompt.txt", EXIT_NO_INPUT, "No such file or directory");
    expect_refusal("/tmp", EXIT_BAD_DATA, "/tmp is not a regular file");
    expect_refusal("/dev/zero", EXIT_BAD_DATA, "/dev/zero is not a regular file");
    const char *fifo = file_with("");
    assert_int_equal(unlink(fifo) + mkfifo(fifo, 0600), 0);
    expect_refusal(fifo, EXIT_BAD_DATA, "is not a regular file");
}

static void a_file_without_text_is_refused(void **state)
{
    (void)state;
    expect_refusal(file_with(""), EXIT_BAD_DATA, "is empty");
    expect_refusal(file_with("\n\n\n"), EXIT_BAD_DATA, "is empty");
}

static void what_is_not_utf8_is_refused(void **state)
{
    (void)state;
    expect_refusal(file_with("caf\xE9"), EXIT_BAD_DATA, "is no text in UTF-8");
    expect_refusal(file_with("\xC0\x80"), EXIT_BAD_DATA, "is no text in UTF-8");
    expect_refusal(file_with("\xED\xA0\x80"), EXIT_BAD_DATA, "is no text in UTF-8");
    expect_refusal(file_with("a\xE7\x97\n"), EXIT_BAD_DATA, "is no text in UTF-8");
    expect_refusal(file_with_bytes("a\0b", 3), EXIT_BAD_DATA, "is no text in UTF-8");
    expect_refusal(file_with_bytes("ab\0", 3), EXIT_BAD_DATA, "is no text in UTF-8");
    expect_refusal(file_with_bytes("\xFF\xFE"
                                   "a\0",
                                   4),
                   EXIT_BAD_DATA, "is no text in UTF-8");
}

// A new file of `length` times "x" and then `end`.
static const char *long_file(size_t length, const char *end)
{
    size_t whole = length + strlen(end);
    char *letters = allocate(whole + 1, 1);
    memset(letters, 'x', length);
    strcpy(letters + length, end);
    const char *path = file_with_bytes(letters, whole);
    release(letters);
    return path;
}

static void the_limit_is_one_mebibyte(void **state)
{
    (void)state;
    char *text = NULL;
    assert_int_equal(text_file_read(long_file(TEXT_FILE_LIMIT, ""), setting, &text), 0);
    assert_int_equal(strlen(text), TEXT_FILE_LIMIT);
    release(text);
    assert_int_equal(text_file_read(long_file(TEXT_FILE_LIMIT - 1, "\n"), setting, &text), 0);
    assert_int_equal(strlen(text), TEXT_FILE_LIMIT - 1);
    release(text);
    expect_refusal(long_file(TEXT_FILE_LIMIT, "\n"), EXIT_BAD_DATA,
                   "has 1048577 bytes; at most 1048576 are allowed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_newlines_at_the_end_are_taken_off),
        cmocka_unit_test(a_text_that_spans_many_reads_is_whole),
        cmocka_unit_test(files_that_cannot_be_read_are_named),
        cmocka_unit_test(a_file_without_text_is_refused),
        cmocka_unit_test(what_is_not_utf8_is_refused),
        cmocka_unit_test(the_limit_is_one_mebibyte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
