#!/bin/sh
# The same bits everywhere: 10 warm-up and 20 GRPO steps of the embedded default on 2 ranks end with
# the committed checksum of the weights, on every vector width of this machine, with 1 and 2 threads;
# the plain loop and a build with the address and undefined-behaviour sanitisers do 1 + 2 steps
# against a second value. A commit that moves a value says why.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
long=282875ce340873b9
short=7c49700066e9d204
clinic_data data/clinic --sessions 120 --test 8
tiny='--set warmup.batch_contexts=4 --set train.batch_contexts=4 --set rollout.group_size=2'
run_bits() {
    name=$1 warmup=$2 steps=$3
    shift 3
    clinic_train 2 "$name" --set warmup.epochs=0 --set warmup.steps="$warmup" \
        --set train.steps="$steps" --set algorithm.kl_coefficient=0.001 --set evaluate.file='' "$@" ||
        die "$name: $(tail -n 5 "$name.log")"
}
for width in avx2 avx512; do
    if ! LEARN2ASK_ISA=$width clinic_train 1 "probe-$width" --set warmup.epochs=0 \
        --set train.steps=1 --set rollout.group_size=1 --set train.batch_contexts=1; then
        echo "$width: skipped, this machine lacks it"
        continue
    fi
    for threads in 1 2; do
        # Two ranks of two threads share two cores here: a thread that waits must not spin.
        OMP_WAIT_POLICY=passive OMP_NUM_THREADS=$threads LEARN2ASK_ISA=$width \
            run_bits "long-$width-$threads" 10 20
        expect_equal "10 + 20 steps, $width, $threads threads" \
            "$(clinic_weights "long-$width-$threads")" "$long"
    done
    # shellcheck disable=SC2086 # one word a setting
    LEARN2ASK_ISA=$width run_bits "short-$width" 1 2 $tiny
    expect_equal "1 + 2 steps, $width" "$(clinic_weights "short-$width")" "$short"
done
# shellcheck disable=SC2086
LEARN2ASK_ISA=plain run_bits short-plain 1 2 $tiny
expect_equal "1 + 2 steps, plain" "$(clinic_weights short-plain)" "$short"

cmake -S "$tree" --preset asan -B "$build/asan" >/dev/null
cmake --build "$build/asan" --target learn2ask >asan.log 2>&1 || die "$(tail -n 20 asan.log)"
build=$build/asan
export ASAN_OPTIONS=detect_leaks=0 # Open MPI's
# shellcheck disable=SC2086
run_bits short-asan 1 2 $tiny
expect_equal "1 + 2 steps, with sanitisers" "$(clinic_weights short-asan)" "$short"
