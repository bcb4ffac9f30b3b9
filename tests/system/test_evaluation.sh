#!/bin/sh
# An evaluation that was killed goes on where it stopped, on any ranks, and ends with the same file;
# one with other settings does not mix with it; a baseline stands beside the model; a served model
# is measured like one of our own.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
# shellcheck source=tests/system/asked.sh
. "$tree/tests/system/asked.sh"
clinic_data data/clinic --sessions 60 --test 60
clinic_train 2 run --set warmup.epochs=0 --set warmup.steps=20 --set train.steps=1 \
    --set evaluate.file='' || die "$(tail -n 5 run.log)"
evaluate() {
    ranks=$1
    shift
    mpirun -n "$ranks" "$build/learn2ask" evaluate "$tree/inputs/clinic.ini" --set model.random=no \
        --set model.path=run --set evaluate.output=out.jsonl --set evaluate.samples=2 "$@" \
        </dev/null
}
table() { sed -n '/^ave_continue_content /,/^left out/p' "$1"; }
server_start 0
evaluate 2 >want.txt || die "$(cat want.txt)"
mv out.jsonl want.jsonl
[ ! -e out.jsonl.part-0 ] || die 'a finished evaluation leaves its journal'
# Slow enough to be killed between two looks at the journal.
slow="--set reward.judge=served --set judge.url=$url --set judge.prompt=judge.txt
    --set judge.name=delay:0.4,verdicts --set judge.in_flight=64"
echo '{info_truth} <format_score> <content_score>' >judge.txt
# shellcheck disable=SC2086 # one word a setting
{
    evaluate 1 $slow >want-slow.txt || die "$(cat want-slow.txt)"
    mv out.jsonl want-slow.jsonl
    evaluate 2 $slow >killed.txt 2>&1 &
    while ! { [ -e out.jsonl.part-0 ] && [ "$(wc -l <out.jsonl.part-0)" -gt 10 ]; }; do sleep 0.1; done
    pkill -9 -f 'judge.name=delay:0.4,verdicts' || true
    wait $! 2>/dev/null || true
    [ ! -e out.jsonl ] || die 'a file before its time'
    evaluate 4 $slow >resumed.txt 2>&1 || die "$(cat resumed.txt)"
}
grep -q '^going on behind [1-9][0-9]* responses' resumed.txt || die "$(cat resumed.txt)"
cmp out.jsonl want-slow.jsonl || die 'the evaluation that went on says other things'
expect_equal 'its table' "$(table resumed.txt)" "$(table want-slow.txt)"

# A journal of another evaluation is set aside.
printf '{"key": "of something else"}\n{"cid": "1_1", "repeat": 0, "response": "x"}\n' >out.jsonl.part-0
evaluate 2 >other.txt 2>&1 || die "$(cat other.txt)"
grep -q 'warning: out.jsonl.part-0 is of another evaluation' other.txt || die "$(cat other.txt)"
[ -e out.jsonl.part-0.orphan ] || die 'what was set aside is gone'
cmp out.jsonl want.jsonl || die 'two evaluations were mixed'

# Nor does one whose prompt was edited in the meantime; what was set aside before stays.
echo 'Ask kindly.' >system.txt
# shellcheck disable=SC2086
{
    evaluate 2 $slow --set data.system_prompt=system.txt >killed.txt 2>&1 &
    while ! { [ -e out.jsonl.part-0 ] && [ "$(wc -l <out.jsonl.part-0)" -gt 10 ]; }; do sleep 0.1; done
    pkill -9 -f 'judge.name=delay:0.4,verdicts' || true
    wait $! 2>/dev/null || true
    echo 'Ask briefly.' >system.txt
    evaluate 2 $slow --set data.system_prompt=system.txt >edited.txt 2>&1 || die "$(cat edited.txt)"
}
grep -q 'warning: out.jsonl.part-0 is of another evaluation' edited.txt || die "$(cat edited.txt)"
[ "$(find . -name "out.jsonl.part-0.orphan*" | wc -l)" -eq 2 ] || die 'what was set aside first is gone'

evaluate 2 --set evaluate.baseline=run/step-000020.h5 >both.txt || die "$(cat both.txt)"
[ "$(wc -l <out.jsonl)" -eq $(($(wc -l <want.jsonl) * 2)) ] || die 'not two lines a response'
grep '^{"model": "run", ' out.jsonl | sed 's/^{"model": "run", /{/' | cmp - want.jsonl ||
    die 'beside a baseline the model says other things'
sed -n '/^side by side/,$p' both.txt | grep -q '^ave_total_reward .*\[.*\[' || die "$(cat both.txt)"

for ranks in 1 2; do
    evaluate $ranks --set policy.url="$url" --set policy.name=questions \
        --set evaluate.output=served.$ranks.jsonl >served.txt 2>&1 || die "$(cat served.txt)"
done
cmp served.1.jsonl served.2.jsonl || die 'a served policy is graded otherwise on 2 ranks'
grep -q '^expert_loss  *n/a' served.txt || die "$(cat served.txt)"

# Requests without a response are counted, left out, and asked again by the next start.
evaluate 2 --set policy.url="$url" --set policy.name=refuses_some \
    --set evaluate.output=some.jsonl >some.txt 2>&1 || die "$(cat some.txt)"
missing=$(grep -c '"failed": true' some.jsonl) || die 'no response is missing'
grep -q "^left out: no grade, no response  *0, $missing " some.txt || die "$missing: $(cat some.txt)"
grep -q "warning: \[policy\] [0-9]* responses are missing, one of them because: HTTP status 400" \
    some.txt || die "$(cat some.txt)"
evaluate 2 --set policy.url="$url" --set policy.name=refuses_some \
    --set evaluate.output=some.jsonl >some.txt 2>&1 || die "$(cat some.txt)"
grep -q '^going on behind [1-9][0-9]* responses' some.txt || die "$(cat some.txt)"
# The same of a judge that does not reply.
outage="--set reward.judge=served --set judge.url=$url --set judge.prompt=judge.txt
    --set judge.name=judges_some"
# shellcheck disable=SC2086
evaluate 2 $outage --set evaluate.output=judged.jsonl >judged.txt 2>&1 || die "$(cat judged.txt)"
lacking=$(grep -c '"unjudged": true' judged.jsonl) || die 'the judge replied to all'
grep -q "^warning: run: $lacking responses lack" judged.txt || die "$lacking: $(cat judged.txt)"
# shellcheck disable=SC2086
evaluate 1 $outage --set evaluate.output=judged.jsonl >judged.txt 2>&1 || die "$(cat judged.txt)"
grep -q "^going on behind $(($(wc -l <judged.jsonl) - lacking)) responses" judged.txt ||
    die "$(cat judged.txt)"
server_stop
expect_status 69 "$build/learn2ask" evaluate "$tree/inputs/clinic.ini" --set policy.url="$url" \
    --set policy.name=x --set policy.retries=0 --set evaluate.output=none.jsonl
[ ! -e none.jsonl ] || die 'a file without responses'
table want.txt
