#include "tasks/phases.h"

typedef struct {
    double times, least, mean, most; // of the ranks that had a part
    double ranks;
} PhaseOfRanks;

static const char *const names[PHASE_COUNT] = {
    [PHASE_GEN] = "gen",
    [PHASE_PREFILL] = "  gen_prefill",
    [PHASE_DECODE] = "  gen_decode",
    [PHASE_REWARD] = "  reward",
    [PHASE_JUDGE] = "  judge",
    [PHASE_UPDATE] = "update_actor",
    [PHASE_REFERENCE] = "  reference",
    [PHASE_FORWARD] = "  forward",
    [PHASE_VOCABULARY] = "  vocabulary",
    [PHASE_BACKWARD] = "  backward",
    [PHASE_OPTIMIZER] = "  optimizer",
    [PHASE_PUBLISH] = "publish",
    [PHASE_EVALUATE] = "evaluate",
    [PHASE_CHECKPOINT] = "checkpoint",
};

void phases_add(Phases *phases, Phase phase, double seconds)
{
    phases->seconds[phase] += seconds;
    phases->times[phase]++;
}

static PhaseOfRanks gather(const Phases *phases, Phase phase, const Group *all)
{
    double own = phases->seconds[phase];
    bool took_part = own > 0;
    double sums[] = {took_part, own};
    double most = group_maximum(all, own);
    double least = -group_maximum(all, took_part ? -own : -most);
    double times = group_maximum(all, phases->times[phase]);
    group_sum(all, sums, 2);
    return (PhaseOfRanks){.times = times,
                          .least = least,
                          .mean = sums[0] > 0 ? sums[1] / sums[0] : 0,
                          .most = most,
                          .ranks = sums[0]};
}

// Mean share of `wall` in which the ranks of a role did not work at what is theirs.
static double idle_share(const World *world, Role role, double busy, double wall)
{
    double sum = world->has[role] ? busy : 0;
    group_sum(&world->all, &sum, 1);
    double share = 1 - sum / (wall * world->count[role]);
    return share > 0 ? share : 0;
}

// A tenth is the price of unequal responses; from a quarter on something can be done about it.
static const char *advice(const Settings *settings, double rollout, double grader, double learner,
                          double verdicts)
{
    const double much = 0.25;
    if (verdicts > much)
        return "responses wait for their verdicts: raise judge.in_flight, add servers or "
               "parallel.grader_ranks";
    if (settings->parallel.placement != PLACEMENT_SPLIT)
        return "no group waits for another by much";
    if (rollout > much && learner > much && settings->train.staleness == 0)
        return "they wait for each other in turn: with train.staleness = 1 they work at the same "
               "time";
    if (rollout > much && rollout > learner)
        return "the learners set the pace: more parallel.learner_ranks, fewer rollout ranks";
    if (learner > much)
        return "the responses set the pace: more parallel.rollout_ranks, fewer learner ranks";
    if (grader > 2 * much)
        return "graders have little to do: fewer parallel.grader_ranks";
    return "no group waits for another by much";
}

static void print_idle(const Phases *phases, const World *world, const Settings *settings,
                       double wall, Bytes *text)
{
    const double *seconds = phases->seconds;
    double sampling = seconds[PHASE_PREFILL] + seconds[PHASE_DECODE];
    double rollout = idle_share(world, ROLE_ROLLOUT, sampling, wall);
    double learner = idle_share(world, ROLE_LEARNER, seconds[PHASE_UPDATE], wall);
    double grader = idle_share(world, ROLE_GRADER, seconds[PHASE_JUDGE], wall);
    double judging = group_maximum(&world->all, seconds[PHASE_JUDGE]);
    double verdicts = group_maximum(&world->all, seconds[PHASE_REWARD]);
    if (settings->parallel.placement == PLACEMENT_SPLIT) {
        bytes_print(text, "idle: rollout ranks %.0f %% of the time", 100 * rollout);
        if (judging > 0)
            bytes_print(text, ", grader ranks %.0f %%", 100 * grader);
        bytes_print(text, ", learner ranks %.0f %%; ", 100 * learner);
    }
    bytes_print(text, "%s\n",
                advice(settings, rollout, judging > 0 ? grader : 0, learner, verdicts / wall));
}

void phases_print(const Phases *phases, const World *world, const Settings *settings, double wall,
                  Bytes *text)
{
    bytes_print(text, "%-16s %8s %8s %10s %10s %10s %6s\n", "phase", "count", "share", "least s",
                "mean s", "most s", "ranks");
    for (int p = 0; p < PHASE_COUNT; p++) {
        PhaseOfRanks all = gather(phases, (Phase)p, &world->all);
        if (all.ranks > 0)
            bytes_print(text, "%-16s %8.0f %6.1f %% %10.2f %10.2f %10.2f %6.0f\n", names[p],
                        all.times, 100 * all.most / wall, all.least, all.mean, all.most, all.ranks);
    }
    bytes_print(text, "%-16s %8s %8s %10s %10s %10.2f\n", "wall", "", "", "", "", wall);
    print_idle(phases, world, settings, wall, text);
}
