#!/bin/sh
# python.sh - runs a comparison under the peers' Python; skipped (77) where there is none.
#
#     tests/peers/python.sh SCRIPT.py [arguments]
set -eu
python=${LEARN2ASK_PEERS:-$HOME/.cache/learn2ask-peers}/bin/python
if [ ! -x "$python" ]; then
    echo "skipped: no $python; tests/peers/environment.sh makes it"
    exit 77
fi
HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false exec "$python" "$@"
