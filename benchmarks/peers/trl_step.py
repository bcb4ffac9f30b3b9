#!/usr/bin/env python3
"""trl_step.py - TRL's GRPOTrainer as bench_step's peer: whole steps on as many responses as long as ours.

    bench_step INPUT.ini RUN --set rollout.max_response_tokens=N -- trl_step.py MODEL BATCH THREADS

BATCH is what `bench_trees INPUT.ini RUN --dump BATCH` wrote: its contexts are the prompts, a step's number of
them and of responses is asked for with each turn ("step CONTEXTS GROUP TOKENS", the same in each). Sampling at
temperature 1 without cuts, every response of TOKENS tokens, KL to a reference, AdamW in fp32: as
inputs/smollm2-mts.ini has it, whose other settings do not reach this. Rewards are made up, and differ within a
group: judging by rule takes no time that could be seen on either side.
"""

from turns import say  # isort: skip

import json
import os
import sys
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import datasets  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
import trl  # noqa: E402


def asked():
    """The next turn's sizes; the end of our input ends us."""
    for line in sys.stdin:
        what, *sizes = line.split()
        if what == "step":
            return [int(size) for size in sizes]
        say("none")
    os._exit(0)  # out of the trainer


class Turns(transformers.TrainerCallback):
    """A step of TRL's for each turn; the first one is asked for before the trainer is made."""

    def __init__(self, sizes):
        self.sizes, self.begun = sizes, False

    def on_step_begin(self, *_, **__):
        if self.begun and asked() != self.sizes:
            sys.exit("the turns of a TRL trainer are all of one size")
        self.begun, self.since = True, time.perf_counter()

    def on_step_end(self, *_, **__):
        say(f"{time.perf_counter() - self.since:.6f}")


def read_prompts(path, tokenizer):
    with open(path) as file:
        contexts = [tuple(json.loads(line)["prompt"]) for line in file]
    return [tokenizer.decode(ids) for ids in dict.fromkeys(contexts)]


def main():
    model, path, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    torch.set_num_threads(threads)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    prompts = read_prompts(path, tokenizer)
    say(f"TRL {trl.__version__}, transformers {transformers.__version__}, PyTorch {torch.__version__}")
    contexts, group, tokens = sizes = asked()
    if len(prompts) < contexts:
        sys.exit(f"{path} has {len(prompts)} different contexts, a step wants {contexts}")
    with tempfile.TemporaryDirectory() as folder:
        configuration = trl.GRPOConfig(
            output_dir=folder,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            per_device_train_batch_size=group,
            gradient_accumulation_steps=contexts,
            num_generations=group,
            max_completion_length=tokens,
            generation_kwargs={"min_new_tokens": tokens},
            temperature=1.0,
            max_steps=1000,
            learning_rate=1e-5,
            weight_decay=0.01,
            max_grad_norm=1.0,
            beta=0.001,
            shuffle_dataset=False,
            logging_steps=1000,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            model_init_kwargs={"dtype": "float32", "attn_implementation": "sdpa"},
        )
        trainer = trl.GRPOTrainer(
            model=model,
            reward_funcs=lambda completions, **_: [float(i) for i in range(len(completions))],
            args=configuration,
            train_dataset=datasets.Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
            processing_class=tokenizer,
            callbacks=[Turns(sizes)],
        )
        trainer.train()


if __name__ == "__main__":
    main()
