# slurm.sh - a Slurm of one's own: a controller and two nodes of 64 pretended cores on this machine, on
# free ports, with all their files in a directory that is removed at the end; to be sourced with the
# build directory as $1. Nothing of a Slurm that the machine may belong to is touched.
#
# Jobs run in $work, where `build` and `jobs` are those of the tree. Skipped (77) without Debian's
# slurm-wlm.
for program in slurmctld slurmd sbatch; do
    PATH="$PATH:/usr/sbin" command -v $program >/dev/null && continue
    echo "skipped: no $program (Debian's package slurm-wlm)"
    exit 77
done
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/../system/clinic.sh"
PATH="$PATH:/usr/sbin"
slurm=$work/slurm
for name in $(env | sed -n 's/^\(SLURM_[A-Z_]*\|SBATCH_[A-Z_]*\|SQUEUE_[A-Z_]*\)=.*/\1/p'); do
    unset "$name"
done
export SLURM_CONF="$slurm/slurm.conf"
export OMPI_MCA_btl_tcp_if_include=lo # the two nodes are one
export OMP_THREAD_LIMIT=1             # what the scripts ask for is not there

slurm_log() {
    tail -n 30 "$slurm"/*.log "$work"/*.log >&2
    die "$*"
}

# $1 of them, from $2 on if nobody listens there.
free_ports() {
    found=0
    port=$2
    while [ $found -lt "$1" ]; do
        port=$((port + 1))
        grep -qi ":$(printf %04X $port) .* 0A " /proc/net/tcp || {
            echo $port
            found=$((found + 1))
        }
    done
}

slurm_configure() {
    host=$(hostname -s)
    # shellcheck disable=SC2046 # three words
    set -- $(free_ports 3 $((20000 + $$ % 20000)))
    mkdir -p "$slurm/state" "$slurm/tmp-n1" "$slurm/tmp-n2"
    cat >"$SLURM_CONF" <<CONF
ClusterName=private
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$1
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
KillWait=5
MinJobAge=300
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool-%n
TmpFS=$slurm/tmp-%n
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd-%n.pid
SlurmctldLogFile=$slurm/slurmctld.log
SlurmdLogFile=$slurm/slurmd-%n.log
NodeName=n1,n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$2,$3 CPUs=64 RealMemory=1000000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
}

slurm_stop() {
    status=$?
    scancel --user="$(id -un)" >/dev/null 2>&1 || true
    for name in slurmctld slurmd-n1 slurmd-n2; do
        [ ! -f "$slurm/$name.pid" ] || kill "$(cat "$slurm/$name.pid")" 2>/dev/null || true
    done
    waits=0
    while [ -n "$(cat "$slurm"/*.pid 2>/dev/null)" ] && [ $waits -lt 50 ]; do
        waits=$((waits + 1))
        sleep 0.1
    done
    rm -rf "$work"
    exit $status
}

slurm_start() {
    ln -s "$build" build
    ln -s "$tree/jobs" jobs
    ln -s "$tree/inputs" inputs
    slurm_configure
    trap slurm_stop EXIT
    if ! slurmctld -i || ! slurmd -N n1 || ! slurmd -N n2; then
        slurm_log 'Slurm does not start'
    fi
    waits=0
    until [ "$(sinfo --noheader --states=idle --format=%D 2>/dev/null)" = 2 ]; do
        waits=$((waits + 1))
        [ $waits -lt 100 ] || slurm_log 'its nodes do not come up'
        sleep 0.1
    done
}

# The state of a job, as in "COMPLETED 0:0": what it is, and what the batch script ended with.
job_state() {
    scontrol --oneliner show job "$1" | sed -n 's/.*JobState=\([A-Z_]*\) .*ExitCode=\([0-9:]*\).*/\1 \2/p'
}

# Waits until job $1 is in a state that begins with $2, for at most $3 seconds (60).
job_await() {
    waits=$((${3:-60} * 10))
    until case $(job_state "$1") in "$2"*) true ;; *) false ;; esac; do
        waits=$((waits - 1))
        [ $waits -gt 0 ] || slurm_log "job $1 is $(job_state "$1"), not $2"
        sleep 0.1
    done
}

# Waits until file $1 has a line that matches $2.
line_await() {
    waits=600
    until grep -q "$2" "$1" 2>/dev/null; do
        waits=$((waits - 1))
        [ $waits -gt 0 ] || slurm_log "$1 has no line '$2'"
        sleep 0.1
    done
}
