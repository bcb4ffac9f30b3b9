#!/usr/bin/env python3
"""test_tutorial.py - the commands of README's tutorial, word for word, in an empty directory.

    test_tutorial.py TREE BUILD_DIRECTORY
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TREE, BUILD = (Path(argument).resolve() for argument in sys.argv[1:3])


def commands():
    readme = (TREE / "README.md").read_text()
    chapter = readme.split("## Tutorial", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", chapter, re.MULTILINE)
    lines = [re.sub("^    ", "", line) for block in blocks for line in block.splitlines()]
    return "\n".join(line for line in lines if not line.startswith("{"))


def main():
    script = commands()
    assert script.count("learn2ask") >= 5 and "l2a-convert" in script, script
    with tempfile.TemporaryDirectory() as place:
        Path(place, "build").symlink_to(BUILD)
        Path(place, "inputs").symlink_to(TREE / "inputs")
        done = subprocess.run(["sh", "-eu"], input=f". {TREE}/jobs/mpi.sh\n{script}\n", cwd=place,
                              env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        assert Path(place, "mine", "model.safetensors").exists()
        assert Path(place, "runs", "mine", "report.html").exists()
        assert "error" not in done.stderr, done.stderr
        for said in ("no fault found", "RESULT steps=70", "ave_total_reward"):
            assert said in done.stdout, f"nothing says '{said}': {done.stdout[-3000:]}"
    print(f"{len(script.splitlines())} lines")


main()
