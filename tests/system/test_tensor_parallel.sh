#!/bin/sh
# Engines of two ranks: a run repeats bit for bit and is the same on any number of engines and in any
# placement; the gap between sampler and learner stays below 1e-5; an evaluation says what whole
# models say; what does not divide is refused.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
# shellcheck source=tests/system/asked.sh
. "$tree/tests/system/asked.sh"
clinic_data data/clinic --sessions 60 --test 6
train() {
    clinic_train "$@" --set warmup.epochs=0 --set warmup.steps=6 --set train.steps=4 \
        --set train.batch_contexts=16 --set rollout.group_size=4 --set evaluate.file='' ||
        die "$2: $(tail -n 5 "$2.log")"
}
two='--set rollout.tensor_parallel=2'
split='--set parallel.placement=split --set parallel.learner_ranks=2'
# The same words from the same weights: those of the first step after the warm-up.
first_words() { grep '"step": 7,' "$1/samples.jsonl" | sed 's/, "advantage".*//'; }
# shellcheck disable=SC2086 # one word a setting
{
    train 2 whole
    train 2 shared $two
    train 2 again $two
    train 4 shared-4 $two
    train 4 split $two $split --set parallel.rollout_ranks=2
    train 6 split-4 $two $split --set parallel.rollout_ranks=4
}
for run in again split split-4; do
    expect_equal "$run" "$(clinic_weights $run)" "$(clinic_weights shared)"
    cmp shared/samples.jsonl $run/samples.jsonl || die "$run says other things"
done
[ "$(clinic_journal again)" = "$(clinic_journal shared)" ] || die 'another journal'
for run in shared shared-4; do
    [ "$(first_words $run)" = "$(first_words whole)" ] || die "$run: other words than whole models"
    sed -n 's/.*"mismatch\/logprob_gap_max":\([^,}]*\).*/\1/p' $run/metrics.jsonl |
        awk -v run=$run '{ if ($1 > most) most = $1; wrong = wrong || $1 >= 1e-5 }
            END { print run ": largest gap " most; exit wrong || most == 0 || NR != 4 }' ||
        die "$run: no gap, or too large a one"
done

evaluate() {
    ranks=$1 out=$2
    shift 2
    mpirun -n "$ranks" "$build/learn2ask" evaluate "$tree/inputs/clinic.ini" --set model.random=no \
        --set model.path=whole --set evaluate.output="$out" --set evaluate.samples=2 "$@" \
        >"$out.log" 2>&1 </dev/null || die "$(tail -n 5 "$out.log")"
    sed -n '/^ave_continue_content /,/^left out/p' "$out.log" >"$out.table"
}
evaluate 1 one
# shellcheck disable=SC2086
{
    evaluate 2 two $two
    evaluate 4 four $two
}
for out in two four; do
    cmp one $out || die "an evaluation with other engines: $out"
    cmp one.table $out.table || die "other scores: $(cat one.table $out.table)"
done

# shellcheck disable=SC2086
expect_status 78 mpirun -n 3 "$build/learn2ask" evaluate "$tree/inputs/clinic.ini" \
    --set model.random=no --set model.path=whole $two
grep -q 'error: \[rollout\] tensor_parallel = 2, but 3 ranks do not divide' status.log ||
    die "$(cat status.log)"
four='--set rollout.tensor_parallel=4' # the model has two key/value heads
# shellcheck disable=SC2086
{
    expect_status 78 "$build/learn2ask" check "$tree/inputs/clinic.ini" $four
    grep -q 'error: \[rollout\] tensor_parallel = 4 must divide the model' status.log ||
        die "$(cat status.log)"
    expect_status 78 mpirun -n 4 "$build/learn2ask" train "$tree/inputs/clinic.ini" $four
    grep -q 'error: \[rollout\] tensor_parallel = 4 must divide the model' status.log ||
        die "$(cat status.log)"
}
# Of an engine on two ranks each takes about half: not less, and embedding and vocabulary besides.
"$build/learn2ask" check "$tree/inputs/clinic.ini" >check.1
# shellcheck disable=SC2086
"$build/learn2ask" check "$tree/inputs/clinic.ini" $two >check.2 2>/dev/null
for part in 'packed weights' 'cached keys and values'; do
    one=$(sed -n "s/ *$part *//p" check.1 | head -n 1) # of one rank
    two=$(sed -n "s/ *$part *//p" check.2 | head -n 1) # of two
    echo "$part: one rank $one, each of two $two"
    awk -v one="${one% MiB}" -v two="${two% MiB}" \
        'BEGIN { exit !(two >= 0.5 * one && two < 0.75 * one) }' || die 'not about half of it'
done
