#!/bin/sh
# Asynchrony is exact: for staleness and sync_interval (k, I) a run gives the same bits when it is
# repeated, with any placement, and when it is killed off a multiple of I and started again; the
# metrics tell the age of the weights that sampled, and with learning rate 0 nothing drifts.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 60 --test 6
settings="--set warmup.epochs=0 --set warmup.steps=4 --set train.steps=13 --set checkpoint.every=1
    --set train.batch_contexts=12 --set rollout.group_size=4 --set algorithm.kl_coefficient=0.01
    --set evaluate.every=7"
split='--set parallel.placement=split --set parallel.learner_ranks=1 --set parallel.rollout_ranks=1'
train() {
    ranks=$1
    run=$2
    shift 2
    # shellcheck disable=SC2086 # one word a setting
    clinic_train "$ranks" "$run" $settings "$@"
}

ages() { # the ages of the sampling weights of a run, step by step
    grep -o '"policy/staleness":[0-9]*' "$1/metrics.jsonl" | cut -d: -f2 | tr '\n' ' '
}

expect_ages() { # of run $1 with k = $2 and I = $3: s - I floor(max(0, s - k) / I)
    expected=$(awk -v k="$2" -v i="$3" 'BEGIN { for (s = 0; s < 13; s++) {
        t = s > k ? s - k : 0; printf "%d ", s - i * int(t / i) } }')
    expect_equal "ages of $1" "$(ages "$1")" "$expected"
}

stop_at() { # starts run $1 with the rest and stops it in good order after step $2
    run=$1
    step=$2
    shift 2
    rm -rf "$run"
    train 2 "$run" "$@" &
    job=$!
    until [ -f "$run/metrics.jsonl" ] && [ "$(wc -l <"$run/metrics.jsonl")" -ge "$step" ]; do
        kill -0 $job 2>/dev/null || die "$run ended early: $(tail -n 5 "$run.log")"
        sleep 0.05
    done
    pkill -9 -f "run.directory=$run " || true
    wait $job || true
}

for versions in '0 1 f32' '1 1 f32' '2 1 f32' '0 10 f32' '0 3 bf16'; do
    # shellcheck disable=SC2086
    set -- $versions
    name=k$1-i$2
    these="--set train.staleness=$1 --set train.sync_interval=$2 --set model.compute=$3"
    # shellcheck disable=SC2086
    train 2 "$name" $these $split || die "$name: $(tail -n 5 "$name.log")"
    expect_ages "$name" "$1" "$2"
    # shellcheck disable=SC2086
    train 1 "$name-shared" $these || die "$name-shared: $(tail -n 5 "$name-shared.log")"
    expect_equal "$name on one shared rank" "$(clinic_weights "$name-shared")" \
        "$(clinic_weights "$name")"
    cmp "$name/samples.jsonl" "$name-shared/samples.jsonl" || die "$name says other things"
    # shellcheck disable=SC2086
    stop_at "$name-killed" 9 $these $split # the start, four of sft: within the main stage
    # shellcheck disable=SC2086
    train 2 "$name-killed" $these $split || die "$name-killed: $(tail -n 5 "$name-killed.log")"
    grep -q '^resumed' "$name-killed.log" || die "$name was not resumed"
    expect_equal "$name, killed and resumed" "$(clinic_weights "$name-killed")" \
        "$(clinic_weights "$name")"
    [ "$(clinic_journal "$name-killed")" = "$(clinic_journal "$name")" ] || die "another journal"
done
[ "$(clinic_weights k1-i1)" != "$(clinic_weights k0-i1)" ] || die 'staleness has no effect'

# shellcheck disable=SC2086
train 2 still $split --set train.staleness=1 --set optimizer.learning_rate=0 || die "$(tail still.log)"
drifts=$(grep -ho '"policy/drift_max":[^,}]*' still/metrics.jsonl | sort -u)
expect_equal 'drift without learning' "$drifts" '"policy/drift_max":0'
grep -q '"policy/drift_max":[1-9]' k1-i1/metrics.jsonl ||
    grep -q '"policy/drift_max":0\.0*[1-9]' k1-i1/metrics.jsonl || die 'no drift while learning'
