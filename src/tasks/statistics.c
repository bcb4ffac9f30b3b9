#include "tasks/statistics.h"

enum { LEAST_BITS = 5, MOST_BITS = 31, BAR = 40 }; // up to 32 tokens, 33 to 64, ...

static void print_rounds(const SampleSet *set, Bytes *out)
{
    int64_t most = 0;
    for (int64_t g = 0; g < set->group_count; g++)
        most = set->groups[g].sample_count > most ? set->groups[g].sample_count : most;
    double sessions = (double)(set->session_count > 0 ? set->session_count : 1);
    double samples = (double)(set->count > 0 ? set->count : 1);
    bytes_print(out, "%-11s%.1f rounds a session, %lld at most; %.1f %% of rounds go on\n", "",
                (double)set->count / sessions, (long long)most,
                100 * (double)set->counts.kept_continue / samples);
}

static int bits_of(int64_t tokens)
{
    int bits = LEAST_BITS;
    while (bits < MOST_BITS && tokens > (int64_t)1 << bits)
        bits++;
    return bits;
}

static void print_lengths(const Dataset *dataset, Bytes *out)
{
    int64_t counts[MOST_BITS + 1] = {0}, most = 1;
    int last = LEAST_BITS, first = MOST_BITS;
    for (int64_t i = 0; i < dataset->set.count; i++) {
        int bits = bits_of(dataset->contexts[i].count);
        counts[bits]++;
        first = bits < first ? bits : first;
        last = bits > last ? bits : last;
        most = counts[bits] > most ? counts[bits] : most;
    }
    for (int bits = first; bits <= last; bits++) {
        int64_t low = bits == LEAST_BITS ? 1 : ((int64_t)1 << (bits - 1)) + 1;
        int64_t length = (counts[bits] * BAR + most - 1) / most;
        bytes_print(out, "%-11s%7lld to %7lld tokens %9lld  ", "", (long long)low,
                    (long long)((int64_t)1 << bits), (long long)counts[bits]);
        for (int64_t i = 0; i < length; i++)
            bytes_append_text(out, "#");
        bytes_append_text(out, "\n");
    }
}

void statistics_print(const Dataset *dataset, Bytes *out)
{
    print_rounds(&dataset->set, out);
    if (dataset->tokens > 0)
        print_lengths(dataset, out);
}

int64_t statistics_tree_costs(StagePlan *plan, const Settings *settings, int32_t response_tokens,
                              TreeCosts *costs)
{
    SessionSchedule *schedule = &plan->schedule;
    int64_t steps = plan->steps < STATISTICS_STEPS ? plan->steps : STATISTICS_STEPS;
    *costs = (TreeCosts){0};
    for (int64_t step = 0; step < steps; step++) {
        schedule_step(schedule, step);
        for (int64_t p = 0; p < schedule->part_count; p++) {
            Tree tree =
                session_tree_for_rollout(schedule->dataset, schedule->parts[p],
                                         (int32_t)settings->rollout.group_size, response_tokens);
            for (int32_t b = 0; b < tree.branch_count; b++)
                tree.branches[b].count = response_tokens;
            session_tree_costs(schedule->dataset, &tree, costs);
            tree_free(&tree);
        }
    }
    return steps;
}
