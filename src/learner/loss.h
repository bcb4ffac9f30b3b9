// loss.h - the loss of a token and its derivative; algorithms as rows of a table.
//
// Formulas: specification, section 8. Scalars are double on the host, exp is ours: the bits do not
// depend on the machine. A new algorithm is a row of algorithm_table (algorithms.c), an advantage
// (advantage.h) and a token loss.

#ifndef L2A_LEARNER_LOSS_H
#define L2A_LEARNER_LOSS_H

#include <stdbool.h>
#include <stdint.h>

#include "input/settings.h"
#include "model/model.h"

typedef struct {
    double clip_low, clip_high, clip_dual;
    double kl_coefficient, entropy_coefficient;
    KlEstimator kl_estimator;
    Aggregation aggregation;
    double importance_cap; // of truncated importance weights; 0: none
    double dpo_beta, opmd_tau;
    int64_t longest_response; // divisor of AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM_NORM
    bool drop_flat_groups;
} LossSettings;

// How far the learner's log-probabilities lie from the sampler's: sums over tokens.
typedef struct {
    double tokens;
    double distance;  // |lp - lp_old|
    double drift;     // lp_old - lp
    double ratio;     // exp(lp - lp_old)
    double k3;        // exp(x) - 1 - x, x = lp - lp_old
    double truncated; // importance weights beyond the cap (2 where there is none)
    double maximum;   // largest distance: the only member that is not a sum
} Gap;

// Sums over the tokens of a rank, added over ranks at the end of the step.
typedef struct {
    double policy, kl;         // weighted as the loss is
    double tokens;             // scored tokens met
    double entropy, kl_tokens; // unweighted
    double clipped, clipped_dual;
    double pairs, won, margin; // dpo: pairs met, those with a positive margin, sum of margins
    Gap gap;                   // where the weights are those that sampled
    Gap moved;                 // elsewhere
} LossSums;

// One response: sums over its scored tokens in this micro-batch, which holds all of them.
typedef struct {
    const Branch *branch; // borrowed; NULL: none of its tokens is scored
    double tokens;
    double logprob, anchor, old, reference;
    double importance;   // truncated importance weight of the whole response
    double value, slope; // set by a SequenceLoss
} Sequence;

typedef struct {
    double logprob;
    double anchor; // denominator of the ratio: the sampler's, or the proximal policy's
    double advantage;
    const Sequence *sequence; // the token's response
} TokenInput;

// The loss of a token before its weight; *derivative is by logprob.
typedef double (*TokenLoss)(const LossSettings *settings, const TokenInput *token,
                            double *derivative, LossSums *sums);

// For losses of whole responses: sets value and slope of all sequences of a micro-batch, whose
// log-probabilities are known. Every token's TokenLoss can then read them.
typedef void (*SequenceLoss)(const LossSettings *settings, Sequence *sequences, int64_t count,
                             LossSums *sums);

// Rewards of a step's trees to advantages. Returns the number of groups without spread.
typedef int64_t (*AdvantageFunction)(const LossSettings *settings, Tree *trees, int64_t count);

// What the frozen reference is for.
typedef enum {
    REFERENCE_UNUSED,
    REFERENCE_IN_LOSS,   // a divergence term, where kl_coefficient > 0
    REFERENCE_IN_REWARD, // the same, taken off the rewards
    REFERENCE_ALWAYS,    // part of the loss itself
} ReferenceUse;

typedef struct {
    const char *name;
    AdvantageFunction advantage; // NULL: needs no rewards
    SequenceLoss sequence_loss;  // NULL: tokens by themselves
    TokenLoss token_loss;
    ReferenceUse reference;
    int32_t together; // branches that must share a micro-batch: 1, or the 2 of a pair
} AlgorithmRow;

extern const AlgorithmRow algorithm_table[]; // by Algorithm

// Whether a step of this algorithm reads the reference.
bool algorithm_needs_reference(const AlgorithmRow *algorithm, const LossSettings *settings);

// What the loss stage of an update needs; the context of its LossFunctions.
typedef struct {
    const AlgorithmRow *algorithm;
    LossSettings settings;
    bool samplers_weights; // the weights are those that sampled
    bool first_meeting;    // of these tokens in this step: the policy is the proximal one
    double total_tokens, total_sequences; // of the whole update, all ranks
    Sequence *sequences;                  // owned, of the micro-batch
    size_t sequence_capacity;
    LossSums sums; // of all updates of the step
} LossContext;

void loss_free(LossContext *context);

// Counts scored tokens and sequences of graded branches.
void loss_count(LossContext *context, const Tree *trees, int64_t count);

// Before the chunks of a micro-batch. Where the algorithm has a sequence_loss, loss_score must then
// see all chunks, and loss_sequences end that pass, before loss_chunk.
void loss_begin(LossContext *context, const Batch *batch);
void loss_sequences(LossContext *context, const Batch *batch);

// LossFunctions (model.h) of a LossContext: log-probabilities of sequences; the loss.
void loss_score(void *context, const LossChunk *chunk);
void loss_chunk(void *context, const LossChunk *chunk);

// A LossFunction that stores log-probabilities as the branches' reference; no context.
void loss_store_reference(void *context, const LossChunk *chunk);

// A KL estimator's value and its derivative by logprob.
double loss_kl(KlEstimator estimator, double logprob, double reference, double *derivative);

// exp(difference of log-probabilities), the difference cut at +-20; *cut says whether it was.
double loss_ratio(double difference, bool *cut);

#endif
