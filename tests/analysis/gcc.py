#!/usr/bin/env python3
"""gcc.py - compiles every C file of a build again, with gcc's -fanalyzer; 1 where it warns.

    gcc.py COMPILE_COMMANDS.json

A file that is compiled for several instruction sets is analysed once. Two files are compiled at a time.
EXCUSED are mistaken warnings; one that no longer comes is to be removed.
"""

import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys


# (file, warning): why it is none.
EXCUSED = {
    ("src/files/run_files.c", "null-dereference"): "a list of more than 0 steps is there",
    ("src/store/checkpoint_read.c", "null-dereference"): "the file of a checkpoint is open on rank 0",
    ("src/tasks/extraction.c", "null-argument"): "fail returns -1",
    ("src/tasks/grading.c", "use-of-uninitialized-value"): "an initialiser sets all members",
    ("tests/text/test_merge.c", "use-of-uninitialized-value"): "the caller sets `count` of them",
}
WARNING = re.compile(r"^(\S+?):\d+:\d+: warning: .*\[-Wanalyzer-(\S+)\]$", re.MULTILINE)


def analyse(entry):
    words = shlex.split(entry["command"])
    if os.path.basename(words[0]) == "ccache":
        words = words[1:]
    words[words.index("-o") + 1] = os.devnull
    words = [word for word in words if word not in ("-Werror", "-MD")]
    for option in ("-MT", "-MF"):
        if option in words:
            at = words.index(option)
            del words[at : at + 2]
    done = subprocess.run(words + ["-fanalyzer"], cwd=entry["directory"], capture_output=True, text=True)
    return done.returncode, done.stderr


def main():
    root = os.getcwd()
    with open(sys.argv[1]) as file:
        entries = {entry["file"]: entry for entry in json.load(file) if entry["file"].endswith(".c")}
    met, status = set(), 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for code, said in pool.map(analyse, entries.values()):
            found = {(os.path.relpath(path, root), kind) for path, kind in WARNING.findall(said)}
            met |= found
            if code != 0 or found - EXCUSED.keys():
                sys.stdout.write(said)
                status = 1
    for path, kind in EXCUSED.keys() - met:
        print(f"{path}: there is no {kind} any more: remove it from EXCUSED")
        status = 1
    print(f"{len(entries)} files")
    return status


sys.exit(main())
