#!/bin/sh
# Memory of a whole run on 1, 2 and 4 ranks, each of which is an engine or half of one, gathers units
# or reads its engine's, and keeps activations or computes them again: its peak lies within 10 % of
# what `check` announced, and after the third step of the main stage it grows no more.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic
# `measure RANKS RUN [settings]`
measure() {
    ranks=$1
    run=$2
    shift 2
    set -- --set warmup.epochs=0 --set warmup.steps=3 --set train.steps=30 \
        --set algorithm.kl_coefficient=0.001 "$@"
    announced=$("$build/learn2ask" check "$tree/inputs/clinic.ini" "$@" 2>/dev/null |
        sed -n 's/^memory .*each of '"$ranks"' shared ranks*: \([0-9]*\) MiB.*/\1/p')
    clinic_train "$ranks" "$run" "$@" || die "$(tail -n 5 "$run.log")"
    peak=$(sed -n 's/^RESULT .* peak_rank_mib=\([0-9]*\) .*/\1/p' "$run.log")
    echo "$run: announced $announced MiB, peak $peak MiB"
    awk -v a="$announced" -v p="$peak" 'BEGIN { exit !(p <= 1.1 * a && p >= 0.9 * a) }' ||
        die "the peak is not within 10 % of what was announced"
    sed -n 's/.*"step":\([0-9]*\),.*"perf\/peak_rank_mib":\([0-9.]*\).*/\1 \2/p' \
        "$run/metrics.jsonl" |
        awk '$1 == 6 { third = $2 } { last = $2; steps = $1 }
            END { printf "peak after 3 steps %.1f MiB, after %d %.1f MiB\n", third, steps - 3, last
                exit !(third > 0 && last <= 1.01 * third) }' || die 'memory grows from step to step'
}
measure 1 one
measure 2 two
measure 4 four
measure 2 halves --set rollout.tensor_parallel=2
measure 2 gathers --set train.sync_interval=3 --set parallel.recompute=layer \
    --set optimizer.moments=bf16
measure 4 groups --set parallel.shard_group=2 --set parallel.reshard_after_forward=no \
    --set train.sync_interval=3 --set parallel.recompute=none

# A job that would exceed its bound is refused, and keeps to it with what is proposed.
bound=0.15
set -- --set warmup.epochs=0 --set warmup.steps=1 --set train.steps=4 --set parallel.memory=$bound
clinic_train 1 refused "$@" && die 'more than [parallel] memory was not refused'
proposed=$(sed -n "s/^error: a shared rank needs .* memory allows $bound: set \(.*\)/\1/p" refused.log)
echo "to keep to $bound GB: $proposed"
case $proposed in
parallel.micro_batch_tokens\ =\ *) ;;
*) die "$(tail -n 5 refused.log)" ;;
esac
"$build/learn2ask" check "$tree/inputs/clinic.ini" "$@" >check.log 2>&1 || die "$(cat check.log)"
grep -q "a shared rank needs .* memory allows $bound: set parallel.micro_batch_tokens" check.log ||
    die "check is silent: $(cat check.log)"
clinic_train 1 held "$@" --set "parallel.micro_batch_tokens=${proposed#* = }" || die "$(tail -n 5 held.log)"
peak=$(sed -n 's/^RESULT .* peak_rank_mib=\([0-9]*\) .*/\1/p' held.log)
awk -v peak="$peak" -v bound="$bound" 'BEGIN { exit !(peak * 1048576 <= bound * 1e9) }' ||
    die "a rank held to $bound GB took $peak MiB"
