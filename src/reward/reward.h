// reward.h - what a response earns (specification, section 7).
//
// T is the truth, y the response's text without its end token. The predicted action is stop where y
// holds "<stop />". A wrong action earns nothing and is not judged; a right stop is not judged
// either; only a right continue needs a judge for C (content) and F (format).

#ifndef L2A_REWARD_REWARD_H
#define L2A_REWARD_REWARD_H

#include <stdbool.h>
#include <stddef.h>

#include "dialogue/samples.h"
#include "input/settings.h"

// RewardMode and RewardFusion are the settings' own:
//   MODE_RA_RS   FUSION_PRODUCT: A (1 + 2C) + F   FUSION_SUM: A + C + F
//   MODE_RA      2C + F, content only
//   MODE_RS      3A + F, decision only
typedef struct {
    RewardMode mode;
    RewardFusion fusion; // of MODE_RA_RS; ignored by the others
    bool trim_stop;      // "<stop />" may have white space around it
} RewardSettings;

typedef struct {
    double decision; // A: 0 or 1
    double content;  // C: 0, 0.5 or 1
    double format;   // F: 0, 0.5 or 1
    double reward;
    bool graded; // false: no judgement was to be had; out of loss and statistics
} Grade;

// Whether the response decides to stop: it holds the exact text "<stop />".
bool reward_stops(const char *response, size_t length);

// The mode's formula.
double reward_fuse(RewardSettings settings, double decision, double content, double format);

// True where the grade is settled without a judge (wrong action, or a right stop) and in *grade.
// False where a judge must be asked; *grade is then ungraded, with decision 1.
bool reward_settle(RewardSettings settings, Truth truth, const char *response, size_t length,
                   Grade *grade);

// The grade of a right continue whose question was judged: 0, 0.5 or 1 each, or whatever a judge
// said where unusable verdicts count (compatibility).
Grade reward_judged(RewardSettings settings, double content, double format);

#endif
