// sample.c - the choice of the next token.
//
// Sums of probabilities are exact here: each is a multiple of 2^-52 and together they stay below 2,
// so that they can be added in any order, in lanes, and while partitioning.

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/lanes.h"

enum {
    BLOCK = 2048,       // tokens whose mass is summed before one of them is looked for
    BLOCKS = 512,       // so that a vocabulary has at most a million tokens
    MAXIMUM_GROUP = 256 // tokens that share a maximum when the k-th largest logit is estimated
};

// A token that may be drawn. Keys ascend from the most probable: the descending logit above, the
// ascending id below.
typedef struct {
    uint64_t key;
    double mass;
} Candidate;

// The nearest multiple of 2^-52.
static double mass_of(float p)
{
    return (1.0 + (double)p) - 1.0;
}

static uint64_t key_of(float z, int64_t token)
{
    uint32_t bits;
    z += 0.0f; // -0 becomes 0
    memcpy(&bits, &z, sizeof bits);
    uint32_t descending = bits >> 31 ? bits : ~bits & 0x7fffffffu;
    return (uint64_t)descending << 32 | (uint64_t)token;
}

static Lanes probabilities(const float *z, Lanes lse, int64_t n)
{
    return lanes_exp(lanes_sub(lanes_load_tail(z, n), lse));
}

static double block_mass(const float *z, float lse, int64_t n)
{
    LanesMass mass = lanes_mass_zero();
    Lanes l = lanes_set(lse);
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES)
        mass = lanes_mass_add(mass, probabilities(z + j, l, LANES));
    if (j < n)
        mass = lanes_mass_add(mass, lanes_keep(probabilities(z + j, l, n - j), n - j, 0.0f));
    return lanes_mass_sum(mass);
}

// The first token of [0, n) where the mass, from `before` on, exceeds `target`; n: none.
static int64_t block_find(const float *z, float lse, int64_t n, double before, double target)
{
    Lanes l = lanes_set(lse);
    for (int64_t j = 0; j < n; j += LANES) {
        float p[LANES];
        int64_t count = n - j < LANES ? n - j : LANES;
        lanes_store(p, probabilities(z + j, l, count));
        for (int64_t i = 0; i < count; i++) {
            before += mass_of(p[i]);
            if (before > target)
                return j + i;
        }
    }
    return n;
}

// All tokens may be drawn.
static int64_t row_draw(const float *z, float lse, int64_t width, double uniform)
{
    double masses[BLOCKS], total = 0.0, before = 0.0;
    int64_t blocks = (width + BLOCK - 1) / BLOCK, b = 0;
    for (int64_t i = 0; i < blocks; i++) {
        int64_t n = width - i * BLOCK < BLOCK ? width - i * BLOCK : BLOCK;
        masses[i] = block_mass(z + i * BLOCK, lse, n);
        total += masses[i];
    }
    double target = uniform * total; // below the total, because uniform <= 1 - 2^-53
    for (; b < blocks - 1 && before + masses[b] <= target; b++) // NOLINT: there is a block
        before += masses[b];
    int64_t first = b * BLOCK, n = width - first < BLOCK ? width - first : BLOCK;
    return first + block_find(z + first, lse, n, before, target);
}

// The most probable token, the lowest id on a tie.
static int64_t row_greatest(const float *z, int64_t width)
{
    int64_t best = 0;
    Lanes greatest = lanes_set(z[0]);
    for (int64_t j = 0; j < width; j += LANES) {
        int64_t n = width - j < LANES ? width - j : LANES;
        Lanes a = lanes_load_tail(z + j, n);
        if (!(lanes_above(a, greatest) & ((1u << n) - 1)))
            continue;
        for (int64_t i = j; i < j + n; i++)
            best = z[i] > z[best] ? i : best;
        greatest = lanes_set(z[best]);
    }
    return best;
}

static uint64_t middle_key(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

// Moves the keys of c [n] that are below the pivot to the front and returns how many they are;
// their mass is added to `mass`. Without branches: which way a key goes cannot be predicted.
static int64_t partition(Candidate *c, int64_t n, uint64_t pivot, double *mass)
{
    int64_t front = 0;
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
        Candidate moved = c[i];
        bool below = moved.key < pivot;
        c[i] = c[front];
        c[front] = moved;
        front += below;
        sum += below ? moved.mass : 0.0;
    }
    *mass += sum;
    return front;
}

// Orders so much of `c` [n] that its first m elements are the m smallest keys and c[m - 1] is the
// largest of them, where m is the smallest number with m >= count or mass >= `mass`; n if there is
// none. A quickselect that carries the mass along.
static int64_t smallest_prefix(Candidate *c, int64_t n, int64_t count, double mass)
{
    int64_t low = 0, high = n;
    double before = 0.0; // of the first `low`, which are too few
    while (low < high) {
        uint64_t pivot = middle_key(c[low].key, c[low + (high - low) / 2].key, c[high - 1].key);
        double below = before;
        int64_t middle = low + partition(c + low, high - low, pivot, &below);
        if (middle >= count || below >= mass) {
            high = middle;
            continue;
        }
        int64_t place = middle;
        while (c[place].key != pivot)
            place++;
        Candidate found = c[place];
        c[place] = c[middle];
        c[middle] = found;
        before = below + found.mass;
        low = middle + 1;
        if (low >= count || before >= mass)
            return low;
    }
    return n;
}

