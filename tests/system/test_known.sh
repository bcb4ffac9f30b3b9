#!/bin/sh
# The known configurations pass `check` against models of their shapes, in seconds and without
# weights; from_trinity.py makes such a file from the settings of the published run.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 60 --test 6
model() {
    mkdir -p "models/$1"
    cp data/clinic/model/tokenizer*.json "models/$1"
    cat >"models/$1/config.json" <<JSON
{"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu",
 "hidden_size": $2, "num_hidden_layers": $3, "num_attention_heads": $4, "num_key_value_heads": $5,
 "intermediate_size": $6, "vocab_size": 152064, "max_position_embeddings": 32768,
 "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "tie_word_embeddings": false,
 "initializer_range": 0.02, "use_sliding_window": false}
JSON
}
model Qwen2.5-7B-Instruct 3584 28 28 4 18944
model Qwen2.5-32B-Instruct 5120 64 40 8 27648
mkdir data/realmedconv
cp data/clinic/train_samples.jsonl data/realmedconv/train.jsonl
cp data/clinic/test_samples.jsonl data/realmedconv/test.jsonl
cp data/clinic/train_origin.jsonl data/realmedconv/
ln -s "$tree/inputs" inputs
since=$(date +%s)
for size in 7b 32b; do
    "$build/learn2ask" check inputs/realmedconv-$size.ini >$size.txt 2>&1 || die "$(cat $size.txt)"
    grep -q 'no fault found' $size.txt || die "$(cat $size.txt)"
done
[ $(($(date +%s) - since)) -lt 20 ] || die 'check takes too long'
grep -q 'Qwen2ForCausalLM, 7615.62 M parameters' 7b.txt || die "$(cat 7b.txt)"
grep -q 'Qwen2ForCausalLM, 32763.88 M parameters' 32b.txt || die "$(cat 32b.txt)"
grep -q '^prepare  *548 rounds of data/realmedconv/train_origin.jsonl, [0-9]* of them without facts, which' 7b.txt || die "$(cat 7b.txt)"
grep -q '^judge  *models/Qwen2.5-32B-Instruct' 7b.txt || die "$(cat 7b.txt)"
grep -q 'each of 2 grader ranks: [0-9]* MiB' 7b.txt || die "$(cat 7b.txt)"
cat 7b.txt

python3 -c 'import yaml' 2>/dev/null || exit 77
cat >train.yaml <<'YAML'
mode: both
name: ask
checkpoint_root_dir: runs
algorithm: {algorithm_type: grpo, repeat_times: 5, kl_loss_fn: k2, advantage_fn: grpo,
            optimizer: {lr: 5.0e-7}}
model: {model_path: models/Qwen2.5-7B-Instruct, max_prompt_tokens: 2048, max_response_tokens: 1024}
cluster: {node_num: 1, gpu_per_node: 8}
buffer:
  batch_size: 64
  total_epochs: 4
  explorer_input:
    taskset:
      path: data/realmedconv/train.jsonl
      rollout_args: {temperature: 1.0}
      workflow_args: {train_mode: Ra+Rs, fusion_mode: default}
  trainer_input: {experience_buffer: {replay_buffer: {enable: true, priority_fn: linear_decay}}}
explorer:
  rollout_model: {engine_num: 4, tensor_parallel_size: 1, dtype: bfloat16, seed: 42}
  auxiliary_models:
    - {model_path: models/Qwen2.5-32B-Instruct, engine_num: 1, tensor_parallel_size: 2,
       max_response_tokens: 1024, max_prompt_tokens: 2048}
trainer: {trainer_type: verl, save_interval: 90, grad_clip: 1.0, max_token_len_per_gpu: 4096}
synchronizer: {sync_method: nccl, sync_interval: 10}
YAML
python3 "$tree/tools/from_trinity.py" train.yaml >made.ini 2>left.txt || die "$(cat left.txt)"
grep -q '^no equivalent: .*replay_buffer.enable = True' left.txt || die "$(cat left.txt)"
[ "$(grep -c '^;   ' made.ini)" -eq "$(wc -l <left.txt)" ] || die 'the two lists differ'
"$build/learn2ask" check made.ini >made.txt 2>&1 || die "$(cat made.txt)"
for line in 'rollout_ranks = 4' 'grader_ranks = 2' 'learner_ranks = 2' 'learning_rate = 5e-7' \
    'sync_interval = 10' 'tensor_parallel = 2' 'batch_contexts = 64' 'group_size = 5' 'judge = model' 'mode = Ra+Rs'; do
    grep -qx "$line" made.ini || die "no '$line' in $(cat made.ini)"
done
