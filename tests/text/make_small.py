#!/usr/bin/env python3
"""make_small.py - writes tests/text/data: a small byte-level tokenizer, and what Hugging Face makes of some texts.

    make_small.py        (under a Python with tokenizers)

tokenizer.json is trained on the lines below. golden.json holds variants of it (the components of the model
families) and for each the ids of the texts, control tokens recognised (ids) or left as text (plain).
"""

import json
import pathlib

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

LINES = """What brings you to the clinic today, and how long has it been going on?
I've had a fever and a cough since Monday; it's worse at night, and I can't sleep.
Do you take any medicine? Are you allergic to penicillin, aspirin or anything else?
No, but I took 500 mg of paracetamol twice, and 2 tablets of ibuprofen 400 in 2024.
They're saying that the pain is sharp. We'll look at your chest; I'd like to listen to your lungs.
Wie lange haben Sie schon Kopfschmerzen? Seit über zwei Wochen, mal stärker, mal schwächer.
您好，请问您哪里不舒服？我发烧三天了，还有点咳嗽。
Où avez-vous mal? J'ai mal à la tête depuis hier, et un peu de fièvre.
    indented text\twith tabs\n\n\nand blank lines...\r\nand more!!! (really?) [yes] {no}
Patient: 76 years, 5'4", 160 lbs; blood pressure 120/80; temperature 38.5 °C.
system user assistant message question answer continue stop the enquiry with one question
""".split("\n") * 3 + ["Yes.\n\nNo.", "First:\n\n\n  - one\n  - two\r\n\r\n"] * 9

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>",
           "<|end_header_id|>", "<|eot_id|>"]
ADDED = ["<think>", "</think>", "<tool_call>", "<|fim|>"]

MODERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
GPT2 = BYTES | {"use_regex": True}


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


def split(regex):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}


# Bytes that `without` names lose their tokens: those are called something else.
VARIANTS = [
    {"name": "qwen2", "normalizer": {"type": "NFC"}, "pre_tokenizer": sequence(split(MODERN % ""), BYTES),
     "ignore_merges": False, "without": []},
    {"name": "llama3", "normalizer": None, "pre_tokenizer": sequence(split(MODERN % "{1,3}"), BYTES),
     "ignore_merges": True, "without": []},
    {"name": "smollm2", "normalizer": None,
     "pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, GPT2),
     "ignore_merges": False, "without": [0x01, 0xC0, 0xF3]},
    {"name": "gpt2", "normalizer": None, "pre_tokenizer": GPT2, "ignore_merges": False, "without": []},
]

TEXTS = [
    "", " ", "  ", "a", "Hello, I have had 123 fever since 2024. I'm fine\n\nok", "It's THEY'LL we'RE I'd don't 'sure",
    "it'\u017f Over", "'s's'S", "   lead", "trail   ", "a  b   c", "\n", "\n\n\nx", " \n \n x", "\r\n\r\nx\r", "x\ty\t\tz",
    "12345678", "a1b22c333d4444", "3.14, -2e10", "\u0663\u0664 \u00bd\u2167", "....!!!???", " (see [1])\n\n", "/* code */ x += 1;",
    "\u00a0nbsp\u2003em\u3000wide\u180emvs\u200bzero", "\x00\x01\x02\x1c\x7f\x85", "\u4f60\u597d\u3002\u6211\u53d1\u70e7\u4e09\u5929\u4e86", "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab",
    "e\u0301te\u0301 \u00e9t\u00e9", "a\u0323\u0307 a\u0307\u0323 \u1ea1\u0307", "\u2126 \u212b \uf900 \u0958 \u0344", "\u0301x \n\u0301", "\U0001d15e\U000f0000\U0010ffff",
    "\U00011935\U00011930 \U000105d2\u0307 \u0c3c\u0301 \u08ca\u0316", "\U00011de0\U00016ff4\u0897", "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f",
    "<|im_start|>user\nhi<|im_end|>", "a<|im_start|><|im_end|>b", "<|im_start|", "<|im_start|>> <<|im_end|>", "<think>\nhm\n</think>\n\nyes",
    "<tool_call><|fim|></tool_call>", "<|fim|><|endoftext|>", "e\u0301<think>e\u0301", "a" * 200, "ab" * 100, " " * 120 + "x", "the " * 40, "=" * 90,
]


def byte_table():
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in kept]
    return {b: chr(b) for b in kept} | {b: chr(256 + i) for i, b in enumerate(others)}


def base():
    small = Tokenizer(models.BPE())
    small.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    small.decoder = decoders.ByteLevel()
    small.train_from_iterator(LINES, trainers.BpeTrainer(
        vocab_size=620, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    small.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in SPECIAL])
    small.add_tokens([AddedToken(text, normalized=False, special=False) for text in ADDED])
    return json.loads(small.to_str())


def varied(root, variant):
    root = json.loads(json.dumps(root))
    root["normalizer"], root["pre_tokenizer"] = variant["normalizer"], variant["pre_tokenizer"]
    root["model"]["ignore_merges"] = variant["ignore_merges"]
    table = byte_table()
    for byte in variant["without"]:
        vocab = root["model"]["vocab"]
        vocab[f"[no {byte}]"] = vocab.pop(table[byte])
    return Tokenizer.from_str(json.dumps(root))


def main():
    folder = pathlib.Path(__file__).parent / "data"
    root = base()
    golden = []
    for variant in VARIANTS:
        theirs = varied(root, variant)
        ids = [theirs.encode(text, add_special_tokens=False).ids for text in TEXTS]
        theirs.encode_special_tokens = True
        plain = [theirs.encode(text, add_special_tokens=False).ids for text in TEXTS]
        golden.append(variant | {"texts": [{"text": t, "ids": i, "plain": p} for t, i, p in zip(TEXTS, ids, plain)]})
    with open(folder / "golden.json", "w") as file:
        file.write("[\n")
        for number, variant in enumerate(golden):
            texts = variant.pop("texts")
            file.write(json.dumps(variant)[:-1] + ', "texts": [\n')
            file.write(",\n".join(json.dumps(text) for text in texts))
            file.write("\n]}" + (",\n" if number + 1 < len(golden) else "\n"))
        file.write("]\n")
    (folder / "tokenizer.json").write_text(json.dumps(root, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
