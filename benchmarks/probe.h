// probe.h - what this machine can do: the ceilings beside which benchmarks print their figures.

#ifndef L2A_BENCHMARKS_PROBE_H
#define L2A_BENCHMARKS_PROBE_H

#include <stdbool.h>
#include <stdint.h>

// Fused multiply-adds in fp32 by all threads, the best of several short runs, in GFLOP/s.
double probe_fma(void);

// Bytes that the caches do not hold: twice the largest one, within 256 MiB and 1 GiB.
int64_t probe_beyond_caches(void);

// Reading of so much memory by all threads, the best of several ways, in GB/s; `quick`: of few
// tries.
double probe_read(bool quick);

// The same read and written in place, both counted: writing goes on beside reading.
double probe_update(bool quick);

#endif
