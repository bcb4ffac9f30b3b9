#include "reward/score.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "reward/interval.h"

const char *const score_names[SCORE_COUNT] = {
    "ave_continue_content",
    "win_continue_content",
    "ave_continue_content_if_correct",
    "win_continue_content_if_correct",
    "ave_continue_decision",
    "ave_stop_decision",
    "ave_total_decision",
    "ave_total_format",
    "ave_total_reward",
};

// Each score is a sum over the rows it is about, and their number.
typedef struct {
    double sum[SCORE_COUNT];
    int64_t n[SCORE_COUNT];
} Sums;

static void add(Sums *sums, ScoreName name, double value)
{
    sums->sum[name] += value;
    sums->n[name]++;
}

static void add_row(Sums *sums, const ScoreRow *row)
{
    const Grade *grade = &row->grade;
    if (row->truth == TRUTH_CONTINUE) {
        double win = grade->content == 1;
        add(sums, SCORE_CONTINUE_CONTENT, grade->content);
        add(sums, SCORE_CONTINUE_WIN, win);
        if (!row->stops) {
            add(sums, SCORE_CONTINUE_CONTENT_CORRECT, grade->content);
            add(sums, SCORE_CONTINUE_WIN_CORRECT, win);
        }
        add(sums, SCORE_CONTINUE_DECISION, grade->decision);
    } else {
        add(sums, SCORE_STOP_DECISION, grade->decision);
    }
    add(sums, SCORE_TOTAL_DECISION, grade->decision);
    add(sums, SCORE_TOTAL_FORMAT, grade->format);
    add(sums, SCORE_TOTAL_REWARD,
        reward_fuse((RewardSettings){.mode = MODE_RA_RS, .fusion = FUSION_PRODUCT}, grade->decision,
                    grade->content, grade->format));
}

static void merge(Sums *sums, const Sums *other)
{
    for (int name = 0; name < SCORE_COUNT; name++) {
        sums->sum[name] += other->sum[name];
        sums->n[name] += other->n[name];
    }
}

static int compare_sessions(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// The sums of each session that has a graded row, in rising order of its ordinal; to be released.
static Sums *sums_of_sessions(const ScoreRow *rows, int64_t count, int64_t *session_count)
{
    int64_t *ids = allocate((size_t)count, sizeof *ids), graded = 0, distinct = 0;
    for (int64_t i = 0; i < count; i++)
        if (rows[i].grade.graded)
            ids[graded++] = rows[i].session;
    qsort(ids, (size_t)graded, sizeof *ids, compare_sessions);
    for (int64_t i = 0; i < graded; i++)
        if (i == 0 || ids[i] != ids[distinct - 1])
            ids[distinct++] = ids[i];
    Sums *sums = allocate((size_t)distinct, sizeof *sums);
    for (int64_t i = 0; i < count; i++) {
        if (!rows[i].grade.graded)
            continue;
        const int64_t *at =
            bsearch(&rows[i].session, ids, (size_t)distinct, sizeof *ids, compare_sessions);
        add_row(&sums[at - ids], &rows[i]);
    }
    release(ids);
    *session_count = distinct;
    return sums;
}

// `means` [SCORE_COUNT][resamples]; a resample without rows for a score adds nothing to it.
static void resample(const Sums *sessions, int64_t session_count, int resamples, uint64_t seed,
                     double *means, int64_t *mean_count)
{
    for (int r = 0; r < resamples; r++) {
        Sums total = {0};
        Draw draw = {.seed = seed, .purpose = PURPOSE_BOOTSTRAP, .step = (uint32_t)r};
        for (int64_t i = 0; i < session_count; i++) {
            draw.position = (uint32_t)i;
            merge(&total, &sessions[draw_below(draw, (uint64_t)session_count)]);
        }
        for (int name = 0; name < SCORE_COUNT; name++)
            if (total.n[name])
                means[name * resamples + mean_count[name]++] =
                    total.sum[name] / (double)total.n[name];
    }
}

static void set_intervals(Scores *scores, const Sums *sessions, int resamples, uint64_t seed)
{
    double *means = allocate((size_t)SCORE_COUNT * (size_t)resamples, sizeof *means);
    int64_t counts[SCORE_COUNT] = {0};
    resample(sessions, scores->sessions, resamples, seed, means, counts);
    for (int name = 0; name < SCORE_COUNT; name++) {
        double *sorted = means + name * resamples;
        if (counts[name] == 0)
            continue;
        Interval interval = interval_of(sorted, counts[name]);
        scores->values[name].low = interval.low;
        scores->values[name].high = interval.high;
    }
    release(means);
}

Scores score_rows(const ScoreRow *rows, int64_t count, int resamples, uint64_t seed)
{
    Scores scores = {.rows = count};
    Sums total = {0}, *sessions = sums_of_sessions(rows, count, &scores.sessions);
    for (int64_t i = 0; i < scores.sessions; i++)
        merge(&total, &sessions[i]);
    scores.ungraded = count - total.n[SCORE_TOTAL_DECISION];
    for (int name = 0; name < SCORE_COUNT; name++) {
        double value = total.n[name] ? total.sum[name] / (double)total.n[name] : 0;
        scores.values[name] =
            (ScoreValue){.value = value, .low = value, .high = value, .n = total.n[name]};
    }
    if (resamples > 0 && scores.sessions > 0)
        set_intervals(&scores, sessions, resamples, seed);
    release(sessions);
    return scores;
}

void score_print(const Scores *scores, Bytes *text)
{
    bytes_print(text, "%-32s %7s  %-17s %7s\n", "metric", "value", "95 % interval", "n");
    for (int name = 0; name < SCORE_COUNT; name++) {
        const ScoreValue *value = &scores->values[name];
        if (value->n)
            bytes_print(text, "%-32s %7.3f  [%6.3f, %6.3f]  %7lld\n", score_names[name],
                        value->value, value->low, value->high, (long long)value->n);
        else
            bytes_print(text, "%-32s %7s  %-17s %7d\n", score_names[name], "n/a", "n/a", 0);
    }
    bytes_print(text, "%lld responses of %lld sessions, %lld ungraded and left out\n",
                (long long)scores->rows, (long long)scores->sessions, (long long)scores->ungraded);
}
