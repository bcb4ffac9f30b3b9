// warp.cpp - what the threads of a warp do together: barriers, votes, shuffles, small matrices.
//
// Lanes that give the same mask and do the same meet; the last one to come does the work for all
// and wakes them. Parts of a warp may meet apart from each other, as on a GPU.

#include "tests/cuda_on_cpu/inside.h"

namespace cuda_on_cpu
{

struct Meeting {
    unsigned mask, arrived;
    Doing doing;
    Site site; // of the first lane to come
};

struct Warp {
    Meeting meetings[WARP];
    int count;
    unsigned round;             // of barriers
    char places[FIBER_SETS][2]; // for ThreadSanitizer, as a block's
};

static Warp warps[MOST_THREADS / WARP];

void warps_begin()
{
    for (Warp &warp : warps)
        warp.count = 0;
}

int lane()
{
    return static_cast<int>(thread_running()->number % WARP);
}

static Meeting *meeting_of(Warp *warp, unsigned mask, Doing doing, Site site)
{
    for (int i = 0; i < warp->count; i++) {
        if (warp->meetings[i].mask == mask && warp->meetings[i].doing == doing)
            return &warp->meetings[i];
    }
    warp->meetings[warp->count] = {mask, 0, doing, site};
    return &warp->meetings[warp->count++];
}

// Lanes of a warp that have threads.
static unsigned lanes_there(unsigned first)
{
    unsigned count = threads_of_block() - first;
    return count >= WARP ? 0xffffffffu : (1u << count) - 1;
}

// Brings `place` to the meeting; the last lane calls `all` with everyone's places, by lane.
template <class Place>
static void meet(Doing doing, unsigned mask, Site site, Place *place,
                 void (*all)(Place *const *places, unsigned mask))
{
    Thread *self = thread_running();
    unsigned own = self->number % WARP, first = self->number - own;
    mask &= lanes_there(first);
    if (!(mask >> own & 1u))
        wrong("lane %u is not in its own mask %08x at %s:%d", own, mask, file_name(site.file),
              site.line);
    self->doing = doing;
    self->site = site;
    self->mask = mask;
    self->place = place;
    Warp *warp = &warps[self->number / WARP];
    Meeting *meeting = meeting_of(warp, mask, doing, site);
    if (meeting->site.line != site.line || meeting->site.file != site.file)
        wrong("lanes of a warp meet at %s:%d and at %s:%d", file_name(meeting->site.file),
              meeting->site.line, file_name(site.file), site.line);
    meeting->arrived |= 1u << own;
    if (meeting->arrived == mask) {
        Place *places[WARP] = {};
        for (unsigned l = 0; l < WARP; l++) {
            if (mask >> l & 1u)
                places[l] = static_cast<Place *>(thread_of(first + l)->place);
        }
        *meeting = warp->meetings[--warp->count];
        all(places, mask);
        for (unsigned l = 0; l < WARP; l++) {
            if (mask >> l & 1u)
                thread_wake(thread_of(first + l));
        }
    }
    thread_wait();
}

// ---- barriers, votes, sums, shuffles ------------------------------------------------------------

void warp_wait(unsigned mask, Site site)
{
    if (barrier_left_out(site))
        return;
    Warp *warp = &warps[thread_running()->number / WARP];
    char *place = &warp->places[fiber_set()][warp->round % 2];
    __tsan_release(place);
    meet<Warp>(Doing::WARP_BARRIER, mask, site, warp,
               [](Warp *const *same, unsigned lanes) { same[__builtin_ctz(lanes)]->round++; });
    __tsan_acquire(place);
}

unsigned vote(unsigned mask, bool predicate, Site site)
{
    unsigned value = predicate;
    meet<unsigned>(Doing::VOTE, mask, site, &value, [](unsigned *const *values, unsigned lanes) {
        unsigned result = 0;
        for (int l = 0; l < WARP; l++) {
            if (lanes >> l & 1u && *values[l])
                result |= 1u << l;
        }
        for (int l = 0; l < WARP; l++) {
            if (lanes >> l & 1u)
                *values[l] = result;
        }
    });
    return value;
}

int sum(unsigned mask, int value, Site site)
{
    meet<int>(Doing::SUM, mask, site, &value, [](int *const *values, unsigned lanes) {
        unsigned result = 0; // wraps, as there
        for (int l = 0; l < WARP; l++)
            result += lanes >> l & 1u ? static_cast<unsigned>(*values[l]) : 0;
        for (int l = 0; l < WARP; l++) {
            if (lanes >> l & 1u)
                *values[l] = static_cast<int>(result);
        }
    });
    return value;
}

struct Shuffle {
    uint64_t given, taken;
    int from;
};

uint64_t shuffle_bits(unsigned mask, uint64_t value, int from, Site site)
{
    Shuffle own = {value, 0, from};
    meet<Shuffle>(Doing::SHUFFLE, mask, site, &own, [](Shuffle *const *lanes, unsigned present) {
        for (int l = 0; l < WARP; l++) {
            if (!(present >> l & 1u))
                continue;
            if (!lanes[lanes[l]->from])
                wrong("a shuffle: lane %d reads lane %d, which is not in the mask %08x", l,
                      lanes[l]->from, present);
            lanes[l]->taken = lanes[lanes[l]->from]->given;
        }
    });
    return own.taken;
}

// ---- matrices -----------------------------------------------------------------------------------

struct Load {
    uint32_t *to;
    const void *row;
};

static uint16_t element_of(const Load *const *lanes, int matrix, int row, int column)
{
    uint16_t bits;
    memcpy(&bits, static_cast<const uint16_t *>(lanes[8 * matrix + row]->row) + column,
           sizeof bits);
    return bits;
}

template <bool TURNED> static void load_all(Load *const *lanes, unsigned)
{
    for (int l = 0; l < WARP; l++) {
        for (int m = 0; m < 4; m++) {
            int row = l / 4, column = l % 4 * 2;
            uint32_t low =
                TURNED ? element_of(lanes, m, column, row) : element_of(lanes, m, row, column);
            uint32_t high = TURNED ? element_of(lanes, m, column + 1, row)
                                   : element_of(lanes, m, row, column + 1);
            lanes[l]->to[m] = low | high << 16;
        }
    }
}

void matrices_load(uint32_t *to, const void *row, bool turned, Site site)
{
    if (reinterpret_cast<uintptr_t>(row) % 16)
        wrong("matrices_load at %s:%d: a row is not aligned to sixteen bytes", file_name(site.file),
              site.line);
    tsan_read16(row);
    Load own = {to, row};
    meet<Load>(Doing::LOAD, 0xffffffffu, site, &own, turned ? load_all<true> : load_all<false>);
}

struct Multiply {
    float *upper, *lower;
    const uint32_t *a;
    uint32_t b[2];
};

// Element `half` (0: low) of a register, widened.
static float half_of(uint32_t bits, int half)
{
    uint32_t wide = half ? bits & 0xffff0000u : bits << 16;
    float x;
    memcpy(&x, &wide, sizeof x);
    return x;
}

// Which lane and register holds which element: PTX ISA, mma.m16n8k16 with bf16.
static void multiply_all(Multiply *const *lanes, unsigned)
{
    float a[16][16], b[16][8];
    for (int l = 0; l < WARP; l++) {
        int row = l / 4, column = l % 4 * 2;
        for (int half = 0; half < 2; half++) {
            for (int i = 0; i < 4; i++)
                a[row + 8 * (i % 2)][column + half + 8 * (i / 2)] = half_of(lanes[l]->a[i], half);
            for (int i = 0; i < 2; i++)
                b[column + half + 8 * i][row] = half_of(lanes[l]->b[i], half);
        }
    }
    for (int i = 0; i < 16; i++) {
        float sums[8] = {};
        for (int k = 0; k < 16; k++) {
            for (int j = 0; j < 8; j++)
                sums[j] += a[i][k] * b[k][j];
        }
        for (int j = 0; j < 8; j++) {
            Multiply *holder = lanes[i % 8 * 4 + j / 2];
            float *to = i < 8 ? holder->upper : holder->lower;
            to[j % 2] += sums[j];
        }
    }
}

void multiply_add(float *upper, float *lower, const uint32_t *a, uint32_t b0, uint32_t b1,
                  Site site)
{
    Multiply own = {upper, lower, a, {b0, b1}};
    meet<Multiply>(Doing::MULTIPLY, 0xffffffffu, site, &own, multiply_all);
}

} // namespace cuda_on_cpu
