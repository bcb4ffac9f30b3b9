#!/bin/sh
# Workflow react: without tools the bits of direct; with tools the same on any ranks, what tools
# return unscored, and sampler and learner still the same to the bit.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
# shellcheck source=tests/system/asked.sh
. "$tree/tests/system/asked.sh"
clinic_data data/clinic --sessions 60 --test 6
echo 'Answer now.' >summary.txt
echo '{"title": "cough", "text": "ask for sputum"}' >knowledge.jsonl
cat >tools.json <<'JSON'
[{"name": "echo", "description": "Says it.", "parameters": {}, "command": ["cat"]},
 {"name": "find", "description": "Finds it.", "parameters": {}, "lookup": "knowledge.jsonl"}]
JSON
# The policy learns to call tools with the message that will declare them.
printf '%s' '# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{"type": "function", "function": {"name": "echo", "description": "Says it.", "parameters": {}}}
{"type": "function", "function": {"name": "find", "description": "Finds it.", "parameters": {}}}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>' >declared.txt
asked_model calls --set data.system_prompt=declared.txt
train() {
    clinic_train "$@" --set warmup.epochs=0 --set train.steps=4 --set train.batch_contexts=16 \
        --set rollout.group_size=4 --set evaluate.file='' --set algorithm.kl_coefficient=0.01 ||
        die "$2: $(tail -n 5 "$2.log")"
}
train 2 direct
train 2 react --set rollout.workflow=react
expect_equal 'no tools' "$(clinic_weights react)" "$(clinic_weights direct)"
cmp direct/samples.jsonl react/samples.jsonl || die 'react without tools says other things'

tools='--set model.random=no --set model.path=hf-calls --set rollout.workflow=react
    --set react.tools=tools.json --set react.summary_prompt=summary.txt --set react.max_iterations=2
    --set react.max_observation_tokens=64 --set rollout.max_response_tokens=60'
split='--set parallel.placement=split --set parallel.learner_ranks=2'
# shellcheck disable=SC2086 # one word a setting
{
    train 2 tools $tools
    train 4 tools-split $tools $split --set parallel.rollout_ranks=2
    train 2 tools-small $tools --set rollout.cache_tokens=4096
    train 2 tools-tensor $tools --set rollout.tensor_parallel=2
}
for run in tools-split tools-small; do
    expect_equal "$run" "$(clinic_weights $run)" "$(clinic_weights tools)"
    cmp tools/samples.jsonl $run/samples.jsonl || die "$run says other things"
done
# An engine of two ranks runs a tool once; later steps differ by rounding.
for run in tools tools-tensor; do
    grep '"step": 1,' $run/samples.jsonl | sed 's/, "advantage".*//' >$run.first
    sed -n '1s/.*\("tools\/calls":[0-9]*\).*/\1/p' $run/metrics.jsonl >>$run.first
done
cmp tools.first tools-tensor.first || die 'an engine of two ranks says other things'
# Marks alone exceed the smallest limit: what does not fit is left out, and nothing hangs.
python3 - calls.jsonl >many.jsonl <<'PYTHON'
import json, sys
for line in open(sys.argv[1]):
    sample = json.loads(line)
    sample["remaining_chat"][0]["content"] = "<tool_call></tool_call>" * 18
    print(json.dumps(sample))
PYTHON
clinic_train 2 of-many --set data.train=many.jsonl --set data.system_prompt=declared.txt \
    --set algorithm.name=sft --set warmup.epochs=0 --set train.steps=60 --set evaluate.file='' \
    --set optimizer.learning_rate=5e-3 --set rollout.max_response_tokens=500 ||
    die "$(tail -n 5 of-many.log)"
# shellcheck disable=SC2086
train 2 many $tools --set model.path=of-many --set react.max_observation_tokens=16 \
    --set react.max_iterations=1 --set rollout.max_response_tokens=300
grep -qF '</tool_call><tool_call></tool_call><tool_call></tool_call>' many/samples.jsonl ||
    die 'no reply of many calls'
gaps=$(grep -ho '"mismatch/logprob_gap_max":[^,}]*' tools/metrics.jsonl | sort -u)
expect_equal 'gaps between sampler and learner' "$gaps" '"mismatch/logprob_gap_max":0'
grep -qF '<tool_response>\n{\"a\": 1}\n</tool_response>' tools/samples.jsonl || die 'no tool ran'
grep -qF '<tool_response>\nerror: a tool call must be' tools/samples.jsonl || die 'no broken call'
grep -q '"earlier": "<tool_call>.*Answer now\.' tools/samples.jsonl || die 'no summary'
grep -q '"tools/calls":[1-9]' tools/metrics.jsonl || die 'no calls were counted'
expect_status 78 "$build/learn2ask" check "$tree/inputs/clinic.ini" --set rollout.workflow=react \
    --set react.tools=missing.json --set react.summary_prompt=summary.txt
grep -q 'missing.json' status.log || die "$(cat status.log)"
