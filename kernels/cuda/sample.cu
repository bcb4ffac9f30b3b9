// sample.cu - the choice of the next token.
//
// A block has a row. Probabilities are counted in units of 2^-52, as kernels.h defines them, in
// whole numbers: sums are exact in any order, so counting with atomics gives one result.
//
// Which tokens top_k and top_p leave is found by a radix selection on keys that ascend from the most
// probable token, count and mass together: first by how far a logit lies below the log-sum-exp,
// which spreads tokens over the bins, then by the bits of the logit. Tokens whose logits are equal
// are taken in the order of their ids.

#include "kernels/cuda/cuda.h"

#include <math_constants.h>

enum {
    THREADS = 512,
    WARPS = THREADS / 32,
    BINS = 256,
    CHUNK = 1024, // tokens that a warp sums up before one of them is looked for
    CHUNKS = 1024 // so that a vocabulary has at most a million tokens
};

typedef unsigned long long Mass; // in units of 2^-52

static const Mass NO_MASS = ~0ull;

// Tokens that may be drawn: those with smaller keys and the first `ties` of those with this one.
typedef struct {
    uint32_t key;
    int32_t ties;
    Mass tied; // of one token with this key
    Mass mass; // of all of them together
} Cut;

typedef struct {
    const float *z;
    float lse;
    int width;
} Row;

typedef struct {
    uint32_t count[BINS], low[BINS], high[BINS]; // high and low words of masses
} Histogram;

// Sums of chunks, and what single threads tell the others.
typedef struct {
    Histogram bins;
    Mass masses[CHUNKS];
    int32_t ties[CHUNKS];
    unsigned long long keys[WARPS];
    int chosen; // a bin or chunk; -1: none
    Cut before; // what precedes the chosen bin: ties counts tokens
    Mass chunk_mass;
    int chunk_ties;
    double target;
} Shared;

__device__ static Mass mass_of(const Row &row, int token)
{
    double p = static_cast<double>(expf(row.z[token] - row.lse));
    return __double2ull_rn(p * 4503599627370496.0);
}

__device__ static uint32_t key_of(float z)
{
    uint32_t bits = __float_as_uint(z + 0.0f); // -0 becomes 0
    return bits >> 31 ? bits : ~bits & 0x7fffffffu;
}

// Ascends as the logit descends.
__device__ static int depth_of(const Row &row, float z)
{
    float depth = (row.lse - z) * 8.0f;
    return depth < 0.0f ? 0 : depth >= static_cast<float>(BINS - 1) ? BINS - 1
                                                                    : static_cast<int>(depth);
}

// ---- selection ----------------------------------------------------------------------------------

__device__ static void bin_add(Histogram *bins, int bin, uint32_t count, Mass mass)
{
    uint32_t low = static_cast<uint32_t>(mass);
    atomicAdd(&bins->count[bin], count);
    bool carry = atomicAdd(&bins->low[bin], low) + low < low;
    atomicAdd(&bins->high[bin], static_cast<uint32_t>(mass >> 32) + carry);
}

// Which tokens a round of the selection looks at: those of a depth whose keys begin with `prefix`.
typedef struct {
    int depth;       // -1: all tokens, by depth
    uint32_t prefix; // the key's bits above `shift` + 8
    int shift;
} Round;

__device__ static void round_count(Histogram *bins, const Row &row, Round round)
{
    for (int i = static_cast<int>(threadIdx.x); i < BINS; i += THREADS)
        bins->count[i] = bins->low[i] = bins->high[i] = 0;
    __syncthreads();
    uint32_t tail_count = 0; // most tokens are in the last depth: not one atomic for each
    Mass tail_mass = 0;
    for (int j = static_cast<int>(threadIdx.x); j < row.width; j += THREADS) {
        float z = row.z[j];
        int depth = depth_of(row, z);
        if (round.depth >= 0) {
            uint32_t key = key_of(z);
            bool matches = round.shift == 24 || key >> (round.shift + 8) == round.prefix;
            if (depth == round.depth && matches)
                bin_add(bins, static_cast<int>(key >> round.shift & 255u), 1, mass_of(row, j));
        } else if (depth == BINS - 1) {
            tail_count++;
            tail_mass += mass_of(row, j);
        } else {
            bin_add(bins, depth, 1, mass_of(row, j));
        }
    }
    if (tail_count > 0)
        bin_add(bins, BINS - 1, tail_count, tail_mass);
    __syncthreads();
}

