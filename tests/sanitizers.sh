#!/bin/sh
# sanitizers.sh - builds with AddressSanitizer and UndefinedBehaviorSanitizer and runs the tests.
#
#     sanitizers.sh [--all] BUILD_DIRECTORY [arguments of ctest]
#
# The unit tests and those of one and two ranks; with --all those of four and of whole runs as well,
# with vector kernels as they are in a release: a run without --all checks those.
# GPU code is checked by tests/cuda_on_cpu, the parsers with more inputs by tests/fuzz.
set -eu
cd "$(dirname "$0")/.."
labels='^(unit|kernels|mpi)$'
left_out='_4$|^test_kill$' # leaks are not to be found under strace
target=test_programs
vectors=ON
if [ "$1" = --all ]; then
    labels='^(unit|kernels|mpi|system|slurm)$'
    # A preloaded library comes before the sanitizer's; the sanitizer's memory is not what a rank needs;
    # and such a build is not installed.
    left_out='^(test_kill|test_starved|test_disk|test_libraries|test_memory|test_hardening|test_loss_memory'
    left_out="$left_out|test_learner_memory|test_install|test_package)\$"
    target=all
    vectors=OFF
    shift
fi
build=$1
shift
# shellcheck source=jobs/mpi.sh
. jobs/mpi.sh
export OMP_NUM_THREADS=1
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:quarantine_size_mb=16
export LSAN_OPTIONS="suppressions=$PWD/tests/leaks.txt:print_suppressions=0"
export UBSAN_OPTIONS=print_stacktrace=1
cmake --preset asan -B "$build" -DLEARN2ASK_SANITIZED_VECTORS=$vectors >"$build.log" 2>&1 ||
    { cat "$build.log"; exit 1; }
cmake --build "$build" --target $target >"$build.log" 2>&1 || { tail -n 40 "$build.log"; exit 1; }
# Whole runs take many times as long: ten times the time-outs, which CMake wrote anew just now.
[ $target != all ] ||
    find "$build" -name CTestTestfile.cmake -exec sed -i 's/TIMEOUT "\([0-9]*\)"/TIMEOUT "\10"/' {} +
ctest --test-dir "$build" --label-regex "$labels" --exclude-regex "$left_out" --parallel 2 \
    --timeout 900 --output-on-failure --no-tests=error "$@" </dev/null
