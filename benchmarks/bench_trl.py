#!/usr/bin/env python3
"""bench_trl.py - a GRPO update of TRL's GRPOTrainer and ours, of the same batch, taking turns.

    bench_trl.py MODEL BATCH [settings of TRL] -- COMMAND...

COMMAND is bench_trees with --dump BATCH. Generation and rewards of TRL are replaced by the batch's tokens,
sampled log-probabilities and advantages; the reference's log-probabilities, loss, backward pass, clipping and
AdamW are its own, and all of that is timed on both sides. Loss and gradient norm must agree before a time is
printed. The learning rate is 0, so that every update starts from the same weights; the first of each side is a
warm-up. Processor seconds, of all threads, tell which turns others on the machine disturbed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import datasets  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
import trl  # noqa: E402

# Relative, of loss and gradient norm. Torch adds up the squares of a norm in fp32: some 1e-3 are lost.
TOLERANCE = {"fp32": 2e-3, "bf16": 1e-1, "bf16-weights": 1e-1}


def run_ours(command):
    """What bench_trees --dump says: the last lines, a name and a number each."""
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    said = dict(line.rsplit(" ", 1) for line in output.splitlines()[-5:])
    return {name: float(value) for name, value in said.items()}


def padded(rows, left, value, dtype):
    width = max(len(row) for row in rows)
    pads = [[value] * (width - len(row)) for row in rows]
    return torch.tensor([pad + row if left else row + pad for row, pad in zip(rows, pads)], dtype=dtype)


class FedTrainer(trl.GRPOTrainer):
    """A GRPOTrainer whose responses come from a batch; a row of its dataset is the number of a group."""

    def __init__(self, groups, **arguments):
        self.groups = groups
        super().__init__(**arguments)

    def _generate_and_score_completions(self, inputs):
        size = len(self.groups[0])
        lines = [self.groups[row["group"]][i % size] for i, row in enumerate(inputs)]
        prompts, responses = [line["prompt"] for line in lines], [line["response"] for line in lines]
        batch = {
            "prompt_ids": padded(prompts, True, 0, torch.long),
            "prompt_mask": padded([[1] * len(row) for row in prompts], True, 0, torch.long),
            "completion_ids": padded(responses, False, 0, torch.long),
            "completion_mask": padded([[1] * len(row) for row in responses], False, 0, torch.long),
            "old_per_token_logps": padded([line["logprobs"] for line in lines], False, 0.0, torch.float32),
            "advantages": torch.tensor([line["advantage"] for line in lines]),
            "num_items_in_batch": torch.tensor(sum(len(row) for row in responses)),
        }
        with torch.no_grad():
            batch["ref_per_token_logps"], _, _ = self._get_per_token_logps_and_entropies(
                self.ref_model,
                torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1),
                torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1),
                batch["completion_ids"].size(1),
                batch_size=self.args.per_device_train_batch_size,
            )
        return batch


def spent(run):
    return f"{run['seconds']:.2f} s ({run['processor seconds']:.2f} of processors)"


class Turns(transformers.TrainerCallback):
    """Ours before each update of TRL's, whose time is taken."""

    def __init__(self, command):
        self.command, self.ours, self.theirs = command, [run_ours(command)], []

    def on_step_begin(self, *_, **__):
        if self.theirs:
            self.ours.append(run_ours(self.command))
        self.since = time.perf_counter(), time.process_time()

    def on_step_end(self, *_, **__):
        wall, processor = time.perf_counter() - self.since[0], time.process_time() - self.since[1]
        self.theirs.append({"seconds": wall, "processor seconds": processor})
        print(f"turn {len(self.theirs) - 1}: ours {spent(self.ours[-1])}, TRL's {spent(self.theirs[-1])}", flush=True)


