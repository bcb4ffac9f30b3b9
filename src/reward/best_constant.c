#include "reward/best_constant.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

// The items of the continue samples, each as the set of candidates that it holds: bit c of `held`
// is candidate c. So a trial costs one addition an item.
typedef struct {
    uint64_t *held;  // owned, [items]
    double *weight;  // owned, [items]: sum of w over the item
    double *shared;  // owned, [items]: sum of w over the item and the constant so far
    int64_t *first;  // owned, [samples + 1]: items of sample s are [first[s], first[s + 1])
    int64_t samples; // continue samples
    Stem candidates[CONSTANT_CANDIDATES];
    double candidate_weight[CONSTANT_CANDIDATES];
    int candidate_count;
} Search;

static int by_documents(const void *a, const void *b)
{
    const StemFrequency *x = a, *y = b;
    if (x->documents != y->documents)
        return x->documents > y->documents ? -1 : 1;
    return stem_compare(&x->stem, &y->stem);
}

static void choose_candidates(Search *search, const StemWeights *weights)
{
    StemFrequency *sorted = stem_weights_sorted(weights);
    qsort(sorted, weights->count, sizeof *sorted, by_documents);
    while (search->candidate_count < CONSTANT_CANDIDATES &&
           (size_t)search->candidate_count < weights->count) {
        Stem stem = sorted[search->candidate_count].stem;
        search->candidates[search->candidate_count] = stem;
        search->candidate_weight[search->candidate_count++] = stem_weights_of(weights, stem);
    }
    release(sorted);
}

static void add_items(Search *search, const StemWeights *weights, const Sample *sample,
                      StemSet *stems)
{
    int64_t at = search->first[search->samples];
    for (int64_t i = 0; i < sample->item_count; i++, at++) {
        stems_clear(stems);
        stems_add(stems, sample->items[i], strlen(sample->items[i]));
        search->weight[at] = stem_weights_sum(weights, stems);
        for (int c = 0; c < search->candidate_count; c++)
            if (stems_hold(stems, search->candidates[c]))
                search->held[at] |= (uint64_t)1 << c;
    }
    search->first[++search->samples] = at;
}

static Search search_make(const StemWeights *weights, const SampleSet *training)
{
    Search search = {0};
    int64_t items = 0;
    for (int64_t i = 0; i < training->count; i++)
        items += training->samples[i].item_count;
    search.held = allocate((size_t)items, sizeof *search.held);
    search.weight = allocate((size_t)items, sizeof *search.weight);
    search.shared = allocate((size_t)items, sizeof *search.shared);
    search.first = allocate((size_t)training->count + 1, sizeof *search.first);
    choose_candidates(&search, weights);
    StemSet stems = {0};
    for (int64_t i = 0; i < training->count; i++)
        if (training->samples[i].truth == TRUTH_CONTINUE)
            add_items(&search, weights, &training->samples[i], &stems);
    stems_free(&stems);
    return search;
}

static void search_free(Search *search)
{
    release(search->held);
    release(search->weight);
    release(search->shared);
    release(search->first);
}

// Mean C of the constant, whose weight is `weight`, with candidate `c` added.
static double trial(const Search *search, double weight, int c)
{
    double sum = 0, with = weight + search->candidate_weight[c];
    for (int64_t s = 0; s < search->samples; s++) {
        double best = 0;
        for (int64_t i = search->first[s]; i < search->first[s + 1]; i++) {
            double gained = search->held[i] >> c & 1 ? search->candidate_weight[c] : 0;
            double all = with + search->weight[i];
            double overlap = all > 0 ? 2 * (search->shared[i] + gained) / all : 0;
            best = overlap > best ? overlap : best;
        }
        sum += rule_judge_content_of(best);
    }
    return search->samples ? sum / (double)search->samples : 0;
}

static void take(Search *search, int c)
{
    for (int64_t i = 0; i < search->first[search->samples]; i++)
        if (search->held[i] >> c & 1)
            search->shared[i] += search->candidate_weight[c];
}

BestConstant best_constant_find(const RuleJudge *judge, const SampleSet *training)
{
    BestConstant best = {0};
    Search search = search_make(rule_judge_weights(judge), training);
    uint64_t used = 0;
    double weight = 0;
    for (;;) {
        int chosen = -1;
        for (int c = 0; c < search.candidate_count; c++) {
            double score = used >> c & 1 ? 0 : trial(&search, weight, c);
            if (score > best.score) {
                best.score = score;
                chosen = c;
            }
        }
        if (chosen < 0)
            break;
        used |= (uint64_t)1 << chosen;
        weight += search.candidate_weight[chosen];
        take(&search, chosen);
        best.stems[best.count++] = search.candidates[chosen];
    }
    search_free(&search);
    return best;
}

double best_constant_score(const RuleJudge *judge, const BestConstant *constant,
                           const SampleSet *set)
{
    StemSet question = {0};
    int64_t continues = 0;
    double sum = 0;
    for (int i = 0; i < constant->count; i++)
        stems_insert(&question, constant->stems[i]);
    for (int64_t i = 0; i < set->count; i++) {
        if (set->samples[i].truth != TRUTH_CONTINUE)
            continue;
        continues++;
        sum += rule_judge_content_of_stems(judge, &set->samples[i], &question);
    }
    stems_free(&question);
    return continues ? sum / (double)continues : -1;
}

void best_constant_text(const BestConstant *constant, Bytes *text)
{
    for (int i = 0; i < constant->count; i++) {
        char stem[STEM_TEXT_BYTES];
        stem_text(constant->stems[i], stem);
        bytes_print(text, "%s%s", i ? " " : "", stem);
    }
}
