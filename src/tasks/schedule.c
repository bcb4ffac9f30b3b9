#include "tasks/schedule.h"

#include "base/random.h"

void schedule_make(SessionSchedule *schedule, const Dataset *dataset, ScheduleOptions options)
{
    size_t samples = (size_t)dataset->set.count;
    *schedule = (SessionSchedule){.dataset = dataset,
                                  .seed = options.seed,
                                  .stage = options.stage,
                                  .keep_sessions = options.keep_sessions,
                                  .batch_contexts = options.batch_contexts,
                                  .epoch = -1};
    schedule->steps_per_epoch =
        (dataset->usable + options.batch_contexts - 1) / options.batch_contexts;
    schedule->order = allocate(samples, sizeof *schedule->order);
    schedule->parts = allocate(samples, sizeof *schedule->parts);
}

void schedule_free(SessionSchedule *schedule)
{
    release(schedule->order);
    release(schedule->parts);
    release(schedule->others);
    *schedule = (SessionSchedule){0};
}

// Appends usable samples of [first, first + length) to schedule->order.
static int64_t append_usable(SessionSchedule *schedule, int64_t count, int64_t first,
                             int64_t length)
{
    for (int64_t i = first; i < first + length; i++)
        if (schedule->dataset->contexts[i].usable)
            schedule->order[count++] = i;
    return count;
}

// The order of an epoch, flat: sessions (or single contexts) shuffled.
static void order_epoch(SessionSchedule *schedule, int64_t epoch)
{
    const SampleSet *set = &schedule->dataset->set;
    int64_t units = schedule->keep_sessions ? set->group_count : set->count, count = 0;
    int64_t *shuffled = allocate((size_t)units, sizeof *shuffled);
    for (int64_t i = 0; i < units; i++)
        shuffled[i] = i;
    draw_shuffle((Draw){.seed = schedule->seed,
                        .purpose = PURPOSE_SHUFFLE,
                        .step = (uint32_t)epoch,
                        .sample = schedule->stage},
                 shuffled, units);
    for (int64_t i = 0; i < units; i++) {
        if (schedule->keep_sessions) {
            const SessionGroup *group = &set->groups[shuffled[i]];
            count = append_usable(schedule, count, group->first_sample, group->sample_count);
        } else {
            count = append_usable(schedule, count, shuffled[i], 1);
        }
    }
    release(shuffled);
    schedule->epoch = epoch;
}

// Whether two samples, neighbours in the order, belong to one tree.
static bool same_session(const SessionSchedule *schedule, int64_t earlier, int64_t later)
{
    const Sample *a = &schedule->dataset->set.samples[earlier];
    const Sample *b = &schedule->dataset->set.samples[later];
    return schedule->keep_sessions && a->session == b->session && a->messages == b->messages &&
           earlier < later;
}

static void cut_parts(SessionSchedule *schedule, const int64_t *order, int64_t first, int64_t end)
{
    schedule->part_count = 0;
    for (int64_t i = first; i < end; i++) {
        if (i > first && same_session(schedule, order[i - 1], order[i]))
            schedule->parts[schedule->part_count - 1].count++;
        else
            schedule->parts[schedule->part_count++] =
                (SessionPart){.samples = order + i, .count = 1};
    }
}

void schedule_step(SessionSchedule *schedule, int64_t step)
{
    int64_t epoch = step / schedule->steps_per_epoch, usable = schedule->dataset->usable;
    if (epoch != schedule->epoch)
        order_epoch(schedule, epoch);
    int64_t first = step % schedule->steps_per_epoch * schedule->batch_contexts;
    int64_t end = first + schedule->batch_contexts;
    cut_parts(schedule, schedule->order, first, end < usable ? end : usable);
}

void schedule_others(SessionSchedule *schedule, int64_t step, int64_t round, int64_t count,
                     bool *used)
{
    const SampleSet *set = &schedule->dataset->set;
    int64_t groups = set->group_count, found = 0;
    if (!schedule->others)
        schedule->others = allocate((size_t)set->count, sizeof *schedule->others);
    int64_t *shuffled = allocate((size_t)groups, sizeof *shuffled);
    for (int64_t g = 0; g < groups; g++)
        shuffled[g] = g;
    draw_shuffle((Draw){.seed = schedule->seed,
                        .purpose = PURPOSE_REPLACE,
                        .step = (uint32_t)step,
                        .round = (uint32_t)round,
                        .sample = schedule->stage},
                 shuffled, groups);
    for (int64_t g = 0; g < groups && found < count; g++) {
        const SessionGroup *group = &set->groups[shuffled[g]];
        for (int64_t i = group->first_sample; i < group->first_sample + group->sample_count; i++) {
            if (used[i] || !schedule->dataset->contexts[i].usable || found == count)
                continue;
            used[i] = true;
            schedule->others[found++] = i;
        }
    }
    cut_parts(schedule, schedule->others, 0, found);
    release(shuffled);
}

void schedule_all(SessionSchedule *schedule, int64_t limit)
{
    const SampleSet *set = &schedule->dataset->set;
    int64_t count = 0;
    schedule->epoch = -1;
    for (int64_t g = 0; g < set->group_count && (limit == 0 || count < limit); g++)
        count = append_usable(schedule, count, set->groups[g].first_sample,
                              set->groups[g].sample_count);
    cut_parts(schedule, schedule->order, 0, count);
}
