// clock.h - wall time.

#ifndef L2A_BASE_CLOCK_H
#define L2A_BASE_CLOCK_H

// Seconds of a monotonic clock.
double clock_now(void);

#endif
