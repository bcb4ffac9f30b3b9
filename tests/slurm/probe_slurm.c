// probe_slurm.c - what parallel/slurm.h finds out, in words: the time that is left to this job, and
// whether the jobs that are named have ended.

#include <stdio.h>

#include "parallel/slurm.h"

int main(int argc, char **argv)
{
    printf("left %.0f\n", slurm_seconds_left());
    for (int i = 1; i < argc; i++)
        printf("%s %s\n", argv[i], slurm_job_has_ended(argv[i]) ? "ended" : "lives");
    return 0;
}
