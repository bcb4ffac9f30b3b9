#!/bin/sh
# Every algorithm learns the clinic, made small: after a short warm-up of sft, twenty steps raise the
# reward (dpo: the share of pairs it tells right, and the reward of what it then says is told). A
# longer form, with more steps: test_algorithms.sh BUILD STEPS.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
steps=${2:-20}
clinic_data data/clinic --sessions 120 --test 16
common="--set warmup.epochs=0 --set train.batch_contexts=32 --set rollout.group_size=8
    --set checkpoint.every=0 --set evaluate.samples=4"
# shellcheck disable=SC2086 # one word a setting
clinic_train 2 warm $common --set warmup.steps=60 --set train.steps=1 \
    --set optimizer.learning_rate=1e-9 || die "warm-up: $(tail -n 5 warm.log)"

reward() { # of evaluation $2 (start, final) of run $1
    sed -n 's/.*"ave_total_reward": *\[\([0-9.]*\),.*/\1/p' "$1/evaluation-$2.json"
}

for name in grpo dr_grpo dapo gspo cispo rloo reinforce++ opmd dpo; do
    rate=1e-3
    more=
    case $name in
    opmd) rate=1e-3 ;;
    gspo) more='--set algorithm.clip_low=0.05 --set algorithm.clip_high=0.05' ;;
    dapo) more='--set algorithm.replacements=2' ;;
    dpo) more='--set algorithm.rejected=sampled --set algorithm.dpo_beta=0.2' ;;
    esac
    # shellcheck disable=SC2086
    clinic_train 2 "$name" $common $more --set model.path=warm --set model.random=no \
        --set algorithm.name="$name" --set train.steps="$steps" \
        --set optimizer.learning_rate=$rate || die "$name: $(tail -n 5 "$name.log")"
    before=$(reward "$name" start)
    after=$(reward "$name" final)
    echo "$name: reward $before before, $after after $steps steps"
    awk "BEGIN { exit !($after > $before + 0.05) }" || die "$name raised no reward"
    ! grep -q '"mismatch/logprob_gap_max":\([^0]\|0[^,}]\)' "$name/metrics.jsonl" ||
        die "$name: the sampler is not the learner"
done
grep -q '"sampling/replaced_contexts":[1-9]' dapo/metrics.jsonl || die 'dapo replaced nothing'
grep -q '"reward/flat_groups":[1-9]' dapo/metrics.jsonl || die 'dapo hides its flat groups'
grep -o '"dpo/accuracy":[0-9.]*' dpo/metrics.jsonl | tail -n 1
