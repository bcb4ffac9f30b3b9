#!/bin/sh
# Memory of a whole run on 2 ranks: its peak lies within 10 % of what `check` announced, and after
# the third step of the main stage it grows no more.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic
settings='--set warmup.epochs=0 --set warmup.steps=3 --set train.steps=30
    --set algorithm.kl_coefficient=0.001'
# shellcheck disable=SC2086 # one word a setting
announced=$("$build/learn2ask" check "$tree/inputs/clinic.ini" $settings |
    sed -n 's/^memory .*each of 2 shared ranks: \([0-9]*\) MiB.*/\1/p')
# shellcheck disable=SC2086
clinic_train 2 run $settings || die "$(tail -n 5 run.log)"
peak=$(sed -n 's/^RESULT .* peak_rank_mib=\([0-9]*\) .*/\1/p' run.log)
echo "announced $announced MiB, peak $peak MiB"
awk -v a="$announced" -v p="$peak" 'BEGIN { exit !(p <= 1.1 * a && p >= 0.9 * a) }' ||
    die "the peak is not within 10 % of what was announced"
sed -n 's/.*"step":\([0-9]*\),.*"perf\/peak_rank_mib":\([0-9.]*\).*/\1 \2/p' run/metrics.jsonl |
    awk '$1 == 6 { third = $2 } { last = $2; steps = $1 }
        END { printf "peak after 3 steps %.1f MiB, after %d %.1f MiB\n", third, steps - 3, last
            exit !(third > 0 && last <= 1.01 * third) }' || die 'memory grows from step to step'
