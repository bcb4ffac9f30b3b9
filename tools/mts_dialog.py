#!/usr/bin/env python3
"""mts_dialog.py - sessions and silver labels of Learn2Ask from the CSV files of MTS-Dialog.

    mts_dialog.py OUTPUT_DIRECTORY --train CSV [--valid CSV] [--test CSV]

MTS-Dialog (Ben Abacha et al., "An Empirical Study of Clinical Note Generation from Doctor-Patient
Encounters", EACL 2023) is published as github.com/abachaa/MTS-Dialog, folder Main-Dataset, under
CC BY 4.0: a notice that must be kept is written beside the output.

A split gives SPLIT_origin.jsonl, a session a line, and SPLIT_processed.jsonl, a round a line with
context, future and labels.

Sessions: a dialogue is cut at line ends, and before Doctor:, Patient: or Guest_...: behind the end
of a sentence. Doctor is the assistant, every other speaker the user. Left out and counted are lines
that do not begin with a speaker's name of letters and underscores (a Doctor_2's do not), and
dialogues with fewer than two messages of users. What the assistant says behind the last user's
message makes way for <med_search>.

Labels: the note's sentences, those that are lists cut into their items, are facts; of facts with
the same stems in the same order the first is kept. A fact belongs to the info_set of a round when
at least half of its stems occur in the future, no more than half in the context, and one in the
future only. No person or model has looked at them: they are silver labels.
"""
import argparse
import csv
import io
import json
import os
import pathlib
import re
import stat
import sys
import unicodedata

EXIT_USAGE, EXIT_BAD_DATA, EXIT_NO_INPUT, EXIT_CANNOT_CREATE, EXIT_CANNOT_WRITE = 64, 65, 66, 73, 74
FIRST_ID = {"train": 100000, "valid": 200000, "test": 300000}
ROWS_MOST = 100000
PUBLISHED = {"train": "MTS-Dialog-TrainingSet.csv", "valid": "MTS-Dialog-ValidationSet.csv",
             "test": "MTS-Dialog-TestSet-1-MEDIQA-Chat-2023.csv"}
COLUMNS = ("section_header", "section_text", "dialogue")
HAND_OVER = "<med_search>"
NOTICE = """\
The *_origin.jsonl and *_processed.jsonl beside this notice were made from MTS-Dialog:

    Asma Ben Abacha, Wen-wai Yim, Yadan Fan, Thomas Lin: An Empirical Study of Clinical Note
    Generation from Doctor-Patient Encounters. EACL 2023. https://github.com/abachaa/MTS-Dialog

Licence: Creative Commons Attribution 4.0 International (CC BY 4.0),
https://creativecommons.org/licenses/by/4.0/. Keep this notice with the files; hand it on with them.

Changes: dialogues were cut into messages of two roles, and the rounds they consist of; dialogues of
fewer than two messages of users, and lines without a plain speaker's name, were left out; sentences
of the notes were chosen by a rule as labels of the rounds (tools/mts_dialog.py of learn2ask).
"""

SPEAKER = re.compile(r"([A-Za-z_]+):\s*(.*)")
TURN_IN_LINE = re.compile(r"(?<=[.?!])\s+(?=(?:Doctor|Patient|Guest_[a-z]+):)")
ABBREVIATIONS = ("Dr", "Mr", "Mrs", "Ms", "St", "No", "mg", "a.m", "p.m")
SENTENCE_END = re.compile(
    "".join(rf"(?<!\b{re.escape(word)})" for word in ABBREVIATIONS) + r"\.(?=\s|$)|[?!;:](?=\s|$)",
    re.IGNORECASE)
LIST_COMMA = re.compile(r",\s*(?:and\s|or\s)?|\sand\s")
WORD = re.compile(r"[^\W\d_]+")
# As in src/dialogue/stems.c and stopwords.c.
SUFFIXES = ("ations", "ation", "ingly", "ings", "ing", "ness", "ies", "ied", "ed", "es", "s", "y")
STOPWORDS = frozenset("""
    a about ago all also an and any approximately are as at be been being but by complaining
    complains currently day days denied denies did do does female for from gentleman had has have
    having he her him his history i in is it its lady male man me month months my no not now of old
    on or other otherwise our out patient per presented presents reported reports she significant
    since so some stated states than that the their them then there these they this those time times
    to today up very was we week weeks were which white who with woman year years you your
    """.split())


def stop(code, message):
    print("error: " + "".join(c if c.isprintable() else "?" for c in message), file=sys.stderr)
    sys.exit(code)


def read_text(path):
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            stop(EXIT_BAD_DATA, f"{path} is not a regular file (a directory, FIFO or device?)")
        with open(path, "rb") as file:
            text = file.read().decode("utf-8-sig")
    except OSError as error:
        stop(EXIT_NO_INPUT, f"cannot open {path}: {error.strerror}")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        stop(EXIT_BAD_DATA, f"{path}:{line}: byte 0x{byte:02x} is not UTF-8: save it as UTF-8")
    if "\0" in text:
        stop(EXIT_BAD_DATA, f"{path} holds a NUL: is it a CSV file?")
    return text


