#!/usr/bin/env python3
"""model.py - logits, losses and gradients against transformers and PyTorch's autograd.

    model.py PROBE_MODEL L2A_CONVERT [MODEL_DIR...] [--golden FILE]

Small random Llama, Qwen2 and Qwen3 models, tied and untied, with and without llama3's rotary scaling, are
made by transformers and read by us: logits must agree within 1e-5 of the largest logit, in fp32. The loss
of a GRPO step (clips, dual clip, k2 to another model, temperature) and its gradient by every tensor,
computed by us over trees in micro-batches and by autograd over independent sequences, must agree within
1e-5 and 1e-4. A model that went through l2a-convert to a checkpoint and back must give transformers the same
logits. MODEL_DIRs that are there are compared by their logits. --golden writes what PyTorch finds for the
tiny models of tests/model/tiny.c as a header, for tests that run without it.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import (AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)
from transformers.utils import logging

FAMILIES = ["llama", "smollm", "llama3", "qwen2", "qwen2-tied", "qwen3"]  # tiny_names in tests/model/tiny.c
VOCABULARY = 211

torch.set_num_threads(2)
logging.disable_progress_bar()


class Comparison:
    def __init__(self):
        self.worst, self.wrong = {}, 0

    def see(self, kind, what, distance, limit):
        self.worst[kind] = max(self.worst.get(kind, 0), distance)
        if not distance <= limit:
            self.wrong += 1
            print(f"DIFFERENT {kind}, {what}: {distance:.3g} exceeds {limit:g}")


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def load(directory):
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()


def relative(ours, theirs):
    """||a - b|| / ||b||, in double."""
    distance, length = (ours.double() - theirs.double()).norm().item(), theirs.double().norm().item()
    return distance / length if distance else 0.0


# Models.

def random_models():
    """Names and models of transformers, no size of which divides another without need."""
    small = dict(vocab_size=VOCABULARY, max_position_embeddings=2048, initializer_range=0.15, num_hidden_layers=2)
    scaled = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                  original_max_position_embeddings=256)
    yield "llama", LlamaForCausalLM(LlamaConfig(hidden_size=96, intermediate_size=200, num_attention_heads=6,
                                                num_key_value_heads=2, tie_word_embeddings=False, **small))
    yield "llama, tied", LlamaForCausalLM(LlamaConfig(hidden_size=72, intermediate_size=128, num_attention_heads=9,
                                                      num_key_value_heads=3, tie_word_embeddings=True, **small))
    yield "llama, llama3 rotary", LlamaForCausalLM(LlamaConfig(
        hidden_size=64, intermediate_size=96, num_attention_heads=4, num_key_value_heads=1,
        rope_parameters=scaled, tie_word_embeddings=True, **small))
    yield "qwen2", Qwen2ForCausalLM(Qwen2Config(hidden_size=56, intermediate_size=152, num_attention_heads=7,
                                                num_key_value_heads=1, tie_word_embeddings=False, **small))
    yield "qwen2, tied", Qwen2ForCausalLM(Qwen2Config(hidden_size=80, intermediate_size=136, num_attention_heads=4,
                                                      num_key_value_heads=4, tie_word_embeddings=True, **small))
    yield "qwen3", Qwen3ForCausalLM(Qwen3Config(hidden_size=48, intermediate_size=112, num_attention_heads=4, head_dim=32,
                                                num_key_value_heads=2, tie_word_embeddings=False, **small))
    yield "qwen3, tied", Qwen3ForCausalLM(Qwen3Config(hidden_size=64, intermediate_size=120, num_attention_heads=8, head_dim=24,
                                                      num_key_value_heads=4, tie_word_embeddings=True, **small))


def perturb(model, scale):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += scale * torch.randn_like(parameter)
    return model


# Logits.

def random_tokens(lengths):
    chance = random.Random(3)
    return [[chance.randrange(VOCABULARY) for _ in range(length)] for length in lengths]


SENTENCES = ["What brings you here today?", "I have had a cough for two weeks.", "Does it hurt when you breathe in deeply?",
             "Only at night, and when I climb stairs.", "Have you had a fever, or lost weight?", "No fever, 37.2 at most.",
             "Which medicines do you take?", "Lisinopril, 10 mg, since March.", "Any allergies that I should know of?"]


def text_tokens(directory, lengths):
    """Words that a trained model may meet: on random tokens single rows are ill-conditioned."""
    chance, tokenizer = random.Random(3), AutoTokenizer.from_pretrained(directory)
    text = " ".join(chance.choice(SENTENCES) for _ in range(max(lengths)))
    return [tokenizer(text)["input_ids"][:length] for length in lengths]


def compare_logits(comparison, probe, directory, what, sequences):
    model = load(directory)
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (place / "sequences.json").write_text(json.dumps(sequences))
        run(probe, "logits", directory, place / "sequences.json", place / "logits")
        ours = load_file(place / "logits")
    for i, tokens in enumerate(sequences):
        with torch.no_grad():
            theirs = model(torch.tensor([tokens])).logits[0]
        distance = (ours[str(i)] - theirs).abs().max() / theirs.abs().max()
        comparison.see("logits", f"{what}, {len(tokens)} tokens", distance.item(), 1e-5)


# The loss of a step.

def token_logprobs(model, context, response, temperature):
    """Log-probabilities of a response's tokens behind its context."""
    tokens = torch.tensor([context + response[:-1]])
    logits = model(tokens).logits[0, len(context) - 1:] / temperature
    return torch.log_softmax(logits, -1).gather(1, torch.tensor(response)[:, None])[:, 0]


