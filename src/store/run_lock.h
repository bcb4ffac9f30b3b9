// run_lock.h - one job a run directory: a lock file that names its holder; inside `store` only.
//
// DIRECTORY/lock is held with flock and says "host=NAME pid=N job=ID@CLUSTER". Where the file system
// has no flock, or one that may hold on one node only, the text decides: a holder on another host is
// respected unless Slurm knows that its job has ended.

#ifndef L2A_STORE_RUN_LOCK_H
#define L2A_STORE_RUN_LOCK_H

// The descriptor of the lock, to be given to run_lock_release; or -1: EXIT_CANNOT_CREATE with the
// holder's name.
int run_lock_take(const char *directory);

void run_lock_release(int descriptor);

#endif
