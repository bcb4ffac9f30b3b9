#include "base/metric_names.h"

#include <string.h>

const MetricName metric_names[] = {
    {"step", "1", "the step that this line tells of, from 1"},
    {"stage", "1", "0: warm-up, 1: the algorithm"},
    {"reward/decision", "1", "mean decision score A: to go on or to stop as the expert did"},
    {"reward/content", "1", "mean content score C: asks for what the expert went on to find out"},
    {"reward/format", "1", "mean format score F: one question, or the word that stops"},
    {"reward/ungraded", "1", "responses without a grade: the judge gave none"},
    {"reward/flat_groups", "1", "groups whose responses all earned the same: they teach nothing"},
    {"critic/rewards/mean", "1", "mean reward of the graded responses"},
    {"critic/rewards/max", "1", "largest reward of a response"},
    {"critic/rewards/min", "1", "smallest reward of a response"},
    {"critic/advantages/mean", "1", "mean advantage of the scored tokens"},
    {"critic/advantages/max", "1", "largest advantage of a token"},
    {"critic/advantages/min", "1", "smallest advantage of a token"},
    {"response_length/mean", "tokens", "mean length of a response"},
    {"response_length/max", "tokens", "longest response"},
    {"response_length/min", "tokens", "shortest response"},
    {"response_length/clip_ratio", "1", "share of responses cut at rollout.max_response_tokens"},
    {"prompt_length/mean", "tokens", "mean length of a context"},
    {"prompt_length/max", "tokens", "longest context"},
    {"prompt_length/min", "tokens", "shortest context"},
    {"actor/pg_loss", "1", "loss of the policy, without the KL term"},
    {"actor/kl_loss", "1", "KL term of the loss, before its coefficient"},
    {"actor/kl", "nats", "mean divergence of a token from the reference (k3)"},
    {"actor/ppo_kl", "nats", "mean of old less new log-probability of a token"},
    {"actor/entropy", "nats", "mean entropy of the policy at the scored tokens"},
    {"actor/pg_clipfrac", "1", "share of tokens whose ratio was clipped"},
    {"actor/pg_clipfrac_lower", "1", "share of tokens clipped by the dual clip"},
    {"actor/grad_norm", "1", "norm of the gradient before clipping, mean of the step's updates"},
    {"actor/lr", "1", "learning rate"},
    {"actor/tokens", "tokens", "tokens that the loss is over"},
    {"actor/updates", "1", "optimiser steps"},
    {"actor/skipped_updates", "1", "optimiser steps left out: the gradient was not finite"},
    {"dpo/accuracy", "1", "share of pairs whose better response is the likelier one"},
    {"dpo/margin", "nats", "mean margin of a pair, times beta"},
    {"dpo/pairs", "1", "pairs of the step"},
    {"mismatch/logprob_gap_mean", "nats",
     "mean distance between the sampler's log-probabilities and the learner's, same weights"},
    {"mismatch/logprob_gap_max", "nats", "largest such distance; 0 where numerics = exact"},
    {"mismatch/kl", "nats", "divergence between sampler and learner (k3), same weights"},
    {"mismatch/ratio_mean", "1", "mean ratio of learner's to sampler's probability, same weights"},
    {"mismatch/importance_truncated", "1", "share of tokens whose weight importance_cap cut"},
    {"policy/staleness", "1", "updates between the weights that sampled and those that learn"},
    {"policy/drift_mean", "nats", "as mismatch/logprob_gap_mean, between different weights"},
    {"policy/drift_max", "nats", "as mismatch/logprob_gap_max, between different weights"},
    {"policy/drift_kl", "nats", "as mismatch/kl, between different weights"},
    {"policy/drift_ratio_mean", "1", "as mismatch/ratio_mean, between different weights"},
    {"sampling/rounds", "1", "rounds of sampling until enough groups were not flat (dapo)"},
    {"sampling/replaced_contexts", "1", "contexts replaced because their group was flat (dapo)"},
    {"sampling/missing_contexts", "1", "contexts for which no other was found (dapo)"},
    {"rollout/prefill_rows", "tokens", "trunk tokens computed while sampling"},
    {"rollout/decode_rows", "tokens", "tokens sampled, or forced in a branch"},
    {"grading/questions", "1", "questions put to the judge"},
    {"grading/attempts", "1", "answers that the judge was asked for, repeats included"},
    {"grading/unusable", "1", "answers that could not be read"},
    {"grading/unanswered", "1", "questions without a usable answer in the end"},
    {"grading/unreached", "1", "questions that did not reach a served judge"},
    {"tools/calls", "1", "calls of tools by the policy"},
    {"tools/failed", "1", "calls of tools that failed"},
    {"tools/summaries", "1", "histories that were summarised to fit"},
    {"tree/rows", "tokens", "rows computed: trunks once, and branches"},
    {"tree/forced_tokens", "tokens", "branch tokens that are context, not response"},
    {"tree/over_trie", "1", "rows over those of a trie of all sequences, the least there can be"},
    {"tree/independent_over_rows", "1",
     "tokens of independent sequences over rows: what trees save"},
    {"learner/rows", "tokens", "rows of the forward and backward pass"},
    {"learner/scored_rows", "tokens", "rows that met the vocabulary"},
    {"learner/trunk_repeats", "tokens", "trunk rows computed again: a tree was split"},
    {"learner/micro_batches", "1", "micro-batches of a learner rank"},
    {"group/rollout/idle", "1", "share of the sampling time that rollout ranks waited"},
    {"group/grader/idle", "1", "share of the sampling time that grader ranks waited"},
    {"timing_s/gen", "s", "sampling and grading, as long as the slowest rank"},
    {"timing_s/gen_prefill", "s", "computing trunks, the slowest rollout rank"},
    {"timing_s/gen_decode", "s", "sampling tokens, the slowest rollout rank"},
    {"timing_s/reward", "s",
     "from a rank's last token to its last verdict, the slowest rollout rank"},
    {"timing_s/judge", "s", "answering the judge's questions, all ranks that do it together"},
    {"timing_s/update_actor", "s", "everything the learner does in a step"},
    {"timing_s/reference", "s", "the frozen reference's log-probabilities"},
    {"timing_s/forward", "s", "forward pass, without the vocabulary"},
    {"timing_s/vocabulary", "s", "logits, loss and their gradient"},
    {"timing_s/backward", "s", "backward pass, without the vocabulary"},
    {"timing_s/optimizer", "s", "gradient norm and AdamW"},
    {"timing_s/publish", "s", "new weights to the rollout ranks"},
    {"timing_s/evaluate", "s", "the evaluation of this step"},
    {"perf/time_per_step", "s", "the step, without evaluation and checkpoint"},
    {"perf/total_num_tokens", "tokens", "contexts and responses, as if each stood alone"},
    {"perf/throughput", "tokens/s", "perf/total_num_tokens a second and rank"},
    {"perf/gflop_forward", "GFLOP", "products of the forward pass, all learner ranks"},
    {"perf/peak_rank_mib", "MiB", "most memory that the speaking rank has held so far"},
    {"val/ave_continue_content", "1", "evaluation: mean C where the expert goes on"},
    {"val/win_continue_content", "1", "evaluation: share of them with C = 1"},
    {"val/ave_continue_content_if_correct", "1", "evaluation: mean C where both go on"},
    {"val/win_continue_content_if_correct", "1", "evaluation: share of them with C = 1"},
    {"val/ave_continue_decision", "1", "evaluation: share of right decisions to go on"},
    {"val/ave_stop_decision", "1", "evaluation: share of right decisions to stop"},
    {"val/ave_total_decision", "1", "evaluation: share of right decisions"},
    {"val/ave_total_format", "1", "evaluation: mean F"},
    {"val/ave_total_reward", "1", "evaluation: mean of A (1 + 2C) + F"},
    {"val/expert_loss", "nats", "evaluation: mean loss of a token of what the expert said next"},
    {"val/response_length", "tokens", "evaluation: mean length of a response"},
    {0},
};

const MetricName *metric_names_find(const char *name)
{
    for (const MetricName *row = metric_names; row->name; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

void metric_names_describe(const char *name, const char **unit, const char **description)
{
    const MetricName *row = metric_names_find(name);
    if (!row)
        return;
    *unit = row->unit;
    *description = row->description;
}

void metric_names_print_markdown(Bytes *out)
{
    bytes_append_text(out, "| metric | unit | what |\n|---|---|---|\n");
    for (const MetricName *row = metric_names; row->name; row++)
        bytes_print(out, "| `%s` | %s | %s |\n", row->name,
                    strcmp(row->unit, "1") == 0 ? "" : row->unit, row->description);
}
