#!/usr/bin/env python3
"""test_readme_commands.py - the commands of README, word for word.

    test_readme_commands.py TREE BUILD_DIRECTORY

First the tutorial in an empty directory; then, on the model that it made, every other command, but for
those that ELSEWHERE says are run by other tests. A command that neither knows is a mistake.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TREE, BUILD = (Path(argument).resolve() for argument in sys.argv[1:3])

# What a command begins with: who runs it.
ELSEWHERE = {
    "tests/run.sh": "the whole check",
    "jobs/demo.sh": "test_bare_debian; the same run is test_clinic's",
    "build/learn2ask calibrate": "test_calibrate",
    "tools/mts_dialog.py": "test_mts_dialog",
    "LEARN2ASK_DATA=data jobs/smollm2.sh": "by hand: it takes half an hour",
    "jobs/install.sh": "the whole check",
    "cmake ": "test_install, test_package",
    "module use": "test_install",
    ". PREFIX": "test_install",
    "cp -r $LEARN2ASK_ROOT": "test_install",
    "sbatch my.sbatch": "test_slurm_jobs",
}
COMMAND = re.compile(r"(build/|mpirun |tests/|jobs/|tools/|cmake |sbatch |module |\. |cp |LEARN2ASK_)")
# The model that the tutorial made is one's own from here on, and every run begins anew.
OWN = """
    sed -i 's/^random = yes$//; s|^path = .*|path = mine|; s/^steps = .*/steps = 2/' my.ini
"""
ANEW = {
    "mpirun -n 2 build/learn2ask train": "rm -rf runs/mine runs/next",
    "build/tools/l2a-convert --adapter": "rm -rf adapter",
    "build/tools/l2a-convert": "rm -rf merged",
    "build/tools/l2a-show plot": "cp -r runs/mine runs/a; cp -r runs/mine runs/b",
}


def chapters():
    """The tutorial's text, and all else."""
    before, rest = (TREE / "README.md").read_text().split("## Tutorial", 1)
    tutorial, after = rest.split("\n## ", 1)
    return tutorial, before + after


def indented(text):
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.MULTILINE)
    return [re.sub("^    ", "", line) for block in blocks for line in block.splitlines()]


def commands(text):
    """Whole command lines, without comments."""
    joined = "\n".join(indented(text)).replace("\\\n", "")
    lines = [re.sub(r"\s+# .*", "", line).strip() for line in joined.split("\n")]
    return [re.sub(r" +", " ", line) for line in lines if COMMAND.match(line)]


def run(script, place):
    done = subprocess.run(["sh", "-eu"], input=f". {TREE}/jobs/mpi.sh\n{script}\n", cwd=place,
                          env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}{done.stderr}"
    return done


def run_tutorial(tutorial, place):
    script = "\n".join(line for line in indented(tutorial) if not line.startswith("{"))
    assert script.count("learn2ask") >= 5 and "l2a-convert" in script, script
    done = run(script, place)
    assert Path(place, "mine", "model.safetensors").exists()
    assert Path(place, "runs", "mine", "report.html").exists()
    assert "error" not in done.stderr, done.stderr
    for said in ("no fault found", "RESULT steps=70", "ave_total_reward"):
        assert said in done.stdout, f"nothing says '{said}': {done.stdout[-3000:]}"


def run_others(text, place):
    listed = commands(text)
    assert len(listed) > 20, listed
    known = {name: False for name in ELSEWHERE}
    here = []
    for line in listed:
        found = [name for name in ELSEWHERE if line.startswith(name)]
        known |= {name: True for name in found}
        if not found:
            here.append(line)
    assert all(known.values()), f"README has none of {[n for n, met in known.items() if not met]}"
    defaults = [line for line in here if line.endswith("> my.ini")]
    assert defaults, "nothing prints the defaults"
    for line in defaults:
        run(line.replace("my.ini", "defaults.ini"), place)
    run(OWN, place)
    for line in here:
        if line in defaults:
            continue
        adapter = "run.directory=runs/next" in line  # goes on from the run before it
        anew = next((what for name, what in ANEW.items() if line.startswith(name)), "")
        run(("" if adapter else anew) + "\n" + line, place)
    return len(here)


def main():
    tutorial, rest = chapters()
    with tempfile.TemporaryDirectory() as place:
        Path(place, "build").symlink_to(BUILD)
        Path(place, "inputs").symlink_to(TREE / "inputs")
        run_tutorial(tutorial, place)
        print(f"the tutorial and {run_others(rest, place)} other commands")


main()
