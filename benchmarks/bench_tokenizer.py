#!/usr/bin/env python3
"""bench_tokenizer.py - our tokenizer and Hugging Face's, interleaved, one thread each: MB/s.

    bench_tokenizer.py BENCH_TOKENIZER MODEL_DIR TEXT... [--rounds 9]

TEXT: files; a .jsonl gives the contents of its messages as one document each, any other file is cut into
documents of 64 KiB. Their ids are compared first. Hugging Face is timed with encode_batch_fast, which leaves
out offsets.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import tokenizers  # noqa: E402


def documents(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [m["content"] for line in text.splitlines() for m in json.loads(line)["messages"]]
    return [text[i : i + 65536] for i in range(0, len(text), 65536)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("texts", type=pathlib.Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    theirs = tokenizers.Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    for path in arguments.texts:
        texts = [text for text in documents(path) if text and "\0" not in text]
        size = sum(len(text.encode()) for text in texts)
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"".join(text.encode() + b"\0" for text in texts))
            file.flush()
            ours = subprocess.Popen([arguments.binary, str(arguments.model), file.name], text=True,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            seconds = {"ours": [], "theirs": []}
            for _ in range(arguments.rounds + 1):
                ours.stdin.write("go\n")
                ours.stdin.flush()
                took, tokens = ours.stdout.readline().split()
                seconds["ours"].append(float(took))
                start = time.perf_counter()
                encoded = theirs.encode_batch_fast(texts, add_special_tokens=False)
                seconds["theirs"].append(time.perf_counter() - start)
                if sum(len(one) for one in encoded) != int(tokens):
                    sys.exit(f"error: {path}: {tokens} tokens of ours, {sum(len(one) for one in encoded)} of theirs")
            ours.stdin.close()
            ours.wait()
        mine, hers = (statistics.median(seconds[name][1:]) for name in ["ours", "theirs"])
        print(f"{path.name}: {size / 1e6:.1f} MB, {len(texts)} documents, {tokens} tokens: ours {size / mine / 1e6:.1f} MB/s, "
              f"tokenizers {tokenizers.__version__} {size / hers / 1e6:.1f} MB/s, ratio {hers / mine:.1f}")


if __name__ == "__main__":
    main()
