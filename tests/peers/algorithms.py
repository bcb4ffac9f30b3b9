#!/usr/bin/env python3
"""algorithms.py - every algorithm's loss and gradient against PyTorch's autograd.

    algorithms.py PROBE_MODEL

The formulas are written down here once more, from the papers and over independent sequences: advantages of
groups, ratios, clips, pairs, estimators of the divergence, entropy, importance weights, aggregations. The
trees of tests/model/tiny.c, whose old log-probabilities meet every clip, are computed by us in micro-batches
and by autograd one sequence at a time; losses must agree within 1e-4 (of the larger of 1 and the loss) and
the gradient of every tensor within 1e-4 of its norm.
"""

import json
import pathlib
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

from model import Comparison, load, relative, run, sequences_of

TEMPERATURE = 0.7
DEFAULTS = dict(clip_low=0.2, clip_high=0.2, clip_dual=3.0, kl_coefficient=0.001, kl_estimator="k2",
                entropy_coefficient=0.0, importance_cap=0.0, aggregation="token-mean", drop_flat_groups="no",
                opmd_tau=1.0, dpo_beta=0.1)
OWN = {
    "dr_grpo": dict(aggregation="sequence-mean-token-sum-norm"),
    "dapo": dict(clip_high=0.28, kl_coefficient=0.0, drop_flat_groups="yes"),
    "gspo": dict(clip_low=0.0003, clip_high=0.0004, aggregation="sequence-mean-token-mean"),
    "cispo": dict(clip_high=0.28),
    "reinforce++": dict(kl_estimator="k1"),
    "dpo": dict(aggregation="sequence-mean-token-sum"),
}
LONGEST = 1024  # rollout.max_response_tokens


def divergence(estimator, lp, reference):
    x = reference - lp
    return {"none": torch.zeros_like, "k1": lambda x: -x, "k2": lambda x: x ** 2 / 2,
            "k3": lambda x: x.exp() - 1 - x, "abs": torch.abs,
            "low-variance-k3": lambda x: (x.clamp(-20, 20).exp() - 1 - x.clamp(-20, 20)).clamp(-10, 10)}[estimator](x)


def distribution(model, context, response):
    """Log-probabilities of the response's tokens, and the entropy of what each was drawn from."""
    logits = model(torch.tensor([context + response[:-1]])).logits[0, len(context) - 1:] / TEMPERATURE
    full = torch.log_softmax(logits, -1)
    return full.gather(1, torch.tensor(response)[:, None])[:, 0], -(full.exp() * full).sum(-1)


def group_advantages(name, rewards):
    rewards = torch.tensor(rewards, dtype=torch.double)
    n = len(rewards)
    if n == 1:
        return rewards
    centred = rewards - rewards.mean()
    if name in ("dr_grpo", "opmd"):
        return centred
    if name == "rloo":
        return centred * n / (n - 1)
    return centred / (rewards.std() + 1e-6)


class Sequence:
    def __init__(self, model, reference, context, response, branch):
        self.mask = torch.tensor(branch["scored"], dtype=torch.bool)
        self.lp, self.entropy = distribution(model, context, response)
        with torch.no_grad():
            self.reference, _ = distribution(reference, context, response)
        self.old = torch.tensor(branch["old"])
        self.reward, self.sample = branch["advantage"], branch["sample"]
        self.advantage = None  # of every token

    def sum(self, values):
        return values[self.mask].sum()


def set_advantages(name, settings, sequences):
    if name == "reinforce++":
        for s in sequences:
            kl = divergence(settings["kl_estimator"], s.old, s.reference) * s.mask * settings["kl_coefficient"]
            s.advantage = s.reward - kl.double().flip(0).cumsum(0).flip(0)
        every = torch.cat([s.advantage[s.mask] for s in sequences])
        for s in sequences:
            s.advantage = ((s.advantage - every.mean()) / torch.sqrt(every.var() + 1e-8)).float()
        return
    for sample in {s.sample for s in sequences}:
        group = [s for s in sequences if s.sample == sample]
        for s, a in zip(group, group_advantages(name, [s.reward for s in group])):
            s.advantage = torch.full_like(s.lp, a.item())


def clipped(settings, ratio, a):
    loss = torch.maximum(-a * ratio, -a * ratio.clamp(1 - settings["clip_low"], 1 + settings["clip_high"]))
    return torch.where(a < 0, torch.minimum(loss, -a * settings["clip_dual"]), loss)


def token_losses(name, settings, s):
    """The policy loss of every token of a sequence."""
    cap = settings["importance_cap"]
    anchor = s.lp.detach() if cap else s.old
    weight = (s.lp.detach() - s.old).clamp(-20, 20).exp().clamp(max=cap) if cap else 1
    if name == "sft":
        return -s.lp
    if name == "opmd":
        return weight * -s.advantage * s.lp / (1 + settings["opmd_tau"])
    difference = (s.lp - anchor).clamp(-20, 20)
    if name == "cispo":
        return weight * -s.advantage * difference.exp().clamp(max=1 + settings["clip_high"]).detach() * s.lp
    if name == "gspo":
        mean = s.sum(s.lp - anchor) / s.mask.sum()
        if cap:  # of the response, as its ratio
            weight = (s.sum(s.lp.detach() - s.old) / s.mask.sum()).clamp(-20, 20).exp().clamp(max=cap)
        return weight * clipped(settings, mean.clamp(-20, 20).exp().expand_as(s.lp), s.advantage)
    return weight * clipped(settings, difference.exp(), s.advantage)


