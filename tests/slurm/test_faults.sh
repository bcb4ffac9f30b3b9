#!/bin/sh
# What goes wrong under a real Slurm: ranks that srun does not introduce to each other, a rank that is
# killed on this node or on another, a run that is in use by another job or was left by one.
set -eu
# shellcheck source=tests/slurm/slurm.sh
. "$(dirname "$0")/slurm.sh"
slurm_start
clinic_data data/clinic --sessions 60 --test 6
settings='--set warmup.epochs=0 --set warmup.steps=40 --set train.steps=2 --set checkpoint.every=2
    --set train.batch_contexts=16 --set rollout.group_size=4 --set evaluate.file='
submit() { # script, run, options of sbatch
    script=$1
    run=$2
    shift 2
    # shellcheck disable=SC2086 # one word a setting
    sbatch --parsable --cpus-per-task=1 --mem-per-cpu=1G --time=30 --output="$run.log" "$@" \
        "jobs/$script" train inputs/clinic.ini $settings --set run.directory="$run"
}
# The newest rank of a run, as a process.
rank_of() {
    pgrep -n -f "^[^ ]*build/learn2ask train .*run.directory=$1\$"
}
# Kills a rank and waits for the end of job $1, for at most $3 seconds.
lose_rank() {
    line_await "$2.log" '^checkpoint step 2'
    kill -9 "$(rank_of "$2")"
    job_await "$1" FAILED "$3"
    ! rank_of "$2" || slurm_log "a rank outlived job $1"
    echo "job $1 ended as $(job_state "$1")"
}
go_on() { # script, run, options of sbatch
    job_await "$(submit "$@")" 'COMPLETED 0:0'
    grep '^resumed    at step [2-9]' "$2.log" || slurm_log "$2 began anew"
}

srun --ntasks=2 build/learn2ask train inputs/clinic.ini --set run.directory=apart >apart.log 2>&1 &&
    status=0 || status=$?
expect_equal 'status of ranks that do not know each other' "$status" 64
grep '^error: srun started 2 tasks that do not know of each other: .*use srun --mpi=pmix' apart.log
expect_equal 'their messages' "$(grep -cv '^srun' apart.log)" 1
[ ! -e apart ] || slurm_log 'they wrote something'

# Two nodes with a rank each: the other one never hears of it.
far=$(submit many_nodes.sbatch far --nodes=2 --ntasks-per-node=1)
near=$(submit one_node.sbatch near --ntasks=2)
line_await far.log '^checkpoint step 2'
kill -9 "$(rank_of far)"
lose_rank "$near" near 15
go_on one_node.sbatch near --ntasks=2

# The far rank's loss has meanwhile been noticed.
job_await "$far" FAILED 40
! rank_of far || slurm_log 'a rank outlived its job'
go_on many_nodes.sbatch far --nodes=2 --ntasks-per-node=1
expect_equal 'weights, ranks of one node and of two' "$(clinic_weights near)" "$(clinic_weights far)"

# Two jobs in one run: the second is refused, and told by whom it is held.
settings="$settings --set warmup.steps=1000000"
first=$(submit one_node.sbatch shared --ntasks=1)
line_await shared.log '^checkpoint step 2'
second=$(submit one_node.sbatch shared --ntasks=1 --output=second.log)
job_await "$second" 'FAILED 73:0'
grep "^error: the run is in use: shared/lock is held by process [0-9]* on $(hostname) (job $first@private)" \
    second.log || slurm_log 'the holder is not named'
scancel --signal=TERM "$first"
job_await "$first" 'FAILED 75:0'
grep '^stopped at step [0-9]* of 1000002: signal TERM$' shared.log || slurm_log 'it was not stopped'

# What the real squeue says of jobs: this one, one that has ended, one that nobody remembers.
cat >probe.sh <<'PROBE'
#!/bin/sh
srun build/tests/slurm/probe_slurm "$SLURM_JOB_ID@private" "$1@private" 987654@private "$1@other"
PROBE
probe=$(sbatch --parsable --time=7:00:00 --output=probe.log probe.sh "$first")
job_await "$probe" 'COMPLETED 0:0'
left=$(sed -n 's/^left //p' probe.log)
if [ "$left" -le 25000 ] || [ "$left" -gt 25200 ]; then
    slurm_log "of 7 hours $left seconds are left"
fi
expect_equal 'jobs as squeue knows them' "$(sed -n 's/^.*@.* //p' probe.log | tr '\n' ' ')" \
    'lives ended ended lives '
