#!/usr/bin/env python3
"""test_messages.py - every message of README's chapter on troubleshooting stands in the sources.

    test_messages.py TREE

A message there is a text with `...` for what varies; in the sources it is a string, perhaps written in
pieces, with printf's directives for the same.
"""
import re
import sys
from pathlib import Path

LITERALS = re.compile(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*')
PIECE = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


def strings(tree):
    for folder in ("src", "kernels", "tools"):
        for path in sorted((tree / folder).rglob("*.c")):
            for found in LITERALS.finditer(path.read_text()):
                yield "".join(PIECE.findall(found[0])).replace('\\"', '"')


def messages(readme):
    chapter = readme.split("## Troubleshooting by message\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `([^`]+)` \|", chapter, re.MULTILINE)


def holds(text, parts):
    at = 0
    for part in parts:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def main():
    tree = Path(sys.argv[1])
    known = list(strings(tree))
    listed = messages((tree / "README.md").read_text())
    assert len(listed) > 15, f"{len(listed)} messages: is the chapter there?"
    strange = [message for message in listed
               if not any(holds(text, [part.strip() for part in message.split("...")])
                          for text in known)]
    for message in strange:
        print(f"README.md: no source says '{message}'")
    print(f"{len(listed)} messages")
    return 1 if strange else 0


sys.exit(main())
