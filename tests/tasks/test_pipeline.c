// test_pipeline.c - versions as the specification has them; what was sampled ahead, to bytes and
// back.

#include "tests/testing.h"

#include "tasks/pipeline.h"
#include "tests/model/tiny.h"

// v = I floor(max(0, s - k) / I); step s + k is sampled while s is learned, from what is published
// then.
static void versions_are_the_newest_published_when_a_step_is_sampled(void **state)
{
    (void)state;
    for (int64_t k = 0; k < 4; k++) {
        for (int64_t interval = 1; interval < 12; interval++) {
            Pipeline pipeline;
            int64_t published = 0;
            pipeline_make(&pipeline, k, interval);
            for (int64_t s = 0; s < k; s++) // before the first update
                assert_int_equal(pipeline_version(&pipeline, s), 0);
            for (int64_t s = 0; s < 40; s++) {
                assert_int_equal(pipeline_version(&pipeline, s + k), published);
                assert_int_equal(pipeline_version(&pipeline, s + k), s / interval * interval);
                if (pipeline_publishes(&pipeline, s + 1))
                    published = s + 1;
            }
            pipeline_free(&pipeline);
        }
    }
}

static void add_steps(Pipeline *pipeline, int64_t steps)
{
    for (int64_t s = 0; s < steps; s++) {
        Grove grove;
        TreeList *list = pipeline_push(pipeline);
        grove_make(&grove, 2 + s, 211, 5 + (uint64_t)s);
        for (int64_t t = 0; t < grove.count; t++)
            tree_list_add(list, &grove.trees[t], t);
        release(grove.trees);
    }
}

static void steps_wait_in_order(void **state)
{
    (void)state;
    Pipeline pipeline;
    pipeline_make(&pipeline, 2, 1);
    add_steps(&pipeline, 3);
    assert_int_equal(pipeline_next(&pipeline), 3);
    assert_int_equal(pipeline_front(&pipeline)->count, 2);
    pipeline_pop(&pipeline);
    assert_int_equal(pipeline.first, 1);
    assert_int_equal(pipeline_front(&pipeline)->count, 3);
    pipeline_drop_newest(&pipeline);
    assert_int_equal(pipeline_next(&pipeline), 2);
    pipeline_free(&pipeline);
}

// Equal trees have equal bytes, wherever they lie: a checkpoint of the same state is the same.
static void what_was_sampled_comes_back(void **state)
{
    (void)state;
    Pipeline first, second;
    Bytes there = {0}, back = {0};
    pipeline_make(&first, 2, 1);
    pipeline_make(&second, 2, 1);
    add_steps(&first, 2);
    for (int64_t i = 0; i < 2; i++) {
        bytes_clear(&there), bytes_clear(&back);
        pipeline_write(&first, i, &there);
        pipeline_read(&second, there.data, there.length);
        pipeline_write(&second, i, &back);
        assert_int_equal(there.length, back.length);
        assert_memory_equal(there.data, back.data, there.length);
        assert_int_equal(second.lists[i].count, first.lists[i].count);
    }
    bytes_free(&there), bytes_free(&back);
    pipeline_free(&first), pipeline_free(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_the_newest_published_when_a_step_is_sampled),
        cmocka_unit_test(steps_wait_in_order),
        cmocka_unit_test(what_was_sampled_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
