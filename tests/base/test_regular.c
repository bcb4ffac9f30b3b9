// test_regular.c - only regular files are opened, and read whole or not at all.

#define _GNU_SOURCE // syscall
#include "tests/testing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/regular.h"

// What the next reads do instead of reading.
static enum { READ, INTERRUPT_ONCE, READ_LITTLE, END_EARLY, BREAK } fate;

// In front of the C library's.
ssize_t read(int descriptor, void *out, size_t bytes)
{
    if (fate == INTERRUPT_ONCE || fate == BREAK) {
        errno = fate == BREAK ? EIO : EINTR;
        fate = fate == BREAK ? BREAK : READ;
        return -1;
    }
    if (fate == END_EARLY)
        return 0;
    return syscall(SYS_read, descriptor, out, fate == READ_LITTLE && bytes > 1 ? 1 : bytes);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void expect_refusal(const char *path, ExitCode code, const char *part)
{
    Bytes text = {0};
    assert_int_equal(regular_read(path, 100, &text), -1);
    assert_int_equal(fail_code(), code);
    if (!strstr(fail_message(), part) || !strstr(fail_message(), path))
        fail_msg("'%s' does not say '%s' of %s", fail_message(), part, path);
    assert_int_equal(text.length, 0);
    bytes_free(&text);
}

static void what_is_no_regular_file_is_refused_without_waiting(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(symlink("fifo", "to-fifo"), 0);
    assert_int_equal(symlink("nothing", "to-nothing"), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    expect_refusal("fifo", EXIT_BAD_DATA, "is not a regular file");
    expect_refusal("to-fifo", EXIT_BAD_DATA, "is not a regular file");
    expect_refusal(".", EXIT_BAD_DATA, "is not a regular file");
    expect_refusal("/dev/zero", EXIT_BAD_DATA, "is not a regular file");
    expect_refusal("/dev/null", EXIT_BAD_DATA, "is not a regular file");
    expect_refusal("socket", EXIT_NO_INPUT, "cannot open");
    expect_refusal("to-nothing", EXIT_NO_INPUT, "No such file");
    expect_refusal("loop", EXIT_NO_INPUT, "symbolic links");
    expect_refusal("nothing", EXIT_NO_INPUT, "No such file");
    close(listener);
}

static void a_file_is_appended_whole(void **state)
{
    (void)state;
    Bytes text = {0};
    write_file("empty", "");
    write_file("words", "five words");
    assert_int_equal(symlink("words", "to-words"), 0);
    assert_int_equal(regular_read("empty", 0, &text), 0);
    assert_string_equal(text.data, "");
    assert_int_equal(regular_read("words", 10, &text), 0);
    fate = READ_LITTLE;
    assert_int_equal(regular_read("to-words", 10, &text), 0);
    fate = INTERRUPT_ONCE;
    assert_int_equal(regular_read("words", 10, &text), 0);
    assert_int_equal(fate, READ);
    assert_int_equal(text.length, 30);
    assert_string_equal(text.data, "five wordsfive wordsfive words");
    bytes_free(&text);
}

static void a_file_over_the_limit_is_refused(void **state)
{
    (void)state;
    Bytes text = {0};
    write_file("words", "five words");
    assert_int_equal(regular_read("words", 9, &text), -1);
    assert_int_equal(fail_code(), EXIT_BAD_DATA);
    assert_string_equal(fail_message(), "words has 10 bytes; at most 9 are allowed");
    bytes_free(&text);
}

// Larger than any memory, and not a byte of it on disk.
static void a_file_that_no_memory_holds_is_a_message(void **state)
{
    (void)state;
    Bytes text = {0};
    write_file("sparse", "");
    assert_int_equal(truncate("sparse", (off_t)1 << 43), 0);
    assert_int_equal(regular_read("sparse", SIZE_MAX, &text), -1);
    assert_int_equal(fail_code(), EXIT_NO_MEMORY);
    bytes_free(&text);
}

static void a_file_that_ends_early_or_cannot_be_read_is_told(void **state)
{
    (void)state;
    write_file("words", "five words");
    fate = END_EARLY;
    expect_refusal("words", EXIT_BAD_DATA, "was shortened while it was read");
    fate = BREAK;
    expect_refusal("words", EXIT_NO_INPUT, "cannot read");
    fate = READ;
}

static char directory[] = "/tmp/learn2ask-regular-XXXXXX";

static int enter(void **state)
{
    (void)state;
    return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    static const char *const names[] = {"socket", "fifo",  "to-fifo",  "to-nothing", "loop",
                                        "empty",  "words", "to-words", "sparse"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(names[i]);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_regular_file_is_refused_without_waiting),
        cmocka_unit_test(a_file_is_appended_whole),
        cmocka_unit_test(a_file_over_the_limit_is_refused),
        cmocka_unit_test(a_file_that_no_memory_holds_is_a_message),
        cmocka_unit_test(a_file_that_ends_early_or_cannot_be_read_is_told),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
