// test_parallel.c - groups, roles and collectives on any number of ranks.

#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "parallel/collective.h"
#include "parallel/shard.h"
#include "parallel/team.h"

static Group world;

static void nobody_fails_where_all_agree(void **state)
{
    (void)state;
    assert_int_equal(group_agree(&world, 0), 0);
}

static void the_lowest_failing_rank_speaks_for_all(void **state)
{
    (void)state;
    for (int first = 0; first < world.size; first++) {
        fail(EXIT_BUG, "an older failure of rank %d", world.rank);
        int status =
            world.rank >= first ? fail(EXIT_NO_INPUT, "rank %d has no file", world.rank) : 0;
        assert_int_equal(group_agree(&world, status), -1);
        char expected[64];
        snprintf(expected, sizeof expected, "rank %d has no file", first);
        assert_string_equal(fail_message(), expected);
        assert_int_equal(fail_code(), EXIT_NO_INPUT);
    }
}

static void a_message_of_many_lines_is_told_whole(void **state)
{
    (void)state;
    char text[3000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    int status = world.rank == world.size - 1 ? fail(EXIT_BAD_DATA, "%s", text) : 0;
    assert_int_equal(group_agree(&world, status), -1);
    assert_true(strcmp(fail_message(), text) == 0);
}

static void broadcast_reaches_every_rank(void **state)
{
    (void)state;
    for (int root = 0; root < world.size; root++) {
        int64_t values[3] = {world.rank, world.rank, world.rank};
        group_broadcast(&world, values, sizeof values, root);
        assert_int_equal(values[0] + values[1] + values[2], 3 * root);
        Bytes bytes = {0};
        if (world.rank == root)
            bytes_print(&bytes, "%d says", root);
        else
            bytes_print(&bytes, "something longer than what comes");
        group_broadcast_bytes(&world, &bytes, root);
        char expected[32];
        snprintf(expected, sizeof expected, "%d says", root);
        assert_string_equal(bytes.data, expected);
        assert_int_equal(bytes.length, strlen(expected));
        bytes_clear(&bytes);
        group_broadcast_bytes(&world, &bytes, root);
        assert_int_equal(bytes.length, 0);
        bytes_free(&bytes);
    }
}

static void gathered_bytes_are_joined_in_rank_order(void **state)
{
    (void)state;
    Bytes mine = {0}, all = {0}, expected = {0};
    size_t starts[65];
    assert_true(world.size < 65);
    for (int rank = 0; rank < world.size; rank++) { // rank 0 has nothing to say
        for (int i = 0; i < 10 * rank; i++) {
            bytes_print(&expected, "%d,", rank);
            if (rank == world.rank)
                bytes_print(&mine, "%d,", rank);
        }
    }
    group_all_gather_bytes(&world, &mine, &all, starts);
    assert_int_equal(all.length, expected.length);
    if (expected.length > 0)
        assert_memory_equal(all.data, expected.data, all.length);
    assert_int_equal(starts[0], 0);
    assert_int_equal(starts[world.size], all.length);
    for (int rank = 0; rank < world.size; rank++)
        assert_int_equal(starts[rank + 1] - starts[rank], 20 * (size_t)rank);
    bytes_free(&mine);
    bytes_free(&all);
    bytes_free(&expected);
}

static void numbers_are_gathered_by_rank(void **state)
{
    (void)state;
    int all[64] = {0}, mine = 100 + world.rank;
    group_gather(&world, &mine, sizeof mine, all, world.size - 1);
    for (int rank = 0; rank < world.size && world.rank == world.size - 1; rank++)
        assert_int_equal(all[rank], 100 + rank);
    memset(all, 0, sizeof all);
    group_all_gather(&world, &mine, sizeof mine, all);
    for (int rank = 0; rank < world.size; rank++)
        assert_int_equal(all[rank], 100 + rank);
}

// A number of each rank whose sum shows the order of additions.
static double summand(int rank, int64_t i)
{
    static const double list[] = {1e16, 1, -1e16, 3};
    return list[rank % 4] + (double)i;
}

static void sums_are_taken_in_rank_order(void **state)
{
    (void)state;
    enum { COUNT = 5 };
    double values[COUNT];
    for (int64_t i = 0; i < COUNT; i++)
        values[i] = summand(world.rank, i);
    group_sum(&world, values, COUNT);
    for (int64_t i = 0; i < COUNT; i++) {
        double expected = 0;
        for (int rank = 0; rank < world.size; rank++)
            expected += summand(rank, i);
        assert_true(values[i] == expected);
    }
}

static void the_maximum_is_that_of_all_ranks(void **state)
{
    (void)state;
    assert_true(group_maximum(&world, -10.0 - world.rank) == -10);
    assert_true(group_maximum(&world, world.rank == world.size - 1 ? INFINITY : 0) == INFINITY);
}

static void a_group_splits_by_colour(void **state)
{
    (void)state;
    Group even = group_split(&world, world.rank % 2 == 0 ? 0 : -1, "even ranks");
    if (world.rank % 2 == 0) {
        assert_int_equal(even.size, (world.size + 1) / 2);
        assert_int_equal(even.rank, world.rank / 2);
        double one = 1;
        group_sum(&even, &one, 1);
        assert_true(one == even.size);
    } else {
        assert_int_equal(even.size, 0);
    }
    group_free(&even);
    assert_int_equal(group_node_size(&world), world.size); // tests run on one machine
}

enum { LOCAL = 3000 };

// fp32 numbers of which no two orders of addition agree.
static float element(int rank, int64_t i)
{
    return 1.0f / (float)(1 + i) + (float)(rank * rank) / (float)(7 + i);
}

static void shards_are_gathered_in_rank_order(void **state)
{
    (void)state;
    size_t size = (size_t)world.size;
    float *shard = allocate(LOCAL, sizeof *shard), *full = allocate(size * LOCAL, sizeof *full);
    for (int64_t i = 0; i < LOCAL; i++)
        shard[i] = element(world.rank, i);
    Transfer transfer;
    collective_mpi.all_gather_begin(&world, kernels_cpu(), full, elements_f32(shard), LOCAL,
                                    &transfer);
    collective_mpi.progress(&transfer);
    collective_mpi.all_gather_end(&transfer);
    for (int rank = 0; rank < world.size; rank++)
        for (int64_t i = 0; i < LOCAL; i++)
            assert_true(full[rank * LOCAL + i] == element(rank, i));
    release(shard);
    release(full);
}

static void a_shard_in_its_place_is_gathered_there(void **state)
{
    (void)state;
    uint16_t *full = allocate((size_t)world.size * LOCAL, sizeof *full);
    uint16_t *mine = full + (ptrdiff_t)world.rank * LOCAL;
    for (int64_t i = 0; i < LOCAL; i++)
        mine[i] = (uint16_t)(1000 * world.rank + i);
    Transfer transfer;
    collective_mpi.all_gather_begin(&world, kernels_cpu(), full, (Elements){mine, TYPE_BF16}, LOCAL,
                                    &transfer);
    collective_mpi.all_gather_end(&transfer);
    for (int rank = 0; rank < world.size; rank++)
        for (int64_t i = 0; i < LOCAL; i++)
            assert_int_equal(full[rank * LOCAL + i], 1000 * rank + i);
    release(full);
}

static void reduced_shards_are_added_in_rank_order(void **state)
{
    (void)state;
    size_t all = (size_t)world.size * LOCAL;
    float *shard = allocate(LOCAL, sizeof *shard), *full = allocate(all, sizeof *full);
    float *scratch = allocate(all, sizeof *scratch);
    for (int64_t i = 0; i < LOCAL; i++)
        shard[i] = 0.1f;
    for (int64_t i = 0; i < (int64_t)all; i++)
        full[i] = element(world.rank, i);
    Transfer transfer;
    collective_mpi.reduce_scatter_begin(&world, full, LOCAL, scratch, &transfer);
    collective_mpi.progress(&transfer);
    collective_mpi.reduce_scatter_end(&world, kernels_cpu(), shard, full, LOCAL, scratch,
                                      &transfer);
    for (int64_t i = 0; i < LOCAL; i++) {
        float expected = 0.1f;
        for (int rank = 0; rank < world.size; rank++)
            expected += element(rank, world.rank * LOCAL + i);
        assert_true(shard[i] == expected);
    }
    release(shard);
    release(full);
    release(scratch);
}

static void summed_numbers_are_added_in_rank_order_on_every_rank(void **state)
{
    (void)state;
    enum { COUNT = 1021, ROOM = COUNT + 16 };
    float values[ROOM] = {0}, scratch[ROOM] = {0};
    for (int64_t i = 0; i < COUNT; i++)
        values[i] = element(world.rank, i);
    collective_mpi.sum(&world, kernels_cpu(), values, COUNT, scratch);
    for (int64_t i = 0; i < COUNT; i++) {
        float expected = element(0, i);
        for (int rank = 1; rank < world.size; rank++)
            expected += element(rank, i);
        assert_true(values[i] == expected);
    }
}

static void teams_are_consecutive_ranks(void **state)
{
    (void)state;
    Team team;
    for (int ranks = 1; ranks <= world.size; ranks *= 2) {
        assert_int_equal(team_make(&team, &world, ranks, "x"), 0);
        assert_int_equal(team.inside.size, ranks);
        assert_int_equal(team.inside.rank, world.rank % ranks);
        assert_int_equal(team.across.size, world.size / ranks);
        assert_int_equal(team.across.rank, world.rank / ranks);
        assert_int_equal(team_leads(&team), world.rank % ranks == 0);
        team_free(&team);
    }
    const Group nobody = {0};
    assert_int_equal(team_make(&team, &nobody, 2, "x"), 0);
    assert_int_equal(team_leads(&team), 0);
    team_free(&team);
}

static void a_group_that_teams_do_not_tile_is_refused(void **state)
{
    (void)state;
    Team team;
    assert_int_equal(team_make(&team, &world, 3, "rollout.tensor_parallel"), -1);
    assert_int_equal(fail_code(), EXIT_BAD_SETTINGS);
    assert_non_null(strstr(fail_message(), "rollout.tensor_parallel = 3, but "));
}

static void every_rank_has_every_role_when_shared(void **state)
{
    (void)state;
    World shared;
    assert_int_equal(world_make(&shared, (WorldPlan){.rollout = 9, .learner = 9}), 0);
    for (int role = 0; role < ROLE_COUNT; role++) {
        assert_true(shared.has[role]);
        assert_int_equal(shared.count[role], world.size);
        assert_int_equal(shared.first[role], 0);
        assert_int_equal(shared.group[role].size, world.size);
        assert_int_equal(shared.group[role].rank, world.rank);
    }
    assert_int_equal(world_speaks(&shared), world.rank == 0);
    world_free(&shared);
}

static void split_roles_follow_one_another(void **state)
{
    (void)state;
    if (world.size < 4)
        skip();
    World split;
    WorldPlan plan = {.split = true, .rollout = 1, .grader = 1, .learner = world.size - 2};
    assert_int_equal(world_make(&split, plan), 0);
    assert_int_equal(split.has[ROLE_ROLLOUT], world.rank == 0);
    assert_int_equal(split.has[ROLE_GRADER], world.rank == 1);
    assert_int_equal(split.has[ROLE_LEARNER], world.rank >= 2);
    assert_int_equal(split.first[ROLE_LEARNER], 2);
    assert_int_equal(world_speaks(&split), world.rank == 2);
    if (split.has[ROLE_LEARNER]) {
        assert_int_equal(split.group[ROLE_LEARNER].size, world.size - 2);
        assert_int_equal(split.group[ROLE_LEARNER].rank, world.rank - 2);
    }
    world_free(&split);
}

static void rollout_ranks_grade_where_there_is_no_grader(void **state)
{
    (void)state;
    if (world.size < 2)
        skip();
    World split;
    WorldPlan plan = {.split = true, .rollout = world.size - 1, .learner = 1};
    assert_int_equal(world_make(&split, plan), 0);
    assert_int_equal(split.has[ROLE_GRADER], split.has[ROLE_ROLLOUT]);
    assert_int_equal(split.count[ROLE_GRADER], world.size - 1);
    assert_int_equal(split.has[ROLE_LEARNER], world.rank == world.size - 1);
    world_free(&split);
}

static void a_plan_for_another_number_of_ranks_is_refused(void **state)
{
    (void)state;
    World split;
    WorldPlan plan = {.split = true, .rollout = 5, .grader = 1, .learner = 3};
    assert_int_equal(world_make(&split, plan), -1);
    assert_int_equal(fail_code(), EXIT_BAD_SETTINGS);
    assert_non_null(strstr(fail_message(), "placement = split asks for 5 + 1 + 3 ranks"));
    assert_non_null(strstr(fail_message(), "start it with mpirun -n 9"));
    world_free(&split);
}

// Element i of a shard of unit `unit`; a number that bf16 holds as well.
static float published(int64_t unit, int shard, int64_t i)
{
    return (float)(unit * 64 + shard * 16 + i % 13);
}

static void publish_units(const World *split, int shards, int ranks_per_node, ElementType held,
                          ElementType type)
{
    const Kernels *kernels = kernels_cpu();
    bool learns = split->has[ROLE_LEARNER];
    int mine = learns ? split->group[ROLE_LEARNER].rank % shards : 0;
    float wide[LOCAL], found[LOCAL];
    uint16_t narrow[LOCAL];
    Publication *publication =
        collective_mpi.publication_make(split, kernels, shards, shards * LOCAL, ranks_per_node);
    for (int64_t unit = 0; unit < 3; unit++) {
        int64_t local = LOCAL - 7 * unit;
        for (int64_t i = 0; i < local; i++)
            wide[i] = published(unit, mine, i);
        kernels->convert(NULL, narrow, TYPE_BF16, elements_f32(wide), local);
        Elements shard = {held == TYPE_BF16 ? (void *)narrow : wide, held};
        Elements whole =
            collective_mpi.publish(publication, learns ? shard : (Elements){0}, local, type);
        assert_true(whole.type == type || split->all.size == 1);
        for (int s = 0; s < shards; s++) {
            kernels->convert(NULL, found, TYPE_F32, elements_from(whole, s * local), local);
            for (int64_t i = 0; i < local; i++)
                assert_true(found[i] == published(unit, s, i));
        }
    }
    collective_mpi.publication_free(publication);
}

// In all roles; learners share the shards or hold the same in twos; in one node or, as if, in
// several, with and without learners.
static void published_shards_reach_all_ranks(void **state)
{
    (void)state;
    for (int learners = 1; learners <= world.size; learners++) {
        World split;
        WorldPlan plan = {
            .split = learners < world.size, .rollout = world.size - learners, .learner = learners};
        assert_int_equal(world_make(&split, plan), 0);
        for (int shards = 1; shards <= learners; shards++) {
            for (int ranks = 0; ranks <= world.size && learners % shards == 0; ranks++) {
                publish_units(&split, shards, ranks, TYPE_F32, TYPE_F32);
                publish_units(&split, shards, ranks, TYPE_F32, TYPE_BF16);
                publish_units(&split, shards, ranks, TYPE_BF16, TYPE_BF16);
            }
        }
        world_free(&split);
    }
}

static void roles_have_names(void **state)
{
    (void)state;
    assert_string_equal(role_name(ROLE_ROLLOUT), "rollout");
    assert_string_equal(role_name(ROLE_GRADER), "grader");
    assert_string_equal(role_name(ROLE_LEARNER), "learner");
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    world = group_world();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_fails_where_all_agree),
        cmocka_unit_test(the_lowest_failing_rank_speaks_for_all),
        cmocka_unit_test(a_message_of_many_lines_is_told_whole),
        cmocka_unit_test(broadcast_reaches_every_rank),
        cmocka_unit_test(gathered_bytes_are_joined_in_rank_order),
        cmocka_unit_test(numbers_are_gathered_by_rank),
        cmocka_unit_test(sums_are_taken_in_rank_order),
        cmocka_unit_test(the_maximum_is_that_of_all_ranks),
        cmocka_unit_test(a_group_splits_by_colour),
        cmocka_unit_test(shards_are_gathered_in_rank_order),
        cmocka_unit_test(a_shard_in_its_place_is_gathered_there),
        cmocka_unit_test(reduced_shards_are_added_in_rank_order),
        cmocka_unit_test(summed_numbers_are_added_in_rank_order_on_every_rank),
        cmocka_unit_test(teams_are_consecutive_ranks),
        cmocka_unit_test(a_group_that_teams_do_not_tile_is_refused),
        cmocka_unit_test(every_rank_has_every_role_when_shared),
        cmocka_unit_test(split_roles_follow_one_another),
        cmocka_unit_test(rollout_ranks_grade_where_there_is_no_grader),
        cmocka_unit_test(a_plan_for_another_number_of_ranks_is_refused),
        cmocka_unit_test(published_shards_reach_all_ranks),
        cmocka_unit_test(roles_have_names),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    group_free(&world);
    group_stop();
    return failures;
}
