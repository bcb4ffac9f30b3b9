// deadline.h - how long a rank waits for one that gives no sign of life before it gives the job up.

#ifndef L2A_PARALLEL_DEADLINE_H
#define L2A_PARALLEL_DEADLINE_H

// Seconds; of the whole process.
void deadline_set(double seconds);
double deadline_seconds(void);

#endif
