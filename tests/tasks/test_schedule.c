// test_schedule.c - every context once an epoch, sessions whole but where a batch is full.

#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

#include "tasks/schedule.h"

enum { SESSIONS = 23, MOST = 200 };

static const Message conversations[SESSIONS][1];

// Sessions of one to seven samples; some contexts are too long. Sessions lie one behind the other.
static Dataset make_dataset(void)
{
    Dataset dataset = {.set = {.samples = allocate(MOST, sizeof(Sample)),
                               .groups = allocate(SESSIONS, sizeof(SessionGroup)),
                               .group_count = SESSIONS,
                               .session_count = SESSIONS},
                       .contexts = allocate(MOST, sizeof(ContextTokens))};
    for (int64_t s = 0; s < SESSIONS; s++) {
        SessionGroup *group = &dataset.set.groups[s];
        group->first_sample = dataset.set.count;
        group->sample_count = 1 + s * 5 % 7;
        for (int64_t i = 0; i < group->sample_count; i++) {
            int64_t index = dataset.set.count++;
            dataset.set.samples[index] =
                (Sample){.session = s, .round = i + 1, .messages = conversations[s]};
            dataset.contexts[index].usable = index % 9 != 4;
            dataset.usable += dataset.contexts[index].usable;
        }
    }
    return dataset;
}

static void free_dataset(Dataset *dataset)
{
    release(dataset->set.samples);
    release(dataset->set.groups);
    release(dataset->contexts);
}

static SessionSchedule make(const Dataset *dataset, uint64_t seed, uint32_t stage,
                            bool keep_sessions, int64_t batch_contexts)
{
    SessionSchedule schedule;
    schedule_make(&schedule, dataset,
                  (ScheduleOptions){.seed = seed,
                                    .stage = stage,
                                    .keep_sessions = keep_sessions,
                                    .batch_contexts = batch_contexts});
    return schedule;
}

// The samples of a step, one behind the other; returns how many.
static int64_t samples_of(SessionSchedule *schedule, int64_t step, int64_t *samples)
{
    int64_t count = 0;
    schedule_step(schedule, step);
    for (int64_t p = 0; p < schedule->part_count; p++)
        for (int64_t i = 0; i < schedule->parts[p].count; i++)
            samples[count++] = schedule->parts[p].samples[i];
    return count;
}

static void an_epoch_has_every_usable_context_once(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 5, 16, 64, 1000};
    Dataset dataset = make_dataset();
    for (size_t b = 0; b < sizeof sizes / sizeof *sizes; b++) {
        for (int keep = 0; keep < 2; keep++) {
            SessionSchedule schedule = make(&dataset, 7, 0, keep, sizes[b]);
            for (int epoch = 0; epoch < 3; epoch++) {
                int met[MOST] = {0};
                for (int64_t i = 0; i < schedule.steps_per_epoch; i++) {
                    int64_t samples[MOST];
                    int64_t step = epoch * schedule.steps_per_epoch + i;
                    int64_t count = samples_of(&schedule, step, samples);
                    bool last = i + 1 == schedule.steps_per_epoch;
                    assert_true(last ? count >= 1 && count <= sizes[b] : count == sizes[b]);
                    for (int64_t s = 0; s < count; s++)
                        met[samples[s]]++;
                }
                for (int64_t s = 0; s < dataset.set.count; s++)
                    assert_int_equal(met[s], dataset.contexts[s].usable);
            }
            schedule_free(&schedule);
        }
    }
    free_dataset(&dataset);
}

static void a_session_stays_together_but_where_a_batch_is_full(void **state)
{
    (void)state;
    enum { BATCH = 10 };
    Dataset dataset = make_dataset();
    SessionSchedule schedule = make(&dataset, 7, 0, true, BATCH);
    int parts_of[SESSIONS] = {0};
    int64_t cuts = 0, last = -1;
    for (int64_t step = 0; step < schedule.steps_per_epoch; step++) {
        schedule_step(&schedule, step);
        for (int64_t p = 0; p < schedule.part_count; p++) {
            const SessionPart *part = &schedule.parts[p];
            const Sample *first = &dataset.set.samples[part->samples[0]];
            for (int64_t i = 1; i < part->count; i++) {
                assert_true(part->samples[i] > part->samples[i - 1]); // contexts grow
                assert_int_equal(dataset.set.samples[part->samples[i]].session, first->session);
            }
            // Only the session that the last batch cut goes on, at the start of this one.
            bool goes_on = parts_of[first->session]++ > 0;
            assert_true(!goes_on || (p == 0 && first->session == last));
            cuts += goes_on;
            last = first->session;
        }
    }
    assert_true(cuts > 2 && cuts < schedule.steps_per_epoch);
    schedule_free(&schedule);
    free_dataset(&dataset);
}

static void single_contexts_are_trees_of_their_own(void **state)
{
    (void)state;
    Dataset dataset = make_dataset();
    SessionSchedule schedule = make(&dataset, 7, 0, false, 16);
    int64_t neighbours = 0, before = -1;
    for (int64_t step = 0; step < schedule.steps_per_epoch; step++) {
        schedule_step(&schedule, step);
        for (int64_t p = 0; p < schedule.part_count; p++) {
            assert_int_equal(schedule.parts[p].count, 1);
            int64_t session = dataset.set.samples[schedule.parts[p].samples[0]].session;
            neighbours += session == before;
            before = session;
        }
    }
    assert_true(neighbours < dataset.usable / 4); // contexts are shuffled, not sessions
    schedule_free(&schedule);
    free_dataset(&dataset);
}

