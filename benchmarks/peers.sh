#!/bin/sh
# peers.sh - benchmarks in turns with a peer, which is installed outside the tree first.
#
#     benchmarks/peers.sh BUILD_DIRECTORY matmul|llama|vllm|torch|trl [settings]
#
# Of SmolLM2-135M's and Qwen2.5-0.5B's shapes in f32, bf16 and native (the peer in bf16): matmul, the products of
# layers, in f32 and native; llama, prefill and decoding of one branch; vllm, decoding of 80 branches. Of
# inputs/smollm2-mts.ini (jobs/smollm2.sh makes its files): torch, the update of a step; trl, the whole step.
# `settings`: which of the types, or settings of bench_step. $THREADS: 2. Environments are ~/.cache/learn2ask-PEER,
# of matmul and torch that of the tests, some gigabytes each; llama.cpp is compiled for minutes. Rows go to
# $JSON-..., where that is set.
set -eu
usage() {
    echo 'peers.sh BUILD_DIRECTORY matmul|llama|vllm|torch|trl [settings]' >&2
    exit 64
}
[ $# -ge 2 ] || usage
build=$(cd "$1" && pwd)
peer=$2
shift 2
cd "$(dirname "$0")/.."
# shellcheck source=jobs/mpi.sh
. jobs/mpi.sh
threads=${THREADS:-2}
export OMP_NUM_THREADS="$threads"
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1 # ours asks for huge pages, so peers get them, too
smollm2=models/smollm2-135m-instruct
place=$HOME/.cache/learn2ask-$peer
case $peer in
llama | trl) tests/peers/environment.sh "benchmarks/peers/$peer.txt" "$place" >/dev/null ;;
matmul | torch) place=$(tests/peers/environment.sh) ;; # that of the tests
vllm) benchmarks/peers/vllm_environment.sh "$place" ;;
*) usage ;;
esac

# NAME BENCHMARK ARGUMENTS... -- SCRIPT ARGUMENTS...
measure() {
    name=$1
    benchmark=$2
    shift 2
    set -- "$build/benchmarks/$benchmark" ${JSON:+--json "$JSON-$name.json"} "$@"
    echo "$*"
    "$@"
}
# Types
products() {
    [ $# -gt 0 ] || set -- f32 native
    for type in "$@"; do
        case $type in
        f32) peer_type=f32 ;;
        native) peer_type=bf16 ;;
        *) usage ;;
        esac
        for kind in nt nn tn; do
            measure "$kind-$type" bench_kernels "$kind" "$type" -- \
                "$place/bin/python" benchmarks/peers/torch_matmul.py "$peer_type" "$threads"
        done
    done
}
# CASE of bench_rollout, the peer's script, types
rollout() {
    case=$1
    script=$2
    shift 2
    [ $# -gt 0 ] || set -- bf16 f32 native
    for shape in $smollm2 benchmarks/shapes/qwen2.5-0.5b; do
        for type in "$@"; do
            peer_type=$type
            [ "$type" != native ] || peer_type=bf16
            measure "$case-$(basename "$shape")-$type" bench_rollout "$shape" "$type" "$case" -- \
                "$place/bin/python" "$script" "$shape" "$peer_type" "$threads"
        done
    done
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uptime
case $peer in
matmul) products "$@" ;;
llama)
    rollout prefill benchmarks/peers/llama.py "$@"
    rollout branch benchmarks/peers/llama.py "$@"
    ;;
vllm) rollout branches benchmarks/peers/vllm_cpu.py "$@" ;;
torch)
    measure update bench_step inputs/smollm2-mts.ini "$work/run" "$@" -- \
        "$place/bin/python" benchmarks/peers/torch_update.py $smollm2 "$threads"
    ;;
trl)
    "$build/benchmarks/bench_trees" inputs/smollm2-mts.ini "$work/dumped" --dump "$work/batch.jsonl" "$@" \
        >/dev/null
    measure step bench_step inputs/smollm2-mts.ini "$work/run" "$@" -- \
        "$place/bin/python" benchmarks/peers/trl_step.py $smollm2 "$work/batch.jsonl" "$threads"
    ;;
esac
uptime
