#!/bin/sh
# Moments in bf16: twenty steps lose as with fp32, a run that is taken up again ends with the bits of
# one that was not, a run may go on with the other type, and the clinic is learned.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 120 --test 16
train() {
    run=$1
    shift
    clinic_train 2 "$run" --set warmup.epochs=0 --set train.batch_contexts=32 \
        --set algorithm.kl_coefficient=0.001 --set optimizer.beta2=0.999 "$@" ||
        die "$run: $(tail -n 5 "$run.log")"
}
short() {
    train "$@" --set warmup.steps=20 --set train.steps=1 --set checkpoint.every=7 \
        --set checkpoint.keep_last=3 --set evaluate.file=
}
short f32
short bf16 --set optimizer.moments=bf16
for run in f32 bf16; do
    sed -n 's|.*"actor/pg_loss":\([^,}]*\).*|\1|p' $run/metrics.jsonl | head -n 20 >$run.losses
done
paste f32.losses bf16.losses | awk '{ d = $2 / $1 - 1; d = d < 0 ? -d : d; if (d > most) most = d }
    END { printf "20 losses, the last %s and %s, differ by %.1e at most\n", $1, $2, most
        exit !(NR == 20 && most > 0 && most < 1e-3) }' || die "$(paste f32.losses bf16.losses)"

cut_back() { # run $2 as it was at step 14, called $1
    cp -r "$2" "$1"
    rm "$1"/step-000020.h5 "$1"/step-000021.h5 "$1"/LATEST
}
cut_back again bf16
short again --set optimizer.moments=bf16
grep -q '^resumed    at step 14' again.log || die 'not resumed'
expect_equal 'taken up at step 14' "$(clinic_weights again)" "$(clinic_weights bf16)"
for pair in 'f32 bf16' 'bf16 f32'; do
    # shellcheck disable=SC2086
    set -- $pair
    cut_back "$1-to-$2" "$1"
    short "$1-to-$2" --set optimizer.moments="$2" --set run.accept_changes=yes
    grep -q 'warning: the checkpoint holds moments in .*: they are converted' "$1-to-$2.log" ||
        die "$(cat "$1-to-$2.log")"
done

train whole --set optimizer.moments=bf16 --set warmup.steps=60 --set train.steps=20 \
    --set rollout.group_size=8 --set evaluate.samples=4
reward() {
    sed -n 's/.*"ave_total_reward": *\[\([0-9.]*\),.*/\1/p' "whole/evaluation-$1.json"
}
before=$(reward warm-up)
after=$(reward final)
echo "reward $before behind the warm-up, $after after 20 steps"
awk "BEGIN { exit !($after > $before + 0.05) }" || die 'no reward was raised'
