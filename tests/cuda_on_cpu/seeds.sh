#!/bin/sh
# seeds.sh - runs a test of CUDA kernels with seeds 0 to COUNT - 1 of the emulator.
#
#     seeds.sh COUNT PROGRAM [tests of it]
count=$1
shift
status=0
seed=0
while [ "$seed" -lt "$count" ]; do
    if ! said=$(CUDA_ON_CPU_SEED=$seed "$@" 2>&1); then
        echo "with CUDA_ON_CPU_SEED=$seed:"
        echo "$said"
        status=1
    fi
    seed=$((seed + 1))
done
exit $status
