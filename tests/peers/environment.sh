#!/bin/sh
# environment.sh - makes the Python environment of the peers, once, and prints where it is.
#
#     tests/peers/environment.sh [REQUIREMENTS PLACE]
#
# It stands outside the tree, in PLACE, $LEARN2ASK_PEERS or ~/.cache/learn2ask-peers (6 GB), and holds
# the versions of REQUIREMENTS or requirements.txt. One that holds them already is used as it is.
set -eu
requirements=${1:-$(dirname "$0")/requirements.txt}
place=${2:-${LEARN2ASK_PEERS:-$HOME/.cache/learn2ask-peers}}
python=$place/bin/python

# Whether every package has its version.
is_complete() {
    "$python" - "$requirements" 2>/dev/null <<'PYTHON'
import importlib.metadata as metadata, sys
wanted = [line.strip().split("==") for line in open(sys.argv[1])]
sys.exit(any(metadata.version(name) != version for name, version in wanted))
PYTHON
}

if ! is_complete; then
    echo "Making $place: some gigabytes are downloaded." >&2
    [ -x "$python" ] || python3 -m venv "$place" >&2
    "$python" -m pip install --quiet --disable-pip-version-check --no-input \
        -r "$requirements" </dev/null >&2
    is_complete || { echo "error: $place does not hold what $requirements names" >&2; exit 69; }
fi
echo "$place"
