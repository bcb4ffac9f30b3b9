// clock.h - wall time.

#ifndef L2A_BASE_CLOCK_H
#define L2A_BASE_CLOCK_H

#include <stdint.h>

// Of a monotonic clock, which all processes of a host share.
double clock_now(void); // seconds
int64_t clock_nanoseconds(void);

// Returns when so many seconds have passed, whatever signals come.
void clock_sleep(double seconds);

#endif
