// probe.h - what this machine can do: the ceilings beside which benchmarks print their figures.

#ifndef L2A_BENCHMARKS_PROBE_H
#define L2A_BENCHMARKS_PROBE_H

// Fused multiply-adds in fp32 by all threads, the best of several short runs, in GFLOP/s.
double probe_fma(void);

// Reading of memory by all threads, the best of several ways, in GB/s.
double probe_read(void);

#endif
