#!/bin/sh
# calibrate chooses the prompt that agrees with the labels, and the same one on any ranks: of a
# judge, of an extractor with proposals, and of a policy.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
# shellcheck source=tests/system/asked.sh
. "$tree/tests/system/asked.sh"
clinic_data data/clinic --sessions 60 --test 6
mkdir judges extractors policies
for name in a b c d; do
    echo "$name: {info_truth} <format_score> <content_score>" >judges/$name.txt
    echo "$name: list facts." >extractors/$name.txt
    echo "$name: ask." >policies/$name.txt
done
calibrate() {
    ranks=$1
    shift
    mpirun -n "$ranks" "$build/learn2ask" calibrate "$@" --set calibrate.output=chosen.txt \
        >calibrate.log 2>&1 </dev/null || die "$(tail -n 5 calibrate.log)"
}
# Calibrates on 1, 2 and 4 ranks; the results are the same.
everywhere() {
    name=$1
    shift
    for ranks in 1 2 4; do
        calibrate $ranks "$@"
        cat chosen.txt chosen.txt.scores.jsonl >"$ranks.result"
        cmp 1.result "$ranks.result" || die "$name: $ranks ranks choose otherwise"
    done
    [ "$(grep -c '"chosen": true' chosen.txt.scores.jsonl)" -eq 1 ] || die "$name: none chosen"
}
server_start 0
python3 - data/clinic/train_samples.jsonl >judged.jsonl <<'PYTHON'
import json, sys
for line in open(sys.argv[1]):
    sample = json.loads(line)
    print(json.dumps({"messages": sample["messages"], "info_truth": sample["info_truth"],
                      "response": "Do you cough?", "content": 0.5, "format": 1}))
PYTHON
judge="--set reward.judge=served --set judge.url=$url --set calibrate.labels=judged.jsonl
    --set calibrate.candidates=judges"
printf '' >empty.ini
# shellcheck disable=SC2086 # one word a setting
everywhere judge empty.ini $judge --set judge.name=verdicts
# The fixed verdict is the label of every example: full marks, and the first name wins.
# shellcheck disable=SC2086
calibrate 2 empty.ini $judge \
    --set judge.name='fixed:<format_score>1</format_score><content_score>0.5</content_score>'
grep -q '"judges/a.txt", .*"score": 1, .*"content_error": 0, .*"chosen": true' \
    chosen.txt.scores.jsonl || die "$(cat chosen.txt.scores.jsonl)"
cmp chosen.txt judges/a.txt || die 'another prompt was written'
[ "$(grep -c 'content_error": 0, "format_error": 0, ' chosen.txt.scores.jsonl)" -eq 4 ] ||
    die 'errors where there are none'

echo '{"remaining_chat": [{"role": "assistant", "content": "Fever?"}], "info_set": ["symptom: a"]}' \
    >extracted.jsonl
everywhere extractor empty.ini --set calibrate.target=extractor --set prepare.extractor=served \
    --set extractor.url="$url" --set extractor.name="fixed:['symptom: a']" \
    --set calibrate.labels=extracted.jsonl --set calibrate.candidates=extractors \
    --set calibrate.proposals=2 --set calibrate.proposer=served --set proposer.url="$url" \
    --set proposer.name='fixed:Other words.' --set proposer.prompt=policies/a.txt
grep -q '"chosen.txt.proposal-001.txt", .*"score": 1,' chosen.txt.scores.jsonl ||
    die "$(cat chosen.txt.scores.jsonl)"
server_stop

clinic_train 2 run --set warmup.epochs=0 --set warmup.steps=20 --set train.steps=1 \
    --set evaluate.file='' || die "$(tail -n 5 run.log)"
everywhere policy "$tree/inputs/clinic.ini" --set model.random=no --set model.path=run \
    --set calibrate.target=policy --set calibrate.labels=data/clinic/test_samples.jsonl \
    --set calibrate.candidates=policies
cat calibrate.log
expect_status 66 "$build/learn2ask" calibrate "$tree/inputs/clinic.ini" --set model.random=no \
    --set model.path=run --set calibrate.target=policy --set calibrate.candidates=none \
    --set calibrate.labels=data/clinic/test_samples.jsonl --set calibrate.output=x.txt
[ ! -e x.txt ] || die 'a prompt without candidates'
