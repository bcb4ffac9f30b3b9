#include "tools/show_attention.h"

#include <dirent.h>
#include <math.h>
#include <string.h>

#include "tools/show_series.h"
#include "tools/show_text.h"

// What the checks look at: the newest steps of the stage that the run is in.
typedef struct {
    const ShowRun *run;
    const ShowLog *log;
    int64_t begin, window, steps; // rows of the stage and of its newest steps; the latter's number
} View;

// Means and sums over the newest steps. Fewer than SERIES_WINDOW of a stage say nothing yet: NaN,
// of which no comparison is true.
static double newest(const View *view, const char *name)
{
    return view->steps < SERIES_WINDOW ? NAN
                                       : show_series_mean(&view->run->metrics, name, view->window);
}

static double in_newest(const View *view, const char *name)
{
    return view->steps < SERIES_WINDOW ? NAN
                                       : show_series_sum(&view->run->metrics, name, view->window);
}

// The steps of all stages in which something was found, and the last of them.
typedef struct {
    int64_t count, last;
} Found;

static void note(Found *found, int64_t step)
{
    found->count++;
    found->last = step;
}

// A gradient that was not finite moves nothing; the run says so in its journal, be the update left
// out or the weights be taken back. A norm or a loss that is missing in the line of a step was NaN.
static void check_not_finite(const View *view, Bytes *out)
{
    const MetricsTable *table = &view->run->metrics;
    const double *skipped = metrics_table_find(table, "actor/skipped_updates");
    const double *norm = metrics_table_find(table, "actor/grad_norm");
    const double *loss = metrics_table_find(table, "actor/pg_loss");
    Found found = {0};
    for (int64_t row = show_series_first(table, 0); row >= 0;
         row = show_series_first(table, row + 1))
        if ((skipped && skipped[row] > 0) || (norm && isnan(norm[row])) ||
            (loss && isnan(loss[row])))
            note(&found, table->steps[row]);
    if (found.count == 0)
        return;
    bytes_print(out,
                "%lld steps had a gradient or a loss that is not finite, the last one step %lld; "
                "they were %s: lower optimizer.learning_rate, or see such a batch with "
                "train.not_finite = stop, which keeps it",
                (long long)found.count, (long long)found.last,
                view->run->settings.train.not_finite == NOT_FINITE_ROLL_BACK ? "rolled back"
                                                                             : "left out");
}

static void check_dump(const View *view, Bytes *out)
{
    DIR *stream = opendir(view->run->directory);
    for (const struct dirent *entry = stream ? readdir(stream) : NULL; entry;
         entry = readdir(stream)) {
        if (strncmp(entry->d_name, "not-finite-", 11) != 0 || out->length > 0)
            continue;
        show_text_line(out, entry->d_name);
        bytes_append_text(out, ": the run stopped at a gradient that is not finite, and this is "
                               "the batch; look for log-probabilities that are no numbers, or go "
                               "on with train.not_finite = skip");
    }
    if (stream)
        closedir(stream);
}

// A response that was cut off has lost its end, and what it would have earned there. With one in
// twenty a third of all groups of eight (1 - 0.95^8) compares whole responses with cut ones.
static void check_clipped(const View *view, Bytes *out)
{
    double share = newest(view, "response_length/clip_ratio");
    if (share > 0.05)
        bytes_print(out,
                    "%.0f %% of the responses are cut off at rollout.max_response_tokens = %lld: "
                    "raise it, or see with l2a-show samples --worst 10 whether they ramble",
                    100 * share, (long long)view->run->settings.rollout.max_response_tokens);
}

// What has no grade is left out, and it is not left out at random: it is what the judge finds hard,
// or the hours in which a server was down. A hundredth does not move a mean that is known to 1 %.
static void check_ungraded(const View *view, Bytes *out)
{
    const Settings *settings = &view->run->settings;
    double responses = (double)view->steps * (double)settings->train.batch_contexts *
                       (double)settings->rollout.group_size;
    double share = in_newest(view, "reward/ungraded") / responses;
    if (!(share > 0.01))
        return;
    double unreached = in_newest(view, "grading/unreached");
    double unusable = in_newest(view, "grading/unanswered") - unreached;
    bytes_print(out, "%.1f %% of the responses have no grade: ", 100 * share);
    if (unreached >= unusable)
        bytes_append_text(out, "the judge did not answer: look at its server, lower "
                               "judge.in_flight, raise judge.timeout or judge.retries");
    else
        bytes_append_text(out, "the judge's answers cannot be used: raise judge.max_tokens or "
                               "judge.attempts, or calibrate its prompt");
}

// Whether the policy earns nearly all there is to be had: the best response of the newest steps is
// taken for that.
static bool is_learned(const View *view)
{
    const MetricsTable *table = &view->run->metrics;
    double most = -INFINITY;
    for (int64_t row = view->window; row < table->rows; row++) {
        double best = show_series_at(table, "critic/rewards/max", row);
        most = best > most ? best : most;
    }
    return newest(view, "critic/rewards/mean") > 0.9 * most;
}

// A group whose responses all earned the same has no advantage anywhere: it is sampled and judged
// and teaches nothing. Above a half most of a step's time goes into such groups.
static void check_flat(const View *view, Bytes *out)
{
    double groups = (double)view->steps * (double)view->run->settings.train.batch_contexts +
                    in_newest(view, "sampling/replaced_contexts");
    double share = in_newest(view, "reward/flat_groups") / groups;
    if (!(share > 0.5))
        return;
    bytes_print(out, "%.0f %% of the groups are flat (all responses earn the same): ", 100 * share);
    if (is_learned(view))
        bytes_append_text(out, "the reward is near the best that is seen, so there is little left "
                               "to learn here; more steps change little");
    else
        bytes_print(out, "raise rollout.temperature or rollout.group_size%s",
                    view->run->settings.algorithm.replacements > 0
                        ? ""
                        : ", or have them replaced (algorithm.name = dapo)");
}