// The first bin with which `count` tokens or `mass` are reached; shared->before moves up to it.
__device__ static int round_choose(Shared *shared, int64_t count, Mass mass)
{
    if (threadIdx.x == 0) {
        Cut before = shared->before;
        shared->chosen = -1;
        for (int i = 0; i < BINS; i++) {
            const Histogram *bins = &shared->bins;
            Mass more = static_cast<Mass>(bins->high[i]) << 32 | bins->low[i];
            int32_t tokens = before.ties + static_cast<int32_t>(bins->count[i]);
            if (tokens >= count || before.mass + more >= mass) {
                shared->chosen = i;
                break;
            }
            before.ties = tokens;
            before.mass += more;
        }
        shared->before = before;
    }
    __syncthreads();
    return shared->chosen;
}

// The fewest of the most probable tokens that are `count` or have `mass`; all if none are.
__device__ static Cut select(Shared *shared, const Row &row, int64_t count, Mass mass)
{
    if (threadIdx.x == 0)
        shared->before = {};
    Round round = {-1, 0, 24};
    round_count(&shared->bins, row, round);
    round.depth = round_choose(shared, count, mass);
    if (round.depth < 0)
        return {0xffffffffu, INT32_MAX, 0, shared->before.mass};
    for (; round.shift >= 0; round.shift -= 8) {
        round_count(&shared->bins, row, round);
        round.prefix = round.prefix << 8 | static_cast<uint32_t>(round_choose(shared, count, mass));
    }
    // The last bin holds tokens of one logit.
    const Histogram *bins = &shared->bins;
    int bin = shared->chosen;
    Mass together = static_cast<Mass>(bins->high[bin]) << 32 | bins->low[bin];
    Mass tied = together / bins->count[bin];
    Cut before = shared->before;
    int64_t ties = count - before.ties;
    if (tied > 0 && mass != NO_MASS) {
        int64_t enough = static_cast<int64_t>((mass - before.mass + tied - 1) / tied);
        ties = min(ties, enough);
    }
    __syncthreads(); // the bins are read before they are counted again
    return {round.prefix, static_cast<int32_t>(ties), tied,
            before.mass + static_cast<Mass>(ties) * tied};
}

// The smallest mass in units that is at least x.
__device__ static Mass mass_reaching(double x)
{
    return static_cast<Mass>(ceil(x));
}

__device__ static Cut cut_of(Shared *shared, const Row &row, Sampling sampling)
{
    double top_p = static_cast<double>(sampling.top_p);
    if (sampling.top_k <= 0 && top_p >= 1.0)
        return {0xffffffffu, INT32_MAX, 0, 0};
    if (sampling.top_k <= 0)
        return select(shared, row, row.width, mass_reaching(top_p * 4503599627370496.0));
    int64_t k = min(sampling.top_k, row.width);
    Cut cut = select(shared, row, k, NO_MASS);
    if (top_p >= 1.0)
        return cut;
    return select(shared, row, k, mass_reaching(top_p * static_cast<double>(cut.mass)));
}

// ---- drawing ------------------------------------------------------------------------------------

