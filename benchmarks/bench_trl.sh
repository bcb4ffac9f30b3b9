#!/bin/sh
# bench_trl.sh - our update on session trees and TRL's GRPOTrainer's on the same batch, by turns.
#
#     benchmarks/bench_trl.sh BUILD_DIRECTORY [CONTEXTS [settings of bench_trl.py]]
#
# CONTEXTS (16) of MTS-Dialog with 5 responses each of 24 tokens, SmolLM2-135M-Instruct (jobs/smollm2.sh
# made their files), two threads. The KL estimator is k3, TRL's only one. $OURS are settings of ours, say
# OURS='--set model.compute=bf16 --set model.products=native'. TRL's Python environment is in
# $LEARN2ASK_TRL or ~/.cache/learn2ask-trl (6 GB), made when it is not there.
set -eu
build=$(cd "$1" && pwd)
contexts=${2:-16}
shift
[ $# -eq 0 ] || shift
cd "$(dirname "$0")/.."
# shellcheck source=jobs/mpi.sh
. jobs/mpi.sh
place=$(tests/peers/environment.sh benchmarks/peers/trl.txt \
    "${LEARN2ASK_TRL:-$HOME/.cache/learn2ask-trl}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
lscpu | sed -n 's/^Model name: *//p'
uptime
"$build/learn2ask" --version
grep -E '^(torch|transformers|trl)=' benchmarks/peers/trl.txt
# shellcheck disable=SC2086 # one word a setting
OMP_NUM_THREADS=2 "$place/bin/python" benchmarks/bench_trl.py models/smollm2-135m-instruct \
    "$work/batch.jsonl" "$@" -- mpirun -n 1 "$build/benchmarks/bench_trees" inputs/smollm2-mts.ini \
    "$work/run" --dump "$work/batch.jsonl" --set train.batch_contexts="$contexts" \
    --set rollout.max_response_tokens=24 --set algorithm.kl_estimator=k3 ${OURS:-}
uptime
