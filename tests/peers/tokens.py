#!/usr/bin/env python3
"""tokens.py - l2a-tokens against Hugging Face: ids and chat rendering, line by line.

    tokens.py L2A_TOKENS [MODEL_DIR [DATA_DIR]] [--lines N] [--every N] [--template FILE]

DATA_DIR is LEARN2ASK_DATA or ../shared/data unless given, MODEL_DIR its tokenizers/qwen3. Runs under a Python
with tokenizers and transformers. Compares, with the tokenizer of MODEL_DIR: the ids of
every message in DATA_DIR/mts_dialog, of every code point in several surroundings, and of N random torture
lines, each as encode() gives them and with control tokens left alone; the decoding of all of them; and the
rendering and ids of every context in DATA_DIR/mts_dialog, of conversations made to break a template, and of
answers behind a context. --template tries another template with the same tokenizer. Prints what was
compared; ends with 1 and the first differences where there are any, 77 where DATA_DIR or MODEL_DIR is absent.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
SHOWN = 5
DATE = "26 Jul 2024"


class Comparison:
    def __init__(self):
        self.counts, self.wrong = {}, 0

    def see(self, kind, what, ours, theirs):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if ours != theirs:
            self.wrong += 1
            if self.wrong <= SHOWN:
                print(f"DIFFERENT {kind}\n  of     {what!r}\n  ours   {ours!r}\n  theirs {theirs!r}")


def run(binary, directory, lines, *options):
    text = "\n".join(json.dumps(line) for line in lines) + "\n"
    done = subprocess.run([binary, str(directory), *options], input=text.encode(), capture_output=True)
    if done.returncode:
        sys.exit(f"{binary} ended with {done.returncode}: {done.stderr.decode()}")
    return [json.loads(line) for line in done.stdout.split(b"\n") if line]


# Texts.

def sessions(data):
    for part in ["train", "valid", "test"]:
        with open(data / f"mts_dialog/{part}_origin.jsonl", encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)["messages"]


def contexts(data):
    for messages in sessions(data):
        for i, message in enumerate(messages):
            if message["role"] == "user":
                yield messages[: i + 1]


def code_points(every):
    """Code points alone and among letters, blanks, digits, marks: where classes show."""
    for c in range(0, 0x110000):
        # Those that are taken, and their neighbours, are all below U+40000 and in plane 14.
        if (c < 0x40000 or c >= 0xE0000) and c % every == 0 and not 0xD800 <= c < 0xE000:
            x = chr(c)
            yield f"{x} a{x}b {x}{x} 1{x}2 '{x}. e{x}\u0301\u0323{x} \n{x}\n"


PIECES = [
    " ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u180e", "\u200b", "\u2028", "\x00", "\x1c", "\x85",
    "'s", "'S", "'ll", "'LL", "'re", "'\u017f", "'", "''", "\u2019s", "n't", "I'm", "\u212a", "\ufb06",
    "0", "1", "12", "123", "1234567", "\u0661\u0662", "\u00bd", "\u2167", "\U00011de0", "\U00016ff4",
    "a", "B", "the", " the", "fever", "Kopfschmerzen", "\u0444", "\u4f60\u597d", "\u65e5\u672c\u8a9e", "\ud55c\uae00",
    "\u1100\u1161\u11a8", "\u1112\u1161", "\uac00\u11a8", "e\u0301", "a\u0323\u0307", "a\u0307\u0323", "\u0344", "\u0958",
    "\u0915\u093c", "\u1e9b\u0323", "\u2126", "\u212b", "\uf900", "\U0002f800", "\U0001d15e", "\u0d46\u0d3e", "\u0b47\u0b56",
    "\U00011935\U00011930", "\U000105d2\u0307", "\U00011099\U000110ba", "\u1b06\u1b35", "\u0300", "\u0345", "\u05b0",
    "\u064b\u0651", "\u0e38\u0e48", "\u302a", "\u3099", "\u304b\u3099", "\u1ab0", "\u0897", "\u08ca", "\u0c3c", "\U0001e130",
    "!", "!!!", "...", "?!", "\u2026", "\u3002", "(", "*", "#", "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f1e9\U0001f1ea", "\u2764\ufe0f", "\ufeff", "\ufffd", "\ue000", "\U0010ffff", "\U000e0041", "\U00013430", "\U00031350",
    "<", "<|", "|>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_start|", "<think>", "</think>",
    "<tool_call>", "<|fim_prefix|>", "<|eot_id|>", "<|begin_of_text|>", "<repo_name>", "<filename>",
]


def torture(count):
    chance = random.Random(20251125)
    for i in range(count):
        if i % 3 == 2:  # any code points
            top = chance.choice([0x80, 0x250, 0x3000, 0x10000, 0x20000, 0x110000])
            points = [chance.randrange(top) for _ in range(chance.randrange(1, 40))]
            yield "".join(chr(c) for c in points if not 0xD800 <= c < 0xE000)
        else:
            yield "".join(chance.choice(PIECES) for _ in range(chance.randrange(1, 30)))
    for long in [" " * 5000, "a" * 5000, "ab" * 4000, "\n" * 3000 + "x", "1" * 4000, "!" * 3000, "\u0301" * 500,
                 "\u4f60\u597d" * 2000, "e\u0301" * 2000, "=" * 70 + " " * 300 + "\t" * 300, ""]:
        yield long


def in_portions(items, size=20000):
    portion = []
    for item in items:
        portion.append(item)
        if len(portion) == size:
            yield portion
            portion = []
    if portion:
        yield portion


def compare_texts(see, binary, directory, texts, kind):
    from tokenizers import Tokenizer

    theirs = Tokenizer.from_file(str(directory / "tokenizer.json"))
    theirs.no_truncation()
    theirs.no_padding()
    for portion in in_portions(texts):
        theirs.encode_special_tokens = False
        compare_portion(see, binary, directory, theirs, portion, kind)


def compare_portion(see, binary, directory, theirs, texts, kind):
    ours = run(binary, directory, [{"text": text} for text in texts])
    encoded = theirs.encode_batch(texts, add_special_tokens=False)
    for text, line, hers in zip(texts, ours, encoded):
        see(f"{kind}, ids", text, line["ids"], hers.ids)
    decoded = run(binary, directory, [{"ids": hers.ids} for hers in encoded], "--decode")
    for line, hers in zip(decoded, theirs.decode_batch([hers.ids for hers in encoded], skip_special_tokens=False)):
        see(f"{kind}, decoded", line["ids"], line["text"], hers)
    skipped = run(binary, directory, [{"ids": hers.ids} for hers in encoded], "--decode", "--skip-special")
    for line, hers in zip(skipped, theirs.decode_batch([hers.ids for hers in encoded])):
        see(f"{kind}, decoded without special", line["ids"], line["text"], hers)
    # Control tokens as plain text: the library calls it encode_special_tokens; what is written <|...|>
    # without being special is a control token for us only, so such texts are left out.
    ours_only = [t.content for t in theirs.get_added_tokens_decoder().values()
                 if not t.special and t.content.startswith("<|") and t.content.endswith("|>")]
    plain = [text for text in texts if not any(token in text for token in ours_only)]
    theirs.encode_special_tokens = True
    ours = run(binary, directory, [{"text": text, "plain": True} for text in plain])
    for text, line, hers in zip(plain, ours, theirs.encode_batch(plain, add_special_tokens=False)):
        see(f"{kind}, ids as plain text", text, line["ids"], hers.ids)


# Conversations.

def message(role, content):
    return {"role": role, "content": content}


def hard_conversations(tools):
    chance = random.Random(7)
    contents = ["", " ", "\n", "\n\nok", "ok\n", " padded \t", "e\u0301", "\u0301x", "don't", "12 34", "\u3000a\u3000", "\x1ca\x1f",
                "<think>\nhm\n</think>\n\nyes", "</think>", "a</think>b</think>\n\nc", "<think>x", "<tool_response>\n1\n</tool_response>",
                "\u4f60\u597d\u3002", "a  b", "'s", "\u200b", "\ufeffx", "*" * 40, "x" * 200, "<tool_call>\n{}\n</tool_call>"]
    roles = ["system", "user", "assistant"] + (["tool"] if tools else [])
    for role in roles:
        for content in contents:
            yield [message(role, content)]
            yield [message("user", "hi"), message(role, content)]
            yield [message("system", "Be brief."), message("user", "hi"), message(role, content), message("user", "so?")]
    for _ in range(2000):
        yield [message(chance.choice(roles), chance.choice(contents)) for _ in range(chance.randrange(1, 8))]


def compare_chats(see, binary, directory, talks, kind, prompts=(True, False)):
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(str(directory))
    for thinking in [False, True] if "enable_thinking" in theirs.chat_template else [False]:
        name = kind + (", thinking" if thinking else "")
        options = {"enable_thinking": thinking, "date_string": DATE}
        for prompt in prompts:
            lines = [{"messages": talk, "add_generation_prompt": prompt} for talk in talks]
            ours = run(binary, directory, lines, "--thinking", "on" if thinking else "off")
            for talk, line in zip(talks, ours):
                text = theirs.apply_chat_template(talk, tokenize=False, add_generation_prompt=prompt, **options)
                see(f"{name}, rendered", talk, line["rendered"], text)
                ids = theirs(text, add_special_tokens=False)["input_ids"]
                see(f"{name}, ids", talk, line["ids"], ids)


def compare_replies(see, binary, directory, talks, kind):
    """Context, answer: the ids are those of the whole rendering up to the last end token, wherever the
    rendering goes on from the generation prompt (Qwen3's does not when the answer holds a thought)."""
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(str(directory))
    cases = [(talk[:-1], talk[-1]["content"]) for talk in talks
             if len(talk) > 1 and talk[-1]["role"] == "assistant" and talk[-2]["role"] == "user"]
    lines = [{"messages": context, "replies": [reply]} for context, reply in cases]
    for thinking in [False, True] if "enable_thinking" in theirs.chat_template else [False]:
        name = kind + (", thinking" if thinking else "")
        options = {"tokenize": False, "enable_thinking": thinking, "date_string": DATE}
        ours = run(binary, directory, lines, "--thinking", "on" if thinking else "off")
        for (context, reply), line in zip(cases, ours):
            text = theirs.apply_chat_template(context + [message("assistant", reply)], **options).rstrip("\n")
            before = theirs.apply_chat_template(context, add_generation_prompt=True, **options)
            if not text.startswith(before) or (thinking and not text.startswith(before + "<think>")):
                continue
            encoded = theirs(text, add_special_tokens=False, return_offsets_mapping=True)
            see(f"{name}, ids", (context, reply), line["ids"], encoded["input_ids"])
            if text.isascii():
                mask = [int(end > len(before)) for _, end in encoded["offset_mapping"]]
                see(f"{name}, mask", (context, reply), line["mask"], mask)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    root = pathlib.Path(__file__).parent.parent.parent
    data = pathlib.Path(os.environ.get("LEARN2ASK_DATA", root / "../shared/data"))
    parser.add_argument("model", type=pathlib.Path, nargs="?")
    parser.add_argument("data", type=pathlib.Path, nargs="?", default=data)
    parser.add_argument("--lines", type=int, default=10000, help="torture lines (default 10000)")
    parser.add_argument("--every", type=int, default=1, help="only every so many code points")
    parser.add_argument("--template", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.model = arguments.model or arguments.data / "tokenizers/qwen3"
    if not (arguments.model / "tokenizer.json").exists() or not (arguments.data / "mts_dialog").exists():
        print("skipped: no tokenizer.json in", arguments.model, "or no mts_dialog in", arguments.data)
        return 77
    comparison = Comparison()
    with tempfile.TemporaryDirectory() as folder:
        directory = pathlib.Path(folder)
        for name in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]:
            if (arguments.model / name).exists():
                shutil.copy(arguments.model / name, directory)
        if arguments.template:
            shutil.copy(arguments.template, directory / "chat_template.jinja")
        else:
            texts = [m["content"] for messages in sessions(arguments.data) for m in messages]
            compare_texts(comparison.see, arguments.binary, directory, texts, "messages")
            compare_texts(comparison.see, arguments.binary, directory, torture(arguments.lines), "torture")
            compare_texts(comparison.see, arguments.binary, directory, code_points(arguments.every), "code points")
        talks = list(contexts(arguments.data))
        compare_chats(comparison.see, arguments.binary, directory, talks, "contexts", [True])
        hard = list(hard_conversations("<tool_response>" in template_of(directory)))
        compare_chats(comparison.see, arguments.binary, directory, hard, "hard conversations")
        answers = [messages[: i + 1] for messages in sessions(arguments.data) for i in range(len(messages))]
        compare_replies(comparison.see, arguments.binary, directory, answers, "replies")
        compare_replies(comparison.see, arguments.binary, directory, hard, "hard replies")
    for kind, count in comparison.counts.items():
        print(f"{count:9,}  {kind}")
    print(f"{sum(comparison.counts.values()):9,}  compared, {comparison.wrong} different")
    return 1 if comparison.wrong else 0


def template_of(directory):
    if (directory / "chat_template.jinja").exists():
        return (directory / "chat_template.jinja").read_text()
    return json.loads((directory / "tokenizer_config.json").read_text()).get("chat_template", "")


if __name__ == "__main__":
    sys.exit(main())
