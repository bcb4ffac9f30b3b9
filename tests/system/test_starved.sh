#!/bin/sh
# test_starved.sh - `learn2ask check` with no memory at its n-th allocation says so in one line and
# ends with exit code 71: the first hundred, and then ever fewer.
#
#     test_starved.sh BUILD_DIRECTORY
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 8 --test 4

check() { # the number of the allocation
    LD_PRELOAD="$build/tests/system/libstarve.so" STARVE_AT=$1 STARVE_COUNT=count \
        "$build/learn2ask" check "$tree/inputs/clinic.ini" >said 2>errors </dev/null && status=0 ||
        status=$?
}

check 0
all=$(cat count)
if [ "$status" -ne 0 ] || [ "$all" -lt 1000 ]; then
    die "$all allocations, exit code $status: $(cat errors)"
fi
at=1
runs=0
while [ "$at" -le "$all" ]; do
    check "$at"
    [ "$status" -eq 71 ] || die "without memory at allocation $at: exit code $status: $(cat errors)"
    if [ "$(wc -l <errors)" -ne 1 ] || ! grep -q '^error: .*out of memory' errors; then
        die "without memory at allocation $at: $(cat errors)"
    fi
    runs=$((runs + 1))
    at=$((at < 100 ? at + 1 : at + at / 16))
done
echo "$runs of $all allocations were refused, one after the other"
