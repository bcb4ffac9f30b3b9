#!/bin/sh
# A full disk costs a run its checkpoints, not its steps: each interval warns and tries again, journal
# lines wait, and once there is room the run ends with the bits and the journal of an undisturbed one.
# Where there is room for none to the end, the next start has it.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 60 --test 6
train() {
    run=$1
    shift
    clinic_train 2 "$run" --set warmup.epochs=0 --set warmup.steps=6 --set train.steps=12 \
        --set checkpoint.every=3 --set train.batch_contexts=16 --set rollout.group_size=4 \
        --set algorithm.kl_coefficient=0.01 --set evaluate.file= "$@"
}
train_full() {
    mkdir "$1"
    touch "$1/FULL"
    LD_PRELOAD="$build/tests/system/libfull_disk.so" FULL_DISK=FULL train "$1"
}
train whole || die "$(tail -n 5 whole.log)"

touch full.log
train_full full &
job=$!
until [ "$(grep -c '^warning: no checkpoint at step' full.log)" -ge 2 ]; do
    kill -0 $job 2>/dev/null || die "ended too early: $(tail -n 5 full.log)"
    sleep 0.05
done
rm full/FULL
wait $job || die "$(tail -n 5 full.log)"
expect_equal 'weights after room was made' "$(clinic_weights full)" "$(clinic_weights whole)"
[ "$(clinic_journal full)" = "$(clinic_journal whole)" ] || die 'another journal'
expect_equal 'lines of samples' "$(wc -l <full/samples.jsonl)" "$(wc -l <whole/samples.jsonl)"
grep '^warning: cannot append to full/.*: No space .*; the run goes on, and its lines wait' full.log ||
    die "no line had to wait: $(cat full.log)"

status=0
train_full never || status=$?
expect_equal 'status without any room' $status 76
expect_equal 'warnings' "$(grep -c '^warning: no checkpoint at step' never.log)" 9
grep '^error: steps 1 to 18 are in no checkpoint; .* from step 0 on: cannot append to never/metrics' \
    never.log || die "$(tail -n 5 never.log)"
rm never/FULL
train never || die "$(tail -n 5 never.log)"
expect_equal 'weights of the next start' "$(clinic_weights never)" "$(clinic_weights whole)"
