// test_hang.c - which rank a job hangs on, and that one which only is slow is left alone.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "parallel/hang.h"

enum { RANKS = 4, JOB = 1, PAIR = 2 };

static const int64_t SECOND = 1000000000, NOW = 1000000000000, LIMIT = 10000000000;
static const int64_t SKEW = 7777; // the ranks' clocks differ by so many seconds

static RankRecord records[RANKS];
static WatchedRank ranks[RANKS];
static Bytes verdict;

static int64_t clock_of(int rank, double seconds_ago)
{
    return NOW + rank * SKEW * SECOND - (int64_t)(seconds_ago * (double)SECOND);
}

// All have entered, and left, ten collectives of the job, and go on computing.
static int set_up(void **state)
{
    (void)state;
    bytes_clear(&verdict);
    memset(records, 0, sizeof records);
    for (int r = 0; r < RANKS; r++) {
        RankRecord *record = &records[r];
        *record = (RankRecord){.job = 1, .origin = clock_of(r, 100), .rank = r, .pid = 100 + r};
        strcpy(record->host, "host");
        strcpy(record->activity.name, "at work");
        record->activity.sign = record->beat = clock_of(r, 0.1);
        record->groups[1] = (RecordedGroup){.id = JOB, .sequence = 10, .name = "the job"};
        if (r < 2)
            record->groups[2] = (RecordedGroup){.id = PAIR, .sequence = 5, .name = "a pair"};
        ranks[r] = (WatchedRank){.record = record, .process = PROCESS_RUNS};
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bytes_free(&verdict);
    return 0;
}

static RecordedCall *enter(int rank, uint64_t group, const char *what, double seconds_ago)
{
    RankRecord *record = &records[rank];
    int64_t number = ++record->calls;
    RecordedCall *call = &record->ring[number % RECORD_CALLS];
    *call = (RecordedCall){.number = number,
                           .group = group,
                           .bytes = 8,
                           .unit = -1,
                           .entered = clock_of(rank, seconds_ago)};
    if (strcmp(what, "letters") != 0) // which any other rank may send
        call->sequence = ++record->groups[group].sequence;
    strcpy(call->what, what);
    record->activity.sign = call->entered;
    return call;
}

static RecordedCall *wait_in(int rank, uint64_t group, const char *what, double seconds_ago)
{
    RecordedCall *call = enter(rank, group, what, seconds_ago);
    call->waited = call->entered;
    call->outer = records[rank].waiting;
    records[rank].waiting = call->number;
    return call;
}

static void silence(int rank, double seconds_ago)
{
    records[rank].activity.sign = clock_of(rank, seconds_ago);
}

static bool hangs(int me, double *again)
{
    int64_t nanoseconds;
    Watch watch = {.ranks = ranks, .size = RANKS, .me = me, .now = clock_of(me, 0), .limit = LIMIT};
    bytes_clear(&verdict);
    bool found = hang_find(&watch, &verdict, &nanoseconds);
    if (again)
        *again = (double)nanoseconds / (double)SECOND;
    return found;
}

static void expect_verdict(int me, const char *start, const char *part)
{
    assert_true(hangs(me, NULL));
    if (strncmp(verdict.data, start, strlen(start)) != 0 || !strstr(verdict.data, part))
        fail_msg("%s\nnot %s ... %s", verdict.data, start, part);
}

static void expect_nothing(int me, double wanted_again)
{
    double again;
    assert_false(hangs(me, &again));
    assert_true(again > wanted_again - 0.01 && again < wanted_again + 0.01);
}

static void who_does_not_wait_is_not_lost(void **state)
{
    (void)state;
    for (int r = 0; r < RANKS; r++)
        silence(r, 50);
    expect_nothing(0, 10);
}

static void a_wait_within_the_deadline_is_none_of_a_hang(void **state)
{
    (void)state;
    silence(3, 50);
    wait_in(0, JOB, "sum", 4);
    expect_nothing(0, 6);
}

static void a_slow_rank_is_waited_for(void **state)
{
    (void)state;
    for (int r = 0; r < 3; r++)
        wait_in(r, JOB, "sum", 500);
    silence(3, 7);
    expect_nothing(0, 3);
}

static void a_silent_rank_is_named(void **state)
{
    (void)state;
    for (int r = 0; r < 3; r++)
        wait_in(r, JOB, "sum", 30 + r)->unit = 7;
    silence(3, 40);
    expect_verdict(0, "rank 3 (host, process 103) never entered the sum of 8 bytes of unit 7",
                   "collective 11 of the job, which 3 ranks wait in for 30.0 s: its process runs, "
                   "and its last sign of life was 40.0 s ago (at work)");
    ranks[3].process = PROCESS_STOPPED;
    expect_verdict(1, "rank 3 ", "its process is stopped");
    records[3].beat = clock_of(3, 40);
    ranks[3].process = PROCESS_UNKNOWN;
    expect_verdict(2, "rank 3 ", "its host or its process does not run");
}

static void a_process_that_is_gone_is_lost_at_once(void **state)
{
    (void)state;
    wait_in(0, JOB, "sum", 11);
    ranks[2].process = PROCESS_GONE;
    expect_verdict(0, "rank 2 ", "its process is gone");
}

static void the_one_at_the_end_of_the_chain_is_named(void **state)
{
    (void)state;
    wait_in(3, JOB, "sum", 60);
    wait_in(2, JOB, "sum", 50);
    wait_in(0, PAIR, "broadcast", 30); // and rank 1 never comes to either
    silence(1, 31);
    expect_verdict(3, "rank 1 (host, process 101) never entered the sum", "which 2 ranks wait in");
    expect_verdict(0, "rank 1 (host, process 101) never entered the broadcast",
                   "collective 6 of a pair, which 1 rank waits in for 30.0 s");
    silence(1, 2);
    expect_nothing(3, 8);
}

static void who_entered_but_does_not_get_on_is_named(void **state)
{
    (void)state;
    for (int r = 0; r < 3; r++)
        wait_in(r, JOB, "reduce-scatter", 20);
    enter(3, JOB, "reduce-scatter", 20);
    expect_verdict(0, "rank 3 (host, process 103) does not get on with the reduce-scatter", "");
}

static void an_inner_wait_counts(void **state)
{
    (void)state;
    for (int r = 0; r < RANKS; r++)
        wait_in(r, JOB, "publication", 20);
    wait_in(0, PAIR, "barrier", 19);
    expect_verdict(2, "rank 2 (host, process 102) waits in the publication", "which all ranks");
    records[1].waiting = 0;
    silence(1, 18);
    expect_verdict(0, "rank 1 (host, process 101) never entered the barrier", "of a pair");
    expect_verdict(2, "rank 1 (host, process 101) does not get on with the publication", "");
}

static void letters_may_come_from_anybody(void **state)
{
    (void)state;
    wait_in(0, JOB, "letters", 30);
    silence(1, 30);
    silence(2, 30);
    expect_nothing(0, 9.9); // rank 3 gets on
    silence(3, 30);
    expect_verdict(0, "rank 1 (host, process 101) has sent none of the letters", "2 more ranks");
}

static void different_collectives_are_told_apart(void **state)
{
    (void)state;
    for (int r = 0; r < RANKS; r++)
        wait_in(r, JOB, r == 2 ? "barrier" : "sum", 20);
    expect_verdict(0, "rank 2 (host, process 102) entered the barrier", "where rank 0 (host");
    expect_verdict(2, "rank 2 (host, process 102) entered the barrier", "entered the sum of 8");
    set_up(NULL);
    for (int r = 0; r < RANKS; r++)
        wait_in(r, JOB, "sum", 20)->bytes = r == 1 ? 16 : 8;
    expect_verdict(3, "rank 1 (host, process 101) entered the sum of 16 bytes", "the program is");
}

static void ranks_that_wait_for_each_other_are_told(void **state)
{
    (void)state;
    wait_in(0, PAIR, "sum", 20);
    wait_in(1, JOB, "sum", 20);
    wait_in(2, JOB, "sum", 20);
    wait_in(3, JOB, "sum", 20);
    expect_verdict(0, "rank 0 (host, process 100) waits in the sum",
                   "and ranks wait for each other");
}

static void what_cannot_be_read_counts_as_lost(void **state)
{
    (void)state;
    wait_in(0, JOB, "sum", 20);
    for (int r = 1; r < 3; r++)
        silence(r, 1);
    ranks[3].record = NULL;
    expect_verdict(0, "rank 3 never entered", "what it does cannot be read");
}

static void everything_is_printed(void **state)
{
    (void)state;
    for (int r = 0; r < 3; r++)
        wait_in(r, JOB, "sum", 20);
    ranks[3].record = NULL;
    Watch watch = {.ranks = ranks, .size = RANKS, .me = 0, .now = NOW, .limit = LIMIT};
    hang_print(&watch, &verdict);
    assert_non_null(strstr(verdict.data, "rank 2 (host, process 102): its process runs"));
    assert_non_null(strstr(verdict.data, "    entered 20.000 s ago, waits in it: the sum of 8"));
    assert_non_null(strstr(verdict.data, "rank 3: what it does cannot be read"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(who_does_not_wait_is_not_lost),
        CASE(a_wait_within_the_deadline_is_none_of_a_hang),
        CASE(a_slow_rank_is_waited_for),
        CASE(a_silent_rank_is_named),
        CASE(a_process_that_is_gone_is_lost_at_once),
        CASE(the_one_at_the_end_of_the_chain_is_named),
        CASE(who_entered_but_does_not_get_on_is_named),
        CASE(an_inner_wait_counts),
        CASE(letters_may_come_from_anybody),
        CASE(different_collectives_are_told_apart),
        CASE(ranks_that_wait_for_each_other_are_told),
        CASE(what_cannot_be_read_counts_as_lost),
        CASE(everything_is_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