static void a_step_depends_on_nothing_but_seed_stage_and_number(void **state)
{
    (void)state;
    int64_t expected[MOST], found[MOST];
    Dataset dataset = make_dataset();
    SessionSchedule forward = make(&dataset, 7, 0, true, 16), jump = make(&dataset, 7, 0, true, 16);
    for (int64_t step = 0; step < 3 * forward.steps_per_epoch; step++) {
        int64_t count = samples_of(&forward, step, expected);
        samples_of(&jump, step * 7919 % (3 * forward.steps_per_epoch), found); // elsewhere first
        assert_int_equal(samples_of(&jump, step, found), count);
        assert_memory_equal(found, expected, (size_t)count * sizeof *found);
    }
    schedule_free(&forward);
    schedule_free(&jump);
    free_dataset(&dataset);
}

static void epochs_seeds_and_stages_have_orders_of_their_own(void **state)
{
    (void)state;
    Dataset dataset = make_dataset();
    SessionSchedule schedules[] = {make(&dataset, 7, 0, true, 1000),
                                   make(&dataset, 8, 0, true, 1000),
                                   make(&dataset, 7, 1, true, 1000)};
    int64_t orders[4][MOST];
    for (int i = 0; i < 3; i++)
        samples_of(&schedules[i], 0, orders[i]);
    samples_of(&schedules[0], 1, orders[3]); // the next epoch
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < a; b++)
            assert_memory_not_equal(orders[a], orders[b], (size_t)dataset.usable * sizeof(int64_t));
    for (int i = 0; i < 3; i++)
        schedule_free(&schedules[i]);
    free_dataset(&dataset);
}

static void all_contexts_come_in_the_order_of_the_file(void **state)
{
    (void)state;
    Dataset dataset = make_dataset();
    SessionSchedule schedule = make(&dataset, 7, 0, true, 16);
    schedule_all(&schedule, 0);
    int64_t next = 0, found = 0;
    for (int64_t p = 0; p < schedule.part_count; p++) {
        for (int64_t i = 0; i < schedule.parts[p].count; i++, found++) {
            assert_true(schedule.parts[p].samples[i] >= next);
            next = schedule.parts[p].samples[i] + 1;
        }
    }
    assert_int_equal(found, dataset.usable);
    assert_int_equal(schedule.part_count, SESSIONS);
    schedule_all(&schedule, 10); // at least ten, whole sessions
    found = 0;
    for (int64_t p = 0; p < schedule.part_count; p++)
        found += schedule.parts[p].count;
    assert_true(found >= 10 && found < 17);
    schedule_free(&schedule);
    free_dataset(&dataset);
}

static void a_session_whose_contexts_part_is_several_trees(void **state)
{
    (void)state;
    Dataset dataset = make_dataset();
    SessionSchedule schedule = make(&dataset, 7, 0, true, 16);
    schedule_all(&schedule, 0);
    int64_t parts = schedule.part_count;
    // Session 2 has four samples; the last two are about something else.
    SessionGroup *group = &dataset.set.groups[2];
    assert_int_equal(group->sample_count, 4);
    for (int64_t i = 2; i < 4; i++)
        dataset.set.samples[group->first_sample + i].messages = conversations[0];
    schedule_all(&schedule, 0);
    assert_int_equal(schedule.part_count, parts + 1);
    schedule_free(&schedule);
    free_dataset(&dataset);
}

static void others_are_contexts_that_the_step_has_not(void **state)
{
    (void)state;
    Dataset dataset = make_dataset();
    SessionSchedule schedule = make(&dataset, 7, 1, true, 10),
                    again = make(&dataset, 7, 1, true, 10);
    bool used[MOST] = {false}, same[MOST] = {false};
    int64_t samples[MOST], found = samples_of(&schedule, 3, samples), left = dataset.usable;
    for (int64_t i = 0; i < found; i++)
        used[samples[i]] = same[samples[i]] = true;
    left -= found;
    for (int64_t round = 0; left > 0; round++) {
        int64_t before = left, wanted = left < 7 ? left : 7;
        schedule_others(&schedule, 3, round, 7, used);
        schedule_others(&again, 3, round, 7,
                        same); // a function of seed, step, round and what is used
        assert_int_equal(schedule.part_count, again.part_count);
        for (int64_t p = 0; p < schedule.part_count; p++) {
            assert_memory_equal(schedule.parts[p].samples, again.parts[p].samples,
                                (size_t)schedule.parts[p].count * sizeof(int64_t));
            for (int64_t i = 0; i < schedule.parts[p].count; i++, left--) {
                int64_t sample = schedule.parts[p].samples[i];
                assert_true(dataset.contexts[sample].usable && used[sample]);
                for (int64_t k = 0; k < found; k++)
                    assert_true(samples[k] != sample);
                samples[found++] = sample;
            }
        }
        assert_int_equal(before - left, wanted);
    }
    schedule_others(&schedule, 3, 99, 7, used);
    assert_int_equal(schedule.part_count, 0); // nothing is left
    schedule_free(&schedule), schedule_free(&again);
    free_dataset(&dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_has_every_usable_context_once),
        cmocka_unit_test(a_session_stays_together_but_where_a_batch_is_full),
        cmocka_unit_test(single_contexts_are_trees_of_their_own),
        cmocka_unit_test(a_step_depends_on_nothing_but_seed_stage_and_number),
        cmocka_unit_test(epochs_seeds_and_stages_have_orders_of_their_own),
        cmocka_unit_test(a_session_whose_contexts_part_is_several_trees),
        cmocka_unit_test(all_contexts_come_in_the_order_of_the_file),
        cmocka_unit_test(others_are_contexts_that_the_step_has_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
