#!/bin/sh
# barriers.sh - leaves out each barrier of the kernels that a test runs, one at a time: with some
# seed the test must fail. A barrier that is never missed is superfluous, or the test too small.
#
#     barriers.sh SEEDS PROGRAM [tests of it]
#
# Barriers are __syncthreads, __syncwarp and the waits for copies.
set -eu
seeds=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export L2A_FIRST_FAILURE_ENDS=1
CUDA_ON_CPU_BARRIERS=$folder/barriers "$@" >"$folder/said" 2>&1 || { cat "$folder/said"; exit 1; }
[ -s "$folder/barriers" ] || { echo 'the test reaches no barrier'; exit 1; }

status=0
while read -r barrier; do
    seed=0
    while [ "$seed" -lt "$seeds" ]; do
        CUDA_ON_CPU_SEED=$seed CUDA_ON_CPU_DROP=$barrier timeout 60 "$@" \
            >"$folder/said" 2>&1 </dev/null || break
        seed=$((seed + 1))
    done
    if [ "$seed" -lt "$seeds" ]; then
        echo "seed $seed misses $barrier"
    else
        echo "NO SEED MISSES $barrier"
        status=1
    fi
done <"$folder/barriers"
exit $status
