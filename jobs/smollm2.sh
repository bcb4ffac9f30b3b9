#!/bin/sh
# smollm2.sh - the real run: SmolLM2-135M-Instruct learns from the doctors of MTS-Dialog.
#
# Needs mts_dialog in $LEARN2ASK_DATA (default ../shared/data), as tools/mts_dialog.py makes it. What
# is done is not done again: a second call goes on where the first one stopped.
set -eu
cd "$(dirname "$0")/.."
source=${LEARN2ASK_DATA:-../shared/data}/mts_dialog
[ -d "$source" ] || {
    echo "error: no $source: set LEARN2ASK_DATA; README, 'The real run', says how to make it" >&2
    exit 66
}
jobs/install.sh
# shellcheck source=jobs/mpi.sh
. jobs/mpi.sh
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build
[ -d models/smollm2-135m-instruct ] || tools/smollm2.sh
mkdir -p data/mts_dialog
for part in train test; do
    [ -f data/mts_dialog/${part}_rounds.jsonl ] || build/learn2ask prepare inputs/smollm2-mts.ini \
        --set prepare.input="$source/${part}_origin.jsonl" \
        --set prepare.info_sets="$source/${part}_processed.jsonl" \
        --set prepare.output=data/mts_dialog/$part.jsonl \
        --set prepare.processed=data/mts_dialog/${part}_rounds.jsonl
done
mpirun -n 2 build/learn2ask train inputs/smollm2-mts.ini "$@" </dev/null
build/tools/l2a-show plot runs/smollm2-mts
