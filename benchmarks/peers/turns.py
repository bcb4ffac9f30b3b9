"""turns.py - what peers share: the shape they are given, and taking turns with a benchmark (peer_process.h).

A turn is a line, of bench_rollout "prefill|decode TRUNKS BRANCHES TRUNK RESPONSE": so many trunks of TRUNK tokens,
so many branches on each, of RESPONSE tokens. Its answer is the seconds that it took, or "none" of what the peer does
not do. To be imported first: what libraries write to standard output would be taken for answers.
"""

import json
import os
import pathlib
import sys

ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def say(text):
    print(text, file=ANSWERS, flush=True)


def read_shape(directory):
    return json.loads((pathlib.Path(directory) / "config.json").read_text())


def trunk_tokens(session, length, vocabulary):
    """Those of bench_rollout."""
    return [(session * 7919 + i * 104729) % vocabulary for i in range(length)]


def take_turns(name, run):
    """run(what, *sizes): seconds, or None."""
    say(name)
    for line in sys.stdin:
        what, *sizes = line.split()
        seconds = run(what, *map(int, sizes))
        say("none" if seconds is None else f"{seconds:.9f}")
