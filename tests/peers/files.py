#!/usr/bin/env python3
"""files.py - files of ours as safetensors, transformers and h5py read them, and theirs as we do.

    files.py L2A_CONVERT

A model written by the safetensors library goes through l2a-convert to a checkpoint and back. The
checkpoint must hold the same numbers for h5py, and the file that comes back must be, byte for byte,
the one the library writes.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy
import safetensors.torch
import torch

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def random_tensors(dtype):
    """Tensors of a small model; values of every size, subnormal ones and infinities included."""
    generator = torch.Generator().manual_seed(1)
    shapes = {"model.embed_tokens.weight": (321, 48), "model.norm.weight": (48,), "scalar": (),
              "empty": (0, 5), "model.layers.10.self_attn.q_proj.weight": (48, 48),
              "model.layers.9.self_attn.q_proj.bias": (48,), "vision.\u00e9\"quoted\"": (3, 1, 2)}
    tensors = {}
    for name, shape in shapes.items():
        exponents = torch.randint(-140, 120, shape, generator=generator)
        tensors[name] = torch.ldexp(torch.randn(shape, generator=generator), exponents).to(dtype)
    tensors["model.norm.weight"][:3] = torch.tensor([float("inf"), float("-inf"), -0.0])
    return tensors


def write_model(directory, tensors):
    directory.mkdir()
    safetensors.torch.save_file(tensors, directory / "model.safetensors", {"format": "pt"})
    (directory / "config.json").write_text(json.dumps({"torch_dtype": "bfloat16"}, indent=2))


def same(a, b):
    """The same bits, NaN and -0 included."""
    bits = lambda tensor: tensor.contiguous().flatten().view(torch.uint8)
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(bits(a), bits(b))


def check_checkpoint(path, tensors):
    with h5py.File(path) as file:
        assert file.attrs["format"] == b"l2a-checkpoint", file.attrs["format"]
        assert set(file["weights"]) == set(tensors)
        for name, tensor in tensors.items():
            stored = torch.from_numpy(numpy.asarray(file["weights"][name]))
            assert same(stored, tensor.float()), name
            assert file["weights"][name].attrs["dtype"] == b"F32"
        config = bytes(file["files/config.json"][()]).decode()
        assert json.loads(config) == {"torch_dtype": "bfloat16"}


def check_directory(directory, tensors, dtype):
    """Our file equals, byte for byte, the library's; transformers' way of reading finds all."""
    wanted = {name: tensor.float().to(dtype) for name, tensor in tensors.items()}
    safetensors.torch.save_file(wanted, directory / "peer", {"format": "pt"})
    ours, theirs = (directory / "model.safetensors").read_bytes(), (directory / "peer").read_bytes()
    assert ours == theirs, f"{len(ours)} and {len(theirs)} bytes, headers {ours[:400]} {theirs[:400]}"
    with safetensors.safe_open(directory / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert set(file.keys()) == set(tensors)


def check_shards(directory, tensors):
    index = json.loads((directory / "model.safetensors.index.json").read_text())
    loaded = {}
    for name in set(index["weight_map"].values()):
        loaded.update(safetensors.torch.load_file(directory / name))
    assert set(loaded) == set(index["weight_map"]) == set(tensors)
    assert index["metadata"]["total_size"] == sum(t.numel() * 2 for t in tensors.values())
    for name, tensor in tensors.items():
        assert same(loaded[name], tensor.float().to(torch.bfloat16)), name


def main():
    convert = sys.argv[1]
    run = lambda *words: subprocess.run([convert, *map(str, words)], check=True,
                                        stdout=subprocess.DEVNULL)
    for source in (torch.float32, torch.bfloat16, torch.float16):
        with tempfile.TemporaryDirectory() as place:
            place = Path(place)
            tensors = random_tensors(source)
            write_model(place / "model", tensors)
            run("--import", place / "model", place / "model.h5")
            check_checkpoint(place / "model.h5", tensors)
            for name, dtype in DTYPES.items():
                run("--dtype", name, place / "model.h5", place / name)
                check_directory(place / name, tensors, dtype)
            run("--shard-size", "8KB", place / "model.h5", place / "shards")
            check_shards(place / "shards", tensors)
            print(f"{source}: {len(tensors)} tensors there and back")


main()
