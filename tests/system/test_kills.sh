#!/bin/sh
# Killed with -9 at random moments, one rank or the whole job, and started again each time, runs end with
# the bits and the journal of an undisturbed one, and nothing is done twice but what no checkpoint held.
#
#     test_kills.sh BUILD [KILLS]
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
kills=${2:-50}
clinic_data data/clinic --sessions 16 --test 4
# Steps sampled ahead, published weights that lag and a frozen reference are in the checkpoints, too.
start() { # RUN; the job is then $!
    clinic_train "$ranks" "$1" --set warmup.epochs=0 --set warmup.steps=2 --set train.steps=14 \
        --set checkpoint.every=1 --set warmup.batch_contexts=2 --set train.batch_contexts=2 \
        --set rollout.group_size=2 --set train.staleness=1 --set train.sync_interval=2 \
        --set algorithm.kl_coefficient=0.01 --set evaluate.file=
}
# A number from 0 to $1 - 1.
draw() {
    echo $(($(od -An -N4 -tu4 /dev/urandom) % $1))
}
# Kills what the background job $1 has started: its ranks and mpirun, or one of the ranks. Fails where
# there is nothing any more.
strike() {
    launcher=$(pgrep -P "$1") || return 1
    members=$(pgrep -P "$launcher") || return 1
    if [ "$(draw 2)" -eq 0 ]; then
        # shellcheck disable=SC2086 # one word a process
        kill -9 $members "$launcher" 2>/dev/null || true
    else
        kill -9 "$(echo "$members" | sed -n "$(($(draw "$ranks") + 1))p")" 2>/dev/null || true
    fi
}
# Waits for the end of the job $1 that was struck. mpirun itself may hang where a rank dies while it joins.
await_end() {
    tries=0
    while launcher=$(pgrep -P "$1"); do
        tries=$((tries + 1))
        if [ $tries -gt 300 ]; then
            ! pgrep -P "$launcher" >/dev/null || die "$run: ranks live on 30 s after one was killed"
            kill -9 "$launcher" 2>/dev/null || true
        fi
        sleep 0.1
    done
}
for ranks in 1 2; do
    began=$(date +%s%3N)
    start "whole-$ranks" || die "$(tail -n 5 "whole-$ranks.log")"
    took=$(($(date +%s%3N) - began))
    whole=$(clinic_weights "whole-$ranks")
    runs=0
    struck=0
    lost=0
    while [ $((2 * struck)) -lt "$kills" ]; do
        runs=$((runs + 1))
        run=run-$ranks-$runs
        starts=0
        status=1
        while [ $status -ne 0 ]; do
            starts=$((starts + 1))
            [ $starts -lt 60 ] || die "$run: no end after $starts starts"
            start "$run" &
            job=$!
            pause=$(draw "$took")
            sleep "$((pause / 1000)).$(printf %03d $((pause % 1000)))"
            hit=1
            if strike $job; then await_end $job; else hit=0; fi
            status=0
            wait $job || status=$?
            [ $status -ne 0 ] || continue
            [ $hit -eq 1 ] || die "$run, unharmed: $status: $(tail -n 5 "$run.log")"
            struck=$((struck + 1))
        done
        expect_equal "$run, started $starts times" "$(clinic_weights "$run")" "$whole"
        [ "$(clinic_journal "$run")" = "$(clinic_journal "whole-$ranks")" ] ||
            die "$run: another journal"
        cmp -s "$run/samples.jsonl" "whole-$ranks/samples.jsonl" || die "$run: other samples"
        # Lines of steps that were done again are kept aside.
        [ ! -e "$run/metrics.jsonl.orphan" ] ||
            lost=$((lost + $(wc -l <"$run/metrics.jsonl.orphan")))
    done
    # A step's checkpoint is written while the next step is done.
    [ "$lost" -le $((2 * struck)) ] || die "$lost steps were done again after $struck kills"
    echo "$struck kills of $ranks ranks in $runs runs; $lost steps were done again"
done
