#include "benchmarks/probe.h"

#include <immintrin.h>
#include <omp.h>
#include <stdint.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

enum { CHAINS = 12, STEPS = 4000000, TRIES = 5, STREAMS = 4 };
static volatile float sink; // keeps the compiler from dropping the work

__attribute__((target("avx2,fma"))) static float fma_256(void)
{
    __m256 sum[CHAINS], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm256_set1_ps((float)i);
    for (int step = 0; step < STEPS; step++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm256_fmadd_ps(sum[i], x, y);
    }
    for (int i = 1; i < CHAINS; i++)
        sum[0] = _mm256_add_ps(sum[0], sum[i]);
    return _mm256_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f"))) static float fma_512(void)
{
    __m512 sum[CHAINS], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm512_set1_ps((float)i);
    for (int step = 0; step < STEPS; step++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm512_fmadd_ps(sum[i], x, y);
    }
    for (int i = 1; i < CHAINS; i++)
        sum[0] = _mm512_add_ps(sum[0], sum[i]);
    return _mm512_cvtss_f32(sum[0]);
}

double probe_fma(void)
{
    int wide = __builtin_cpu_supports("avx512f");
    double flops = 2.0 * CHAINS * STEPS * (wide ? 16 : 8) * omp_get_max_threads(), best = 0;
    for (int i = 0; i < TRIES; i++) {
        double begin = clock_now();
#pragma omp parallel
        sink = wide ? fma_512() : fma_256();
        double rate = flops / (clock_now() - begin) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}

// Sums `count` floats in streams that lie count / STREAMS apart, fetching `ahead` floats before
// use.
__attribute__((target("avx2"))) static float read_floats(const float *from, int64_t count,
                                                         int64_t ahead)
{
    __m256 sum[STREAMS] = {_mm256_setzero_ps()};
    int64_t part = count / STREAMS;
    for (int64_t i = 0; i < part; i += 16) {
#pragma GCC unroll 4
        for (int s = 0; s < STREAMS; s++) {
            const float *at = from + s * part + i;
            if (ahead)
                _mm_prefetch((const char *)(at + ahead), _MM_HINT_T0);
            sum[s] = _mm256_add_ps(sum[s], _mm256_loadu_ps(at));
            sum[s] = _mm256_add_ps(sum[s], _mm256_loadu_ps(at + 8));
        }
    }
    for (int s = 1; s < STREAMS; s++)
        sum[0] = _mm256_add_ps(sum[0], sum[s]);
    return _mm256_cvtss_f32(sum[0]);
}

int64_t probe_beyond_caches(void)
{
    enum { LEAST = 256 << 20, MOST = 1 << 30 };
    int64_t bytes = 2 * (int64_t)sysconf(_SC_LEVEL3_CACHE_SIZE); // 0 where it is not known
    return bytes < LEAST ? LEAST : bytes > MOST ? MOST : bytes;
}

// Adds to `count` floats in place.
__attribute__((target("avx2"))) static void update_floats(float *at, int64_t count)
{
    const __m256 one = _mm256_set1_ps(1.0f);
    for (int64_t i = 0; i < count; i += 8)
        _mm256_storeu_ps(at + i, _mm256_add_ps(_mm256_loadu_ps(at + i), one));
}

double probe_update(bool quick)
{
    int64_t floats = probe_beyond_caches() / (int64_t)sizeof(float);
    float *memory = allocate((size_t)floats, sizeof *memory);
    double best = 0;
    for (int i = 0; i < (quick ? 1 : TRIES); i++) {
        double begin = clock_now();
#pragma omp parallel
        {
            int64_t share = floats / omp_get_num_threads() / 64 * 64;
            update_floats(memory + share * omp_get_thread_num(), share);
        }
        double rate = 2 * (double)floats * sizeof *memory / (clock_now() - begin) * 1e-9;
        best = rate > best ? rate : best;
    }
    release(memory);
    return best;
}

double probe_read(bool quick)
{
    int64_t floats = probe_beyond_caches() / (int64_t)sizeof(float);
    float *memory = allocate((size_t)floats, sizeof *memory);
    double best = 0;
    for (int i = 0; i < 3 * (quick ? 1 : TRIES); i++) {
        double begin = clock_now();
#pragma omp parallel
        {
            int64_t share = floats / omp_get_num_threads() / 64 * 64;
            sink = read_floats(memory + share * omp_get_thread_num(), share, i % 3 * 256);
        }
        double rate = (double)floats * sizeof *memory / (clock_now() - begin) * 1e-9;
        best = rate > best ? rate : best;
    }
    release(memory);
    return best;
}
