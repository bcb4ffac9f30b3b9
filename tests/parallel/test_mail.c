// test_mail.c - letters arrive whole, in order and once, on any number of ranks.

#include "tests/testing.h"

#include <string.h>

#include "parallel/mail.h"

static Group world;

enum { LETTERS = 50, LARGE = 10 * 1000 * 1000 };

static void letters_arrive_in_the_order_of_their_sender(void **state)
{
    (void)state;
    Mail *mail = mail_open(&world);
    Bytes bytes = {0};
    Letter letter;
    int next[64] = {0};
    for (int i = 0; i < LETTERS; i++) {
        bytes_clear(&bytes);
        bytes_append(&bytes, &i, i == 7 ? 0 : sizeof i); // an empty one among them
        for (int to = 0; to < world.size; to++)
            mail_post(mail, to, i % 3, &bytes);
    }
    for (int taken = 0; taken < LETTERS * world.size; taken++) {
        assert_true(mail_take(mail, true, &letter));
        int i = next[letter.from]++, said = 0;
        assert_int_equal(letter.bytes.length, i == 7 ? 0 : sizeof i);
        memcpy(&said, letter.bytes.data, letter.bytes.length);
        assert_int_equal(said, i == 7 ? 0 : i);
        assert_int_equal(letter.kind, i % 3);
        bytes_free(&letter.bytes);
    }
    assert_false(mail_take(mail, false, &letter));
    mail_close(mail);
    group_barrier(&world);
    bytes_free(&bytes);
}

static void large_letters_pass_while_nobody_waits(void **state)
{
    (void)state;
    Mail *mail = mail_open(&world);
    Bytes bytes = {0};
    Letter letter;
    grow((void **)&bytes.data, &bytes.capacity, LARGE + 1, 1);
    bytes.length = LARGE;
    memset(bytes.data, 'a' + world.rank, LARGE);
    mail_post(mail, (world.rank + 1) % world.size, 0, &bytes);
    memset(bytes.data, 0, LARGE); // what was posted is a copy
    assert_true(mail_take(mail, true, &letter));
    assert_int_equal(letter.from, (world.rank + world.size - 1) % world.size);
    assert_int_equal(letter.bytes.length, LARGE);
    assert_int_equal(letter.bytes.data[0], 'a' + letter.from);
    assert_int_equal(letter.bytes.data[LARGE - 1], 'a' + letter.from);
    bytes_free(&letter.bytes);
    mail_close(mail);
    bytes_free(&bytes);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_arrive_in_the_order_of_their_sender),
        cmocka_unit_test(large_letters_pass_while_nobody_waits),
    };
    group_start(&argc, &argv);
    world = group_world();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    group_free(&world);
    group_stop();
    return failed;
}
