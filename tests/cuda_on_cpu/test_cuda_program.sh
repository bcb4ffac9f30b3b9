#!/bin/sh
# The whole program on emulated GPUs, a rank each: with shared and with split roles a run completes,
# ends with the same weights whatever the order of streams and wherever masters and moments lie, and
# goes on bit for bit after a stop; a failure of NCCL and a rank that has stopped end it with one
# line; what cannot be used is refused with the remedy.
#
#     test_cuda_program.sh BUILD
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/../system/clinic.sh"
clinic_data data/clinic --sessions 12 --test 2
export CUDA_ON_CPU_DEVICES=4
settings="--set warmup.epochs=0 --set warmup.steps=1 --set warmup.batch_contexts=8
    --set train.steps=2 --set train.batch_contexts=4 --set rollout.group_size=2
    --set rollout.max_response_tokens=8 --set evaluate.file= --set algorithm.kl_coefficient=0.01
    --set parallel.backend=cuda"
split='--set parallel.placement=split --set parallel.learner_ranks=2 --set parallel.rollout_ranks=2'

# train SEED RANKS RUN [settings]: the exit status; the log is RUN.log
train() {
    seed=$1 ranks=$2 run=$3
    shift 3
    status=0
    # shellcheck disable=SC2086 # one word a setting
    CUDA_ON_CPU_SEED=$seed mpirun -n "$ranks" \
        "$build/tests/cuda_on_cpu/learn2ask_cuda_on_cpu" train "$tree/inputs/clinic.ini" \
        $settings --set run.directory="$run" "$@" >"$run.log" 2>&1 </dev/null || status=$?
}

completes() {
    train "$@"
    [ "$status" -eq 0 ] || die "$3 ends with $status: $(tail -n 5 "$3.log")"
}

says() { # run, words
    grep -q "$2" "$1.log" || die "$1 does not say '$2': $(tail -n 5 "$1.log")"
}

completes 0 4 shared
completes 3 4 again
says shared 'backend    cuda, GPU 0 .CUDA on the CPU. of .*, nccl'
expect_equal 'another order of streams' "$(clinic_weights again)" "$(clinic_weights shared)"

# The first step's line comes long before the second step is over.
: >stopped.log
(until grep -q '^step 1/3' stopped.log; do sleep 0.1; done; touch stopped/STOP) &
train 1 4 stopped
wait
[ "$status" -eq 75 ] || die "a stopped run ends with $status: $(tail -n 5 stopped.log)"
rm stopped/STOP
completes 2 4 stopped
says stopped 'resumed    at step [12] of 3'
expect_equal 'stopped and resumed' "$(clinic_weights stopped)" "$(clinic_weights shared)"

# shellcheck disable=SC2086
completes 0 4 split $split
# shellcheck disable=SC2086
completes 2 4 split-again $split
expect_equal 'split, another order' "$(clinic_weights split-again)" "$(clinic_weights split)"

# Masters and moments in the host's memory: read there to be gathered, published, stepped and saved.
completes 1 4 host --set optimizer.memory=host
expect_equal 'weights and moments on the host' "$(clinic_weights host)" "$(clinic_weights shared)"
# shellcheck disable=SC2086
completes 3 4 split-host $split --set optimizer.memory=host
expect_equal 'the same, split' "$(clinic_weights split-host)" "$(clinic_weights split)"

export CUDA_ON_CPU_NCCL_FAIL=2:25
train 1 4 lost
unset CUDA_ON_CPU_NCCL_FAIL
[ "$status" -eq 69 ] || die "a failure of NCCL ends with $status: $(tail -n 5 lost.log)"
says lost '^error: rank 2 (.*, GPU 2): NCCL failed in the .* over 4 ranks'
expect_equal 'ranks that speak of it' "$(grep -c '^error:' lost.log)" 1

# The last rank stops behind the first step.
: >stalled.log
(until grep -q '^step 1/3' stalled.log; do sleep 0.1; done
    for process in $(pgrep -f 'run.directory=stalled'); do
        ! grep -qz '^OMPI_COMM_WORLD_RANK=3' "/proc/$process/environ" || kill -STOP "$process"
    done) &
train 0 4 stalled --set parallel.deadline=3
wait
[ "$status" -eq 69 ] || die "a stalled run ends with $status: $(tail -n 5 stalled.log)"
says stalled '^error: rank 3 (.*) \(never entered\|does not get on with\) the .*: its process is stopped'
expect_equal 'ranks that speak of it' "$(grep -c '^error:' stalled.log)" 1

export CUDA_ON_CPU_DEVICES=1
train 0 2 crowded
[ "$status" -eq 69 ] || die "two ranks on a GPU end with $status: $(tail -n 5 crowded.log)"
says crowded '^error: this node has 2 ranks for 1 GPU: start one rank a GPU (mpirun -n 1'
CUDA_VISIBLE_DEVICES='' train 0 1 hidden
[ "$status" -eq 69 ] || die "a run without a GPU ends with $status: $(tail -n 5 hidden.log)"
says hidden '^error: \[parallel\] backend = cuda: no GPU can be used'
echo 'all as it should be'
