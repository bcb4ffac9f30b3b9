#!/bin/sh
# Parameters shared by all learner ranks, by groups of two, or whole on each: the same step within
# rounding, the same bits when repeated; keeping gathered units and computing layers again change no
# bit; any of them goes on with the run of another.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 60 --test 6
settings="--set warmup.epochs=0 --set warmup.steps=4 --set train.steps=4 --set checkpoint.every=4
    --set train.batch_contexts=16 --set rollout.group_size=4 --set algorithm.kl_coefficient=0.01
    --set parallel.micro_batch_tokens=1024 --set evaluate.file="
split='--set parallel.placement=split --set parallel.rollout_ranks=1 --set parallel.learner_ranks=4'
train() {
    ranks=$1
    run=$2
    shift 2
    # shellcheck disable=SC2086 # one word a setting
    clinic_train "$ranks" "$run" $settings "$@" || die "$run: $(tail -n 5 "$run.log")"
}
series() { # metric $2 of run $1, step by step
    sed -n "s|.*\"actor/$2\":\\([^,}]*\\).*|\\1|p" "$1/metrics.jsonl"
}
near() { # run $1 against the run `all`: the first four steps, before samples may differ
    for metric in pg_loss grad_norm; do
        series all $metric | head -n 4 >a
        series "$1" $metric | head -n 4 >b
        paste a b | awk '{ d = $1 - $2; d = d < 0 ? -d : d; if (d > 1e-5 * ($1 < 0 ? -$1 : $1)) bad = 1 }
            END { exit bad || NR != 4 }' || die "$1: $metric is not that of one group: $(paste a b)"
    done
}
for group in all 2 1; do
    # shellcheck disable=SC2086
    train 5 $group $split --set parallel.shard_group=$group
    # shellcheck disable=SC2086
    train 5 $group-again $split --set parallel.shard_group=$group \
        --set parallel.reshard_after_forward=no --set parallel.recompute=layer
    expect_equal "shard_group = $group, units kept, layers recomputed" "$(clinic_weights $group-again)" \
        "$(clinic_weights $group)"
    near $group
done
train 4 shared --set parallel.shard_group=2
expect_equal 'shared placement, groups of 2' "$(clinic_weights shared)" "$(clinic_weights 2)"
# A run of one kind, cut back to its first checkpoint, is taken up by another.
for pair in 'all 2' '2 all' '1 2'; do
    # shellcheck disable=SC2086
    set -- $pair
    cp -r "$1" "$1-to-$2"
    rm "$1-to-$2"/step-000008.h5 "$1-to-$2"/LATEST
    # shellcheck disable=SC2086
    train 5 "$1-to-$2" $split --set parallel.shard_group="$2"
    grep -q '^resumed    at step 4' "$1-to-$2.log" || die "$1-to-$2 did not resume"
done
# shellcheck disable=SC2086
! clinic_train 5 three $settings $split --set parallel.shard_group=3 || die 'groups of 3 of 4 ranks'
grep -q 'parallel.shard_group: must divide learner_ranks, 4' three.log || die "$(cat three.log)"
