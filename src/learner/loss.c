#include "learner/loss.h"

#include <math.h>

#include "base/mathematics.h"
#include "base/memory.h"

static const double UNCAPPED = 2; // where importance weights are only reported

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

double loss_ratio(double difference, bool *cut)
{
    double inside = clamp(difference, -20, 20);
    *cut = inside != difference;
    return math_exp(inside);
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

bool algorithm_needs_reference(const AlgorithmRow *algorithm, const LossSettings *settings)
{
    return algorithm->reference == REFERENCE_ALWAYS ||
           (algorithm->reference != REFERENCE_UNUSED && settings->kl_coefficient > 0);
}

static int64_t scored_tokens(const Branch *branch)
{
    int64_t scored = 0;
    for (int32_t i = 0; i < branch->count; i++)
        scored += branch->scored[i];
    return branch->graded ? scored : 0;
}

void loss_free(LossContext *context)
{
    release(context->sequences);
    context->sequences = NULL;
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

void loss_begin(LossContext *context, const Batch *batch)
{
    size_t count = (size_t)batch->sequence_count;
    grow((void **)&context->sequences, &context->sequence_capacity, count, sizeof(Sequence));
    for (size_t s = 0; s < count; s++)
        context->sequences[s] = (Sequence){0};
    for (int64_t i = 0; i < batch->target_count; i++) {
        Sequence *sequence = &context->sequences[batch->places[i].sequence];
        sequence->branch = batch->places[i].branch;
        sequence->tokens += 1;
    }
}

// With truncated importance weights the ratio is to the policy that first met the token in this
// step, and the weight leads from the sampler to that one.
static double anchor_of(const LossContext *context, TargetPlace place, double logprob)
{
    const Branch *branch = place.branch;
    if (context->settings.importance_cap == 0)
        return (double)branch->logprobs[place.index];
    return context->first_meeting ? logprob : (double)branch->proximal[place.index];
}

void loss_score(void *pointer, const LossChunk *chunk)
{
    LossContext *context = pointer;
    for (int64_t i = 0; i < chunk->count; i++) {
        TargetPlace place = chunk->batch->places[chunk->first + i];
        Sequence *sequence = &context->sequences[place.sequence];
        double logprob = (double)chunk->logprobs[i];
        sequence->logprob += logprob;
        sequence->anchor += anchor_of(context, place, logprob);
        sequence->old += (double)place.branch->logprobs[place.index];
        sequence->reference += (double)place.branch->reference[place.index];
    }
}

static double importance_weight(const LossContext *context, double anchor, double old)
{
    double cap = context->settings.importance_cap;
    if (cap == 0)
        return 1;
    bool cut;
    double weight = loss_ratio(anchor - old, &cut);
    return weight < cap ? weight : cap;
}

void loss_sequences(LossContext *context, const Batch *batch)
{
    for (int64_t s = 0; s < batch->sequence_count; s++) {
        Sequence *sequence = &context->sequences[s];
        double n = sequence->tokens > 0 ? sequence->tokens : 1;
        sequence->importance = importance_weight(context, sequence->anchor / n, sequence->old / n);
    }
    context->algorithm->sequence_loss(&context->settings, context->sequences, batch->sequence_count,
                                      &context->sums);
}

static double token_weight(const LossContext *context, const Sequence *sequence)
{
    switch (context->settings.aggregation) {
    case AGGREGATE_SEQUENCE_MEAN_TOKEN_MEAN:
        return 1 / (context->total_sequences * sequence->tokens);
    case AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM:
        return 1 / context->total_sequences;
    case AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM_NORM:
        return 1 / (context->total_sequences * (double)context->settings.longest_response);
    case AGGREGATE_TOKEN_MEAN:
        break;
    }
    return 1 / context->total_tokens;
}

static void measure_gap(const LossContext *context, Gap *gap, double difference)
{
    bool cut;
    double distance = fabs(difference), ratio = loss_ratio(difference, &cut);
    double cap = context->settings.importance_cap;
    gap->tokens += 1;
    gap->distance += distance;
    gap->drift -= difference;
    gap->ratio += ratio;
    gap->k3 += ratio - 1 - clamp(difference, -20, 20);
    gap->truncated += ratio > (cap > 0 ? cap : UNCAPPED);
    gap->maximum = distance > gap->maximum ? distance : gap->maximum;
}

// Adds the divergence of one token; returns its part of the derivative.
static double add_divergence(LossContext *context, TargetPlace place, double logprob, double weight)
{
    const LossSettings *settings = &context->settings;
    if (context->algorithm->reference != REFERENCE_IN_LOSS || settings->kl_coefficient == 0)
        return 0;
    double slope, reference = (double)place.branch->reference[place.index];
    double kl = loss_kl(settings->kl_estimator, logprob, reference, &slope);
    context->sums.kl += weight * kl;
    context->sums.kl_tokens += kl;
    return settings->kl_coefficient * slope;
}

// The derivative of the token's loss by its log-probability, weight left out.
static double add_token(LossContext *context, TargetPlace place, double logprob, double weight)
{
    Branch *branch = place.branch;
    double old = (double)branch->logprobs[place.index], derivative;
    LossSums *sums = &context->sums;
    if (context->first_meeting)
        branch->proximal[place.index] = (float)logprob;
    if (context->algorithm->advantage)
        measure_gap(context, context->samplers_weights ? &sums->gap : &sums->moved, logprob - old);
    TokenInput token = {.logprob = logprob,
                        .anchor = anchor_of(context, place, logprob),
                        .advantage = (double)branch->advantages[place.index],
                        .sequence = &context->sequences[place.sequence]};
    double importance = context->algorithm->sequence_loss
                            ? token.sequence->importance
                            : importance_weight(context, token.anchor, old);
    double loss =
        importance * context->algorithm->token_loss(&context->settings, &token, &derivative, sums);
    sums->policy += weight * loss;
    sums->tokens += 1;
    return importance * derivative + add_divergence(context, place, logprob, weight);
}

void loss_chunk(void *pointer, const LossChunk *chunk)
{
    LossContext *context = pointer;
    for (int64_t i = 0; i < chunk->count; i++) {
        TargetPlace place = chunk->batch->places[chunk->first + i];
        double weight = token_weight(context, &context->sequences[place.sequence]);
        double derivative = add_token(context, place, (double)chunk->logprobs[i], weight);
        context->sums.entropy += (double)chunk->entropies[i];
        chunk->coefficients[i] = (float)(weight * derivative);
        chunk->entropy_slopes[i] = (float)(-weight * context->settings.entropy_coefficient);
    }
}

void loss_store_reference(void *context, const LossChunk *chunk)
{
    (void)context;
    for (int64_t i = 0; i < chunk->count; i++) {
        TargetPlace place = chunk->batch->places[chunk->first + i];
        place.branch->reference[place.index] = chunk->logprobs[i];
    }
}
