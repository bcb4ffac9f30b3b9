#!/usr/bin/env python3
"""adapter.py - low-rank adapters against PEFT and PyTorch's autograd, in fp32 on the CPU.

    adapter.py PROBE_MODEL PROBE_ADAPTER L2A_CONVERT

Random models of every family get adapters of several ranks, scales and targets. Our logits must be those of
the directory that l2a-convert --adapter writes, loaded by PEFT on the base, within 1e-5 of the largest logit;
those of the merged directory within 1e-5 as well; and to the bit our own of the directory that PEFT saves of
what it loaded. The loss of a GRPO step beside the frozen base and its
gradient by every A and B must be autograd's within 1e-5 and 1e-4.
"""

import argparse
import json
import pathlib
import sys
import tempfile

import torch
from peft import PeftModel
from safetensors.torch import load_file

from model import Comparison, load, losses, perturb, random_models, random_tokens, relative, run

ALL = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
ADAPTERS = [(4, 6, ALL), (1, 3, ALL), (8, 12.5, "q_proj,v_proj"), (20, 20, "down_proj,o_proj")]


def compare_logits(comparison, probe, base, checkpoint, peft, merged, what):
    sequences = random_tokens([1, 17, 300])
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (place / "sequences.json").write_text(json.dumps(sequences))
        run(probe, "logits", base, checkpoint, place / "sequences.json", place / "logits")
        ours = load_file(place / "logits")
        loaded = PeftModel.from_pretrained(load(base), peft).eval()
        loaded.save_pretrained(place / "saved")
        run(probe, "logits", base, place / "saved", place / "sequences.json", place / "again")
        again = load_file(place / "again")
        assert all(torch.equal(ours[key], again[key]) for key in ours), "PEFT saved another adapter"
    plain, models = load(base), {"PEFT": loaded, "merged": load(merged)}
    for i, tokens in enumerate(sequences):
        for name, model in models.items():
            with torch.no_grad():
                theirs, without = model(torch.tensor([tokens])).logits[0], plain(torch.tensor([tokens])).logits[0]
            largest = theirs.abs().max()
            distance = ((ours[str(i)] - theirs).abs().max() / largest).item()
            comparison.see(f"logits, {name}", f"{what}, {len(tokens)} tokens", distance, 1e-5)
            assert (theirs - without).abs().max() / largest > 1e-3, "the adapter adds nothing"


def compare_step(comparison, probe_model, probe, base, checkpoint, peft, what):
    reference = load(base)
    model = PeftModel.from_pretrained(load(base), peft, is_trainable=True).eval()
    step = json.loads(run(probe_model, "trees", reference.config.vocab_size))
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder) / "gradients"
        ours = json.loads(run(probe, "step", base, checkpoint, place))
        gradients = load_file(place)
    policy, divergence, *_ = losses(model, reference, step)
    (policy + step["kl_coefficient"] * divergence).backward()
    for name, theirs in [("pg_loss", policy.item()), ("kl_loss", divergence.item())]:
        distance = abs(ours["actor/" + name] - theirs) / max(abs(theirs), 1)
        comparison.see("losses", f"{what}, {name}", distance, 1e-5)
    named = {name.replace(".default", ""): p.grad for name, p in model.named_parameters() if p.requires_grad}
    assert set(named) == set(gradients), set(named) ^ set(gradients)
    for name, theirs in named.items():
        comparison.see("gradients", f"{what}, {name}", relative(gradients[name], theirs), 1e-4)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("probe_model", type=pathlib.Path)
    parser.add_argument("probe_adapter", type=pathlib.Path)
    parser.add_argument("convert", type=pathlib.Path)
    arguments = parser.parse_args()
    comparison = Comparison()
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, model) in enumerate(random_models()):
            base = pathlib.Path(folder) / name.replace(", ", "-")
            perturb(model, 0.1).save_pretrained(base)
            rank, alpha, targets = ADAPTERS[i % len(ADAPTERS)]
            place, what = base / "adapted", f"{name}, rank {rank}"
            run(arguments.probe_adapter, "make", base, place, rank, alpha, targets)
            checkpoint, peft, merged = place / "step-000001.h5", base / "peft", base / "merged"
            run(arguments.convert, "--adapter", place, peft)
            run(arguments.convert, "--dtype", "f32", place, merged)
            compare_logits(comparison, arguments.probe_adapter, base, checkpoint, peft, merged, what)
            compare_step(comparison, arguments.probe_model, arguments.probe_adapter, base, checkpoint, peft, what)
    for kind, distance in comparison.worst.items():
        print(f"{distance:9.2e}  largest distance of {kind}")
    return 1 if comparison.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