__device__ static Mass warp_mass(Mass x)
{
    for (int step = 16; step > 0; step /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}

// Each chunk's mass of tokens before the cut, and its tokens at the cut.
__device__ static void chunks_sum(Shared *shared, const Row &row, const Cut &cut)
{
    int lane = static_cast<int>(threadIdx.x) % 32;
    int chunks = (row.width + CHUNK - 1) / CHUNK;
    for (int c = static_cast<int>(threadIdx.x) / 32; c < chunks; c += WARPS) {
        Mass mass = 0;
        int ties = 0, end = min(row.width, (c + 1) * CHUNK);
        for (int j = c * CHUNK + lane; j < end; j += 32) {
            uint32_t key = key_of(row.z[j]);
            mass += key < cut.key ? mass_of(row, j) : 0;
            ties += key == cut.key;
        }
        mass = warp_mass(mass);
        ties = __reduce_add_sync(0xffffffffu, ties);
        if (lane == 0) {
            shared->masses[c] = mass;
            shared->ties[c] = ties;
        }
    }
    __syncthreads();
}

__device__ static double probability(Mass mass)
{
    return static_cast<double>(mass) / 4503599627370496.0;
}

// Finds the chunk in which the mass exceeds uniform times the total, by one thread.
__device__ static void chunk_find(Shared *shared, int width, const Cut &cut, double uniform)
{
    int chunks = (width + CHUNK - 1) / CHUNK, left = cut.ties;
    Mass total = 0, before = 0;
    for (int c = 0; c < chunks; c++) {
        int taken = min(left, shared->ties[c]);
        left -= taken;
        shared->masses[c] += static_cast<Mass>(taken) * cut.tied;
        total += shared->masses[c];
    }
    shared->target = uniform * probability(total);
    int c = 0, ties = 0;
    for (; c < chunks - 1 && probability(before + shared->masses[c]) <= shared->target; c++) {
        before += shared->masses[c];
        ties += shared->ties[c];
    }
    shared->chosen = c;
    shared->chunk_mass = before;
    shared->chunk_ties = ties;
}

// The token of the chosen chunk where the mass exceeds the target, by one warp.
__device__ static int token_find(const Shared *shared, const Row &row, const Cut &cut)
{
    int lane = static_cast<int>(threadIdx.x) % 32, ties = shared->chunk_ties;
    int first = shared->chosen * CHUNK, end = min(row.width, first + CHUNK), last = first;
    Mass before = shared->chunk_mass;
    for (; first < end; first += 32) {
        int j = first + lane;
        uint32_t key = j < end ? key_of(row.z[j]) : 0xffffffffu;
        unsigned tied = __ballot_sync(0xffffffffu, j < end && key == cut.key);
        bool in = key < cut.key || (key == cut.key && ties + __popc(tied & ((1u << lane) - 1)) <
                                                          cut.ties);
        Mass sum = j < end && in ? mass_of(row, j) : 0;
        unsigned any = __ballot_sync(0xffffffffu, sum > 0);
        for (int step = 1; step < 32; step *= 2) {
            Mass other = __shfl_up_sync(0xffffffffu, sum, static_cast<unsigned>(step));
            sum += lane >= step ? other : 0;
        }
        unsigned exceeds =
            __ballot_sync(0xffffffffu, probability(before + sum) > shared->target);
        if (exceeds & any)
            return first + __ffs(static_cast<int>(exceeds)) - 1;
        last = any ? first + 31 - __clz(static_cast<int>(any)) : last;
        before += __shfl_sync(0xffffffffu, sum, 31);
        ties += __popc(tied);
    }
    return last; // not reached: the target lies below the total
}

// The most probable token, the lowest id on a tie.
__device__ static int token_greatest(Shared *shared, const Row &row)
{
    unsigned long long least_key = ~0ull;
    for (int j = static_cast<int>(threadIdx.x); j < row.width; j += THREADS) {
        unsigned long long key = static_cast<unsigned long long>(key_of(row.z[j])) << 32;
        least_key = min(least_key, key | static_cast<unsigned>(j));
    }
    for (int step = 16; step > 0; step /= 2)
        least_key = min(least_key, __shfl_xor_sync(0xffffffffu, least_key, step));
    if (threadIdx.x % 32 == 0)
        shared->keys[threadIdx.x / 32] = least_key;
    __syncthreads();
    for (int w = 0; w < WARPS; w++)
        least_key = min(least_key, shared->keys[w]);
    return static_cast<int>(least_key & 0xffffffffu);
}

__device__ static int token_draw(Shared *shared, const Row &row, double uniform, Sampling sampling)
{
    Cut cut = cut_of(shared, row, sampling);
    chunks_sum(shared, row, cut);
    if (threadIdx.x == 0)
        chunk_find(shared, row.width, cut, uniform);
    __syncthreads();
    return threadIdx.x < 32 ? token_find(shared, row, cut) : 0;
}

__global__ static void __launch_bounds__(THREADS)
    sample_kernel(int32_t *tokens, float *logprobs, Tensor z, const float *lse,
                  const double *uniform, Sampling sampling, int *faults)
{
    SHARED(Shared, shared);
    int64_t r = blockIdx.x;
    Row row = {row_of(z, r), lse[r], static_cast<int>(z.width)};
    if (!isfinite(row.lse)) {
        if (threadIdx.x == 0) {
            atomicMin(&faults[FAULT_LOGITS], static_cast<int>(r));
            tokens[r] = 0;
            logprobs[r] = CUDART_NAN_F;
        }
        return;
    }
    int token = sampling.temperature == 0.0f ? token_greatest(&shared, row)
                                             : token_draw(&shared, row, uniform[r], sampling);
    if (threadIdx.x == 0) {
        tokens[r] = token;
        logprobs[r] = row.z[token] - row.lse;
    }
}

void sample_cuda(Queue *queue, int32_t *tokens, float *logprobs, Tensor z, const float *lse,
                 const double *uniform, Sampling sampling)
{
    CHECK(z.width > 0 && z.width <= static_cast<int64_t>(CHUNK) * CHUNKS,
          "a vocabulary of %ld tokens", static_cast<long>(z.width));
    if (z.rows == 0)
        return;
    LAUNCH(sample_kernel, static_cast<unsigned>(z.rows), THREADS, 0, queue, tokens, logprobs, z,
           lse, uniform, sampling, faults_cuda());
}
