#!/bin/sh
# bench_async.sh - steps with rollout and learner ranks at work at the same time against in turns.
#
#     benchmarks/bench_async.sh BUILD_DIRECTORY [RUNS] [settings]
#
# The real run (inputs/smollm2-mts.ini; jobs/smollm2.sh made its files) on one rollout and one learner
# rank of one thread each, with train.staleness = 0 and 1 in turns, RUNS (3) times. The first steps,
# in which the queue fills and memory is met for the first time, are left out.
set -eu
build=$(cd "$1" && pwd)
runs=${2:-3}
[ $# -lt 2 ] || shift
shift
cd "$(dirname "$0")/.."
# shellcheck source=jobs/mpi.sh
. jobs/mpi.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for run in $(seq "$runs"); do
    for staleness in 0 1; do
        OMP_NUM_THREADS=1 mpirun -n 2 "$build/learn2ask" train inputs/smollm2-mts.ini \
            --set run.directory="$work/run" --set parallel.placement=split \
            --set parallel.rollout_ranks=1 --set parallel.learner_ranks=1 \
            --set train.staleness=$staleness --set warmup.epochs=0 --set evaluate.file='' \
            --set train.steps=6 --set train.batch_contexts=4 "$@" >"$work/log" 2>&1 </dev/null || {
            tail -n 5 "$work/log" >&2
            exit 1
        }
        python3 - "$work/run/metrics.jsonl" "$run" "$staleness" <<'END'
import json, sys
steps = [json.loads(line) for line in open(sys.argv[1])][2:]
mean = lambda name: sum(step.get(name, 0) for step in steps) / len(steps)
print(f"run {sys.argv[2]}, staleness {sys.argv[3]}: {mean('perf/time_per_step'):6.2f} s a step "
      f"({mean('timing_s/gen'):.2f} s of sampling, {mean('timing_s/update_actor'):.2f} s of update)",
      flush=True)
END
        rm -rf "$work/run"
    done
done
