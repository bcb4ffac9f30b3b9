#!/bin/sh
# jobs/requeue.sbatch under a real Slurm: signalled before its time is up, the job saves its state,
# goes back into the queue and ends with the bits of an undisturbed run; USR2 only saves; a job whose
# time is too short for a step does not go on for ever.
set -eu
# shellcheck source=tests/slurm/slurm.sh
. "$(dirname "$0")/slurm.sh"
slurm_start
clinic_data data/clinic --sessions 60 --test 6
settings='--set warmup.epochs=0 --set warmup.steps=6 --set warmup.schedule=constant
    --set optimizer.schedule=constant --set checkpoint.every=0 --set train.batch_contexts=16
    --set rollout.group_size=4 --set evaluate.file= --set run.accept_changes=yes'
submit() { # run, options of sbatch
    run=$1
    shift
    # shellcheck disable=SC2086 # one word a setting
    sbatch --parsable --ntasks=2 --cpus-per-task=1 --mem-per-cpu=1G --output="$run.log" "$@" \
        jobs/requeue.sbatch "$run.ini" $settings --set run.directory="$run"
}
# An input file with that many steps after the warm-up.
input() {
    sed "s/^steps = .*/steps = $2/" inputs/clinic.ini >"$1.ini"
}
# A job that went back into the queue is kept there for two minutes; two seconds are enough here, for
# the node not to take it for its former self.
next_turn() {
    waits=600
    until scontrol --oneliner show job "$1" | grep -q 'JobState=PENDING .* Restarts=1 '; do
        waits=$((waits - 1))
        [ $waits -gt 0 ] || slurm_log "job $1 is not requeued: $(job_state "$1")"
        sleep 0.1
    done
    scontrol update JobId="$1" StartTime=now+2
}

input saves 1000000
input short 6
saves=$(submit saves --time=30)
short=$(submit short --time=1)
line_await saves.log '^checkpoint step 6,' # the end of the warm-up
scancel --signal=USR2 "$saves"
line_await saves.log '^checkpoint step \([7-9]\|[1-9][0-9]\)' # and no other one is due
saved=$(sed -n 's/^step \([0-9]*\).*/\1/p' saves.log | tail -n 1)
line_await saves.log "^step $((saved + 3))/"
grep '^wall time  0:2[89]:[0-9]* left, by the batch job$' saves.log || slurm_log 'no wall time'
expect_equal 'checkpoints of a run that was sent USR2' "$(grep -c '^checkpoint step' saves.log)" 2
scancel "$saves"
job_await "$saves" 'CANCELLED'

next_turn "$short"
job_await "$short" 'FAILED 76:0'
grep '^stopped at step 0 of 12: the batch job leaves 0:00:[0-5][0-9], the next step' short.log
expect_equal 'starts of a job too short for a step' "$(grep -c '^stopped at step 0' short.log)" 2
grep '^error: 2 starts in a row were stopped at step 0' short.log || slurm_log 'no reason is given'

# Signals for the limit are sent every 30 s, up to 30 s early: until then the run must not end.
input turns 1000000
turns=$(submit turns --time=10 --signal=USR1@598)
next_turn "$turns"
stopped=$(sed -n 's/^stopped at step \([0-9]*\) of 1000006: signal USR1$/\1/p' turns.log)
[ "${stopped:-0}" -gt 0 ] || slurm_log 'the signal did not stop the first turn'
input turns $((stopped > 3 ? stopped - 3 : 1))
job_await "$turns" 'COMPLETED 0:0' 120
grep "^resumed    at step $stopped of" turns.log || slurm_log 'the second turn began anew'

# The same in one turn, and without Slurm.
cp turns.ini whole.ini
# shellcheck disable=SC2086
mpirun -n 2 build/learn2ask train whole.ini $settings --set run.directory=whole >whole.log 2>&1 \
    </dev/null || slurm_log 'the run in one turn failed'
expect_equal "weights after two turns, the first of $stopped steps" "$(clinic_weights turns)" \
    "$(clinic_weights whole)"
