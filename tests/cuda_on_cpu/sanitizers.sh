#!/bin/sh
# sanitizers.sh - builds the CUDA kernels on the host with a sanitizer and runs their tests.
#
#     sanitizers.sh asan|msan|tsan BUILD_DIRECTORY
#
# asan: addresses and undefined behaviour; msan: reads of what nobody wrote (needs clang);
# tsan: two threads at one place without a barrier between them, which results need not show.
set -eu
cd "$(dirname "$0")"
preset=$1
build=$2
if [ "$preset" = msan ] && ! command -v clang++ >/dev/null; then
    echo 'skipped: there is no clang++'
    exit 77
fi
export LEARN2ASK_ISA=plain # MemorySanitizer does not know all vector instructions
export ASAN_OPTIONS=detect_leaks=0 # tests that an error ends by a jump leave their arrays
export TSAN_OPTIONS=halt_on_error=1:atexit_sleep_ms=0
seeds=3
sample_work=50000
sample_tests=
if [ "$preset" = tsan ]; then # whose fibers are slow, and which sees a race in any order
    seeds=1
    sample_work=3000
    sample_tests='draws_are_the_cpu_ones'
fi
cmake --preset "$preset" -B "$build" >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
cmake --build "$build" >"$build.log" 2>&1 || { tail -n 40 "$build.log"; exit 1; }
status=0
"$build/test_emulator" || status=1
"$build/test_streams" || status=1
"$build/test_graphs" || status=1
run() { # most work, test, tests of it
    echo "$2"
    work=$1
    program=$build/cuda_on_cpu_$2
    shift 2
    L2A_MOST_WORK=$work ./seeds.sh $seeds "$program" "$@" || status=1
}
for name in memory rows products vocabulary optimiser; do
    run 50000 $name
done
run 2000000 attention
# shellcheck disable=SC2086 # nothing, or one word
run $sample_work sample $sample_tests
exit $status
