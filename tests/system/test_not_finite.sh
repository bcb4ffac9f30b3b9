#!/bin/sh
# Gradients that are not finite, out of a judge's scores that no float can hold: a run stops and keeps
# the batch, or skips such updates, or goes back to its last checkpoint, as train.not_finite says.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
# shellcheck source=tests/system/asked.sh
. "$tree/tests/system/asked.sh"
clinic_data data/clinic --sessions 60 --test 6
echo 'Facts: {info_truth} <format_score> <content_score>' >judge.txt
settings="--set warmup.epochs=0 --set warmup.steps=30 --set train.steps=3 --set train.batch_contexts=16
    --set rollout.group_size=4 --set evaluate.file= --set checkpoint.every=10"
server_start 0
score() { printf '<format_score>1</format_score><content_score>%s</content_score>' "$1"; }
judge() { # a served judge that gives everything the content score $1
    printf ' --set reward.judge=served --set judge.url=%s --set judge.prompt=judge.txt' "$url"
    printf ' --set reward.unusable_is_zero=yes --set judge.name=fixed:%s' "$(score "$1")"
}
train() {
    # shellcheck disable=SC2086 # one word a setting
    clinic_train 2 "$@" $settings
}
train still --set optimizer.learning_rate=0 || die "$(tail -n 5 still.log)"
for policy in skip roll_back; do
    # shellcheck disable=SC2046
    train $policy $(judge 1e300) --set train.not_finite=$policy || die "$(tail -n 5 $policy.log)"
    expect_equal "weights after $policy" "$(clinic_weights $policy)" "$(clinic_weights still)"
done
grep -q '"actor/skipped_updates":1' skip/metrics.jsonl || die 'nothing was skipped'
grep -q 'those of step 30 again' roll_back.log || die "no word of going back: $(cat roll_back.log)"
status=0
# shellcheck disable=SC2046
train stop $(judge 1e300) || status=$?
expect_equal 'status of a run that stops' $status 70
grep -q "^error: the gradient's norm is not finite" stop.log || die "$(tail -n 5 stop.log)"
kept=$(grep -c '"advantages": \[' stop/not-finite-000031.jsonl)
[ "$kept" -ge 64 ] || die "the batch was not kept: $(ls stop)"
python3 -c 'import json, sys; [json.loads(line) for line in open(sys.argv[1])]' \
    stop/not-finite-000031.jsonl
# The same command with a sound judge goes on from the last checkpoint.
# shellcheck disable=SC2046
train stop $(judge 1) --set run.accept_changes=yes || die "$(tail -n 5 stop.log)"
grep -q '^resumed    at step 30' stop.log || die 'not resumed'
server_stop
