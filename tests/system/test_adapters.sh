#!/bin/sh
# Low-rank adapters in whole runs beside a frozen model: the gap between sampler and learner reads 0,
# the loss falls, checkpoints hold the adapter alone, runs stopped or on other ranks end with the
# same bits as undisturbed ones, another base is refused, evaluations find the base, and a merged
# model is the same model.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 60 --test 6
clinic_train 2 full --set warmup.epochs=0 --set warmup.steps=60 --set train.steps=1 \
    --set evaluate.file='' || die "$(tail -n 5 full.log)"
"$build/tools/l2a-convert" --dtype f32 full base >/dev/null

settings="--set model.random=no --set model.path=base --set adapter.rank=8 --set warmup.epochs=0
    --set warmup.steps=12 --set warmup.learning_rate=1e-2 --set train.steps=12
    --set checkpoint.every=4 --set checkpoint.keep_last=9 --set train.batch_contexts=16 --set rollout.group_size=4
    --set algorithm.kl_coefficient=0.01 --set evaluate.file="
train() {
    ranks=$1
    run=$2
    shift 2
    # shellcheck disable=SC2086 # one word a setting
    clinic_train "$ranks" "$run" $settings "$@"
}
refused() {
    expected=$1
    status=0
    shift
    "$@" >refused.log 2>&1 </dev/null || status=$?
    expect_equal "status of '$*'" "$status" "$expected"
}
evaluate() {
    "$build/learn2ask" evaluate "$tree/inputs/clinic.ini" --set model.random=no \
        --set model.path="$1" 2>/dev/null | sed -n 's/^expert_loss *\([0-9.]*\).*/\1/p'
}

train 2 whole || die "$(tail -n 5 whole.log)"
whole=$(clinic_weights whole)
sed -n 's/^step .* sft loss \([0-9.]*\) .*/\1/p' whole.log |
    awk 'NR == 1 { first = $1 } { last = $1 }
        END { print "sft loss", first, last; exit !(last < first - 0.02) }' ||
    die 'the adapter learns nothing'

# Placement, and a bare base as the reference of a run without a warm-up.
split='--set parallel.placement=split --set parallel.learner_ranks'
# shellcheck disable=SC2086
train 3 split $split=2 --set parallel.rollout_ranks=1 || die "$(tail -n 5 split.log)"
expect_equal 'split 1 + 2' "$(clinic_weights split)" "$whole"
train 1 one --set warmup.steps=0 || die "$(tail -n 5 one.log)"
# shellcheck disable=SC2086
train 2 apart $split=1 --set parallel.rollout_ranks=1 --set warmup.steps=0 ||
    die "$(tail -n 5 apart.log)"
expect_equal 'split 1 + 1' "$(clinic_weights apart)" "$(clinic_weights one)"
[ ! -e one/reference.h5 ] || die 'the base as reference was written again'
train 4 four --set model.compute=bf16 || die "$(tail -n 5 four.log)"
gaps=$(grep -ho '"mismatch/logprob_gap_max":[^,}]*' ./*/metrics.jsonl | sort -u)
expect_equal 'gaps between sampler and learner' "$gaps" '"mismatch/logprob_gap_max":0'

# Stopped in the warm-up and in the main stage, and taken up.
for step in 8 16; do
    cp -r whole "stopped-$step"
    for later in 12 16 20 24; do
        [ $later -le $step ] || rm -f "stopped-$step/step-0000$later.h5"
    done
    rm "stopped-$step/LATEST"
    [ $step -gt 12 ] || rm -f "stopped-$step/reference.h5"
    train 2 "stopped-$step" || die "$(tail -n 5 "stopped-$step.log")"
    grep -q "resumed    at step $step " "stopped-$step.log" || die "not resumed at step $step"
    expect_equal "taken up at step $step" "$(clinic_weights "stopped-$step")" "$whole"
    [ "$(clinic_journal "stopped-$step")" = "$(clinic_journal whole)" ] || die 'another journal'
done
cp -r whole more
rm more/step-000024.h5 more/LATEST
train 4 more || die "$(tail -n 5 more.log)"
grep -q resumed more.log || die 'four ranks did not resume what two began'

# A checkpoint is small, and only fits its own base and its own shape.
awk -v a="$(stat -c %s whole/step-000024.h5)" -v f="$(stat -c %s full/step-000061.h5)" \
    'BEGIN { exit !(2 * a < f) }' || die 'checkpoints of an adapter are not small'
"$build/tools/l2a-convert" full other >/dev/null # in bf16: other weights
cp -r more elsewhere
refused 65 train 2 elsewhere --set model.path=other --set run.accept_changes=yes
grep -q 'trained beside the weights of .*/base with the checksum' elsewhere.log ||
    die "another base is not named: $(cat elsewhere.log)"
refused 78 train 2 elsewhere --set adapter.alpha=8
grep -q 'with other values: adapter.alpha from 32 to 8;' elsewhere.log || die "$(cat elsewhere.log)"

# Evaluated beside its base and merged with it; moved and wrong bases.
beside=$(evaluate whole)
"$build/tools/l2a-convert" --dtype f32 whole merged >/dev/null
merged=$(evaluate merged)
echo "expert loss $(evaluate base) of the base, $beside with the adapter, $merged merged"
awk -v a="$beside" -v b="$merged" -v c="$(evaluate base)" \
    'BEGIN { exit !(a - b < 2e-4 && b - a < 2e-4 && a < c) }' || die 'the merged model differs'
mv base moved
refused 66 "$build/learn2ask" evaluate "$tree/inputs/clinic.ini" --set model.random=no \
    --set model.path=whole
refused 66 "$build/tools/l2a-convert" whole again
"$build/tools/l2a-convert" --dtype f32 --base moved whole again >/dev/null
cmp merged/model.safetensors again/model.safetensors || die 'another base directory, other bytes'
refused 65 "$build/tools/l2a-convert" --base other whole refused
refused 65 "$build/tools/l2a-convert" --adapter full refused
refused 64 "$build/tools/l2a-convert" --adapter --base moved whole refused
[ ! -e refused ] || die 'something was written all the same'
"$build/tools/l2a-convert" --adapter whole peft >/dev/null
for file in adapter_config.json adapter_model.safetensors; do
    [ -s peft/$file ] || die "PEFT would not find $file"
done
