#!/bin/sh
# run.sh - from a bare Debian 12 to tested programs: installs, builds in build/, runs the tests.
#
#     tests/run.sh [arguments of ctest]
set -eu
cd "$(dirname "$0")/.."
jobs/install.sh
# shellcheck source=jobs/mpi.sh
. jobs/mpi.sh
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # two tests at a time, some of several ranks
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DL2A_WERROR=ON
cmake --build build
status=0
ctest --test-dir build --label-exclude '^(peers|gpu|long)$' --parallel 2 --timeout 600 \
    --output-on-failure --no-tests=error --output-log build/tests.log "$@" </dev/null || status=$?
echo 'The ten slowest tests:'
sed -n 's/^ *[0-9]*\/[0-9]* Test *#[0-9]*: \([^ ]*\) .* \([0-9.]*\) sec.*$/\2 s \1/p' \
    build/tests.log | sort -rn | head -n 10
exit $status
