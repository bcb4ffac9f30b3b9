#include "learner/loss.h"

#include <math.h>

#include "base/mathematics.h"

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

double loss_kl(KlEstimator estimator, double logprob, double reference, double *derivative)
{
    double x = reference - logprob;
    switch (estimator) {
    case KL_NONE:
        *derivative = 0;
        return 0;
    case KL_K1:
        *derivative = 1;
        return -x;
    case KL_K2:
        *derivative = -x;
        return 0.5 * x * x;
    case KL_K3:
        *derivative = 1 - math_exp(x);
        return math_exp(x) - 1 - x;
    case KL_ABS:
        *derivative = x < 0 ? 1 : x > 0 ? -1 : 0;
        return fabs(x);
    case KL_LOW_VARIANCE_K3:
        break;
    }
    double inside = clamp(x, -20, 20), value = math_exp(inside) - 1 - inside;
    bool free = inside == x && value > -10 && value < 10;
    *derivative = free ? 1 - math_exp(inside) : 0;
    return clamp(value, -10, 10);
}

static void measure_gap(LossSums *sums, double difference)
{
    double gap = fabs(difference);
    sums->drift -= difference;
    sums->gap_sum += gap;
    sums->gap_square += gap * gap;
    sums->ratio_sum += math_exp(clamp(difference, -20, 20));
    if (gap > sums->gap_maximum)
        sums->gap_maximum = gap;
}

// L = max(-A r, -A clamp(r)), r = exp(clamp(lp - lp_old, +-20)); for A < 0, L = min(L, -A c).
static double clipped_policy_loss(const LossSettings *settings, const TokenInput *token,
                                  double *derivative, LossSums *sums)
{
    double difference = token->logprob - token->old, a = token->advantage;
    double inside = clamp(difference, -20, 20), ratio = math_exp(inside);
    double plain = -a * ratio;
    double clipped = -a * clamp(ratio, 1 - settings->clip_low, 1 + settings->clip_high);
    double loss = clipped > plain ? clipped : plain;
    *derivative = clipped > plain || inside != difference ? 0 : plain;
    sums->clipped += clipped > plain;
    if (a < 0 && loss > -a * settings->clip_dual) {
        loss = -a * settings->clip_dual;
        *derivative = 0;
        sums->clipped_dual += 1;
    }
    return loss;
}

static double grpo_loss(const LossSettings *settings, const TokenInput *token, double *derivative,
                        LossSums *sums, double weight)
{
    measure_gap(sums, token->logprob - token->old);
    double policy = clipped_policy_loss(settings, token, derivative, sums);
    sums->policy += weight * policy;
    if (settings->kl_coefficient == 0)
        return policy;
    double slope;
    double kl = loss_kl(settings->kl_estimator, token->logprob, token->reference, &slope);
    sums->kl += weight * kl;
    sums->kl_tokens += kl;
    *derivative += settings->kl_coefficient * slope;
    return policy + settings->kl_coefficient * kl;
}

static double sft_loss(const LossSettings *settings, const TokenInput *token, double *derivative,
                       LossSums *sums, double weight)
{
    (void)settings;
    *derivative = -1;
    sums->policy -= weight * token->logprob;
    return -token->logprob;
}

const AlgorithmRow algorithm_table[] = {
    [ALGORITHM_GRPO] = {"grpo", grpo_loss, .samples = true, .reference = true},
    [ALGORITHM_SFT] = {"sft", sft_loss, .samples = false, .reference = false},
};

static int64_t scored_tokens(const Branch *branch)
{
    int64_t scored = 0;
    for (int32_t i = 0; i < branch->count; i++)
        scored += branch->scored[i];
    return branch->graded ? scored : 0;
}

void loss_count(LossContext *context, const Tree *trees, int64_t count)
{
    context->total_tokens = context->total_sequences = 0;
    for (int64_t t = 0; t < count; t++) {
        for (int32_t b = 0; b < trees[t].branch_count; b++) {
            int64_t scored = scored_tokens(&trees[t].branches[b]);
            context->total_tokens += (double)scored;
            context->total_sequences += scored > 0;
        }
    }
}

static double token_weight(const LossContext *context, const Branch *branch)
{
    switch (context->settings.aggregation) {
    case AGGREGATE_SEQUENCE_MEAN_TOKEN_MEAN:
        return 1 / (context->total_sequences * (double)scored_tokens(branch));
    case AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM:
        return 1 / context->total_sequences;
    case AGGREGATE_TOKEN_MEAN:
        break;
    }
    return 1 / context->total_tokens;
}

void loss_chunk(void *pointer, const Batch *batch, int64_t first, int64_t count,
                const float *logprobs, float *coefficients)
{
    LossContext *context = pointer;
    for (int64_t i = 0; i < count; i++) {
        TargetPlace place = batch->places[first + i];
        const Branch *branch = place.branch;
        TokenInput token = {
            .logprob = (double)logprobs[i],
            .old = (double)branch->logprobs[place.index],
            .reference = (double)branch->reference[place.index],
            .advantage = (double)branch->advantage,
        };
        double weight = token_weight(context, branch), derivative;
        context->algorithm->token_loss(&context->settings, &token, &derivative, &context->sums,
                                       weight);
        context->sums.tokens += 1;
        coefficients[i] = (float)(weight * derivative);
    }
}

void loss_store_reference(void *context, const Batch *batch, int64_t first, int64_t count,
                          const float *logprobs, float *coefficients)
{
    (void)context;
    (void)coefficients;
    for (int64_t i = 0; i < count; i++)
        batch->places[first + i].branch->reference[batch->places[first + i].index] = logprobs[i];
}
