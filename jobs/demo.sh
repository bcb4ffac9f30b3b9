#!/bin/sh
# demo.sh - a laptop's demonstration: builds, makes conversations of a clinic, trains a small model
# on them, prints what it could do before and after, and draws runs/clinic/curves.png.
#
# What is done is not done again: a second call goes on where the first one stopped.
set -eu
cd "$(dirname "$0")/.."
jobs/install.sh
# shellcheck source=jobs/mpi.sh
. jobs/mpi.sh
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build
[ -d data/clinic ] || build/tools/l2a-clinic data/clinic
mpirun -n 2 build/learn2ask train inputs/clinic.ini "$@" </dev/null
build/tools/l2a-show plot runs/clinic
