#!/bin/sh
# keep_best keeps the checkpoint of the best evaluation, which l2a-convert --best takes; patience
# ends a run that finds nothing better, and a second start adds nothing to it.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 60 --test 6
# From step 9 on the learning rate is one that spoils what was learnt.
settings='--set warmup.epochs=0 --set warmup.steps=8 --set train.steps=40 --set evaluate.every=2
    --set checkpoint.every=1 --set checkpoint.keep_last=1 --set train.batch_contexts=8
    --set checkpoint.keep_best=val/ave_total_reward --set checkpoint.patience=3
    --set optimizer.learning_rate=0.5 --set optimizer.schedule=constant'
# shellcheck disable=SC2086 # one word a setting
clinic_train 2 run $settings || die "$(tail -n 5 run.log)"
grep 'stopped early' run.log || die "patience did not end the run: $(tail -n 5 run.log)"
best=$(sed -n 's/^stopped early.*step \([0-9]*\)$/\1/p' run.log)
# The journal knows the same best step: the first of the largest rewards.
expected=$(sed -n 's/.*"step":\([0-9]*\),.*"val\/ave_total_reward":\([0-9.]*\).*/\2 \1/p' \
    run/metrics.jsonl | sort -k1,1gr -k2,2g | sed -n '1s/.* //p')
expect_equal 'best step' "$best" "$expected"
[ -f "run/step-$(printf %06d "$best").h5" ] || die "no checkpoint of step $best: $(ls run)"
"$build/tools/l2a-convert" --best run converted >/dev/null
last=$(sed -n 's/^RESULT steps=\([0-9]*\) .*/\1/p' run.log)
if [ "$last" -ge 48 ] || [ "$last" -le "$best" ]; then
    die "ended at step $last, the best was $best"
fi
# shellcheck disable=SC2086
clinic_train 2 run $settings || die "$(tail -n 5 run.log)"
expect_equal 'steps after a second start' "$(sed -n 's/^RESULT steps=\([0-9]*\) .*/\1/p' run.log)" \
    "$last"
