#include "base/random.h"

#include <math.h>

#include "base/fail.h"
#include "base/mathematics.h"

static uint32_t field(uint32_t value, int bits, const char *name)
{
    CHECK(bits == 32 || value < (1u << bits), "draw: %s = %u exceeds %d bits", name, value, bits);
    return value;
}

Philox draw_philox(Draw draw)
{
    return (Philox){
        .counter = {field((uint32_t)draw.purpose, 4, "purpose") << 28 |
                        field(draw.step, 28, "step"),
                    field(draw.session, 28, "session") << 4 | field(draw.attempt, 4, "attempt"),
                    field(draw.round, 14, "round") << 18 | field(draw.sample, 12, "sample") << 6 |
                        field(draw.completion, 6, "completion"),
                    draw.position},
        .key = {(uint32_t)draw.seed, (uint32_t)(draw.seed >> 32)},
    };
}

void draw_words(Draw draw, uint32_t words[4])
{
    Philox philox = draw_philox(draw);
    uint32_t *counter = philox.counter, *key = philox.key;
    for (int round = 0; round < 10; round++) {
        uint64_t low = (uint64_t)0xD2511F53u * counter[0];
        uint64_t high = (uint64_t)0xCD9E8D57u * counter[2];
        uint32_t next[4] = {
            (uint32_t)(high >> 32) ^ counter[1] ^ key[0],
            (uint32_t)high,
            (uint32_t)(low >> 32) ^ counter[3] ^ key[1],
            (uint32_t)low,
        };
        for (int i = 0; i < 4; i++)
            counter[i] = next[i];
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    for (int i = 0; i < 4; i++)
        words[i] = counter[i];
}

static double unit_interval(uint32_t high, uint32_t low)
{
    uint64_t bits = ((uint64_t)high << 32 | low) >> 11;
    return ((double)bits + 0.5) * 0x1p-53;
}

double draw_uniform(Draw draw)
{
    uint32_t words[4];
    draw_words(draw, words);
    return unit_interval(words[0], words[1]);
}

uint64_t draw_below(Draw draw, uint64_t bound)
{
    uint32_t words[4];
    draw_words(draw, words);
    uint64_t bits = (uint64_t)words[0] << 32 | words[1];
    return (uint64_t)((unsigned __int128)bits * bound >> 64);
}

void draw_normal(Draw draw, double normal[2])
{
    uint32_t words[4];
    draw_words(draw, words);
    double radius = sqrt(-2.0 * math_log(unit_interval(words[0], words[1])));
    double angle = 6.283185307179586 * unit_interval(words[2], words[3]);
    normal[0] = radius * math_cos(angle);
    normal[1] = radius * math_sin(angle);
}

void draw_shuffle(Draw draw, int64_t *order, int64_t count)
{
    for (int64_t i = count - 1; i > 0; i--) {
        draw.position = (uint32_t)i;
        int64_t j = (int64_t)draw_below(draw, (uint64_t)i + 1);
        int64_t swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
}
