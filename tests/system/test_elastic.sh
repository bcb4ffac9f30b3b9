#!/bin/sh
# A run goes on with any ranks, any split of roles, any engines and any sharding: it finds the same
# weights to the bit, moments that take the next steps the same way, and the very responses that were
# sampled ahead; and what such a start writes, the first layout takes up again.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 16 --test 4
train() { # RANKS RUN [settings]
    ranks=$1
    run=$2
    shift 2
    clinic_train "$ranks" "$run" --set warmup.epochs=0 --set warmup.steps=4 --set train.steps=4 \
        --set checkpoint.every=1 --set checkpoint.keep_last=9 --set train.batch_contexts=8 \
        --set warmup.batch_contexts=8 --set rollout.group_size=4 --set train.staleness=2 \
        --set algorithm.kl_coefficient=0.01 --set evaluate.file= "$@" || die "$(tail -n 5 "$run.log")"
}
# NAME at every step of a run's journal, in this order.
journal() {
    sed -n 's|.*"'"$2"'":\([^,}]*\).*|\1|p' "$1/metrics.jsonl"
}
# The run whole as it was at a step.
cut_at() {
    rm -rf "$2"
    cp -r whole "$2"
    rm "$2/LATEST"
    for later in 1 2 3 4 5 6 7 8; do
        [ $later -le "$1" ] || rm "$2/step-00000$later.h5"
    done
    [ "$1" -gt 4 ] || rm "$2/reference.h5"
}
near() { # what, two files of numbers
    paste "$2" "$3" | awk '{ d = $1 - $2; if (d < 0) d = -d; s = $1 < 0 ? -$1 : $1
            if (!(d <= 1e-4 * s + 1e-6)) bad = 1 } END { exit bad || NR == 0 }' ||
        die "$1: $(tr '\n' ' ' <"$2") is not $(tr '\n' ' ' <"$3")"
}
train 2 whole
journal whole actor/pg_loss | head -n 4 >whole.loss
journal whole critic/rewards/mean >whole.reward # of the last 4 steps
go_on() { # NAME RANKS [settings]
    name=$1
    ranks=$2
    shift 2
    cp -r whole "at-end-$name"
    train "$ranks" "at-end-$name" "$@"
    expect_equal "$name: weights" "$(clinic_weights "at-end-$name")" "$(clinic_weights whole)"
    cut_at 2 "at-2-$name"
    train "$ranks" "at-2-$name" "$@"
    journal "at-2-$name" actor/pg_loss | head -n 4 >loss
    near "$name: loss of steps 3 and 4" loss whole.loss
    cut_at 6 "at-6-$name"
    train "$ranks" "at-6-$name" "$@"
    journal "at-6-$name" critic/rewards/mean >reward
    cmp reward whole.reward || die "$name: other responses: $(cat reward)"
}
split='--set parallel.placement=split --set parallel.learner_ranks'
go_on one 1
go_on four 4
go_on engine 2 --set rollout.tensor_parallel=2
go_on groups 4 --set parallel.shard_group=2
# shellcheck disable=SC2086
go_on apart 2 $split=1 --set parallel.rollout_ranks=1
# shellcheck disable=SC2086
go_on mixed 4 $split=2 --set parallel.rollout_ranks=2 --set rollout.tensor_parallel=2
cp -r at-6-mixed back
train 2 back
expect_equal 'and back: weights' "$(clinic_weights back)" "$(clinic_weights at-6-mixed)"
