#!/usr/bin/env python3
"""test_mts_dialog.py - tools/mts_dialog.py on a table of our own, and on the published one.

    test_mts_dialog.py LEARN2ASK        # rules, mistaken calls, agreement with `learn2ask prepare`
    test_mts_dialog.py --published      # all of MTS-Dialog

The second compares what comes of the CSV files in the directory LEARN2ASK_MTS_CSV with the files in
LEARN2ASK_DATA (default ../shared/data), byte for byte; it is skipped where either is missing.
"""
import csv
import io
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tools"))
import mts_dialog  # noqa: E402

HEADER = ["ID", "section_header", "section_text", "dialogue"]
# A dialogue with every kind of line; one with a single message of the patient; one whose note says
# nothing that comes later; one with all abbreviations.
ROWS = [
    ["0", "GENHX",
     "Ms. Reed, seen by Dr. Hale at 9 a.m. on Monday, coughs at night.  Denies fever, chills, night"
     " sweats, or weight loss.\nAllergies: penicillin; latex gloves.  Penicillin.  Gloves of latex."
     "  Smokes ten cigars daily and drinks coffee after all meals.  Coffee and cigars.  Her knee"
     " was operated on in 2001.  Ten cigars, all day long and during every single night of work.",
     "Doctor: Good morning, Ms. Reed. What brings you here?\r\n"
     "Patient: I cough at night. Doctor: Any fever, chills or night sweats? \r\n"
     "Guest_family: No, none.\r\n\r\n"
     "Patient:I lost no weight either.\r\n"
     "(a door is closed)\r\n"
     "Doctor_2: Weight loss would worry me.\r\n"
     "  Doctor: Any allergies? Note: there may be several.\r\n"
     "Patient: Yes, penicillin, and gloves made of latex.\r\n"
     "Doctor: Do you smoke?\r\n"
     "Patient: Ten cigars a day, with coffee.\r\n"
     "Doctor: Thank you.\nDoctor: We will see."],
    ["1", "CC", "Cough.", "Doctor: What is it?\nPatient: A cough.\nDoctor: I see."],
    ["2", "CC", "Bad back pain.  Swollen back.",
     "Patient: My back “hurts”, it is a pain.\nDoctor: …\nPatient: Yes, a bad back."],
    ["3", "MEDICATIONS",
     "Dr. Hale gave Mr. Orr, Mrs. Orr and Ms. Reed of St. Anne some 5 mg. at 9 a.m. and 5 p.m. from"
     " box No. 7 of zinc.  Zinc,iron and milk of magnesium at night.  Box, tablets,."
     "  Iron tablets, 5 mg.",
     "Doctor: Hello? Patient: Hi! Doctor: What does he give?\n"
     "Patient: Hale gave zinc, iron and milk of magnesia to Orr, a box of tablets.\n"],
]


def said(text):
    """Messages written as lines of `u` and `a`."""
    roles = {"u": "user", "a": "assistant"}
    return [{"role": roles[line[0]], "content": line[2:]} for line in text.splitlines()]


REED = said("""\
a Good morning, Ms. Reed. What brings you here?
u I cough at night.
a Any fever, chills or night sweats?
u No, none.
u I lost no weight either.
a Any allergies? Note: there may be several.
u Yes, penicillin, and gloves made of latex.
a Do you smoke?
u Ten cigars a day, with coffee.
a <med_search>""")
BACK = said("""\
u My back “hurts”, it is a pain.
a …
u Yes, a bad back.
a <med_search>""")
ZINC = said("""\
a Hello?
u Hi!
a What does he give?
u Hale gave zinc, iron and milk of magnesia to Orr, a box of tablets.
a <med_search>""")
SESSIONS = [(0, "GENHX", REED), (2, "CC", BACK), (3, "MEDICATIONS", ZINC)]
# "night sweats" has half of its stems in the first context, "weight loss" half in the future: both
# belong. The sentence on smoking has two items, that on ten cigars one of six words: no lists, and
# with less than half of their stems in the future. "Bad back pain" is known for the most part; what
# comes of "Swollen back" was said before.
LATER = ["Allergies", "penicillin", "latex gloves", "Gloves of latex", "Coffee and cigars"]
ROUNDS = {  # cid behind the split's digit: messages of the context, decision, info_set
    "00000_1": (2, "continue", ["Denies fever", "chills", "night sweats", "weight loss"] + LATER),
    "00000_2": (5, "continue", LATER),
    "00000_3": (7, "continue", ["Coffee and cigars"]),
    "00000_4": (9, "stop", []),
    "00002_1": (1, "continue", []),
    "00002_2": (3, "stop", []),
    "00003_1": (2, "continue", [
        "Dr. Hale gave Mr. Orr, Mrs. Orr and Ms. Reed of St. Anne some 5 mg. at 9 a.m. and 5 p.m."
        " from box No. 7 of zinc", "Zinc", "iron", "milk of magnesium at night", "Box, tablets,",
        "Iron tablets, 5 mg"]),
    "00003_2": (4, "stop", []),
}


