#!/bin/sh
# nccl.sh - runs the tests of the emulated NCCL on several ranks and looks at what they say.
#
#     nccl.sh RANKS PROGRAM
set -eu
ranks=$1
program=$2
# shellcheck source=jobs/mpi.sh
. "$(dirname "$0")/../../jobs/mpi.sh"
export CUDA_ON_CPU_DEVICES="$ranks"
export OMPI_MCA_odls_base_sigkill_timeout=0 # ranks of cases that fail need no time to end
said=$(mktemp)
trap 'rm -f "$said"' EXIT
status=0

run() { # case
    timeout "${CUDA_ON_CPU_TIMEOUT:-60}" mpirun -n "$ranks" "$program" "$@" >"$said" 2>&1 </dev/null
}

wrong() { # what
    echo "$1:"
    cat "$said"
    status=1
}

for seed in 0 1 2 3 4 5 6 7; do
    export CUDA_ON_CPU_SEED=$seed
    run || wrong "seed $seed"
done

export CUDA_ON_CPU_SEED=2
CUDA_ON_CPU_NCCL_FAIL=1:2 run a_lost_peer_is_noticed || wrong 'a lost peer'
CUDA_ON_CPU_NCCL_HANG=1 run a_hang_can_be_aborted || wrong 'a hang'
run communicators_have_no_order || wrong 'two communicators at a time'
CUDA_ON_CPU_NCCL_ALONE=1 run communicators_have_no_order || wrong 'one communicator at a time'

# The rest does not depend on how many ranks there are.
[ "$ranks" -eq 2 ] || exit $status

"$(dirname "$0")/left_out.sh" waits 8 mpirun -n 2 "$program" streams_meet || status=1

found() { # case, words
    if run "$1" || ! grep -q "$2" "$said"; then
        wrong "$1 is not found out"
    fi
}
found kinds_differ 'does not fit rank .*: nccl.* of 300 ncclFloat32.*, and nccl'
found counts_differ 'of 300 ncclFloat32.*of 299\|of 299 ncclFloat32.*of 300'
found roots_differ 'ncclBroadcast of 300 ncclFloat32 from 0\|from 1'
found a_source_is_written_meanwhile 'the source of ncclAllReduce was written'
found a_destination_is_written_meanwhile 'the destination of ncclAllReduce was written'
found a_group_uses_memory_twice 'of one group use the same memory'
CUDA_ON_CPU_STRICT=1 found mpi_reads_device_memory 'the host touches device memory'
exit $status
