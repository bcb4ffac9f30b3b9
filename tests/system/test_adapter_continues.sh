#!/bin/sh
# A run goes on from the adapter of another one, of its checkpoint or of a PEFT directory: it starts
# with the first run's last weights, KL to them is 0 before its first update, a restart off a
# checkpoint's step ends with the same bits even if the first run has gone on meanwhile, and what does
# not agree with the adapter or its base is refused.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 60 --test 6
clinic_train 2 full --set warmup.epochs=0 --set warmup.steps=60 --set train.steps=1 \
    --set evaluate.file='' || die "$(tail -n 5 full.log)"
"$build/tools/l2a-convert" --dtype f32 full base >/dev/null

train() {
    ranks=$1
    run=$2
    shift 2
    clinic_train "$ranks" "$run" --set model.random=no --set checkpoint.every=4 \
        --set train.batch_contexts=16 --set rollout.group_size=4 "$@"
}
begin() {
    train "$@" --set model.path=base --set adapter.rank=8 --set adapter.alpha=16 \
        --set adapter.targets=q_proj,v_proj,down_proj --set algorithm.name=sft \
        --set warmup.epochs=0 --set optimizer.learning_rate=1e-2
}
onward='--set warmup.epochs=0 --set train.steps=12 --set algorithm.kl_coefficient=0.01'
go_on() {
    # shellcheck disable=SC2086 # one word a setting
    train "$@" $onward
}
# Values of NAME in the journal of a run, one a line.
journal() {
    grep -o "\"$2\":[^,}]*" "$1/metrics.jsonl" | sed 's/.*://'
}
check() {
    file=$1-checked.txt
    shift
    # shellcheck disable=SC2086
    "$build/learn2ask" check "$tree/inputs/clinic.ini" --set run.directory=none \
        --set model.random=no $onward "$@" >"$file" 2>&1 || die "$(cat "$file")"
}
refused() {
    expected=$1
    message=$2
    run=$4
    status=0
    shift 2
    "$@" || status=$?
    expect_equal "status of '$*'" "$status" "$expected"
    grep -q "$message" "$run.log" || die "no '$message' in: $(cat "$run.log")"
    rm -r "$run" 2>/dev/null || true
}

begin 2 first --set train.steps=12 || die "$(tail -n 5 first.log)"
go_on 2 next --set model.path=first || die "$(tail -n 5 next.log)"
grep -q '^adapter    rank 8, alpha 16, .*: q_proj,v_proj,down_proj; that of .*step-000012.h5' next.log ||
    die "the log does not say which adapter goes on: $(head -n 9 next.log)"

# The new run starts where the first one ended, and is held to that.
expect_equal 'log-probability of what experts said' \
    "$(journal next val/expert_loss | head -n 1)" "$(journal first val/expert_loss | tail -n 1)"
[ "$(journal next val/expert_loss | head -n 1)" != "$(journal first val/expert_loss | head -n 1)" ] ||
    die 'the first run learned nothing'
expect_equal 'gaps between sampler and learner' "$(journal next mismatch/logprob_gap_max | sort -u)" 0
expect_equal 'KL before the first update' "$(journal next actor/kl | head -n 1)" 0
journal next actor/kl | awk 'NR > 1 && $1 > 0 { n++ } END { exit n != NR - 1 }' ||
    die "KL stays: $(journal next actor/kl)"
[ -e next/reference.h5 ] || die 'the adapter that the run went on from is not kept'

# The PEFT directory of the same adapter is the same start, and the same model.
"$build/tools/l2a-convert" --adapter first peft >/dev/null
go_on 2 peft-next --set model.path=peft || die "$(tail -n 5 peft-next.log)"
expect_equal 'from the PEFT directory' "$(clinic_weights peft-next)" "$(clinic_weights next)"
[ "$(clinic_journal peft-next)" = "$(clinic_journal next)" ] || die 'another journal'
evaluate() {
    "$build/learn2ask" evaluate "$tree/inputs/clinic.ini" --set model.random=no \
        --set model.path="$1" 2>&1 | grep '^\(ave\|win\|expert\)_\|^error'
}
evaluate first >first.txt
evaluate peft >peft.txt
grep -q '^expert_loss' peft.txt || die 'the PEFT directory was not evaluated'
cmp first.txt peft.txt || die 'the PEFT directory is another model'