def table(rows, header=HEADER):
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header] + rows)
    return text.getvalue()


def expected(digit):
    """Sessions and rounds of a split whose session_ids begin with `digit`."""
    sessions = [{"session_id": int(f"{digit}{number:05}"), "diagn": header, "messages": messages}
                for number, header, messages in SESSIONS]
    by_id = {session["session_id"]: session for session in sessions}
    rounds = []
    for cid, (end, decision, info_set) in ROUNDS.items():
        session = by_id[int(f"{digit}{cid[:5]}")]
        rounds.append({"cid": f"{digit}{cid}", **session, "messages": session["messages"][:end],
                       "remaining_chat": session["messages"][end:], "decision_truth": decision,
                       "info_set": info_set, "info_truth": ", ".join(info_set)})
    return sessions, rounds


def records(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Place(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = pathlib.Path(holder.name)

    def file(self, content, name="a.csv"):
        data = content if isinstance(content, bytes) else content.encode()
        (self.place / name).write_bytes(data)
        return name

    def call(self, *arguments, **settings):
        return subprocess.run([TREE / "tools/mts_dialog.py", *arguments], cwd=self.place,
                              stdin=subprocess.DEVNULL, text=True, capture_output=True, check=False,
                              **settings)

    def made(self):
        return sorted(path.name for path in (self.place / "out").glob("*"))


class Rules(Place):
    def test_a_table_becomes_sessions_and_labelled_rounds(self):
        name = self.file(table(ROWS))
        run = self.call("out", "--train", name, "--valid", name, "--test", name)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        for split, digit in (("train", 1), ("valid", 2), ("test", 3)):
            sessions, rounds = expected(digit)
            self.assertEqual(records(self.place / f"out/{split}_origin.jsonl"), sessions)
            self.assertEqual(records(self.place / f"out/{split}_processed.jsonl"), rounds)
            self.assertIn(f"{split}: 3 sessions of 4 dialogues, 8 rounds; left out: 1 dialogues"
                          " with fewer than two messages of users, 2 lines without", run.stdout)
        self.assertEqual(len(self.made()), 7)
        notice = (self.place / "out/NOTICE.txt").read_text(encoding="utf-8")
        self.assertIn("CC BY 4.0", notice)
        self.assertIn("Ben Abacha", notice)

    def test_prepare_cuts_and_numbers_alike(self):
        self.assertEqual(self.call("out", "--train", self.file(table(ROWS))).returncode, 0)
        self.file("", "a.ini")
        names = {"input": "out/train_origin.jsonl", "info_sets": "out/train_processed.jsonl",
                 "output": "samples.jsonl", "processed": "rounds.jsonl"}
        settings = [f"--set=prepare.{key}={name}" for key, name in names.items()]
        run = subprocess.run([PROGRAM, "prepare", "a.ini", *settings], cwd=self.place, text=True,
                             capture_output=True, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual((self.place / "rounds.jsonl").read_bytes(),
                         (self.place / "out/train_processed.jsonl").read_bytes())

    def test_stems_are_those_of_the_rule_judge(self):
        source = (TREE / "src/dialogue/stopwords.c").read_text()
        words = re.findall(r'"([a-z]+)"', source[source.index("stopwords[] = {"):])
        self.assertEqual(mts_dialog.STOPWORDS, set(words))
        source = (TREE / "src/dialogue/stems.c").read_text()
        suffixes = re.search(r"suffixes\[\] = \{(.*?)\}", source, re.S)[1]
        self.assertEqual(list(mts_dialog.SUFFIXES), re.findall(r'"([a-z]+)"', suffixes))

    def test_a_byte_order_mark_and_further_columns_are_fine(self):
        rows = [[*row[1:], "x"] for row in ROWS]
        name = self.file("\ufeff" + table(rows, [*HEADER[1:], "more"]) + "\r\n")
        self.assertEqual(self.call("out", "--train", name).returncode, 0)
        self.assertEqual(records(self.place / "out/train_origin.jsonl"), expected(1)[0])


class Mistakes(Place):
    def refused(self, code, text, *arguments, **settings):
        """One message, this exit code, and nothing written."""
        run = self.call(*arguments, **settings)
        self.assertEqual((run.returncode, run.stdout), (code, ""), run.stderr)
        self.assertRegex(run.stderr, r"\Aerror: .*\n\Z")
        self.assertIn(text, run.stderr)
        self.assertEqual(self.made(), [])

    def test_calls(self):
        name = self.file(table(ROWS))
        self.refused(64, "required: --train", "out")
        self.refused(64, "required: --train", "out", "--trai", name)
        self.refused(64, "required: OUTPUT_DIRECTORY", "--train", name)
        self.refused(64, "unrecognized arguments: --tset", "out", "--train", name, "--tset", name)

    def test_files(self):
        name = self.file(table(ROWS))
        self.refused(66, "cannot open no.csv: No such file", "out", "--train", "no.csv")
        self.refused(66, "cannot open no.csv: ", "out", "--train", name, "--test", "no.csv")
        self.refused(66, "cannot open no?.csv: ", "out", "--train", "no\n.csv")
        self.refused(65, ". is not a regular file", "out", "--train", ".")
        os.mkfifo(self.place / "fifo")
        self.refused(65, "fifo is not a regular file", "out", "--train", "fifo", timeout=30)

    def test_contents(self):
        for content, text in (
                ("", "a.csv:1: no column is called 'section_header', those there are none"),
                (table([], HEADER[:3]), "a.csv:1: no column is called 'dialogue', those there are"
                                        " ID, section_header, section_text: is it"),
                (table(ROWS[1:2]), "a.csv: no dialogue has two messages of users"),
                (table(ROWS) + "3,CC,Cough.\n", "row that ends here has 3 fields, the header 4"),
                (table(ROWS) + '3,CC,"Cough', "not CSV: unexpected end of data"),
                (table([]) + "3,CC,,\0\n", "a.csv holds a NUL"),
                (table(ROWS).encode("utf-16"), "a.csv:1: byte 0xff is not UTF-8: save it as UTF-8"),
                (table(ROWS[1:2]).encode() + b"3,CC,\xe9,\n", "a.csv:5: byte 0xe9 is not UTF-8"),
                (table([["", "", "", ""]] * 100001), "a.csv has 100001 rows; at most 100000")):
            with self.subTest(text):
                self.refused(65, text, "out", "--train", self.file(content))

    def test_outputs(self):
        name = self.file(table(ROWS))
        self.file("", "taken")
        self.refused(73, "cannot create taken: File exists", "taken", "--train", name)
        (self.place / "out/train_origin.jsonl").mkdir(parents=True)
        run = self.call("out", "--train", name)
        self.assertEqual(run.returncode, 73)
        self.assertIn("cannot create out/train_origin.jsonl: Is a directory", run.stderr)
        self.assertFalse(any(".tmp-" in made for made in self.made()))

    def test_a_full_disk(self):
        def little_room():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

        self.refused(74, "cannot write out/train_origin.jsonl.tmp-", "out", "--train",
                     self.file(table(ROWS)), preexec_fn=little_room)


class Published(Place):
    def test_mts_dialog_comes_out_byte_for_byte(self):
        paths = [word for split, name in mts_dialog.PUBLISHED.items()
                 for word in (f"--{split}", CSV / name)]
        run = self.call("out", *paths)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        print(run.stdout, end="")
        for split in mts_dialog.PUBLISHED:
            for kind in ("origin", "processed"):
                name = f"{split}_{kind}.jsonl"
                made = (self.place / "out" / name).read_bytes().splitlines()
                published = (DATA / name).read_bytes().splitlines()
                equal = sum(a == b for a, b in zip(made, published))
                print(f"{name}: {equal} of {len(published)} lines equal")
                self.assertEqual(len(made), len(published))
                self.assertEqual(equal, len(published))


if sys.argv[1:] == ["--published"]:
    DATA = pathlib.Path(os.environ.get("LEARN2ASK_DATA", TREE / "../shared/data")) / "mts_dialog"
    CSV = pathlib.Path(os.environ.get("LEARN2ASK_MTS_CSV", "")).absolute()
    if "LEARN2ASK_MTS_CSV" not in os.environ:
        print("skipped: LEARN2ASK_MTS_CSV names no directory of MTS-Dialog's CSV files")
        sys.exit(77)
    if not DATA.is_dir():
        print(f"skipped: no {DATA} (set LEARN2ASK_DATA)")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], defaultTest="Published")
else:
    PROGRAM = pathlib.Path(sys.argv[1]).absolute()
    unittest.main(argv=sys.argv[:1], defaultTest=["Rules", "Mistakes"])
