// loss.h - the loss of one token and its derivative; algorithms as rows of a table.
//
// Formulas: specification, section 8 (PPO's clipped objective with a dual clip, KL estimators).
// Scalars are double on the host, exp is ours: the bits do not depend on the machine.

#ifndef L2A_LEARNER_LOSS_H
#define L2A_LEARNER_LOSS_H

#include <stdbool.h>
#include <stdint.h>

#include "input/settings.h"
#include "model/batch.h"

typedef struct {
    double clip_low, clip_high, clip_dual;
    double kl_coefficient;
    KlEstimator kl_estimator;
    Aggregation aggregation;
} LossSettings;

// Sums over the tokens of a rank, added over ranks at the end of the step.
typedef struct {
    double policy, kl; // weighted as the loss is
    double tokens;     // scored tokens met
    double clipped, clipped_dual;
    double drift;                          // sum of lp_old - lp
    double gap_sum, gap_square, ratio_sum; // |lp - lp_old|, its square, exp(lp - lp_old)
    double gap_maximum;                    // the only member that is not a sum
    double kl_tokens;                      // unweighted sum of the estimator
} LossSums;

typedef struct {
    double logprob, old, reference, advantage;
} TokenInput;

// The loss of a token, before its weight; *derivative is by logprob.
typedef double (*TokenLoss)(const LossSettings *settings, const TokenInput *token,
                            double *derivative, LossSums *sums, double weight);

typedef struct {
    const char *name;
    TokenLoss token_loss;
    bool samples;   // rolls out (or else learns from the expert's words)
    bool reference; // uses a frozen reference when kl_coefficient > 0
} AlgorithmRow;

extern const AlgorithmRow algorithm_table[]; // by Algorithm

// What the loss stage of a step needs; the context of loss_chunk.
typedef struct {
    const AlgorithmRow *algorithm;
    LossSettings settings;
    double total_tokens, total_sequences; // of the whole step, all ranks
    LossSums sums;
} LossContext;

// Counts scored tokens and sequences of graded branches.
void loss_count(LossContext *context, const Tree *trees, int64_t count);

// A LossFunction (model.h): context is a LossContext.
void loss_chunk(void *context, const Batch *batch, int64_t first, int64_t count,
                const float *logprobs, float *coefficients);

// A LossFunction that stores log-probabilities as the branches' reference; no context.
void loss_store_reference(void *context, const Batch *batch, int64_t first, int64_t count,
                          const float *logprobs, float *coefficients);

// A KL estimator's value and its derivative by logprob.
double loss_kl(KlEstimator estimator, double logprob, double reference, double *derivative);

#endif
