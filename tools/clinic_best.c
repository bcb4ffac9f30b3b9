#include "tools/clinic_best.h"

#include <string.h>

#include "base/memory.h"
#include "dialogue/stem_weights.h"
#include "tools/clinic_session.h"

// The rule judge's C of a question about an item (specification, section 7.2); the oracle never
// repeats itself, since a fact that was asked for is no longer to be collected.
static double content_of(const StemWeights *weights, const char *question, const char *item)
{
    StemSet asked = {0}, wanted = {0};
    stems_add(&asked, question, strlen(question));
    stems_add(&wanted, item, strlen(item));
    double overlap = stem_weights_overlap(weights, &asked, &wanted);
    stems_free(&asked);
    stems_free(&wanted);
    return overlap >= 0.30 ? 1.0 : overlap >= 0.15 ? 0.5 : 0.0;
}

static double best_content(const StemWeights *weights, const Sample *sample)
{
    double best = 0;
    for (int64_t i = 0; i < sample->item_count; i++) {
        char *question = clinic_question(clinic_attribute_of(sample->items[i]));
        double content = content_of(weights, question, sample->items[i]);
        best = content > best ? content : best;
        release(question);
    }
    return best;
}

ClinicBest clinic_best(const SampleSet *training, const SampleSet *set)
{
    StemWeights weights = stem_weights_make(training);
    ClinicBest best = {.samples = set->count};
    for (int64_t i = 0; i < set->count; i++) {
        if (set->samples[i].truth == TRUTH_STOP) {
            best.reward += 4;
            continue;
        }
        double content = best_content(&weights, &set->samples[i]);
        best.continues++;
        best.content += content;
        best.reward += 1 + 2 * content + 1;
    }
    best.content /= (double)(best.continues ? best.continues : 1);
    best.reward /= (double)set->count;
    stem_weights_free(&weights);
    return best;
}
