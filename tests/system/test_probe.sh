#!/bin/sh
# check --probe tells, without MPI and in seconds, about how long a step of the run then takes.
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 200
settings='--set warmup.epochs=0 --set warmup.steps=4 --set train.steps=4 --set rollout.forced_length=yes'
# shellcheck disable=SC2086 # one word a setting
"$build/learn2ask" check "$tree/inputs/clinic.ini" --probe $settings >checked || die "$(cat checked)"
for line in 'rounds a session' ' 129 to     256 tokens' '^trees ' '^disk ' '^memory ' '^time ' \
    '^           all steps 0:0'; do
    grep -q "$line" checked || die "check does not tell '$line': $(cat checked)"
done
step=$(sed -n 's/^time  *about \([0-9.e-]*\) s a step.*/\1/p' checked)
warmup=$(sed -n 's/.*a warm-up step \([0-9.e-]*\)$/\1/p' checked)
# shellcheck disable=SC2086 # one word a setting
clinic_train 1 run $settings --set evaluate.file= || die "$(tail -n 5 run.log)"
seconds() { # of the second step of a stage
    sed -n "s/.*\"stage\":$1,.*\"perf\/time_per_step\":\([0-9.e-]*\).*/\1/p" run/metrics.jsonl | sed -n 2p
}
near() { # what, told, measured; the machine may be busy with other things meanwhile
    echo "$1: told $2 s, took $3 s"
    awk -v told="$2" -v took="$3" 'BEGIN { exit !(told > took / 5 && told < took * 5) }' ||
        die "$1: told $2 s, took $3 s"
}
near 'a step' "$step" "$(seconds 1)"
near 'a warm-up step' "$warmup" "$(seconds 0)"
