// settings.cpp - the emulator's environment, and draws from its seed.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/cuda_on_cpu/inside.h"

namespace cuda_on_cpu
{

// NaN or -1; 0; about 0.75 or a large number.
static const int PATTERNS[] = {0xff, 0x00, 0x3f};

static Settings settings_read()
{
    Settings s = {};
    const char *seed = getenv("CUDA_ON_CPU_SEED");
    if (seed) {
        char *end;
        errno = 0;
        s.seed = strtoull(seed, &end, 10);
        if (errno || *end || end == seed) {
            fprintf(stderr, "cuda_on_cpu: CUDA_ON_CPU_SEED is '%s', not a number\n", seed);
            exit(EXIT_WRONG);
        }
    }
    s.pattern = PATTERNS[s.seed % 3];
    s.drop = getenv("CUDA_ON_CPU_DROP");
    const char *line = s.drop ? strrchr(s.drop, ':') : NULL;
    if (s.drop && !line) {
        fprintf(stderr, "cuda_on_cpu: CUDA_ON_CPU_DROP is '%s', not 'kernel file:line'\n", s.drop);
        exit(EXIT_WRONG);
    }
    s.drop_line = line ? atoi(line + 1) : 0;
    s.barriers = getenv("CUDA_ON_CPU_BARRIERS");
    return s;
}

const Settings &settings()
{
    static const Settings read = settings_read();
    return read;
}

static uint64_t state;

void draws_begin()
{
    state = settings().seed * 0x9e3779b97f4a7c15u + 0x1234567u;
}

// SplitMix64 (Steele, Lea, Flood 2014).
unsigned draw(unsigned count)
{
    uint64_t x = state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return static_cast<unsigned>((x >> 32) * count >> 32);
}

} // namespace cuda_on_cpu