# Stated again in the settings, and placed otherwise.
go_on 3 apart --set model.path=first/step-000012.h5 --set adapter.rank=8 --set adapter.alpha=16 \
    --set adapter.targets=down_proj,q_proj,v_proj --set parallel.placement=split \
    --set parallel.learner_ranks=2 --set parallel.rollout_ranks=1 || die "$(tail -n 5 apart.log)"
expect_equal 'split 1 + 2' "$(clinic_weights apart)" "$(clinic_weights next)"

# Behind a warm-up the reference is what that leaves.
go_on 2 warmed --set model.path=first --set warmup.steps=2 || die "$(tail -n 5 warmed.log)"
expect_equal 'KL behind a warm-up' "$(journal warmed actor/kl | head -n 1)" 0

# One rank is killed between two checkpoints; the first run goes on before the second is taken up.
kill_between() {
    killed=$2
    go_on "$1" "$killed" --set model.path=source &
    job=$!
    until [ -e "$killed/step-000004.h5" ]; do
        kill -0 $job 2>/dev/null || die "ended too early: $(cat "$killed.log")"
        sleep 0.02
    done
    kill -9 "$(pgrep -n -f "learn2ask train .*run.directory=$killed ")" || die 'no rank to kill'
    ! wait $job || die 'a job that lost a rank ended with status 0'
    [ ! -e "$killed/step-000012.h5" ] || die 'killed too late'
}
taken_up() {
    go_on "$1" "$2" --set model.path=source || die "$(tail -n 5 "$2.log")"
    grep -q 'resumed    at step [48] ' "$2.log" || die "not resumed: $(cat "$2.log")"
    expect_equal "killed on $1 and taken up" "$(clinic_weights "$2")" "$(clinic_weights "$3")"
    [ "$(clinic_journal "$2")" = "$(clinic_journal "$3")" ] || die 'another journal'
}
go_on 1 alone --set model.path=first || die "$(tail -n 5 alone.log)"
cp -r first source
kill_between 1 killed-1-$$
kill_between 2 killed-2-$$
begin 2 source --set train.steps=14 --set run.accept_changes=yes || die "$(tail -n 5 source.log)"
taken_up 1 killed-1-$$ alone
taken_up 2 killed-2-$$ next

# `check` tells a new adapter from one that goes on, and counts the frozen copy.
check next --set model.path=first
grep -q '^reference  a frozen copy of the adapter that \[model\] path names' next-checked.txt ||
    die "$(cat next-checked.txt)"
grep -q "^base .*/base; .* checksum $(sed -n 's/^base .* checksum //p' next.log)" next-checked.txt ||
    die "the base is not named: $(cat next-checked.txt)"
check new --set model.path=base --set adapter.rank=8 --set adapter.alpha=16 \
    --set adapter.targets=q_proj,v_proj,down_proj
grep -q '^reference  the base alone' new-checked.txt || die "$(cat new-checked.txt)"
reference() {
    sed -n 's/^ *reference *\([0-9.]*\) MiB/\1/p' "$1-checked.txt" | head -n 1
}
expect_equal 'memory of the base alone as reference' "$(reference new)" ''
[ -n "$(reference next)" ] || die 'the frozen adapter takes no memory'

# What does not agree.
refused 78 'holds an adapter of rank 8, alpha 16, .* wants one of rank 4, alpha 32' \
    go_on 2 other --set model.path=first --set adapter.rank=4
refused 78 'is trained already' go_on 2 random --set model.path=first --set model.random=yes
refused 78 'is trained already' go_on 2 random --set model.path=peft --set model.random=yes
mv base moved
refused 66 'path = first: the base that its checkpoint names' go_on 2 baseless --set model.path=first
refused 66 'path = peft: the base that its adapter_config.json names' \
    go_on 2 baseless --set model.path=peft
"$build/tools/l2a-convert" full base >/dev/null # in bf16: other weights
refused 65 'its adapter was trained beside other weights' go_on 2 otherwise --set model.path=first
