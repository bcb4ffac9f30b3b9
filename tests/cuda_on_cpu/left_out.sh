#!/bin/sh
# left_out.sh - leaves out each barrier of the kernels that a test runs, or each wait for an event
# that it reaches, one at a time: with some seed the test must fail. What is never missed is
# superfluous, or the test too small.
#
#     left_out.sh barriers|waits SEEDS PROGRAM [tests of it]
#
# Barriers are __syncthreads, __syncwarp and the waits for copies.
set -eu
case $1 in
barriers) list=CUDA_ON_CPU_BARRIERS drop=CUDA_ON_CPU_DROP ;;
waits) list=CUDA_ON_CPU_WAITS drop=CUDA_ON_CPU_DROP_WAIT ;;
*) echo "$1 is neither barriers nor waits"; exit 1 ;;
esac
what=$1
seeds=$2
shift 2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export L2A_FIRST_FAILURE_ENDS=1
env "$list=$folder/places" "$@" >"$folder/said" 2>&1 || { cat "$folder/said"; exit 1; }
[ -s "$folder/places" ] || { echo "the test reaches no $what"; exit 1; }
sort -u -o "$folder/places" "$folder/places" # ranks of MPI name the same ones

status=0
while read -r place; do
    seed=0
    while [ "$seed" -lt "$seeds" ]; do
        env "CUDA_ON_CPU_SEED=$seed" "$drop=$place" timeout 60 "$@" \
            >"$folder/said" 2>&1 </dev/null || break
        seed=$((seed + 1))
    done
    if [ "$seed" -lt "$seeds" ]; then
        echo "seed $seed misses $place"
    else
        echo "NO SEED MISSES $place"
        status=1
    fi
done <"$folder/places"
exit $status