def read_rows(path):
    """The columns that we use, of every row."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    rows = []
    try:
        header = next(reader, [])
        for column in COLUMNS:
            if column not in header:
                found = ", ".join(header)[:200] or "none"
                stop(EXIT_BAD_DATA, f"{path}:1: no column is called '{column}', those there are"
                     f" {found}: is it a file of MTS-Dialog's folder Main-Dataset?")
        for fields in filter(None, reader):
            if len(fields) != len(header):
                stop(EXIT_BAD_DATA, f"{path}:{reader.line_num}: the row that ends here has"
                     f" {len(fields)} fields, the header {len(header)}")
            rows.append([fields[header.index(column)] for column in COLUMNS])
    except csv.Error as error:
        stop(EXIT_BAD_DATA, f"{path}:{reader.line_num}: not CSV: {error}")
    if len(rows) > ROWS_MOST:
        stop(EXIT_BAD_DATA, f"{path} has {len(rows)} rows; at most {ROWS_MOST} are allowed, since"
             " session_ids would be another split's")
    return rows


def cut_dialogue(dialogue):
    """Its messages, the hand-over last, and how many lines were left out."""
    messages, nameless = [], 0
    for line in TURN_IN_LINE.sub("\n", dialogue).split("\n"):
        line = line.strip()
        said = SPEAKER.fullmatch(line)
        if said:
            role = "assistant" if said[1] == "Doctor" else "user"
            messages.append({"role": role, "content": said[2]})
        elif line:
            nameless += 1
    while messages and messages[-1]["role"] == "assistant":
        messages.pop()
    return messages + [{"role": "assistant", "content": HAND_OVER}], nameless


def stem(word):
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[:-len(suffix)][:7]
    return word[:7]


def stems(text):
    """In order; Latin and other alphabets, without the bigrams of CJK."""
    words = WORD.findall(unicodedata.normalize("NFKC", text).lower())
    return tuple(stem(word) for word in words if len(word) >= 3 and word not in STOPWORDS)


def list_items(sentence):
    """Items of a list, all but its beginning of at most five words; else the sentence alone."""
    items = [item for item in map(str.strip, LIST_COMMA.split(sentence)) if item]
    is_list = len(items) >= 3 and all(len(item.split()) <= 5 for item in items[1:])
    return items if is_list else [sentence]


def facts_of(note):
    """{stems in order: fact}, in the note's order."""
    facts = {}
    for sentence in SENTENCE_END.split(note):
        for fact in list_items(sentence.strip(" \t\r\n.")):
            facts.setdefault(stems(fact), fact)
    return facts


def rounds_of(session, note):
    """Its records, one a round, as `learn2ask prepare` makes them of the session and labels."""
    messages, facts = session["messages"], facts_of(note)
    said = [set(stems(message["content"])) for message in messages]
    roles = [message["role"] for message in messages]
    ends = [i for i in range(1, len(roles)) if roles[i - 1] == "user" and roles[i] != "user"]
    for number, end in enumerate(ends, 1):
        context, future = set().union(*said[:end]), set().union(*said[end:])
        info_set = [fact for order, fact in facts.items()
                    if 2 * len(future.intersection(order)) >= len(set(order))
                    and 2 * len(context.intersection(order)) <= len(set(order))
                    and not (future - context).isdisjoint(order)]
        yield {"cid": f"{session['session_id']}_{number}", "session_id": session["session_id"],
               "diagn": session["diagn"], "messages": messages[:end],
               "remaining_chat": messages[end:], "info_set": info_set,
               "decision_truth": "continue" if "user" in roles[end:] else "stop",
               "info_truth": ", ".join(info_set)}


def json_lines(records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def convert(split, path):
    """{name: content} of a split's files, and a line that says what was made and left out."""
    sessions, rounds, nameless = [], [], 0
    rows = read_rows(path)
    for number, (header, note, dialogue) in enumerate(rows):
        messages, left_out = cut_dialogue(dialogue)
        nameless += left_out
        if sum(message["role"] == "user" for message in messages) < 2:
            continue
        session = {"session_id": FIRST_ID[split] + number, "diagn": header, "messages": messages}
        sessions.append(session)
        rounds.extend(rounds_of(session, note))
    if not sessions:
        stop(EXIT_BAD_DATA, f"{path}: no dialogue has two messages of users")
    told = (f"{split}: {len(sessions)} sessions of {len(rows)} dialogues, {len(rounds)} rounds;"
            f" left out: {len(rows) - len(sessions)} dialogues with fewer than two messages of"
            f" users, {nameless} lines without a plain speaker's name")
    return {f"{split}_origin.jsonl": json_lines(sessions),
            f"{split}_processed.jsonl": json_lines(rounds)}, told


def create(path):
    try:
        return open(path, "x", encoding="utf-8", newline="\n")
    except OSError as error:
        stop(EXIT_CANNOT_CREATE, f"cannot create {path}: {error.strerror}")


def write_file(path, content):
    try:
        with create(path) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        stop(EXIT_CANNOT_WRITE, f"cannot write {path}: {error.strerror}")


def write_files(directory, contents):
    """No file gets its name before all are on disk."""
    parts = {}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            part = directory / f"{name}.tmp-{os.getpid()}"
            parts[part] = directory / name
            write_file(part, content)
        for part, path in parts.items():
            os.replace(part, path)
    except OSError as error:
        path = error.filename2 or error.filename
        stop(EXIT_CANNOT_CREATE, f"cannot create {path}: {error.strerror}")
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        stop(EXIT_USAGE, f"{message}; --help tells more")


def main():
    parser = Parser(usage=argparse.SUPPRESS, description=__doc__, allow_abbrev=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", metavar="OUTPUT_DIRECTORY", type=pathlib.Path,
                        help="made where it is missing; files of the same names are replaced")
    for split, published in PUBLISHED.items():
        parser.add_argument(f"--{split}", metavar="CSV", required=split == "train", help=published)
    arguments = parser.parse_args()
    contents, told = {"NOTICE.txt": NOTICE}, []
    for split in FIRST_ID:
        path = getattr(arguments, split)
        if path is not None:
            files, line = convert(split, path)
            contents.update(files)
            told.append(line)
    write_files(arguments.output, contents)
    print("\n".join(told))


if __name__ == "__main__":
    main()
