// deadline.h - how long a rank waits for others before it gives the job up.

#ifndef L2A_PARALLEL_DEADLINE_H
#define L2A_PARALLEL_DEADLINE_H

// Seconds that a collective may take from when it is due; of the whole process.
void deadline_set(double seconds);
double deadline_seconds(void);

#endif
