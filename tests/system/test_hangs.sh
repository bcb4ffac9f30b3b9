#!/bin/sh
# A rank that is stopped, killed, slow, or enters another collective than the others, in each activity of
# each role: the job ends within the deadline and 10 s, with one message that names the rank, and goes on
# from its last checkpoint.
#
#     test_hangs.sh BUILD [all]
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
cases=${2:-some}
clinic_data data/clinic --sessions 24 --test 4
deadline=1
settings="--set warmup.epochs=0 --set warmup.steps=1 --set warmup.batch_contexts=8
    --set train.steps=2 --set train.batch_contexts=8 --set rollout.group_size=2 --set checkpoint.every=1
    --set algorithm.kl_coefficient=0.01 --set judge.max_tokens=8 --set judge.max_prompt_tokens=1500
    --set judge.prompt=judge.txt --set judge.path=judge"
together='--set parallel.placement=shared'
apart='--set parallel.placement=split --set parallel.rollout_ranks=1 --set parallel.grader_ranks=1
    --set reward.judge=model'
echo '{info_truth} <format_score> <content_score>' >judge.txt
# shellcheck disable=SC2086 # one word a setting
clinic_train 2 of-judge $settings --set judge.path= || die "$(tail -n 5 of-judge.log)"
"$build/tools/l2a-convert" of-judge judge --dtype f32 >/dev/null

# RUN RANKS SETTINGS...: with the program that fails on demand.
start() {
    run=$1
    ranks=$2
    shift 2
    # shellcheck disable=SC2086
    mpirun --oversubscribe -n "$ranks" "$build/tests/system/learn2ask_faulty" train \
        "$tree/inputs/clinic.ini" $settings --set run.directory="$run" "$@" >"$run.log" 2>&1 </dev/null
}

tried=0
absent=0
wrong=0
# Of some cases the first that goes wrong ends the test; of all of them they are counted.
complain() {
    [ "$cases" = all ] || die "$*"
    echo "error: $*" >&2
    wrong=$((wrong + 1))
}
# PLACEMENT RANKS KIND RANK ACTIVITY MOMENT
try() {
    tried=$((tried + 1))
    placement=$1
    kind=$3
    culprit=$4
    name="$placement, $2 ranks: $kind in rank $4, $5, $6"
    case $placement in
    shared) where=$together ;;
    split) where="$apart --set parallel.learner_ranks=$(($2 - 2))" ;;
    esac
    run=run-$tried
    status=0
    began=$(date +%s%3N)
    # shellcheck disable=SC2086
    FAULT=$kind,$culprit,$5,$6 start "$run" "$2" $where --set parallel.deadline=$deadline || status=$?
    ended=$(date +%s%3N)
    if [ "$status" -eq 0 ]; then # that rank does no such thing
        [ "$cases" = all ] || die "$name: nothing happened"
        absent=$((absent + 1))
        return
    fi
    struck=$(sed -n "s/^rank $culprit: \(stop\|kill\|slow\|barrier\) in .*/\1/p" "$run.log")
    [ -n "$struck" ] || complain "$name: ended before: $(grep -A3 '^error' "$run.log")"
    verdict=$(grep '^error:' "$run.log" || true)
    case $kind in
    kill) # mpirun may be faster
        echo "$verdict" | grep -q "^error: rank $culprit " ||
            grep -q "process rank $culprit with PID .* exited on signal 9" "$run.log" ||
            complain "$name: $(tail -n 12 "$run.log")"
        ;;
    mismatch) # of two that differ either may be the one that is at fault
        echo "$verdict" | grep -q "rank $culprit ([^)]*) entered the barrier" ||
            complain "$name: $verdict"
        ;;
    *)
        echo "$verdict" | grep -q "^error: rank $culprit (" || complain "$name: $verdict"
        ;;
    esac
    [ "$kind" = kill ] || [ "$(echo "$verdict" | wc -l)" -eq 1 ] || complain "$name: $verdict"
    # What a start takes is in it.
    [ $((ended - began)) -le $((deadline * 1000 + 10000 + 10000)) ] || complain "$name: $((ended - began)) ms"
    echo "$((ended - began)) ms  $name"
    ! pgrep -f "run.directory=$run\$" >/dev/null || complain "$name: a process is left"
}

goes_on() { # the run of the last case, as an undisturbed one
    # shellcheck disable=SC2086
    start "$run" 3 $where || die "$name: cannot go on: $(tail -n 5 "$run.log")"
    expect_equal "$name: weights at the end" "$(clinic_weights "$run")" "$whole"
}
start whole 3 || die "$(tail -n 5 whole.log)"
whole=$(clinic_weights whole)

# A job that is suspended as a whole, for longer than anybody waits, goes on.
start suspended 3 --set train.steps=60 --set parallel.deadline=$deadline &
job=$!
until [ -s suspended/metrics.jsonl ]; do sleep 0.1; done
ranks=$(pgrep -P "$(pgrep -P $job)")
# shellcheck disable=SC2086
kill -STOP $ranks
sleep $((3 * deadline))
# shellcheck disable=SC2086
kill -CONT $ranks
wait $job || die "suspended: $(grep '^error' suspended.log)"

if [ "$cases" = all ]; then
    while read -r activity; do
        for ranks in 3 4; do
            for culprit in $(seq 0 $((ranks - 1))); do
                for placement in shared split; do
                    for kind in stop slow kill; do
                        try "$placement" "$ranks" "$kind" "$culprit" "$activity" 1
                        try "$placement" "$ranks" "$kind" "$culprit" "$activity" sign
                    done
                    try "$placement" "$ranks" mismatch "$culprit" "$activity" 1
                done
            done
        done
    done <<END
sampling
judging
forward pass
vocabulary and loss
backward pass
optimizer step
scoring by the reference
publishing
end of a step
copying a checkpoint
scoring the experts
END
    echo "$tried cases, of which $absent do not come about"
    [ $absent -lt $((tried / 2)) ] || die 'too few of them'
    [ $wrong -eq 0 ] || die "$wrong cases went wrong"
    exit 0
fi

try shared 3 stop 1 sampling sign
try shared 3 kill 2 sampling sign
try shared 4 slow 3 'backward pass' sign
try shared 3 stop 0 'end of a step' 1
goes_on
try shared 3 mismatch 2 publishing 1
try shared 4 mismatch 1 'backward pass' 1
try shared 3 slow 0 judging 1
try shared 4 stop 2 'scoring the experts' sign
try shared 3 kill 1 'copying a checkpoint' 1
goes_on
try shared 3 stop 2 'optimizer step' sign
try shared 4 kill 0 'vocabulary and loss' sign
try shared 3 mismatch 0 'end of a step' 1

try split 3 stop 0 sampling sign
try split 3 slow 0 publishing 1
try split 4 kill 0 judging 1
try split 4 mismatch 0 judging 1
try split 3 stop 1 judging sign
try split 3 slow 1 judging 1
try split 4 kill 1 judging sign
try split 4 mismatch 1 publishing 1
try split 3 stop 2 'forward pass' sign
try split 4 slow 3 'optimizer step' 1
try split 3 kill 2 publishing 1
try split 4 mismatch 2 'end of a step' 1
