"""turns.py - what the peers of bench_rollout share: the shape they are given, and taking turns with it.

A turn is a line "prefill|decode TRUNKS BRANCHES TRUNK RESPONSE": so many trunks of TRUNK tokens, so many
branches on each, of RESPONSE tokens. Its answer is "SECONDS TOKENS", or "none" of what the peer does not do
(peer_process.h).
"""

import json
import pathlib
import sys


def read_shape(directory):
    return json.loads((pathlib.Path(directory) / "config.json").read_text())


def trunk_tokens(session, length, vocabulary):
    """Those of bench_rollout."""
    return [(session * 7919 + i * 104729) % vocabulary for i in range(length)]


def take_turns(name, run):
    """run(what, trunks, branches, trunk, response): seconds and tokens, or None."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # of libraries that print
    print(name, file=answers, flush=True)
    for line in sys.stdin:
        what, *sizes = line.split()
        took = run(what, *map(int, sizes))
        print(f"{took[0]:.9f} {took[1]}" if took else "none", file=answers, flush=True)
