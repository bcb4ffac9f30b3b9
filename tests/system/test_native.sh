#!/bin/sh
# model.products = native: a run repeats its bits on any threads and placement, its sampler is its
# learner, and its first step is that of exact products up to bf16's rounding. Where the machine has
# no such products the run is refused.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 60 --test 6
settings="--set warmup.epochs=0 --set warmup.steps=2 --set train.steps=6 --set train.batch_contexts=12
    --set rollout.group_size=4 --set evaluate.file= --set algorithm.kl_coefficient=0.01
    --set model.compute=bf16"
train() {
    ranks=$1
    run=$2
    shift 2
    # shellcheck disable=SC2086 # one word a setting
    clinic_train "$ranks" "$run" $settings "$@"
}
# Two ranks, the first of a machine of another type.
train_mixed() {
    run=$1
    command="$build/learn2ask train $tree/inputs/clinic.ini --set run.directory=$run $settings
        --set model.products=native"
    # shellcheck disable=SC2086
    mpirun -n 1 env LEARN2ASK_ISA=avx512_bf16 $command : -n 1 $command >"$run.log" 2>&1 </dev/null
}
refused() { # status, message, train, its ranks, its run, its settings
    wanted=$1 message=$2 status=0
    shift 2
    "$@" || status=$?
    expect_equal 'exit status' "$status" "$wanted"
    grep -q "$message" "$3.log" || die "no '$message': $(cat "$3.log")"
}
refused 78 'native needs model.compute = bf16' \
    train 1 wide --set model.products=native --set model.compute=f32
if ! grep -q avx512_bf16 /proc/cpuinfo; then
    refused 69 'this machine has no dot products of bf16' train 2 lacking --set model.products=native
    exit 0
fi
train 2 first --set model.products=native || die "$(tail -n 5 first.log)"
train 2 bounded --set model.products=native --set parallel.memory=2 || die "$(tail -n 5 bounded.log)"
train 2 exact || die "$(tail -n 5 exact.log)"
OMP_WAIT_POLICY=passive OMP_NUM_THREADS=2 train 2 threads --set model.products=native ||
    die "$(tail -n 5 threads.log)"
expect_equal 'two threads' "$(clinic_weights threads)" "$(clinic_weights first)"
train 3 apart --set model.products=native --set parallel.placement=split \
    --set parallel.learner_ranks=2 --set parallel.rollout_ranks=1 || die "$(tail -n 5 apart.log)"
expect_equal 'split 1 + 2' "$(clinic_weights apart)" "$(clinic_weights first)"
[ "$(clinic_weights exact)" != "$(clinic_weights first)" ] || die 'the setting has no effect'
# The bits of another type of machine can be had on this one, and a run that goes on with them says so.
if "$build/learn2ask" --version --verbose | grep -q 'native amx_bf16$'; then
    LEARN2ASK_ISA=avx512_bf16 train 2 dots --set model.products=native || die "$(tail -n 5 dots.log)"
    [ "$(clinic_weights dots)" != "$(clinic_weights first)" ] || die 'LEARN2ASK_ISA has no effect'
    train_mixed mixed || die "$(tail -n 5 mixed.log)"
    expect_equal 'ranks of two types' "$(clinic_weights mixed)" "$(clinic_weights dots)"
    train 2 dots --set model.products=native || die "$(tail -n 5 dots.log)"
    grep -q '^changed    products from avx512_bf16 to amx_bf16, which round otherwise$' dots.log ||
        die "other products are not told: $(cat dots.log)"
fi
gaps=$(grep -o '"mismatch/logprob_gap_max":[^,}]*' first/metrics.jsonl | cut -d: -f2 | sort -u)
expect_equal 'gaps between sampler and learner' "$gaps" 0
norm() {
    sed -n '1s/.*"actor\/grad_norm":\([0-9.e+-]*\).*/\1/p' "$1/metrics.jsonl"
}
echo "gradient norm of the first step: exact $(norm exact), native $(norm first)"
awk -v a="$(norm exact)" -v b="$(norm first)" \
    'BEGIN { d = b / a - 1; exit !(d < 0.02 && d > -0.02) }' || die 'that is another step'
train 2 first --set model.products=native || die "$(tail -n 5 first.log)"
grep -q '^resumed ' first.log || die 'the second start is no restart'
! grep -q '^changed ' first.log || die 'the same products are told as changed'