def aggregate(settings, sequences, values):
    """One number from the tokens' values, sequence by sequence."""
    counted = [(s, v) for s, v in zip(sequences, values) if s.mask.any()]
    sums = torch.stack([s.sum(v) for s, v in counted])
    lengths = torch.tensor([s.mask.sum() for s, _ in counted])
    return {"token-mean": lambda: sums.sum() / lengths.sum(), "sequence-mean-token-mean": lambda: (sums / lengths).mean(),
            "sequence-mean-token-sum": lambda: sums.mean(),
            "sequence-mean-token-sum-norm": lambda: sums.mean() / LONGEST}[settings["aggregation"]]()


def dpo_loss(settings, pairs):
    margins = [settings["dpo_beta"] * ((c.sum(c.lp) - c.sum(c.reference)) - (r.sum(r.lp) - r.sum(r.reference)))
               for c, r in pairs]
    return -torch.nn.functional.logsigmoid(torch.stack(margins)).mean()


def pairs_of(model, reference, step):
    for tree in step["trees"]:
        for first in range(0, len(tree["branches"]) - 1, 2):
            pair = [dict(branch, graded=1, scored=[1] + branch["scored"][1:]) for branch in tree["branches"][first:first + 2]]
            found = sequences_of({"trees": [dict(tree, branches=pair)]})
            yield [Sequence(model, reference, *one) for one in found]


def loss_of(name, settings, model, reference, step):
    """Policy loss and the whole loss."""
    if name == "dpo":
        pairs = list(pairs_of(model, reference, step))
        policy = dpo_loss(settings, pairs)
        sequences = [s for pair in pairs for s in pair]
    else:
        sequences = [Sequence(model, reference, *one) for one in sequences_of(step)]
        if name != "sft":
            set_advantages(name, settings, sequences)
        policy = aggregate(settings, sequences, [token_losses(name, settings, s) for s in sequences])
    whole = policy
    if name not in ("sft", "dpo", "reinforce++"):
        terms = [divergence(settings["kl_estimator"], s.lp, s.reference) for s in sequences]
        whole = whole + settings["kl_coefficient"] * aggregate(settings, sequences, terms)
    if settings["entropy_coefficient"]:
        whole = whole - settings["entropy_coefficient"] * aggregate(settings, sequences, [s.entropy for s in sequences])
    return policy, whole


def cases():
    for name in ["grpo", "dr_grpo", "dapo", "gspo", "cispo", "rloo", "reinforce++", "opmd", "sft", "dpo"]:
        yield name, {}
    for estimator in ["none", "k1", "k2", "k3", "low-variance-k3", "abs"]:
        yield "grpo", dict(kl_coefficient=0.3, kl_estimator=estimator)
    for aggregation in ["sequence-mean-token-mean", "sequence-mean-token-sum", "sequence-mean-token-sum-norm"]:
        yield "grpo", dict(aggregation=aggregation, kl_coefficient=0.1)
        yield "gspo", dict(aggregation=aggregation, clip_low=0.5, clip_high=0.5)
    yield "gspo", dict(aggregation="token-mean", clip_low=0.3, clip_high=0.3)
    for name in ["grpo", "gspo", "cispo", "opmd"]:
        yield name, dict(importance_cap=1.5)
    for name in ["grpo", "sft", "dpo"]:
        yield name, dict(entropy_coefficient=0.05)
    yield "reinforce++", dict(kl_coefficient=0.4)
    yield "dpo", dict(dpo_beta=0.5)


def compare(comparison, probe, directory, name, given):
    model, reference = load(directory), load(directory / "reference")
    step = json.loads(run(probe, "trees", model.config.vocab_size))
    settings = {**DEFAULTS, **OWN.get(name, {}), **given}
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        lines = "".join(f"{key} = {value}\n" for key, value in dict(name=name, **given).items())
        (place / "step.ini").write_text("[algorithm]\n" + lines)
        ours = json.loads(run(probe, "step", directory, directory / "reference", place / "out", place / "step.ini"))
        gradients = load_file(place / "out")
    policy, whole = loss_of(name, settings, model, reference, step)
    whole.backward()
    what = " ".join([name] + [f"{key}={value}" for key, value in given.items()])
    distance = abs(ours["actor/pg_loss"] - policy.item()) / max(abs(policy.item()), 1)
    comparison.see("losses", what, distance, 1e-4)
    for tensor, parameter in model.named_parameters():
        comparison.see("gradients", f"{what}, {tensor}", relative(gradients[tensor], parameter.grad), 1e-4)


def main():
    probe = pathlib.Path(sys.argv[1])
    comparison, count = Comparison(), 0
    with tempfile.TemporaryDirectory() as folder:
        directory = pathlib.Path(folder) / "model"
        run(probe, "export", directory, "qwen2")
        for part in [directory, directory / "reference"]:
            save_file(load_file(part / "model.safetensors"), part / "model.safetensors", {"format": "pt"})
        for name, given in cases():
            compare(comparison, probe, directory, name, given)
            count += 1
    for kind, distance in comparison.worst.items():
        print(f"{distance:9.2e}  largest distance of {kind}, {count} cases")
    return 1 if comparison.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