// A bound that at least k tokens reach: the k-th largest of the groups' maxima.
static float count_threshold(Candidate *c, const float *z, int64_t width, int64_t k)
{
    int64_t groups = width / MAXIMUM_GROUP;
    if (k > groups)
        return -INFINITY;
    for (int64_t g = 0; g < groups; g++) {
        const float *group = z + g * MAXIMUM_GROUP;
        Lanes greatest = lanes_load(group);
        for (int64_t j = LANES; j < MAXIMUM_GROUP; j += LANES)
            greatest = lanes_max(greatest, lanes_load(group + j));
        float maximum = lanes_maximum(greatest);
        c[g] = (Candidate){.key = key_of(maximum, g), .mass = (double)maximum};
    }
    smallest_prefix(c, groups, k, INFINITY);
    return (float)c[k - 1].mass;
}

// All tokens whose logit reaches the threshold, in ascending order of id; returns how many.
static int64_t gather(Candidate *c, const float *z, float lse, int64_t width, float threshold)
{
    int64_t count = 0;
    Lanes t = lanes_set(threshold), l = lanes_set(lse);
    for (int64_t j = 0; j < width; j += LANES) {
        int64_t n = width - j < LANES ? width - j : LANES;
        unsigned reached = ~lanes_above(t, lanes_load_tail(z + j, n)) & ((1u << n) - 1);
        if (!reached)
            continue;
        float p[LANES];
        lanes_store(p, probabilities(z + j, l, n));
        for (; reached; reached &= reached - 1) {
            int i = __builtin_ctz(reached);
            c[count++] = (Candidate){.key = key_of(z[j + i], j + i), .mass = mass_of(p[i])};
        }
    }
    return count;
}

static double mass_sum(const Candidate *c, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += c[i].mass;
    return sum;
}

// The tokens that are to be ordered for top_p: all whose logit reaches a threshold, the highest of
// a few for which they have enough mass.
static int64_t gather_mass(Candidate *c, const float *z, float lse, int64_t width, double mass)
{
    const float depths[] = {5.0f, 8.0f, 11.0f, 14.0f}; // exp(-depth): the least probability
    for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
        int64_t n = gather(c, z, lse, width, lse - depths[i]);
        if (mass_sum(c, n) >= mass)
            return n;
    }
    return gather(c, z, lse, width, -INFINITY);
}

// Leaves in `c` the tokens that top_k and top_p leave; returns how many.
static int64_t row_truncate(Candidate *c, const float *z, float lse, int64_t width,
                            Sampling sampling)
{
    double top_p = (double)sampling.top_p;
    if (sampling.top_k <= 0) {
        int64_t n = gather_mass(c, z, lse, width, top_p);
        return smallest_prefix(c, n, n, top_p);
    }
    int64_t k = sampling.top_k < width ? sampling.top_k : width;
    int64_t n = gather(c, z, lse, width, count_threshold(c, z, width, k));
    n = smallest_prefix(c, n, k, INFINITY);
    return top_p >= 1.0 ? n : smallest_prefix(c, n, n, top_p * mass_sum(c, n));
}

static double next_above(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits++;
    memcpy(&x, &bits, sizeof bits);
    return x;
}

static int64_t row_draw_truncated(const float *z, float lse, int64_t width, double uniform,
                                  Sampling sampling)
{
    Candidate *c = scratch_cpu((size_t)width * sizeof(Candidate));
    int64_t n = row_truncate(c, z, lse, width, sampling);
    double target = uniform * mass_sum(c, n);
    for (int64_t i = 0; i < n; i++)
        c[i].key &= 0xffffffffu; // by id from here on
    int64_t m = smallest_prefix(c, n, n, next_above(target));
    return (int64_t)c[m - 1].key;
}

void CPU(sample)(Queue *queue, int32_t *tokens, float *logprobs, Tensor z, const float *lse,
                 const double *uniform, Sampling sampling)
{
    (void)queue;
    CHECK(z.width > 0 && z.width <= (int64_t)BLOCK * BLOCKS, "a vocabulary of %lld tokens",
          (long long)z.width);
    for (int64_t r = 0; r < z.rows; r++) {
        if (!isfinite(lse[r]))
            die(EXIT_BAD_DATA,
                "the logits of row %lld hold NaN or infinity, so no token can be drawn: the "
                "model's weights are damaged, or training has diverged (lower the learning rate)",
                (long long)r);
    }
    bool greedy = sampling.temperature == 0.0f;
    bool plain = sampling.top_k <= 0 && sampling.top_p >= 1.0f;
#pragma omp parallel for schedule(static) if (z.rows * z.width >= PARALLEL_ELEMENTS)
    for (int64_t r = 0; r < z.rows; r++) {
        const float *row = row_of(z, r);
        int64_t token = greedy  ? row_greatest(row, z.width)
                        : plain ? row_draw(row, lse[r], z.width, uniform[r])
                                : row_draw_truncated(row, lse[r], z.width, uniform[r], sampling);
        tokens[r] = (int32_t)token;
        logprobs[r] = row[token] - lse[r];
    }
}