def sequences_of(step):
    for tree in step["trees"]:
        for branch in tree["branches"]:
            if branch["graded"]:
                forced = branch["forced"]
                context = tree["trunk"][:branch["attach"]] + branch["tokens"][:forced]
                yield context, branch["tokens"][forced:], branch


def losses(model, reference, step):
    """Policy loss, KL loss, number of tokens that are clipped from above or below, and by the dual clip."""
    total = sum(sum(branch["scored"]) for _, _, branch in sequences_of(step))
    policy, divergence, clipped, dual = 0, 0, 0, 0
    for context, response, branch in sequences_of(step):
        mask, a = torch.tensor(branch["scored"]), branch["advantage"]
        lp = token_logprobs(model, context, response, step["temperature"])
        with torch.no_grad():
            lp_reference = token_logprobs(reference, context, response, step["temperature"])
        ratio = torch.exp(torch.clamp(lp - torch.tensor(branch["old"]), -20, 20))
        plain = -a * ratio
        bounded = -a * torch.clamp(ratio, 1 - step["clip_low"], 1 + step["clip_high"])
        loss = torch.maximum(plain, bounded)
        clipped += ((bounded > plain) * mask).sum().item()
        if a < 0:
            dual += ((loss > -a * step["clip_dual"]) * mask).sum().item()
            loss = torch.clamp(loss, max=-a * step["clip_dual"])
        policy = policy + (loss * mask).sum() / total
        divergence = divergence + (0.5 * (lp - lp_reference) ** 2 * mask).sum() / total
    return policy, divergence, clipped, dual, total


def compare_step(comparison, probe, directory, other, what):
    model, reference = load(directory), load(other)
    step = json.loads(run(probe, "trees", model.config.vocab_size))
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder) / "gradients"
        ours = json.loads(run(probe, "step", directory, other, place))
        gradients = load_file(place)
    policy, divergence, clipped, dual, total = losses(model, reference, step)
    (policy + step["kl_coefficient"] * divergence).backward()
    for name, theirs in [("pg_loss", policy.item()), ("kl_loss", divergence.item()), ("pg_clipfrac", clipped / total),
                         ("pg_clipfrac_lower", dual / total)]:
        distance = abs(ours["actor/" + name] - theirs) / max(abs(theirs), 1)
        comparison.see("losses", f"{what}, {name}", distance, 1e-5)
    assert clipped > 5 and dual > 5 and total > clipped + dual + 5, (clipped, dual, total)
    named = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert set(named) == set(gradients), set(named) ^ set(gradients)
    for name, theirs in named.items():
        comparison.see("gradients", f"{what}, {name}", relative(gradients[name], theirs), 1e-4)
    norm = torch.stack([g.double().norm() for g in named.values()]).norm().item()
    comparison.see("losses", f"{what}, grad_norm", abs(ours["actor/grad_norm"] - norm) / norm, 1e-5)


