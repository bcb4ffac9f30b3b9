#!/bin/sh
# A judge of our own, on the rollout ranks or on grader ranks, and a served one: the same grades on
# any ranks; verdicts of no use leave their responses out; without a judge a run ends and keeps its
# checkpoint.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
# shellcheck source=tests/system/asked.sh
. "$tree/tests/system/asked.sh"
clinic_data data/clinic --sessions 60 --test 6
echo 'Facts: {info_truth} <format_score> <content_score>' >judge.txt
asked_model verdicts --set train.steps=120
train() {
    clinic_train "$@" --set warmup.epochs=0 --set warmup.steps=6 --set train.steps=4 \
        --set train.batch_contexts=16 --set rollout.group_size=4 --set evaluate.file='' \
        --set judge.prompt=judge.txt || die "$2: $(tail -n 5 "$2.log")"
}
own='--set reward.judge=model --set judge.path=hf-verdicts --set judge.max_tokens=100 --set judge.max_prompt_tokens=1500'
split='--set parallel.placement=split --set parallel.learner_ranks=2'
# shellcheck disable=SC2086 # one word a setting
{
    train 2 own-shared $own
    train 4 own-split $own $split --set parallel.rollout_ranks=2
    train 4 own-grader $own $split --set parallel.rollout_ranks=1 --set parallel.grader_ranks=1
    train 5 own-graders $own $split --set parallel.rollout_ranks=1 --set parallel.grader_ranks=2
}
for run in own-split own-grader own-graders; do
    expect_equal "$run" "$(clinic_weights $run)" "$(clinic_weights own-shared)"
    cmp own-shared/samples.jsonl $run/samples.jsonl || die "$run grades otherwise"
done
grep -q '"graded": true.*"verdict": ' own-shared/samples.jsonl || die 'no verdict was of use'
grep -q '"graded": false, "decision": 1.*"verdict": .*"advantage": 0}' own-shared/samples.jsonl ||
    die 'all verdicts were of use'
grep -q '"grading/unusable":[1-9]' own-shared/metrics.jsonl || die 'nothing unusable was counted'
grep -q '"group/grader/idle":0\.[0-9]' own-grader/metrics.jsonl || die 'no idle share'

server_start 0
served="--set reward.judge=served --set judge.url=$url --set judge.name=verdicts
    --set judge.backoff=0.01 --set judge.retries=1"
# shellcheck disable=SC2086
{
    train 1 served-1 $served --set train.batch_contexts=16
    train 4 served-4 $served
}
# Another number of learners sums in another order: the first samples are the same, then drift.
grep '"step": 7,' served-1/samples.jsonl | sed 's/, "advantage".*//' >one
grep '"step": 7,' served-4/samples.jsonl | sed 's/, "advantage".*//' >four
cmp one four || die 'a served judge grades otherwise on other ranks'
evaluate() {
    ranks=$1 out=$2
    shift 2
    mpirun -n "$ranks" "$build/learn2ask" evaluate "$tree/inputs/clinic.ini" --set model.random=no \
        --set model.path=own-shared --set evaluate.output="$out" --set evaluate.samples=2 \
        --set judge.prompt=judge.txt "$@" >"$out.log" 2>&1 </dev/null || die "$(tail -n 5 "$out.log")"
}
for ranks in 1 2 4; do
    # shellcheck disable=SC2086
    evaluate $ranks own.$ranks.jsonl $own
    # shellcheck disable=SC2086
    evaluate $ranks served.$ranks.jsonl $served
done
for ranks in 2 4; do
    cmp own.1.jsonl own.$ranks.jsonl || die "own judge, $ranks ranks"
    cmp served.1.jsonl served.$ranks.jsonl || die "served judge, $ranks ranks"
done
grep -q '"graded": false' served.1.jsonl || die 'all verdicts were of use'
# The reference's way: what has no verdict scores 0.
# shellcheck disable=SC2086
evaluate 2 zero.jsonl $served --set reward.unusable_is_zero=yes
if grep -q '"graded": false' zero.jsonl; then die 'unusable_is_zero leaves some out'; fi

# The judge goes away between two checkpoints: the steps that were done are kept.
# shellcheck disable=SC2086
clinic_train 2 cut $served --set judge.name=delay:0.2,verdicts --set warmup.epochs=0 \
    --set warmup.steps=3 --set train.steps=200 --set train.batch_contexts=8 \
    --set evaluate.file='' --set judge.prompt=judge.txt &
while ! grep -qs '^step [5-9]/' cut.log; do sleep 0.1; done
server_stop
status=0
wait $! || status=$?
[ "$status" -eq 69 ] || die "without its judge a run ends with $status: $(tail -n 5 cut.log)"
last=$(sed -n 's,^step \([0-9]*\)/.*,\1,p' cut.log | tail -n 1)
[ -e "$(printf 'cut/step-%06d.h5' "$last")" ] || die "step $last is lost: $(ls cut)"

status=0
# shellcheck disable=SC2086
clinic_train 2 lost $served --set warmup.epochs=0 --set warmup.steps=3 --set train.steps=2 \
    --set evaluate.file='' --set judge.prompt=judge.txt || status=$?
[ "$status" -eq 69 ] || die "without its judge a run ends with $status: $(tail -n 5 lost.log)"
grep -q 'error: the judge answered none of' lost.log || die "$(tail -n 5 lost.log)"
[ -e lost/step-000003.h5 ] || die 'the checkpoint before is gone'
