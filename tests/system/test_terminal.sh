#!/bin/sh
# On a terminal the step under way is shown, over itself; anywhere else, and in the log, lines are all.
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
command -v script >/dev/null || { echo 'skipped: there is no script(1)'; exit 77; }
clinic_data data/clinic --sessions 20 --test 4
run="$build/learn2ask train $tree/inputs/clinic.ini --set warmup.epochs=0 --set train.steps=3"
run="$run --set train.batch_contexts=4 --set evaluate.file="
script -qec "$run --set run.directory=seen" typescript >/dev/null </dev/null ||
    die "$(tail -n 5 typescript)"
for shown in 'step 1/3: sampling' 'step 2/3: backward pass' 'step 3/3: optimizer step'; do
    grep -qF "$shown" typescript || die "not shown: $shown"
done
# Each line begins where what was shown has been erased.
erased=$(printf '\033[K')
[ "$(grep -cF "${erased}step 3/3 reward" typescript)" -eq 1 ] || die 'a line stands behind what was shown'
# shellcheck disable=SC2086 # words
$run --set run.directory=piped >piped.log 2>&1 </dev/null || die "$(tail -n 5 piped.log)"
clinic_train 1 launched --set warmup.epochs=0 --set train.steps=3 --set train.batch_contexts=4 \
    --set evaluate.file= || die "$(tail -n 5 launched.log)"
return=$(printf '\r')
for place in piped.log launched.log seen/log.txt piped/log.txt; do
    ! grep -q "$return" $place || die "$place holds what only a terminal obeys"
    [ "$(grep -c '^step ' $place)" -eq 3 ] || die "$place: $(grep '^step ' $place)"
done
