// test_stored_adapter.c - what a checkpoint says of its adapter is taken whole or refused.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "tasks/stored_adapter.h"
#include "tests/files/scratch.h"

static CheckpointAttribute good[STORED_ADAPTER_ATTRIBUTES];
static Bytes targets, checksum;

static int make_good(void **state)
{
    (void)state;
    StoredAdapter stored = {
        .shape = {.rank = 8, .alpha = 12.5}, .base = "models/base", .checksum = 0x12ab};
    stored.shape.targets[LINEAR_Q] = true;
    stored_adapter_list(&stored, good, &targets, &checksum);
    return 0;
}

static int free_good(void **state)
{
    (void)state;
    bytes_free(&targets);
    bytes_free(&checksum);
    return 0;
}

static const CheckpointAttribute *find(const void *file, const char *name)
{
    const CheckpointAttribute *attributes = file;
    for (int i = 0; i < STORED_ADAPTER_ATTRIBUTES; i++)
        if (strcmp(attributes[i].name, name) == 0)
            return &attributes[i];
    return NULL;
}

static void what_was_listed_is_taken(void **state)
{
    (void)state;
    StoredAdapter stored;
    assert_int_equal(stored_adapter_take(&stored, find, good), 0);
    assert_int_equal(stored.shape.rank, 8);
    assert_true(stored.shape.alpha == 12.5 && stored.shape.targets[LINEAR_Q]);
    assert_string_equal(stored.base, "models/base");
    assert_int_equal(stored.checksum, 0x12ab);
    stored_adapter_free(&stored);
}

// The good attributes but one.
static void expect_refusal(CheckpointAttribute changed, const char *part)
{
    CheckpointAttribute attributes[STORED_ADAPTER_ATTRIBUTES];
    StoredAdapter stored;
    for (int i = 0; i < STORED_ADAPTER_ATTRIBUTES; i++)
        attributes[i] = strcmp(good[i].name, changed.name) == 0 ? changed : good[i];
    if (stored_adapter_take(&stored, find, attributes) == 0)
        fail_msg("%s was accepted", changed.name);
    assert_failed(EXIT_BAD_DATA, part);
    stored_adapter_free(&stored);
}

static void damaged_attributes_are_refused(void **state)
{
    (void)state;
    static const double alphas[] = {NAN, INFINITY, 0, -1, 1e300};
    static const char *const checksums[] = {"",
                                            "12ab",
                                            "00000000000012aZ",
                                            "000000000000012ab",
                                            "0x000000000012ab",
                                            " 00000000000012a"};
    for (size_t i = 0; i < sizeof alphas / sizeof *alphas; i++)
        expect_refusal((CheckpointAttribute){.name = "adapter_alpha",
                                             .kind = ATTRIBUTE_REAL,
                                             .real = alphas[i]},
                       "incomplete or damaged");
    for (size_t i = 0; i < sizeof checksums / sizeof *checksums; i++)
        expect_refusal((CheckpointAttribute){.name = "base_checksum",
                                             .kind = ATTRIBUTE_TEXT,
                                             .text = checksums[i]},
                       "incomplete or damaged");
    expect_refusal((CheckpointAttribute){.name = "base_path", .kind = ATTRIBUTE_INTEGER},
                   "incomplete or damaged");
    expect_refusal((CheckpointAttribute){.name = "adapter_rank",
                                         .kind = ATTRIBUTE_INTEGER,
                                         .integer = 1 << 20},
                   "incomplete or damaged");
    expect_refusal(
        (CheckpointAttribute){.name = "adapter_targets", .kind = ATTRIBUTE_TEXT, .text = "q_proj,"},
        "adapter_targets: '' is no linear layer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_listed_is_taken),
        cmocka_unit_test(damaged_attributes_are_refused),
    };
    return cmocka_run_group_tests(tests, make_good, free_good);
}
