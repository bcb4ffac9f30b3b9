#!/bin/sh
# A run, its checkpoint and the Hugging Face directory made from it are one model: evaluated alike,
# on any number of ranks, they say the same and score the same; the way back gives the same weights.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 60 --test 6
clinic_train 2 run --set warmup.epochs=0 --set warmup.steps=40 --set train.steps=2 \
    --set evaluate.file='' || die "$(tail -n 5 run.log)"
evaluate() {
    ranks=$1 name=$2 path=$3
    shift 3
    mpirun -n "$ranks" "$build/learn2ask" evaluate "$tree/inputs/clinic.ini" \
        --set model.random=no --set model.path="$path" --set evaluate.output="$name.jsonl" "$@" \
        >"$name.txt" 2>&1 </dev/null || die "$(tail -n 5 "$name.txt")"
    sed -n '/^ave_continue_content /,/^response tokens/p' "$name.txt" >"$name.table"
    [ "$(wc -l <"$name.table")" -eq 11 ] || die "no table: $(cat "$name.txt")"
}
evaluate 2 of-run run
evaluate 1 of-checkpoint run/step-000042.h5
"$build/tools/l2a-convert" run converted --dtype f32 >/dev/null
evaluate 4 of-directory converted
for other in of-checkpoint of-directory; do
    cmp of-run.jsonl $other.jsonl || die "$other says other things"
    cmp of-run.table $other.table || die "$other scores otherwise"
done
cat of-run.table
"$build/tools/l2a-convert" --import converted back.h5 >/dev/null
"$build/tools/l2a-convert" back.h5 again --dtype f32 >/dev/null
cmp converted/model.safetensors again/model.safetensors || die 'the way back changes the weights'
"$build/learn2ask" check "$tree/inputs/clinic.ini" >check.txt || die "$(cat check.txt)"
grep -q 'no fault found' check.txt || die "$(cat check.txt)"
