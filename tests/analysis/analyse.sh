#!/bin/sh
# analyse.sh - looks for mistakes in the sources without running them; 1 where one is found.
#
#     analyse.sh cppcheck|tidy|gcc BUILD_DIRECTORY
#
# cppcheck reads the sources as they are; clang-tidy (.clang-tidy) and gcc's -fanalyzer read each as it
# is compiled, from BUILD_DIRECTORY/compile_commands.json. What is no mistake is excused where it
# stands, with the reason: cppcheck-suppress, NOLINT.
set -eu
tool=$1
build=$2
cd "$(dirname "$0")/../.."
commands=$build/compile_commands.json

needs() {
    command -v "$1" >/dev/null && return
    echo "skipped: there is no $1"
    exit 77
}

# The C files of the tree that are compiled, each once.
sources() {
    sed -n 's/^ *"file": "\(.*\.c\)",*$/\1/p' "$commands" | sort -u
}

case $tool in
cppcheck)
    needs cppcheck
    # It knows attributes, not C11's keyword. Memory that is taken at once and cut into arrays is no
    # wrong cast, and no sum of exponentials in a test is of nothing. GPUs' files are C++.
    cppcheck --std=c11 --language=c --enable=warning,performance,portability --inline-suppr \
        --quiet --error-exitcode=1 -j 2 -I . -I src -D L2A_ISA=plain -D L2A_ISA_plain=1 \
        '-D_Noreturn=__attribute__((noreturn))' --suppress=missingIncludeSystem \
        --suppress=invalidPointerCast '--suppress=invalidFunctionArg:tests/*' \
        -i benchmarks/bench_cuda.c -i tests/cuda -i tests/cuda_on_cpu \
        src kernels/cpu tools benchmarks tests
    ;;
tidy)
    needs clang-tidy
    sources | xargs -P 2 -n 4 clang-tidy -p "$build" --quiet \
        --extra-arg=-Wno-unknown-warning-option
    ;;
gcc)
    needs gcc
    # Each file with the very flags that it is compiled with, and the analyser on top.
    python3 tests/analysis/gcc.py "$commands"
    ;;
*)
    echo "cppcheck, tidy or gcc, not $tool" >&2
    exit 64
    ;;
esac
