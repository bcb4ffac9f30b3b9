#!/bin/sh
# Neither the placement nor the number of rollout ranks nor the size of the caches shows in the
# result: with two learners, `split` 2 + 2 and 1 + 2 end with the bits of `shared` 2. The gap between
# sampler and learner reads 0 on every step.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 60 --test 6
settings="--set warmup.epochs=0 --set warmup.steps=6 --set train.steps=6
    --set train.batch_contexts=16 --set rollout.group_size=4 --set algorithm.kl_coefficient=0.01"
train() {
    # shellcheck disable=SC2086 # one word a setting
    clinic_train "$@" $settings || die "$2: $(tail -n 5 "$2.log")"
}
split='--set parallel.placement=split --set parallel.learner_ranks=2'
train 2 shared
# shellcheck disable=SC2086
train 4 split-2 $split --set parallel.rollout_ranks=2
# shellcheck disable=SC2086
train 3 split-1 $split --set parallel.rollout_ranks=1
train 2 small-caches --set rollout.cache_tokens=1024
for run in split-2 split-1 small-caches; do
    expect_equal "$run" "$(clinic_weights $run)" "$(clinic_weights shared)"
    cmp shared/samples.jsonl $run/samples.jsonl || die "$run says other things"
done
for run in shared split-1; do
    grep -q '^cores      .* ranks of 1 thread on ' $run/log.txt || die "$run: its log tells no cores"
done
gaps=$(grep -ho '"mismatch/logprob_gap_max":[^,}]*' ./*/metrics.jsonl | sort -u)
expect_equal 'gaps between sampler and learner' "$gaps" '"mismatch/logprob_gap_max":0'
