// stem_weights.h - how much each stem weighs: rare ones much (specification, section 7.2).
//
// Counted once over the items of a training file and kept with the run.

#ifndef L2A_DIALOGUE_STEM_WEIGHTS_H
#define L2A_DIALOGUE_STEM_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

#include "dialogue/samples.h"
#include "dialogue/stems.h"

// Document frequencies of stems: N documents, df of them hold the stem.
typedef struct {
    Stem stem;
    int64_t documents; // df; 0 marks a free slot of the table
} StemFrequency;

// Open addressing; zero-initialise.
typedef struct {
    StemFrequency *table; // owned, [capacity], capacity a power of two
    size_t capacity, count;
    int64_t documents; // N
} StemWeights;

// Counts one document that holds `stems`.
void stem_weights_count(StemWeights *weights, const StemSet *stems);
// Counts the continue samples with known facts: a document is what the items of one hold together.
StemWeights stem_weights_make(const SampleSet *training);
// w = ln((N + 1) / (df + 1)); a stem never seen has df = 0.
double stem_weights_of(const StemWeights *weights, Stem stem);
int64_t stem_weights_documents(const StemWeights *weights, Stem stem);
double stem_weights_sum(const StemWeights *weights, const StemSet *stems);
// F(Q, I) = 2 * sum of w over Q and I / (sum of w over Q + sum of w over I); 0 where both sums are.
double stem_weights_overlap(const StemWeights *weights, const StemSet *q, const StemSet *i);

// The counted stems in rising order, [count]; to be released.
StemFrequency *stem_weights_sorted(const StemWeights *weights);

// Keeps the weights with a run: a small JSON file, written whole by rename, and read back.
// EXIT_NO_INPUT, EXIT_BAD_DATA.
enum { STEM_WEIGHTS_FILE_LIMIT = 1000000000 }; // bytes
int stem_weights_write(const StemWeights *weights, const char *path);
int stem_weights_read(StemWeights *weights, const char *path);
void stem_weights_free(StemWeights *weights);

#endif
