#!/bin/sh
# fuzz.sh - builds the fuzz targets and runs them, one after the other, from the seeds on.
#
#     fuzz.sh --seconds N BUILD_DIRECTORY [target...]    N seconds shared out among the targets
#     fuzz.sh --inputs N BUILD_DIRECTORY [target...]     N inputs for each target, of at most 1,000 bytes
#                                                        (longer seeds are cut; --seconds runs them whole)
#
# What a target has learnt is kept in BUILD_DIRECTORY/corpus/TARGET and gone on from. An input that
# was found lies in BUILD_DIRECTORY/findings: it becomes a test of its own, then a repair.
set -eu
mode=$1
amount=$2
build=$3
shift 3
cd "$(dirname "$0")"
if ! echo 'int LLVMFuzzerTestOneInput(void);int LLVMFuzzerTestOneInput(void){return 0;}' |
    clang -fsanitize=fuzzer,address -x c - -o /dev/null 2>/dev/null; then
    echo 'skipped: there is no clang with libFuzzer'
    exit 77
fi
cmake --preset fuzz -B "$build" >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
cmake --build "$build" --parallel 2 >"$build.log" 2>&1 || { tail -n 40 "$build.log"; exit 1; }
python3 seeds.py "$build/seeds"
if [ $# -eq 0 ]; then
    for seeds in "$build"/seeds/*; do
        set -- "$@" "${seeds##*/}"
    done
fi
case $mode in
--seconds) limit="-max_total_time=$((amount > $# ? amount / $# : 1))" ;;
--inputs) limit="-runs=$amount -max_len=1000" ;;
*) echo "--seconds or --inputs, not $mode" >&2 && exit 64 ;;
esac

TMPDIR=$(mktemp -d -p "$([ -d /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
# Freed memory is kept for a short while only: what is used again soon stays in the caches. Where it
# was taken is told by one function; a finding run alone has more.
export ASAN_OPTIONS=quarantine_size_mb=1:thread_local_quarantine_size_kb=64:malloc_context_size=1
mkdir -p "$build/findings"
status=0
for target in "$@"; do
    mkdir -p "$build/corpus/$target"
    # shellcheck disable=SC2086 # one or two options
    "$build/fuzz_$target" $limit -timeout=120 -malloc_limit_mb=512 -rss_limit_mb=3000 \
        -close_fd_mask=2 -print_final_stats=1 "-artifact_prefix=$build/findings/$target-" \
        "$build/corpus/$target" "$build/seeds/$target" >"$build/$target.log" 2>&1 ||
        { grep -v '^#' "$build/$target.log"; status=1; }
    sed -n "s/^stat::number_of_executed_units: *\(.*\)/$target: \1 inputs/p" "$build/$target.log"
done
exit $status