def configuration(arguments, responses, longest, folder):
    steps = responses // arguments.micro_batch
    return trl.GRPOConfig(
        output_dir=folder,
        use_cpu=True,
        bf16=arguments.precision != "fp32",
        gradient_checkpointing=arguments.checkpointing,
        torch_compile=arguments.compile,
        per_device_train_batch_size=arguments.micro_batch,
        gradient_accumulation_steps=steps,
        steps_per_generation=1 if arguments.generate == "micro-batch" else steps,
        num_generations=arguments.group,
        max_completion_length=longest,
        shuffle_dataset=False,
        max_steps=arguments.turns + 1,
        learning_rate=0.0,
        weight_decay=0.01,
        max_grad_norm=1.0,
        beta=0.001,
        loss_type="dapo",  # the mean over all tokens of the batch
        delta=3.0,  # the dual clip
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        model_init_kwargs={
            "dtype": "bfloat16" if arguments.precision == "bf16-weights" else "float32",
            "attn_implementation": arguments.attention,
        },
    )


def take_turns(arguments):
    turns = Turns(arguments.command)  # writes the batch
    with open(arguments.batch) as file:
        lines = [json.loads(line) for line in file]
    groups = [lines[i : i + arguments.group] for i in range(0, len(lines), arguments.group)]
    longest = max(len(line["response"]) for line in lines)
    if arguments.scored_only:
        trl.trainer.utils._use_triton = lambda device: True
    with tempfile.TemporaryDirectory() as folder:
        trainer = FedTrainer(
            groups,
            model=arguments.model,
            reward_funcs=lambda completions, **_: [0.0] * len(completions),
            args=configuration(arguments, len(lines), longest, folder),
            train_dataset=datasets.Dataset.from_list([{"prompt": "", "group": g} for g in range(len(groups))]),
            callbacks=[turns],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    logged = [entry for entry in trainer.state.log_history if "grad_norm" in entry][-1]
    return turns, {"loss": logged["loss"], "gradient norm": logged["grad_norm"]}


def check(ours, theirs, tolerance):
    for name, value in theirs.items():
        print(f"{name}: ours {ours[name]:.6f}, TRL's {value:.6f}")
        if not abs(value / ours[name] - 1) < tolerance:
            sys.exit(f"error: {name}: this is not the same update")


def report(turns):
    """Of turns, pairs of ours and TRL's."""
    for who, side in [("ours", 0), ("TRL's", 1)]:
        values = [turn[side]["seconds"] for turn in turns]
        print(f"seconds, {who}: min {min(values):.2f}, median {statistics.median(values):.2f}, max {max(values):.2f}")
    ratios = [theirs["seconds"] / ours["seconds"] for ours, theirs in turns]
    print(f"times faster: min {min(ratios):.2f}, median {statistics.median(ratios):.2f}, max {max(ratios):.2f}")


def had_all_cores(run):
    return run["processor seconds"] > 0.9 * torch.get_num_threads() * run["seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("batch")
    parser.add_argument("command", nargs="+")
    parser.add_argument("--turns", type=int, default=3, help="after the warm-up")
    parser.add_argument("--group", type=int, default=5, help="rollout.group_size of the batch")
    parser.add_argument("--precision", choices=TOLERANCE, default="fp32")
    parser.add_argument("--attention", default="sdpa")
    parser.add_argument("--micro-batch", type=int, default=5)
    parser.add_argument("--generate", choices=["batch", "micro-batch"], default="micro-batch",
                        help="what is generated, and so padded, at once")
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--scored-only", action="store_true",
                        help="only response tokens meet the vocabulary: a change to TRL, which does so on GPUs")
    arguments = parser.parse_args()
    turns, theirs = take_turns(arguments)
    check(turns.ours[-1], theirs, TOLERANCE[arguments.precision])
    pairs = list(zip(turns.ours, turns.theirs))[1:]
    report(pairs)
    undisturbed = [pair for pair in pairs if all(had_all_cores(run) for run in pair)]
    if 0 < len(undisturbed) < len(pairs):
        print(f"the {len(undisturbed)} in which both sides had all cores:")
        report(undisturbed)


if __name__ == "__main__":
    main()
