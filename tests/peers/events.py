#!/usr/bin/env python3
"""events.py - a run's TensorBoard events, as TensorBoard itself reads and serves them.

    events.py LEARN2ASK L2A_CLINIC INPUT.ini

The run is killed on its way, so that a second start writes a second file over steps of the first.
"""
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

PROGRAM, CLINIC, INPUT = (Path(argument).resolve() for argument in sys.argv[1:4])
SETTINGS = {"run.directory": "runs/first", "run.tensorboard": "yes", "warmup.epochs": "0",
            "train.steps": "60", "train.batch_contexts": "8", "checkpoint.every": "4"}


def start():
    command = [PROGRAM, "train", INPUT]
    for name, value in SETTINGS.items():
        command += ["--set", f"{name}={value}"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def journal():
    path = Path("runs/first/metrics.jsonl")
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def run_twice():
    first = start()
    while len(journal()) < 11:
        assert first.poll() is None, first.stderr.read()
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = start()
    _, said = second.communicate()
    assert second.returncode == 0, said
    assert len(list(Path("runs/first/tensorboard").iterdir())) == 2
    assert Path("runs/first/metrics.jsonl.orphan").exists(), "the kill came just behind a checkpoint"


def as_float(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def expected_series(lines):
    series = {}
    for line in lines:
        for name, value in line.items():
            if value is not None:
                series.setdefault(name, []).append((line["step"], value))
    return series


def compare(what, series, found):
    """Steps and values; the journal has seven digits, and four of timings."""
    assert set(found) == set(series), (what, set(found) ^ set(series))
    for name, points in series.items():
        steps, values = zip(*points)
        assert tuple(step for step, _ in found[name]) == steps, (what, name)
        for (_, value), wanted in zip(found[name], values):
            close = 1e-3 if name.startswith(("timing_s", "perf")) else 1e-6
            assert abs(value - as_float(wanted)) <= close * abs(wanted), (what, name, value, wanted)
    print(f"{what}: {len(series)} series of {len(series['step'])} steps")


def check_reader(series):
    reader = EventAccumulator("runs/first/tensorboard", size_guidance={"scalars": 0})
    reader.Reload()
    compare("EventAccumulator", series,
            {name: [(event.step, event.value) for event in reader.Scalars(name)]
             for name in reader.Tags()["scalars"]})


def ask(port, what, **arguments):
    query = urllib.parse.urlencode(arguments)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/data/plugin/scalars/{what}?{query}",
                                timeout=30) as answer:
        return json.load(answer)


def wait_for_tags(port, run, series):
    seen = "no answer"
    for _ in range(240):
        try:
            tags = set(ask(port, "tags").get(run, {}))
            steps = len(ask(port, "scalars", run=run, tag="step")) if "step" in tags else 0
            if tags == set(series) and steps == len(series["step"]):
                return
            seen = f"{steps} steps, these tags differ: {tags ^ set(series)}"
        except OSError:
            pass
        time.sleep(0.25)
    raise TimeoutError(f"TensorBoard does not show the run after a minute: {seen}")


def check_server(series):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    run = "first/tensorboard"
    command = [Path(sys.executable).parent / "tensorboard", "--logdir", "runs", "--port", str(port),
               "--samples_per_plugin", "scalars=1000"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              start_new_session=True)
    try:
        wait_for_tags(port, run, series)
        compare("tensorboard", series,
                {name: [(step, value) for _, step, value in ask(port, "scalars", run=run, tag=name)]
                 for name in series})
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def main():
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        subprocess.run([CLINIC, "data/clinic"], check=True, stdout=subprocess.DEVNULL)
        run_twice()
        series = expected_series(journal())
        check_reader(series)
        check_server(series)
        os.chdir("/")


main()
