#!/usr/bin/env python3
"""llama.py - llama.cpp as bench_rollout's peer: prefill and decoding of one branch.

    bench_rollout SHAPE f32|bf16 -- llama.py SHAPE f32|bf16 THREADS

The model is of SHAPE's config.json with random weights, written as a GGUF file of its own and mapped. Tokens are
given, not sampled, and keys and values are f16, as llama.cpp has them by itself: both in the peer's favour. Flash
attention is on, and a prompt is one batch.
"""

from turns import read_shape, take_turns, trunk_tokens  # isort: skip

import ctypes
import sys
import tempfile
import time

import gguf
import llama_cpp
import numpy as np


def write_model(path, shape, dtype):
    """A model of random weights; norms in f32, as llama.cpp wants them."""
    kind = shape["model_type"]
    heads, width, inner = shape["num_attention_heads"], shape["hidden_size"], shape["intermediate_size"]
    head = shape.get("head_dim", width // heads)
    keys = shape["num_key_value_heads"] * head
    writer = gguf.GGUFWriter(path, kind)
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(shape["vocab_size"])
    writer.add_context_length(shape["max_position_embeddings"])
    writer.add_embedding_length(width)
    writer.add_block_count(shape["num_hidden_layers"])
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(shape["num_key_value_heads"])
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(shape["rope_theta"])
    writer.add_layer_norm_rms_eps(shape["rms_norm_eps"])
    random = np.random.default_rng(1)
    stored = gguf.GGMLQuantizationType.BF16 if dtype == "bf16" else gguf.GGMLQuantizationType.F32

    def add(name, rows, columns):
        values = random.standard_normal((rows, columns), dtype=np.float32) * shape["initializer_range"]
        writer.add_tensor(name, gguf.quants.quantize(values, stored), raw_dtype=stored)

    def add_vector(name, length, value):
        writer.add_tensor(name, np.full(length, value, dtype=np.float32))

    add("token_embd.weight", shape["vocab_size"], width)
    for layer in range(shape["num_hidden_layers"]):
        block = f"blk.{layer}"
        for name in ["attn_norm", "ffn_norm"]:
            add_vector(f"{block}.{name}.weight", width, 1)
        for name, rows, columns in [
            ("attn_q", heads * head, width),
            ("attn_k", keys, width),
            ("attn_v", keys, width),
            ("attn_output", width, heads * head),
            ("ffn_gate", inner, width),
            ("ffn_up", inner, width),
            ("ffn_down", width, inner),
        ]:
            add(f"{block}.{name}.weight", rows, columns)
            if kind == "qwen2" and name in ["attn_q", "attn_k", "attn_v"]:
                add_vector(f"{block}.{name}.bias", rows, 0)
    add_vector("output_norm.weight", width, 1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def open_context(path, threads):
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = 1024
    parameters.n_batch = parameters.n_ubatch = 512
    parameters.n_threads = parameters.n_threads_batch = threads
    parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
    context = llama_cpp.llama_init_from_model(model, parameters)
    if not context:
        sys.exit(f"{path}: llama.cpp does not take it")
    return context


def main():
    shape, dtype, threads = read_shape(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    quiet = llama_cpp.llama_log_callback(lambda level, text, data: level == 4 and print(text.decode(), file=sys.stderr))
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
        write_model(file.name, shape, dtype)
        context = open_context(file.name, threads)
    vocabulary = shape["vocab_size"]

    def decode(tokens):
        ids = (llama_cpp.llama_token * len(tokens))(*tokens)  # the batch does not keep them
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(ids, len(ids))) != 0:
            sys.exit("llama_decode failed")
        llama_cpp.llama_synchronize(context)

    def run(what, trunks, branches, trunk, response):
        if trunks * branches != 1:
            return None
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        tokens = trunk_tokens(0, trunk, vocabulary)
        begin = time.perf_counter()
        decode(tokens)
        if what == "prefill":
            return time.perf_counter() - begin
        begin = time.perf_counter()
        for token in trunk_tokens(1, response - 1, vocabulary):  # the first comes of the prefill
            decode([token])
        return time.perf_counter() - begin

    take_turns(f"llama.cpp of llama-cpp-python {llama_cpp.__version__}", run)


if __name__ == "__main__":
    main()
