#!/usr/bin/env python3
"""serve.py - extractor, judge and policy served by `transformers serve`, a real server.

    serve.py LEARN2ASK MODEL_DIRECTORY

What is tested is the protocol: questions arrive, answers come back, and what is of no use is asked
again and counted. The model is small, so five or six requests of at most 32 tokens are all.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PROGRAM, MODEL = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
SESSION = {"session_id": 1, "diagn": "", "messages": [
    {"role": "user", "content": "I have had a bad cough for a week."},
    {"role": "assistant", "content": "Do you bring up phlegm?"},
    {"role": "user", "content": "Yes, yellow phlegm, mostly in the morning."},
    {"role": "assistant", "content": "I will write you a prescription."}]}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start_server(port, log):
    command = [Path(sys.executable).parent / "transformers", "serve", "--host", "127.0.0.1",
               "--port", str(port), "--device", "cpu", MODEL]
    server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    for _ in range(240):
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
            return server
        except OSError:
            time.sleep(0.5)
    raise TimeoutError("the server is not ready after two minutes")


def run(task, ini, *settings):
    Path("run.ini").write_text(ini)
    command = [PROGRAM, task, "run.ini"] + [part for s in settings for part in ("--set", s)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def served(section, url):
    return f"[{section}]\nurl = {url}\nname = {MODEL}\ntimeout = 300\n"


def check_extraction(url):
    Path("sessions.jsonl").write_text(json.dumps(SESSION) + "\n")
    Path("extract.txt").write_text("List the facts as ['fact', 'fact'].")
    out = run("prepare", "[prepare]\ninput = sessions.jsonl\noutput = samples.jsonl\n"
              "processed = rounds.jsonl\nextractor = served\n" + served("extractor", url) +
              "prompt = extract.txt\nmax_tokens = 32\nrepetition_penalty = 1\nattempts = 2\n")
    rounds = [json.loads(line) for line in open("rounds.jsonl")]
    answers = {a["cid"]: a for path in Path(".").glob("samples.jsonl.extract-*.jsonl")
               for a in map(json.loads, open(path))}
    assert len(rounds) == 2 and len(answers) == 2, (rounds, answers)
    for line in rounds:
        answer = answers[line["cid"]]
        assert line["info_set"] == answer["info_set"] and 1 <= answer["attempts"] <= 2
        if answer["info_set"] is None:
            assert answer["attempts"] == 2 and answer["answer"], answer
    attempts = sum(a["attempts"] for a in answers.values())
    assert f"questions asked: 2 in {attempts} attempts" in out, out
    print(out, answers)


def check_evaluation(url):
    sample = {"cid": "1_1", "session_id": 1, "diagn": "", "messages": SESSION["messages"][:1],
              "decision_truth": "continue", "info_truth": "symptom: yellow phlegm"}
    Path("one.jsonl").write_text(json.dumps(sample) + "\n")
    Path("judge.txt").write_text("Facts: {info_truth}. Say <format_score>1</format_score>"
                                 "<content_score>1</content_score>.")
    out = run("evaluate", "[evaluate]\nfile = one.jsonl\noutput = graded.jsonl\nsamples = 1\n"
              "max_response_tokens = 24\nrepetition_penalty = 1\n[reward]\njudge = served\n" + served("policy", url) +
              served("judge", url) + "prompt = judge.txt\nmax_tokens = 24\nattempts = 1\n")
    (graded,) = [json.loads(line) for line in open("graded.jsonl")]
    assert graded["response"].strip(), graded
    if "<stop />" not in graded["response"]:
        assert graded["verdict"], graded
        assert graded["graded"] or graded["reward"] == 0, graded
        assert f"no response    {int(not graded['graded'])}, 0" in out, out
    print(out, graded)


def main():
    if not MODEL.joinpath("model.safetensors").exists():
        print(f"skipped: no {MODEL}; tools/smollm2.sh makes it")
        sys.exit(77)
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1"
    with tempfile.TemporaryDirectory() as place, open(Path(place) / "server.log", "w+") as log:
        os.chdir(place)
        server = start_server(port, log)
        try:
            check_extraction(url)
            check_evaluation(url)
        except Exception:
            log.seek(0)
            print(log.read()[-3000:], file=sys.stderr)
            raise
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        os.chdir("/")


main()
