#!/bin/sh
# backends.sh - a test of steps on emulated GPUs with several ranks: with two orders of streams; with
# two ranks also with host code kept off device memory, and each wait between streams, left out, is
# missed.
#
#     backends.sh RANKS PROGRAM
set -eu
ranks=$1
program=$2
here=$(dirname "$0")
# shellcheck source=jobs/mpi.sh
. "$here/../../jobs/mpi.sh"
export CUDA_ON_CPU_DEVICES="$ranks" OMP_NUM_THREADS=1
for seed in 0 1; do
    CUDA_ON_CPU_SEED=$seed mpirun -n "$ranks" "$program"
done
[ "$ranks" -eq 2 ] || exit 0
CUDA_ON_CPU_STRICT=1 mpirun -n "$ranks" "$program" a_step_of_shared_ranks_agrees
"$here/left_out.sh" waits 8 mpirun -n "$ranks" "$program" a_step_of_shared_ranks_agrees
