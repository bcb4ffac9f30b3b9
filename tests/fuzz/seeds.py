#!/usr/bin/env python3
"""seeds.py - writes the inputs that fuzzing starts from: DIRECTORY/TARGET/NAME.

    seeds.py DIRECTORY

Each target gets a good input, so that mutations reach what stands behind the first checks, and the shapes of abuse
that are known: overlaps, holes, lying lengths, deep nesting, names that leave a directory, numbers at the edge.
"""

import json
import pathlib
import struct
import sys

DEEP = 2100


def parts(*texts):
    """Several texts in one input, as fuzz.h cuts it."""
    return b"\x1e".join(text if isinstance(text, bytes) else text.encode() for text in texts)


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


GOOD = {"__metadata__": {"format": "pt"}, "a": entry([2, 3], 0, 24), "b": entry([4], 24, 32, "BF16"), "c": entry([], 32, 34, "F16")}
HEADERS = {
    "good": (34, compact(GOOD)),
    "empty": (0, "{}"),
    "overlap": (8, compact({"a": entry([2], 0, 8), "b": entry([1], 4, 8)})),
    "hole": (12, compact({"a": entry([1], 0, 4), "b": entry([1], 8, 12)})),
    "tail": (8, compact({"a": entry([1], 0, 4)})),
    "twice": (8, '{"a":' + compact(entry([1], 0, 4)) + ',"a":' + compact(entry([1], 4, 8)) + "}"),
    "huge": (4, compact({"a": entry([1 << 40, 1 << 40], 0, 4)})),
    "zero": (0, compact({"a": entry([0, 1 << 62, 2], 0, 0)})),
    "edge": (9223372036854775807, compact({"a": entry([9223372036854775807], 0, 9223372036854775807, "U8")})),
    "real": (4, '{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0.5,-4]}}'),
    "deep": (0, '{"a":' + "[" * DEEP),
    "type": (1, compact({"a": entry([1], 0, 1, "F8_E4M3")})),
}


def shard(data, header):
    return f"{data} {compact(header)}"


def index(files):
    return compact({"metadata": {"total_size": 1}, "weight_map": files})


WHOLE = struct.pack("<Q", len(compact(GOOD))) + compact(GOOD).encode() + bytes(34)
SHARDS = {
    "single": parts("{}", shard(34, GOOD)),
    "bytes": parts("", WHOLE),
    "long": parts("", struct.pack("<Q", 1 << 63) + b"{}"),
    "two": parts(index({"a": "a.safetensors", "b": "b.safetensors"}), "", shard(4, {"a": entry([1], 0, 4)}),
                 shard(4, {"b": entry([2], 0, 4, "F16")})),
    "both": parts(index({"a": "a.safetensors", "b": "b.safetensors"}), "", shard(4, {"a": entry([1], 0, 4)}),
                  shard(4, {"a": entry([1], 0, 4)})),
    "outside": parts(index({"a": "../a.safetensors", "b": "/dev/zero.safetensors"})),
    "number": parts(index({"a": 1})),
}

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def tokenizer(**changes):
    model = {"type": "BPE", "dropout": None, "unk_token": None, "ignore_merges": False,
             "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3, "Ġab": 4, "Ċ": 5, "c": 6}, "merges": ["a b", "Ġ ab"]}
    root = {"added_tokens": [{"id": 7, "content": "<|im_end|>", "special": True, "normalized": False},
                             {"id": 8, "content": "<think>", "special": False, "normalized": True}],
            "normalizer": {"type": "NFC"},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": False}, BYTE_LEVEL]},
            "post_processor": {"type": "Sequence", "processors": [BYTE_LEVEL, {"type": "TemplateProcessing"}]},
            "decoder": {"type": "ByteLevel"}, "model": model}
    for key, value in changes.items():
        (model if key in model else root)[key] = value
    return compact(root)


CONFIG = '{"eos_token": {"content": "<|im_end|>"}}'
TEXT = "ab cab<|im_end|> e\u0301 \U0001F912<think>\n\n"
TOKENIZERS = {
    "good": parts(tokenizer(), CONFIG, '{"eos_token_id": [7, 0]}', '{"eos_token_id": 7}', TEXT),
    "pairs": parts(tokenizer(merges=[["a", "b"], ["Ġ", "ab"]]), '{"eos_token": "c"}', "{}", "{}", TEXT),
    "whole": parts(tokenizer(ignore_merges=True, normalizer=None,
                             pre_tokenizer={**BYTE_LEVEL, "use_regex": True}), CONFIG, "{}", "{}", TEXT),
    "digits": parts(tokenizer(normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}]},
                              pre_tokenizer={"type": "Sequence", "pretokenizers": [
                                  {"type": "Digits", "individual_digits": True}, {**BYTE_LEVEL, "use_regex": True}]}),
                    CONFIG, "{}", "{}", "12a ab"),
    "gap": parts(tokenizer(vocab={"a": 0, "b": 70000}), CONFIG, "{}", "{}", TEXT),
    "large": parts(tokenizer(vocab={"a": 0, "b": 1 << 40}), CONFIG, "{}", "{}", TEXT),
    "same": parts(tokenizer(vocab={"a": 0, "b": 0}), CONFIG, "{}", "{}", TEXT),
    "deep": parts(tokenizer().replace('{"type":"NFC"}', '{"type":"Sequence","normalizers":[' * 100), CONFIG),
}