# Files.

def compare_conversion(comparison, convert, directory, what):
    tokens = torch.arange(40)[None] * 5 % VOCABULARY
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        place = pathlib.Path(folder)
        run(convert, "--import", directory, place / "model.h5")
        model = load(directory)
        for dtype in ["f32", "bf16"]:
            run(convert, "--dtype", dtype, place / "model.h5", place / dtype)
            if dtype == "bf16":
                for parameter in model.parameters():
                    parameter.copy_(parameter.bfloat16().float())
            distance = (load(place / dtype)(tokens).logits - model(tokens).logits).abs().max().item()
            comparison.see("logits after l2a-convert", f"{what}, {dtype}", distance, 0)


# Numbers for the tests that run without PyTorch.

def golden_of(probe, family, place):
    run(probe, "export", place, family)
    for part in [place, place / "reference"]:
        save_file(load_file(part / "model.safetensors"), part / "model.safetensors", {"format": "pt"})
    model, reference = load(place).double(), load(place / "reference").double()
    step = json.loads(run(probe, "trees", VOCABULARY))
    policy, divergence, *_ = losses(model, reference, step)
    (policy + step["kl_coefficient"] * divergence).backward()
    context, response, _ = next(sequences_of(step))
    with torch.no_grad():
        last = model(torch.tensor([context])).logits[0, -1]
    norms = [(name, p.grad.norm().item()) for name, p in model.named_parameters()]
    lines = ",\n".join(f'            {{"{name}", {norm:.9g}}}' for name, norm in norms)
    logits = ", ".join(f"{x:.9g}" for x in last[:8].tolist())
    return f"""    {{
        .policy = {policy.item():.12g},
        .divergence = {divergence.item():.12g},
        .logits = {{{logits}}},
        .norms = {{
{lines},
        }},
    }},"""


def write_golden(probe, path):
    with tempfile.TemporaryDirectory() as folder:
        rows = [golden_of(probe, family, pathlib.Path(folder) / family) for family in FAMILIES]
    body = "\n".join(rows)
    path.write_text(f"""// golden.h - what PyTorch finds for the models of tiny.c, by TinyFamily.
//
// Written by tests/peers/model.py --golden, in double: the two losses of a step over the four trees of
// grove_make(.., 4, 211, 11) with tiny_step_settings, the norm of the gradient of every tensor, and the
// first logits behind the context of the first response. The model's values are those of seed 5.

#ifndef L2A_TESTS_MODEL_GOLDEN_H
#define L2A_TESTS_MODEL_GOLDEN_H

enum {{ GOLDEN_LOGITS = 8, GOLDEN_TENSORS = 48 }};

typedef struct {{
    double policy, divergence;
    double logits[GOLDEN_LOGITS];
    struct {{
        const char *name;
        double norm;
    }} norms[GOLDEN_TENSORS];
}} Golden;

// clang-format off
static const Golden golden[] = {{
{body}
}};
// clang-format on

#endif
""")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("probe", type=pathlib.Path)
    parser.add_argument("convert", type=pathlib.Path)
    parser.add_argument("models", type=pathlib.Path, nargs="*")
    parser.add_argument("--golden", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.golden:
        return write_golden(arguments.probe, arguments.golden)
    comparison = Comparison()
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        for name, model in random_models():
            place = pathlib.Path(folder) / name.replace(", ", "-")
            perturb(model, 0.1).save_pretrained(place)
            perturb(model, 0.02).save_pretrained(place / "reference")
            compare_logits(comparison, arguments.probe, place, name, random_tokens([1, 2, 17, 64, 300, 1500]))
            compare_step(comparison, arguments.probe, place, place / "reference", name)
            compare_conversion(comparison, arguments.convert, place, name)
    for directory in arguments.models:
        if (directory / "config.json").exists():
            compare_logits(comparison, arguments.probe, directory, directory.name, text_tokens(directory, [1, 40, 400]))
        else:
            print("not compared: no model in", directory)
    for kind, distance in comparison.worst.items():
        print(f"{distance:9.2e}  largest distance of {kind}")
    return 1 if comparison.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
