#!/bin/sh
# A job that loses a rank ends, and the same command goes on to the bits of an undisturbed one; another
# number of ranks may go on with a run; a damaged newest checkpoint is named and the one before it used;
# evaluating in the loop leaves the training bits as they are. (test_kills.sh kills at random moments.)
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 60 --test 6
settings="--set warmup.epochs=0 --set warmup.steps=12 --set train.steps=12 --set checkpoint.every=4
    --set train.batch_contexts=16 --set rollout.group_size=4 --set algorithm.kl_coefficient=0.01"
train() {
    ranks=$1
    run=$2
    shift 2
    # shellcheck disable=SC2086 # one word a setting
    clinic_train "$ranks" "$run" $settings "$@"
}
train 2 whole --set evaluate.file='' || die "$(tail -n 5 whole.log)"
whole=$(clinic_weights whole)

# One rank is killed: the launcher ends the others, none stays behind, and the same command goes on.
train 2 lost --set evaluate.file='' &
job=$!
until [ -s lost/metrics.jsonl ]; do
    kill -0 $job 2>/dev/null || die "ended before its first step: $(tail -n 5 lost.log)"
    sleep 0.1
done
ranks=$(pgrep -P "$(pgrep -P $job)")
kill -9 "${ranks%%[!0-9]*}" || die 'no rank to kill'
status=0
wait $job || status=$?
[ $status -ne 0 ] || die 'a job that lost a rank ended with status 0'
for rank in $ranks; do # mpirun kills them as it ends
    waits=50
    while kill -0 "$rank" 2>/dev/null; do
        waits=$((waits - 1))
        [ $waits -gt 0 ] || die 'a rank outlived its job'
        sleep 0.1
    done
done
echo "status of a job that lost a rank: $status"
train 2 lost --set evaluate.file='' || die "$(tail -n 5 lost.log)"
expect_equal 'after a lost rank' "$(clinic_weights lost)" "$whole"

train 2 watched --set evaluate.every=3 || die "$(tail -n 5 watched.log)"
expect_equal 'evaluated every 3 steps' "$(clinic_weights watched)" "$whole"

cp -r whole damaged
newest=damaged/step-000024.h5
size=$(stat -c %s "$newest")
printf 'X' | dd of="$newest" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
train 2 damaged --set evaluate.file='' || die "$(tail -n 5 damaged.log)"
grep -q 'step-000024.h5' damaged.log || die "the damaged checkpoint is not named: $(cat damaged.log)"
expect_equal 'from the checkpoint before a damaged one' "$(clinic_weights damaged)" "$whole"

cp -r whole more
rm more/step-000024.h5 more/LATEST
train 4 more --set evaluate.file='' || die "$(tail -n 5 more.log)"
grep -q 'resumed' more.log || die 'four ranks did not resume what two began'
echo "four ranks went on with a run of two: $(clinic_weights more)"

# A directory in the place of the last checkpoint: it cannot be written, however often it is tried.
# The first start saves the steps before it, the second nothing.
cp -r whole blocked
rm blocked/step-000024.h5
mkdir blocked/step-000024.h5
for expected in 73 76; do
    status=0
    train 2 blocked --set evaluate.file='' --set checkpoint.every=1 || status=$?
    expect_equal 'exit status without the last checkpoint' "$status" $expected
done
grep -q '^error: steps 24 to 24 are in no checkpoint; .* from step 23 on: cannot rename' blocked.log ||
    die "$(tail -n 5 blocked.log)"
rmdir blocked/step-000024.h5
train 2 blocked --set evaluate.file='' --set checkpoint.every=1 || die "$(tail -n 5 blocked.log)"
expect_equal 'after room was made' "$(clinic_weights blocked)" "$whole"
