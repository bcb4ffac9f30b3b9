#!/bin/sh
# Models of our own that are asked, on engines of two ranks: a judge on the ranks that sample, whose
# engines are smaller or larger, and on ranks of its own; an extractor; a proposer. All of them say
# what whole models say.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
# shellcheck source=tests/system/asked.sh
. "$tree/tests/system/asked.sh"
clinic_data data/clinic --sessions 60 --test 6
echo 'Facts: {info_truth} <format_score> <content_score>' >judge.txt
asked_model verdicts --set train.steps=120
train() {
    clinic_train "$@" --set warmup.epochs=0 --set warmup.steps=6 --set train.steps=2 \
        --set train.batch_contexts=16 --set rollout.group_size=4 --set evaluate.file='' ||
        die "$2: $(tail -n 5 "$2.log")"
}
two='--set rollout.tensor_parallel=2'
judge_two='--set judge.tensor_parallel=2'
split='--set parallel.placement=split --set parallel.learner_ranks=2'
own='--set reward.judge=model --set judge.path=hf-verdicts --set judge.max_tokens=100
    --set judge.max_prompt_tokens=1500 --set judge.prompt=judge.txt'
# shellcheck disable=SC2086
{
    train 2 judged $own
    train 2 judged-two $own $judge_two
    train 4 judged-split $own $judge_two $split --set parallel.rollout_ranks=2
    train 5 judged-apart $own $judge_two $split --set parallel.rollout_ranks=1 \
        --set parallel.grader_ranks=2
    train 2 both $own $two
    train 6 both-apart $own $two $judge_two $split --set parallel.rollout_ranks=2 \
        --set parallel.grader_ranks=2
}
for run in judged-two judged-split judged-apart; do
    expect_equal "$run" "$(clinic_weights $run)" "$(clinic_weights judged)"
    cmp judged/samples.jsonl $run/samples.jsonl || die "$run grades otherwise"
done
expect_equal 'both, apart' "$(clinic_weights both-apart)" "$(clinic_weights both)"
grep -q '"graded": true.*"verdict": ' both/samples.jsonl || die 'no verdict was of use'
for count in questions attempts unusable; do
    counts=$(grep -ho "\"grading/$count\":[0-9]*" judged/metrics.jsonl)
    [ "$counts" = "$(grep -ho "\"grading/$count\":[0-9]*" judged-two/metrics.jsonl)" ] ||
        die "other numbers of $count"
done


evaluate() {
    ranks=$1 out=$2
    shift 2
    mpirun -n "$ranks" "$build/learn2ask" evaluate "$tree/inputs/clinic.ini" --set model.random=no \
        --set model.path=judged --set evaluate.output="$out" --set evaluate.samples=2 "$@" \
        >"$out.log" 2>&1 </dev/null || die "$(tail -n 5 "$out.log")"
    sed -n '/^ave_continue_content /,/^left out/p' "$out.log" >"$out.table"
}
# shellcheck disable=SC2086
{
    evaluate 1 one $own
    evaluate 2 two $own $judge_two
    evaluate 4 four $own $judge_two
    evaluate 4 all $own $judge_two $two
}
for out in two four all; do
    cmp one $out || die "an evaluation with other engines: $out"
    cmp one.table $out.table || die "other scores: $(cat one.table $out.table)"
done

asked_model lists
echo 'List facts.' >extract.txt
cat >own.ini <<'INI'
[prepare]
input = data/clinic/train_origin.jsonl
output = out.jsonl
extractor = model
[extractor]
prompt = extract.txt
path = hf-lists
max_tokens = 100
max_prompt_tokens = 1500
INI
for ranks in 1 2 4; do
    mpirun -n $ranks "$build/learn2ask" prepare own.ini --set prepare.output=$ranks.jsonl \
        --set extractor.tensor_parallel=$((ranks > 1 ? 2 : 1)) >prepare.log 2>&1 ||
        die "$(tail -n 5 prepare.log)"
    grep '^questions asked' prepare.log | sed 's/,[^,]*$//' >$ranks.counts
    cmp 1.jsonl $ranks.jsonl || die "an extractor on $ranks ranks says other things"
    cmp 1.counts $ranks.counts || die "asked otherwise: $(cat ./*.counts)"
    find . -name "$ranks.jsonl.extract-*" | wc -l >>journals
done
[ "$(tr '\n' ' ' <journals)" = '1 1 2 ' ] || die "journals: $(cat journals)"

mkdir prompts
for name in a b; do echo "$name: list facts." >prompts/$name.txt; done
echo '{"remaining_chat": [{"role": "assistant", "content": "Fever?"}], "info_set": ["symptom: cough"]}' \
    >labels.jsonl
for ranks in 1 2 4; do
    tensor=$((ranks > 1 ? 2 : 1))
    mpirun -n $ranks "$build/learn2ask" calibrate own.ini --set calibrate.target=extractor \
        --set calibrate.labels=labels.jsonl --set calibrate.candidates=prompts \
        --set calibrate.proposals=2 --set calibrate.proposer=model --set proposer.path=hf-lists \
        --set proposer.prompt=prompts/a.txt --set proposer.max_tokens=100 \
        --set proposer.max_prompt_tokens=1500 \
        --set calibrate.output=chosen.txt --set extractor.tensor_parallel=$tensor \
        --set proposer.tensor_parallel=$tensor >calibrate.log 2>&1 || die "$(tail -n 5 calibrate.log)"
    cat chosen.txt chosen.txt.* >$ranks.chosen
    cmp 1.chosen $ranks.chosen || die "a calibration on $ranks ranks ends otherwise"
done
[ "$(wc -l <chosen.txt.scores.jsonl)" -gt 2 ] || die "nothing was proposed: $(cat calibrate.log)"

# shellcheck disable=SC2086
expect_status 78 mpirun -n 3 "$build/learn2ask" evaluate "$tree/inputs/clinic.ini" \
    --set model.random=no --set model.path=judged $own $judge_two
grep -q 'error: \[judge\] tensor_parallel = 2, but 3 ranks do not divide' status.log ||
    die "$(cat status.log)"
# shellcheck disable=SC2086
expect_status 78 "$build/learn2ask" check "$tree/inputs/clinic.ini" $own \
    --set judge.tensor_parallel=4
grep -q 'error: \[judge\]: tensor_parallel = 4 must divide the model' status.log ||
    die "$(cat status.log)"
# shellcheck disable=SC2086
expect_status 78 "$build/learn2ask" check "$tree/inputs/clinic.ini" $own \
    --set judge.max_prompt_tokens=4096
grep -q 'hf-verdicts has 2048 positions, but max_prompt_tokens + max_tokens are 4196' status.log ||
    die "$(cat status.log)"
