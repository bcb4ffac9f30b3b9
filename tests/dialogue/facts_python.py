"""facts_parse against Python's ast.literal_eval on generated answers.

    facts_python.py PROBE [COUNT]

Known differences, which the generator avoids or the comparison allows for: neighbouring strings are
not joined, \\N names no character, facts are trimmed and may not be empty, nor hold NUL or lone
surrogates.
"""
import ast
import json
import random
import subprocess
import sys
import warnings

warnings.simplefilter("ignore")
PIECES = ["[", "]", "'", '"', "\\", ",", " ", "\n", "a", "symptom: ", "\\n", "\\'", '\\"', "\\x41",
          "\\u00e9", "\\U0001F600", "\\101", "\\q", "\\x4", "\\u12", "1", "b'", "r'", "'''", "()",
          "咳", "['a', 'b']", "'c', ", "\\0", "\\\n", "[]", "#", "None"]


def generate(draw):
    if draw.random() < 0.5:
        return "".join(draw.choice(PIECES) for _ in range(draw.randrange(12)))
    facts = ["".join(draw.choice(PIECES[8:21]) for _ in range(draw.randrange(1, 5)))
             for _ in range(draw.randrange(4))]
    text = "[" + ", ".join(draw.choice("'\"").join(["", fact, ""]) for fact in facts) + "]"
    if draw.random() < 0.3:
        place = draw.randrange(len(text) + 1)
        text = text[:place] + draw.choice(PIECES) + text[place:]
    return text


def expected(text):
    try:
        value = ast.literal_eval(text.strip())
        if not isinstance(value, list) or not all(isinstance(fact, str) for fact in value):
            return None
        facts = [fact.strip(" \t\n\v\f\r") for fact in value]
        usable = all(facts) and not any("\0" in fact for fact in value)
        "".join(value).encode()
        return facts if usable else None
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def is_beyond_us(text):
    """Forms of Python strings that are no part of what is asked for."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return False
    joined = isinstance(tree, ast.List) and any(
        isinstance(item, ast.Constant) and isinstance(item.value, str)
        and not simple(ast.get_source_segment(text.strip(), item)) for item in tree.elts)
    return joined or "#" in text or "\\\n" in text or not isinstance(tree, ast.List)


def simple(source):
    """One plain literal: not triple, not prefixed, not several in a row."""
    if source is None or source[0] not in "'\"" or source[:3] in ("'''", '"""'):
        return False
    quote, at = source[0], 1
    while at < len(source) and source[at] != quote:
        at += 2 if source[at] == "\\" else 1
    return at == len(source) - 1


def main():
    draw = random.Random(5)
    texts = [generate(draw) for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 5000)]
    lines = "".join(text.encode().hex() + "\n" for text in texts)
    out = subprocess.run([sys.argv[1]], input=lines, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in out.stdout.splitlines()]
    assert len(answers) == len(texts)
    compared = lists = 0
    for text, answer in zip(texts, answers):
        if is_beyond_us(text):
            continue
        compared += 1
        lists += answer is not None
        if answer != expected(text):
            sys.exit(f"error: {text!r}: {answer!r} is not {expected(text)!r}")
    print(f"{compared} answers read as Python reads them, {lists} of them lists")
    assert lists > len(texts) // 5


main()
