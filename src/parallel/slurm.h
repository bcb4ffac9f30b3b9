// slurm.h - what a batch system knows and MPI does not: how many tasks it started, when it ends
// this job, whether another job has ended.
//
// Slurm is asked by its own squeue, for a few seconds at most. Without Slurm nothing is known.

#ifndef L2A_PARALLEL_SLURM_H
#define L2A_PARALLEL_SLURM_H

#include <stdbool.h>
#include <stddef.h>

enum { SLURM_JOB_BYTES = 96 };

// Of several tasks that srun started, and did not introduce to each other, each would take itself
// for the whole job. Both fail (EXIT_USAGE) and name the remedy: the first before MPI starts, where
// Open MPI cannot, the second once MPI has counted `ranks`.
int slurm_check_launch(void);
int slurm_check_ranks(int ranks);

// Whether this is the task that speaks where MPI does not tell who does.
bool slurm_speaks(void);

// This job as "ID@CLUSTER"; "none" where there is no batch job.
void slurm_name_job(char name[SLURM_JOB_BYTES]);

// Seconds until this job is ended by the batch system; INFINITY: never, or there is none; NAN: it
// could not be found out.
double slurm_seconds_left(void);

// Whether the job "ID@CLUSTER" is known to have ended. False where it is of another cluster than
// this one, or Slurm gives no answer.
bool slurm_job_has_ended(const char *name);

// Seconds of a line of squeue's, "[days-][hours:]minutes:seconds"; INFINITY for "UNLIMITED", NAN
// for anything else.
double slurm_read_duration(const char *text);

#endif
