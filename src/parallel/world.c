#include "parallel/world.h"

#include "base/fail.h"

const char *role_name(Role role)
{
    static const char *const names[ROLE_COUNT] = {"rollout", "grader", "learner"};
    return names[role];
}

static int plan_check(const WorldPlan *plan, int size)
{
    if (plan->split && plan->rollout + plan->grader + plan->learner != size)
        return fail(EXIT_BAD_SETTINGS,
                    "placement = split asks for %d + %d + %d ranks (rollout, grader, learner), but "
                    "the job has %d: start it with mpirun -n %d or change [parallel]",
                    plan->rollout, plan->grader, plan->learner, size,
                    plan->rollout + plan->grader + plan->learner);
    return 0;
}

int world_make(World *world, WorldPlan plan)
{
    *world = (World){.all = group_world()};
    if (plan_check(&plan, world->all.size) != 0)
        return -1;
    static const char *const groups[ROLE_COUNT] = {
        [ROLE_ROLLOUT] = "the rollout ranks",
        [ROLE_GRADER] = "the grader ranks",
        [ROLE_LEARNER] = "the learner ranks",
    };
    int counts[ROLE_COUNT] = {plan.rollout, plan.grader, plan.learner};
    int first = 0;
    for (int role = 0; role < ROLE_COUNT; role++) {
        bool own = plan.split && counts[role] > 0;
        world->count[role] = own ? counts[role] : plan.split ? plan.rollout : world->all.size;
        world->first[role] = own ? first : 0;
        first += own ? counts[role] : 0;
        int place = world->all.rank - world->first[role];
        world->has[role] = place >= 0 && place < world->count[role];
        world->group[role] = group_split(&world->all, world->has[role] ? 0 : -1, groups[role]);
    }
    return 0;
}

void world_free(World *world)
{
    for (int role = 0; role < ROLE_COUNT; role++)
        group_free(&world->group[role]);
    group_free(&world->all);
}

bool world_speaks(const World *world)
{
    return world->all.rank == world->first[ROLE_LEARNER];
}
