#!/bin/sh
# Asked to stop - by USR1, by TERM, by a file STOP - a run saves its state, ends with status 75 and,
# started again, with the bits of an undisturbed one, every evaluation done once; USR2 only saves. A
# second TERM ends it at once. A start that gains nothing ends with 76 where the next would not either.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 60 --test 6
train() {
    run=$1
    shift
    clinic_train 2 "$run" --set warmup.epochs=0 --set warmup.steps=8 --set train.steps=4 \
        --set train.batch_contexts=16 --set checkpoint.every=0 --set evaluate.every=2 \
        --set evaluate.contexts=8 "$@"
}

# Starts RUN in the background and waits for its `count`-th step in this start; its ranks and their
# launcher are then in $ranks and $launcher.
begin() {
    run=$1
    count=$2
    shift 2
    rm -f "$run.log"
    train "$run" "$@" &
    job=$!
    until [ "$(grep -c '^step' "$run.log" 2>/dev/null)" -ge "$count" ]; do
        kill -0 $job 2>/dev/null || die "ended too early: $(tail -n 5 "$run.log")"
        sleep 0.02
    done
    ranks=$(pgrep -f "learn2ask train .*run.directory=$run ")
    launcher=$(pgrep -o -f "mpirun .*run.directory=$run ")
    ranks=$(echo "$ranks" | grep -v "^$launcher\$")
}

expect_status() {
    status=0
    wait "$job" || status=$?
    expect_equal "status of $1" "$status" "$2"
}

# Evaluations by step, each once: how the journal has them in the end.
evaluations() {
    sed -n 's/.*"step":\([0-9]*\),.*"val\/ave_total_reward":\([0-9.]*\).*/\1 \2/p' "$1/metrics.jsonl"
}

finish() {
    train "$1" || die "$(tail -n 5 "$1.log")"
    grep -q '^resumed' "$1.log" || die "$1 began anew"
    expect_equal "weights of $1" "$(clinic_weights "$1")" "$whole"
    expect_equal "evaluations of $1" "$(evaluations "$1" | tr '\n' ' ')" \
        "$(evaluations whole | tr '\n' ' ')"
}

train whole || die "$(tail -n 5 whole.log)"
whole=$(clinic_weights whole)
[ "$(evaluations whole | wc -l)" -eq 7 ] || die "not 7 evaluations: $(evaluations whole)"

begin saves 2
kill -USR2 "$launcher"
expect_status 'a run that was sent USR2' 0
expect_equal 'its weights' "$(clinic_weights saves)" "$whole"
saved=$(sed -n 's/^checkpoint step \([0-9]*\),.*/\1/p' saves.log | tr '\n' ' ')
case $saved in
[2-7]' 8 12 ') echo "its checkpoints: $saved" ;;
*) die "not one checkpoint more before step 8: $saved" ;;
esac

begin stops 3
kill -USR1 "$launcher"
expect_status 'a run that was sent USR1' 75
grep '^stopped at step [3-8] of 12: signal USR1$' stops.log || die "$(tail -n 5 stops.log)"
finish stops

# TERM comes behind the line of an odd step: before the evaluation that the next one would end with, or
# in the middle of it, which is seldom; then it has come too late, and another run is begun.
tries=0
while
    begin hurries 1
    # shellcheck disable=SC2086 # one word a process
    while kill -STOP $ranks || die "ended too early: $(tail -n 5 hurries.log)"; do
        done=$(sed -n 's/^step \([0-9]*\).*/\1/p' hurries/log.txt | tail -n 1)
        [ $((${done:-0} % 2)) -eq 0 ] || break
        kill -CONT $ranks
        sleep 0.02
    done
    # shellcheck disable=SC2086
    kill -TERM $ranks && kill -CONT $ranks
    expect_status 'a run that was sent TERM' 75
    grep '^stopped at step [0-9]* of 12: signal TERM$' hurries.log || die "$(tail -n 5 hurries.log)"
    step=$(sed -n 's/^stopped at step \([0-9]*\) .*/\1/p' hurries.log)
    grep "^evaluation at step $step:" hurries.log
do
    tries=$((tries + 1))
    [ $tries -lt 6 ] || die 'it was evaluated in a hurry'
    rm -r hurries
done
finish hurries

begin ends 1 --set warmup.batch_contexts=256
# shellcheck disable=SC2086
for pause in 0.1 0; do
    kill -TERM $ranks
    sleep $pause
done
expect_status 'a run that was sent TERM twice' 143
! grep '^stopped' ends.log || die 'it ended in good order'

begin file 2
touch file/STOP
expect_status 'a run that found STOP' 75
grep '^stopped at step [2-8] of 12: file/STOP is there$' file.log || die "$(tail -n 5 file.log)"
train file &
job=$!
expect_status 'the next start' 76
grep '^error: file/STOP was there before the first step: remove it' file.log ||
    die "$(tail -n 5 file.log)"
rm file/STOP
finish file

for expected in 75 76; do
    train short --set run.max_hours=0.01 &
    job=$!
    expect_status 'a start with no time for a step' $expected
    grep '^wall time  0:00:3[0-6] left, by run.max_hours$' short.log || die "$(cat short.log)"
    grep '^stopped at step 0 of 12: run.max_hours leaves 0:00:3[0-6], the next evaluation' short.log ||
        die "$(tail -n 5 short.log)"
done
grep '^error: 2 starts in a row were stopped at step 0 ' short.log || die "$(tail -n 5 short.log)"
train short || die "$(tail -n 5 short.log)"
expect_equal 'weights with time enough' "$(clinic_weights short)" "$whole"