LLAMA = {"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 512, "max_position_embeddings": 128,
         "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True, "hidden_act": "silu"}
CONFIGS = {
    "llama": compact(LLAMA),
    "qwen3": compact({**LLAMA, "architectures": ["Qwen3ForCausalLM"], "head_dim": 32, "attention_bias": False}),
    "qwen2": compact({**LLAMA, "architectures": ["Qwen2ForCausalLM"], "use_sliding_window": False,
                      "rope_scaling": {"type": "default"}}),
    "llama3": compact({**LLAMA, "rope_scaling": {
        "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192}}),
    "parameters": compact({**LLAMA, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
    "edges": compact({**LLAMA, "rms_norm_eps": 1e300, "rope_theta": 1e-300, "initializer_range": 1e308}),
}

LINES = {
    "values": '{"a": [1, -2.5e-7, true, null, "\\u00e9\\n", {"b": {}}], "c": 9223372036854775807}\r\n\n{"d": 0.1}',
    "bad": '{"a": 1, "a": 2}\n[1]\n"\\u0000"\n{"a": "\\ud800"}\n{"a": 1e999}\n{"a": \xff}\nnull',
    "mark": "\ufeff{}\n",
    "wide": b"\xff\xfe{\x00}\x00\n\x00",
    "deep": '{"a":' + "[" * DEEP,
}

USER, ASSISTANT = {"role": "user", "content": "My head hurts"}, {"role": "assistant", "content": "Since when?"}
SESSION = {"session_id": 1, "diagn": "migraine", "messages": [USER, ASSISTANT, {"role": "user", "content": "a day"}, ASSISTANT]}
SAMPLE = {"cid": "1_1", "session_id": 1, "diagn": None, "messages": [USER], "decision_truth": "continue",
          "info_set": ["onset: a day", "site: head"], "info_truth": "onset: a day, site: head", "remaining_chat": [ASSISTANT, USER]}


def lines(*values):
    return "\n".join(compact(value) for value in values) + "\n"


DIALOGUES = {
    "sessions": lines(SESSION, {**SESSION, "session_id": "b"}, SESSION),
    "samples": lines(SAMPLE, {**SAMPLE, "cid": "1_2", "messages": [USER, ASSISTANT, USER], "remaining_chat": "assistant: ok\nwell\nuser: no"},
                     {**SAMPLE, "cid": "2_1", "session_id": "2", "info_set": None}, {**SAMPLE, "cid": "3", "decision_truth": "stop"}),
    "bad": lines({**SAMPLE, "cid": 1}, {**SAMPLE, "messages": [1]}, {**SAMPLE, "decision_truth": "maybe"}, {**SAMPLE, "info_set": [1]}),
    "rounds": lines(*({**SAMPLE, "cid": f"1_{n}"} for n in (0, 16383, 16384, 99999))),
}

INI = """; a comment
[model]
path = "models/a; b # c"
[run]
directory = runs/{seed}   ; said before
seed = 7
[algorithm]
name = grpo
learning_rate = 5e-7
"""
SETTINGS = {
    "good": parts(INI, "run.seed=8"),
    "dpo": parts("[algorithm]\nname = dpo\n[rollout]\ngroup_size = 4\n", "data.train= a "),
    "bad": parts("a = 1\n[b:c]\n[run]\nseed = 1e5\nseed = 2\nsede = 3\nseed = 010\\\n[run]\n'a' = \"b\"c\"\n"),
    "unknown": parts("", "run.sede=8"),
}

REPLY = '<think>hm</think>[\'onset: a\', "b\\x41\\u00e9\\n",]<format_score> 0.5 </format_score><content_score>1</content_score>'
CALL = '<tool_call>{"name": "find", "arguments": {"query": "head"}}</tool_call><tool_call>{"name": "f", "arguments": "{}"}'
REPLIES = {
    "scores": REPLY,
    "facts": "['onset: a day', \"site: head\", 'x\\101\\U0001F912']",
    "calls": CALL,
    "numbers": "<content_score>1e999</content_score><format_score>nan</format_score>",
    "tags": "<think><content_score>1</content_score></think><content_score><content_score>0</content_score></tool_response>",
}

TOOLS = compact([{"name": "find", "description": "d", "parameters": {}, "lookup": "k.jsonl", "results": 2, "timeout": 1},
                 {"name": "run", "description": "d", "parameters": {"type": "object"}, "command": ["true", "x"], "max_bytes": 9},
                 {"name": "ask", "description": "d", "parameters": {}, "url": "http://localhost/", "key_variable": "HOME"}])
KNOWLEDGE = lines({"title": "head", "text": "ache"}, {"title": "头", "text": "痛 fièvre"})

ADAPTER = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"], "bias": "none",
           "base_model_name_or_path": "models/a", "use_dora": False, "modules_to_save": None, "rank_pattern": {}}

CHATML = "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
CHATS = {
    f"kind{n}": parts(bytes([n]), "<|im_start|>system\nYou are <|im_end|>", compact({"chat_template": CHATML}),
                      "csystem text", "buser\u3000<|im_end|> text\n", "a<think>hm</think>\n\nreply", "dtool", "b", "a\n\n")
    for n in range(8)
} | {"list": parts(b"\0", "", compact({"chat_template": [{"name": "default", "template": CHATML}]}), "bhi")}

TEXTS = ["It's THEY'LL we'RE 123456 \u0661\u0662", "  \n\n\t x \r\n\r\n y", "e\u0301a\u0327\u0301 \u1100\u1161 \u2126",
         "<think><|im_start|>user\n<tool_call>", "头痛 \U0001F912\u200d"]
ENCODE = {f"text{n}": bytes([n * 7]) + text.encode() for n, text in enumerate(TEXTS)} | {
    "bytes": b"\x15a\x80\xc3\xed\xa0\x80\xf4\x90\x80\x80\xe2\x82", "long": b"\x0e" + b"ab" * 200}

WEIGHTS = '{"documents": 3, "stems": {"head": 2,\n"发烧": 1}}'
SCORES = compact({"ave_continue_content": [0.5, 0.25, 1, 7], "rows": 7, "ungraded": 0, "failures": 1e300, "sessions": -1, "seconds": 1.5})
RUN = {"weights": WEIGHTS, "scores": SCORES, "pointer": "step-000012.h5\n", "prompt": "Ask the next question.\n\n"}

# fuzz_checkpoint.c reads these a byte at a time.
CHECKPOINTS = {
    "good": bytes([1, 2, 8, 0, 4, 0, 2, 2, 3, 0, 0, 3, 1, 1, 1, 8, 0]),
    "adapter": bytes([1, 0, 3, 1, 9, 0, 4, 2, 9, 0, 5, 0, 6]) + b"q_proj" + bytes([0, 6, 0, 1]) + b"m" + bytes([0, 7, 0, 2]) + b"ff",
    "links": bytes([1, 1, 8, 9, 2, 1, 9, 8, 0, 1, 8, 9, 1, 1, 15, 1, 97, 9, 3, 9]),
    "types": bytes(byte for kind in range(16) for byte in (0, 15, 1, 97 + kind, 3, kind, 1, 2, 5)),
    "sets": bytes(byte for kind in range(16) for byte in (2, 15, 1, 97 + kind, kind % 8, kind, 2, 2, 3, kind)),
}


def trailer(content, **changes):
    """A footer whose sizes fit; its hashes are wrong."""
    values = {"version": 3, "block": 1 << 18, "payload": len(content), "count": (len(content) + (1 << 18) - 1) >> 18} | changes
    return content + bytes(9 * min(values["count"], 4)) + b"L2A-XXH3" + struct.pack(
        "<IIQQQQ", values["version"], values["block"], values["payload"], values["count"], 0, 0)


TRAILERS = {"sizes": trailer(b"\x89HDF\r\n\x1a\n" + bytes(90)), "empty": trailer(b""), "count": trailer(b"x", count=1 << 61),
            "payload": trailer(b"x", payload=(1 << 64) - 1), "short": b"L2A-XXH3"}

JOURNALS = {"steps": '{"step": 1, "a": 2, "b": {"c": 0.5, "c/d": 1}}\n{"step": 2, "b": 7}\n{"a": 1}\n{"step": 3, "cut',
            "flat": '{"step":1,"a":0.5,"b/c":null}\n{"step":2,"b/c":-1e-7,"":1,"a":1,"a":null}\n',
            "names": '{"step": 1, "": 1, ".": 2, "..": 3, "/a": 4, "a//b": 5, "a/./b": 6, "e\\u001b": 7}\n'}
METRICS_LINES = {"flat": '{"step":1,"critic/rewards/mean":0.5,"actor/kl":null,"n":-1.5e-7,"m":3}',
                 "twice": '{"a":1,"b":0,"a":null}', "lock": "host=a pid=1 job=none\n"}

SEEDS = {
    "safetensors_header": {name: parts(str(data), header) for name, (data, header) in HEADERS.items()},
    "safetensors": SHARDS,
    "tokenizer": TOKENIZERS,
    "config": CONFIGS,
    "jsonl": LINES,
    "ini": SETTINGS,
    "checkpoint": CHECKPOINTS,
    "trailer": TRAILERS,
    "dialogue": DIALOGUES,
    "chat": CHATS,
    "encode": ENCODE,
    "options": {"run": "train\na.ini\n--set\nrun.seed=1", "explain": "--explain=rollout.group_size", "near": "--explian\nx"},
    "replies": REPLIES,
    "served": {"answer": compact({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}),
               "parts": compact({"choices": [{"message": {"content": [{"text": "a"}, {"text": "b"}]}}]}),
               "refusal": compact({"error": {"message": "no key sk-0123 sk-0sk-0123123"}}), "plain": "<html>sk-0123"},
    "toolbox": {"good": parts(TOOLS, KNOWLEDGE, CALL), "none": parts("[]"), "bad": parts('[{"name": "a b"}]')},
    "adapter": {"good": parts(compact(ADAPTER), "q_proj, v_proj"), "dora": parts(compact({**ADAPTER, "use_dora": True}), "up_proj,,"),
                "huge": parts(compact({**ADAPTER, "r": 1 << 62, "lora_alpha": 1e308}), "q_proj q_proj")},
    "journal": JOURNALS,
    "metrics": JOURNALS,
    "metrics_line": METRICS_LINES,
    "run": RUN,
}

for target, inputs in SEEDS.items():
    directory = pathlib.Path(sys.argv[1], target)
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in inputs.items():
        (directory / name).write_bytes(text if isinstance(text, bytes) else text.encode())
