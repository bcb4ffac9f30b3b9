// algorithms.c - the token and sequence losses, and the table of algorithms.

#include <math.h>

#include "base/mathematics.h"
#include "learner/advantage.h"
#include "learner/loss.h"

// PPO's clipped objective with a dual clip:
// L = max(-A r, -A clamp(r, 1 - low, 1 + high)), r = exp(x); for A < 0, L = min(L, -A c). *slope is
// dL/dx, which is the loss itself where nothing is clipped.
static double clipped_loss(const LossSettings *settings, double x, double a, double *slope,
                           LossSums *sums)
{
    bool cut;
    double ratio = loss_ratio(x, &cut), plain = -a * ratio;
    double clipped = -a * fmin(fmax(ratio, 1 - settings->clip_low), 1 + settings->clip_high);
    double loss = clipped > plain ? clipped : plain;
    *slope = clipped > plain || cut ? 0 : plain;
    sums->clipped += clipped > plain;
    if (a < 0 && loss > -a * settings->clip_dual) {
        loss = -a * settings->clip_dual;
        *slope = 0;
        sums->clipped_dual += 1;
    }
    return loss;
}

static double ppo_loss(const LossSettings *settings, const TokenInput *token, double *derivative,
                       LossSums *sums)
{
    return clipped_loss(settings, token->logprob - token->anchor, token->advantage, derivative,
                        sums);
}

// GSPO: one ratio for the whole response, exp(mean(lp - lp_old)). Its derivative by a token's
// log-probability is the ratio's / tokens; the tokens' weights add up to what the mean takes away.
static void gspo_sequences(const LossSettings *settings, Sequence *sequences, int64_t count,
                           LossSums *sums)
{
    for (int64_t s = 0; s < count; s++) {
        Sequence *sequence = &sequences[s];
        if (!sequence->branch)
            continue;
        LossSums one = {0};
        double x = (sequence->logprob - sequence->anchor) / sequence->tokens;
        double a = (double)sequence->branch->advantages[0]; // the same for all of its tokens
        sequence->value = clipped_loss(settings, x, a, &sequence->slope, &one);
        sums->clipped += one.clipped * sequence->tokens;
        sums->clipped_dual += one.clipped_dual * sequence->tokens;
    }
}

// What the sequence's loss says, for each of its tokens.
static double sequence_loss(const LossSettings *settings, const TokenInput *token,
                            double *derivative, LossSums *sums)
{
    (void)settings;
    (void)sums;
    *derivative = token->sequence->slope;
    return token->sequence->value;
}

// CISPO: -A sg(min(r, 1 + high)) lp: the clipped ratio is a weight and has no slope.
static double cispo_loss(const LossSettings *settings, const TokenInput *token, double *derivative,
                         LossSums *sums)
{
    bool cut;
    double ratio = loss_ratio(token->logprob - token->anchor, &cut);
    double limit = 1 + settings->clip_high;
    sums->clipped += ratio > limit;
    *derivative = -token->advantage * (ratio < limit ? ratio : limit);
    return *derivative * token->logprob;
}

// OPMD: -A lp / (1 + tau).
static double opmd_loss(const LossSettings *settings, const TokenInput *token, double *derivative,
                        LossSums *sums)
{
    (void)sums;
    *derivative = -token->advantage / (1 + settings->opmd_tau);
    return *derivative * token->logprob;
}

static double sft_loss(const LossSettings *settings, const TokenInput *token, double *derivative,
                       LossSums *sums)
{
    (void)settings;
    (void)sums;
    *derivative = -1;
    return -token->logprob;
}

// log(1 + exp(x)) without overflow.
static double softplus(double x)
{
    double rest = math_log(1 + math_exp(-fabs(x)));
    return x > 0 ? x + rest : rest;
}

// DPO: branches 2i and 2i + 1 are a chosen and a rejected response. L = -log sigma(m) of a pair,
// m = beta [(lp_c - ref_c) - (lp_r - ref_r)]. Each of the two carries the whole of L, spread over
// its tokens: the mean over sequences is the mean over pairs, and twice the slope makes up for it.
static void dpo_pairs(const LossSettings *settings, Sequence *sequences, int64_t count,
                      LossSums *sums)
{
    for (int64_t s = 0; s + 1 < count; s += 2) {
        Sequence *chosen = &sequences[s], *rejected = &sequences[s + 1];
        if (!chosen->branch || !rejected->branch)
            continue;
        double beta = settings->dpo_beta;
        double margin = beta * ((chosen->logprob - chosen->reference) -
                                (rejected->logprob - rejected->reference));
        double loss = softplus(-margin), slope = 2 * beta / (1 + math_exp(margin));
        chosen->value = loss / chosen->tokens;
        rejected->value = loss / rejected->tokens;
        chosen->slope = -slope;
        rejected->slope = slope;
        sums->pairs += 1;
        sums->won += margin > 0;
        sums->margin += margin;
    }
}

const AlgorithmRow algorithm_table[] = {
    [ALGORITHM_GRPO] = {"grpo", advantage_group_relative, NULL, ppo_loss, REFERENCE_IN_LOSS, 1},
    [ALGORITHM_DR_GRPO] = {"dr_grpo", advantage_centred, NULL, ppo_loss, REFERENCE_IN_LOSS, 1},
    [ALGORITHM_DAPO] = {"dapo", advantage_group_relative, NULL, ppo_loss, REFERENCE_IN_LOSS, 1},
    [ALGORITHM_GSPO] = {"gspo", advantage_group_relative, gspo_sequences, sequence_loss,
                        REFERENCE_IN_LOSS, 1},
    [ALGORITHM_CISPO] = {"cispo", advantage_group_relative, NULL, cispo_loss, REFERENCE_IN_LOSS, 1},
    [ALGORITHM_RLOO] = {"rloo", advantage_leave_one_out, NULL, ppo_loss, REFERENCE_IN_LOSS, 1},
    [ALGORITHM_REINFORCE] = {"reinforce++", advantage_whitened, NULL, ppo_loss, REFERENCE_IN_REWARD,
                             1},
    [ALGORITHM_OPMD] = {"opmd", advantage_centred, NULL, opmd_loss, REFERENCE_IN_LOSS, 1},
    [ALGORITHM_SFT] = {"sft", NULL, NULL, sft_loss, REFERENCE_UNUSED, 1},
    [ALGORITHM_DPO] = {"dpo", NULL, dpo_pairs, sequence_loss, REFERENCE_ALWAYS, 2},
};