// Entropy of a token times tokens: that of a whole response. Below ln 2 a context has fewer than
// two responses, effectively, and a group of any size is one of copies. Where all is learned that
// is as it should be.
static void check_entropy(const View *view, Bytes *out)
{
    double entropy = newest(view, "actor/entropy"), tokens = newest(view, "response_length/mean");
    if (!(entropy * tokens < 0.693) || is_learned(view))
        return;
    bytes_print(
        out,
        "entropy is down to %s nats a token (%s at the stage's first step), so nearly the "
        "same response is sampled each time: raise rollout.temperature or "
        "algorithm.entropy_coefficient, lower optimizer.learning_rate, or go on from an "
        "earlier checkpoint",
        show_text_number(entropy).text,
        show_text_number(show_series_at(&view->run->metrics, "actor/entropy",
                                        show_series_first(&view->run->metrics, view->begin)))
            .text);
}

// Divergence of a token times tokens: that of a whole response. Ziegler et al. ("Fine-tuning
// language models from human preferences", 2019) hold it at 6 to 8 nats and see responses decay
// beyond that; twice as much is worth reading some.
static void check_divergence(const View *view, Bytes *out)
{
    double kl = newest(view, "actor/kl") * newest(view, "response_length/mean");
    if (view->run->settings.algorithm.kl_coefficient > 0 && kl > 15)
        bytes_print(out,
                    "a response has moved %s nats away from the reference: read some (l2a-show "
                    "samples), and raise algorithm.kl_coefficient or lower "
                    "optimizer.learning_rate where they decay",
                    show_text_number(kl).text);
}

// On CPUs sampler and learner are one program and agree to the bit, but for engines of several
// ranks, which add in another order. A repetition penalty changes what is sampled from.
static bool is_exact(const View *view)
{
    const Settings *settings = &view->run->settings;
    Bytes backend = {0};
    bool cpu = show_log_field(view->log, "backend", &backend) &&
               strncmp(backend.data, "cpu", strlen("cpu")) == 0;
    bytes_free(&backend);
    return cpu && settings->rollout.tensor_parallel == 1 &&
           settings->rollout.repetition_penalty == 1;
}

// Elsewhere log-probabilities in bf16 differ by some hundredths (eight bits of mantissa, values of
// some units). A mean of a tenth is more than rounding, and ratios are then off by a tenth.
static void check_gap(const View *view, Bytes *out)
{
    const MetricsTable *table = &view->run->metrics;
    Found found = {0};
    const double *gaps = metrics_table_find(table, "mismatch/logprob_gap_max");
    double largest = 0, mean = newest(view, "mismatch/logprob_gap_mean");
    for (int64_t row = 0; row < table->rows && gaps; row++) {
        if (gaps[row] > 0)
            note(&found, table->steps[row]);
        largest = gaps[row] > largest ? gaps[row] : largest;
    }
    if (found.count > 0 && is_exact(view))
        bytes_print(out,
                    "sampler and learner differ by up to %s in log-probability in %lld steps, the "
                    "last one step %lld, where they must agree to the bit: that is a bug of ours, "
                    "please report it with the head of log.txt",
                    show_text_number(largest).text, (long long)found.count, (long long)found.last);
    else if (mean > 0.1)
        bytes_print(out,
                    "sampler and learner differ by %s in log-probability in the mean, which is "
                    "more than rounding: set algorithm.importance_cap = 2, and look whether "
                    "rollout.tensor_parallel = 1 is without it",
                    show_text_number(mean).text);
}

// Of half of their time somebody else could make use.
static void check_idle(const View *view, Bytes *out)
{
    double rollout = newest(view, "group/rollout/idle"), grader = newest(view, "group/grader/idle");
    bool split = view->run->settings.parallel.placement == PLACEMENT_SPLIT;
    bool model = view->run->settings.reward.judge == ASKED_MODEL;
    if (rollout > 0.5)
        bytes_print(out, "rollout ranks wait for verdicts %.0f %% of their time: %s", 100 * rollout,
                    model ? "give the judge more ranks (parallel.grader_ranks), or a smaller model"
                          : "raise judge.in_flight, or add servers");
    else if (grader > 0.5 && split && model)
        bytes_print(out, "grader ranks are idle %.0f %% of their time: give some to another role",
                    100 * grader);
}

int show_attention_find(const ShowRun *run, const ShowLog *log, ShowAttentionTake *take,
                        void *context)
{
    static void (*const checks[])(const View *, Bytes *) = {
        check_not_finite, check_dump,       check_clipped, check_ungraded, check_flat,
        check_entropy,    check_divergence, check_gap,     check_idle};
    View view = {.run = run, .log = log};
    int count = 0;
    view.begin = show_series_stage_begin(&run->metrics);
    view.window = show_series_window(&run->metrics, view.begin, SERIES_WINDOW);
    for (int64_t row = view.window; row < run->metrics.rows; row++)
        view.steps += show_series_is_step(&run->metrics, row);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        Bytes finding = {0};
        checks[i](&view, &finding);
        if (finding.length > 0)
            take(context, finding.data);
        count += finding.length > 0;
        bytes_free(&finding);
    }
    return count;
}
