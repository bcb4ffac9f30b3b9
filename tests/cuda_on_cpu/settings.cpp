// settings.cpp - the emulator's environment, and draws from its seed.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/cuda_on_cpu/inside.h"

namespace cuda_on_cpu
{

enum { MEMORY_MIB = 8192, MOST_MEMORY_MIB = 1 << 20, MOST_DEVICES = 64 };

// NaN or -1; 0; about 0.75 or a large number.
static const int PATTERNS[] = {0xff, 0x00, 0x3f};

[[noreturn]] static void unusable(const char *name, const char *wanted)
{
    fprintf(stderr, "cuda_on_cpu: %s is '%s', not %s\n", name, getenv(name), wanted);
    exit(EXIT_WRONG);
}

// A number of the environment from `least` to `most`; `otherwise` where it is not set.
static uint64_t number_of(const char *name, uint64_t least, uint64_t most, uint64_t otherwise)
{
    const char *text = getenv(name);
    if (!text)
        return otherwise;
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (errno || *end || end == text || number < least || number > most) {
        char wanted[80];
        snprintf(wanted, sizeof wanted, "a number from %llu to %llu",
                 static_cast<unsigned long long>(least), static_cast<unsigned long long>(most));
        unusable(name, wanted);
    }
    return number;
}

// The line in a place, NULL: 0.
static int line_of(const char *name, const char *wanted)
{
    const char *place = getenv(name), *line = place ? strrchr(place, ':') : NULL;
    if (place && !line)
        unusable(name, wanted);
    return line ? atoi(line + 1) : 0;
}

// "RANK:N", or "RANK:CALL:N" where a call is `named`.
static Failure failure_of(const char *name, bool named)
{
    Failure failure = {};
    const char *text = getenv(name);
    int end = 0;
    if (!text)
        return failure;
    if (named)
        sscanf(text, "%d:%63[^:]:%d%n", &failure.rank, failure.call, &failure.number, &end);
    else
        sscanf(text, "%d:%d%n", &failure.rank, &failure.number, &end);
    if (end == 0 || text[end] || failure.rank < 0 || failure.number < 1)
        unusable(name, named ? "'RANK:CALL:N'" : "'RANK:N'");
    return failure;
}

static bool is_set(const char *name)
{
    return number_of(name, 0, 1, 0) == 1;
}

static Settings settings_read()
{
    Settings s = {};
    s.seed = number_of("CUDA_ON_CPU_SEED", 0, UINT64_MAX, 0);
    s.pattern = PATTERNS[s.seed % 3];
    s.drop = getenv("CUDA_ON_CPU_DROP");
    s.drop_line = line_of("CUDA_ON_CPU_DROP", "'kernel file:line'");
    s.barriers = getenv("CUDA_ON_CPU_BARRIERS");
    s.drop_wait = getenv("CUDA_ON_CPU_DROP_WAIT");
    s.drop_wait_line = line_of("CUDA_ON_CPU_DROP_WAIT", "'file:line'");
    s.waits = getenv("CUDA_ON_CPU_WAITS");
    s.devices = static_cast<int>(number_of("CUDA_ON_CPU_DEVICES", 1, MOST_DEVICES, 1));
    s.memory_bytes = number_of("CUDA_ON_CPU_MEMORY_MIB", 1, MOST_MEMORY_MIB, MEMORY_MIB) << 20;
    s.strict = is_set("CUDA_ON_CPU_STRICT");
    s.fails = failure_of("CUDA_ON_CPU_FAIL", true);
    s.nccl_fails = failure_of("CUDA_ON_CPU_NCCL_FAIL", false);
    s.nccl_hangs = is_set("CUDA_ON_CPU_NCCL_HANG");
    s.nccl_alone = is_set("CUDA_ON_CPU_NCCL_ALONE");
    return s;
}

int process_rank;

const Settings &settings()
{
    static const Settings read = settings_read();
    return read;
}

// ---- draws --------------------------------------------------------------------------------------

static uint64_t state;

static uint64_t state_first()
{
    return settings().seed * 0x9e3779b97f4a7c15u + 0x1234567u;
}

// SplitMix64 (Steele, Lea, Flood 2014).
static unsigned draw_from(uint64_t *from, unsigned count)
{
    uint64_t x = *from += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return static_cast<unsigned>((x >> 32) * count >> 32);
}

void draws_begin()
{
    state = state_first();
}

unsigned draw(unsigned count)
{
    return draw_from(&state, count);
}

unsigned draw_turn(unsigned count)
{
    static uint64_t turn_state = state_first() + static_cast<uint64_t>(process_rank) * 0xd1342543u;
    return draw_from(&turn_state, count);
}

} // namespace cuda_on_cpu
