#!/usr/bin/env python3
"""torch_update.py - PyTorch as bench_step's peer: an update on as many packed tokens.

    bench_step INPUT.ini RUN -- torch_update.py SHAPE THREADS [fp32|bf16]

A turn is "update ROWS SCORED COMPARES": forward and backward pass of ROWS tokens, of which SCORED meet the
vocabulary, and AdamW; COMPARES is 1 where a reference scores them, too. Weights are random, of the shape of SHAPE's
config.json. Tokens are packed as causal sequences of 512, which is in the peer's favour: trees would need masks.
bf16 is autocast beside fp32 weights.
"""

from turns import take_turns  # isort: skip

import copy
import os
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402
import transformers  # noqa: E402

PACK = 512


def logprobs(model, tokens, scored):
    """Of the last `scored` tokens of the pack, what follows each of them."""
    hidden = model.model(input_ids=tokens[None, :-1], use_cache=False).last_hidden_state[0, -scored:]
    logits = model.lm_head(hidden).float()
    return torch.log_softmax(logits, dim=-1).gather(1, tokens[-scored:, None])


def main():
    directory, threads = sys.argv[1], int(sys.argv[2])
    mixed = sys.argv[3:] == ["bf16"]
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    configuration = transformers.AutoConfig.from_pretrained(directory)
    model = transformers.AutoModelForCausalLM.from_config(configuration, dtype=torch.float32, attn_implementation="sdpa")
    reference = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)

    def run(what, rows, scored, compares):
        if what != "update":
            return None
        tokens = torch.randint(configuration.vocab_size, (rows + 1,))  # each row has one behind it
        begin = time.perf_counter()
        for first in range(0, rows, PACK):
            pack = tokens[first : first + PACK + 1]
            share = max(1, scored * (len(pack) - 1) // rows)
            with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                old = 0
                if compares:
                    with torch.no_grad():
                        old = logprobs(reference, pack, share)
                loss = -(logprobs(model, pack, share) - old).sum() / scored
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return time.perf_counter() - begin

    take_turns(f"PyTorch {torch.__version__}, transformers {transformers.__version__}", run)


if __name__ == "__main__":
    main()
