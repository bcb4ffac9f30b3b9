# clinic.sh - what the tests of whole runs share; to be sourced with the build directory as $1.
#
# `clinic_data DIR [options]` makes conversations; `clinic_train RANKS RUN [settings]` trains on them
# and leaves the log in RUN.log; `clinic_weights RUN` prints the checksum of its final weights.
# Sourcing scripts run in a directory of their own, removed at their end.
set -eu
build=$1
tree=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=jobs/mpi.sh
. "$tree/jobs/mpi.sh"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

clinic_data() {
    "$build/tools/l2a-clinic" "$@" >/dev/null
}

clinic_train() {
    ranks=$1
    run=$2
    shift 2
    mpirun -n "$ranks" "$build/learn2ask" train "$tree/inputs/clinic.ini" \
        --set run.directory="$run" "$@" >"$run.log" 2>&1 </dev/null
}

clinic_weights() {
    sed -n 's/^RESULT .* weights=\([0-9a-f]*\) .*/\1/p' "$1.log"
}

# The lines of a run's journal without its timings, which differ from run to run.
clinic_journal() {
    sed 's/"\(timing_s\|perf\)\/[^,}]*,*//g' "$1/metrics.jsonl"
}

die() {
    echo "error: $*" >&2
    exit 1
}

expect_equal() {
    [ "$2" = "$3" ] || die "$1: $2 is not $3"
    echo "$1: $2"
}
