#!/usr/bin/env python3
"""test_report.py - what `l2a-show report` writes of made runs, looked at without a browser.

    test_report.py PROGRAM [WORDS...]        # the program and what stands before the run's name
"""
import html.parser
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
import made_run  # noqa: E402

PROGRAM = []
HOSTILE = "</script><img src=x onerror=\"alert(1)\"><!--<script>\u2028 \u202egnat\u202c \x07 & 'x'"


class Page(html.parser.HTMLParser):
    """Tags, scripts by type, rows of tables by their heading, and the visible text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.rows = [], {}, {}
        self.inside, self.row, self.text = [], None, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.row = []
        elif tag in ("td", "th") and self.row is not None:
            self.row.append("")
        self.inside = [tag, dict(attrs)]

    def handle_endtag(self, tag):
        if tag == "tr" and self.row:
            self.rows[self.row[0].split("  ")[0].strip()] = self.row[1:]
            self.row = None
        self.inside = []

    def handle_data(self, data):
        if self.inside and self.inside[0] == "script":
            self.scripts[self.inside[1].get("type", "")] = data
        elif not self.inside or self.inside[0] != "style":
            self.text += data
            if self.row:
                self.row[-1] += data

    def data(self):
        return json.loads(self.scripts["application/json"])


class Place(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = pathlib.Path(holder.name)

    def call(self, *arguments, **settings):
        return subprocess.run([*PROGRAM, *arguments], cwd=self.place, stdin=subprocess.DEVNULL,
                              text=True, capture_output=True, check=False, **settings)

    def report(self, *arguments):
        run = self.call("run", *arguments)
        self.assertEqual((run.returncode, run.stdout), (0, "run/report.html\n"), run.stderr)
        return Page((self.place / "run/report.html").read_text(encoding="utf-8"))


class Contents(Place):
    def test_the_tables_tell_state_scores_settings_and_times(self):
        made_run.make(self.place)
        page = self.report()
        for text in ("Finished: 60 of 60 steps", "20 steps of warm-up (sft), then 40 steps of grpo",
                     "steps=60 reward=3.0000 status=ok", "0:03:15 in steps", "model: Tiny"):
            self.assertIn(text, page.text)
        self.assertNotIn("step 1/60", page.text)
        self.assertEqual(page.rows["Reward ave_total_reward"][:3],
                         ["1.000 0.900 to 1.100", "1.500 1.400 to 1.600", "3.000 2.900 to 3.100"])
        self.assertEqual(sum(any(name == key.split()[-1] for key in page.rows)
                             for name in made_run.SCORES), 9)
        self.assertEqual(page.rows["Left out: no grade, or no response"][:3], ["3", "3", "3"])
        self.assertEqual(page.rows["rollout.group_size"][:2], ["5", "5"])
        self.assertEqual(page.rows["algorithm.kl_coefficient"][:2], ["0", "0.001"])
        self.assertEqual(page.rows["judge.temperature"][:2], ["0.7", "0.7"])
        # 60 steps of 2 s of 60 of 3.25 and 3 evaluations of 1.5.
        self.assertEqual(page.rows["Sampling and judging responses gen"][:2],
                         ["0:02:00", f"{100 * 120 / 199.5:.1f} %"])

    def test_what_differs_from_the_defaults_comes_first(self):
        made_run.make(self.place, settings="[optimizer]\nlearning_rate = 0.5\n")
        self.report()
        text = (self.place / "run/report.html").read_text(encoding="utf-8")
        differing, everything = text.split("All settings", 1)
        self.assertIn("optimizer.learning_rate", differing)
        self.assertNotIn("optimizer.beta1", differing)
        self.assertIn("optimizer.beta1", everything)

    def test_a_default_of_the_algorithm_is_no_difference(self):
        made_run.make(self.place)
        path = self.place / "run/run.ini"
        path.write_text(path.read_text().replace("kl_coefficient = 0", "name = dapo"))
        page = self.report()
        self.assertEqual(page.rows["algorithm.clip_high"][:2], ["0.28", "0.28"])

    def test_a_run_that_goes_on_is_not_finished(self):
        run = made_run.make(self.place)
        (run / "progress").write_text("step=0 of=90 starts=1\n")
        (run / "log.txt").write_text("learn2ask\nRESULT steps=20 status=ok\nlearn2ask\nstep 21/90")
        (run / "lock").write_text("host=a pid=1\n")
        (run / "evaluation-final.json").unlink()
        page = self.report()
        self.assertIn("Ended before its end: 60 of 90 steps", page.text)
        self.assertNotIn("status=ok", page.text)
        self.assertEqual(len(page.rows["Reward ave_total_reward"]), 3)

    def test_a_run_that_lost_patience_is_finished(self):
        run = made_run.make(self.place)
        (run / "progress").write_text("step=0 of=90 starts=1\n")
        self.assertIn("Finished: 60 of 90 steps", self.report().text)

    def test_a_run_without_steps_has_a_page(self):
        run = made_run.make(self.place)
        for name in ("metrics.jsonl", "samples.jsonl", "log.txt", "progress", "lock"):
            (run / name).unlink()
        for path in run.glob("evaluation-*"):
            path.unlink()
        page = self.report()
        for text in ("Not begun: 0 steps", "No evaluation is kept", "has sampled no responses",
                     "The journal has no times"):
            self.assertIn(text, page.text)
        self.assertEqual(page.data()["samples"]["groups"], [])
        self.assertEqual(page.data()["curves"]["curves"], [])

    def test_the_page_asks_for_nothing_and_runs_its_own_script_only(self):
        made_run.make(self.place)
        page = self.report()
        policy = next(attrs["content"] for tag, attrs in page.tags
                      if attrs.get("http-equiv") == "Content-Security-Policy")
        self.assertRegex(policy, r"^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; "
                                 r"script-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'; "
                                 r"form-action 'none'$")
        for tag, attrs in page.tags:
            self.assertFalse({"src", "style", "srcset", "data"} & set(attrs), (tag, attrs))
            self.assertFalse([name for name in attrs if name.startswith("on")], (tag, attrs))
            self.assertRegex(attrs.get("href", "#"), "^#")


class Samples(Place):
    def rows(self):
        with open(self.place / "run/samples.jsonl", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_whole_groups_of_steps_spread_over_the_run(self):
        made_run.make(self.place)
        data = self.report("--samples", "200").data()["samples"]
        rows, seen = self.rows(), set()
        for group in data["groups"]:
            cid = data["contexts"][group["context"]]["cid"]
            self.assertNotIn((group["step"], cid), seen)
            seen.add((group["step"], cid))
            wanted = [row for row in rows if (row["step"], row["cid"]) == (group["step"], cid)]
            self.assertEqual(len(wanted), made_run.GROUP)
            for row, response in zip(wanted, group["responses"], strict=True):
                self.assertEqual(response["text"], row["response"])
                for key in ("repeat", "tokens", "reward", "content", "format", "advantage"):
                    self.assertEqual(response[key], row[key])
        evenly = sorted({group["step"] for group in data["groups"] if group["reason"] == "evenly"})
        self.assertEqual((evenly[0], evenly[-1], len(evenly)), (21, 60, 12))
        count = sum(len(group["responses"]) for group in data["groups"])
        self.assertTrue(150 <= count <= 200, count)

    def test_the_worst_and_the_best_of_the_last_steps_are_there(self):
        made_run.make(self.place, contexts=12)
        data = self.report("--samples", "400").data()["samples"]
        chosen = {reason: [(group["step"], data["contexts"][group["context"]]["cid"])
                           for group in data["groups"] if group["reason"] == reason]
                  for reason in ("evenly", "worst", "best")}
        rewards = {}
        for row in self.rows():
            if row["step"] > 55:
                rewards.setdefault((row["step"], row["cid"]), []).append(row["reward"])
        left = [group for group in rewards if group not in chosen["evenly"]]
        self.assertGreater(len(left), 40)
        for reason, of, sign in (("worst", min, 1), ("best", max, -1)):
            expected = []
            ranks = {g: (sign * of(rewards[g]), sign * sum(rewards[g])) for g in left}
            for group in sorted(left, key=ranks.get):
                session = group[1].split("_")[0]
                if len(expected) < 8 and session not in (cid.split("_")[0] for _, cid in expected):
                    expected.append(group)
            self.assertEqual(sorted(chosen[reason]), sorted(expected))
            left = [group for group in left if group not in expected]

    def test_a_conversation_is_kept_once(self):
        made_run.make(self.place)
        data = self.report().data()["samples"]
        sessions = [conversation["session"] for conversation in data["conversations"]]
        self.assertEqual(len(sessions), len(set(sessions)))
        longest = {}
        for context in data["contexts"]:
            conversation = data["conversations"][context["conversation"]]
            session, round_ = context["cid"].split("_")
            self.assertEqual(conversation["session"], session)
            self.assertEqual(context["count"], 2 * int(round_) - 1)
            self.assertIn(f"Complaint {session}.{round_} ",
                          conversation["messages"][context["count"] - 1][1])
            stop = int(round_) == made_run.ROUNDS
            self.assertEqual(context["truth"], "stop" if stop else "continue")
            self.assertEqual(context["expert"],
                             ["<stop />" if stop else f"Where is it, {session}.{round_}?"])
            self.assertEqual(context["facts"], [] if stop else ["place: left", "since: Monday"])
            longest[session] = max(longest.get(session, 0), context["count"])
        for conversation in data["conversations"]:
            self.assertEqual(len(conversation["messages"]), longest[conversation["session"]])

    def test_the_same_run_gives_the_same_page(self):
        made_run.make(self.place)
        self.report()
        before = (self.place / "run/report.html").read_bytes()
        self.assertEqual(self.call("run", "--output", "again.html").returncode, 0)
        self.assertEqual((self.place / "again.html").read_bytes(), before)

    def test_very_long_texts_are_passed_over(self):
        made_run.make(self.place, texts={"verdict": "long " * 20000})
        page = self.report("--samples", "100")
        self.assertIn("very long texts were passed over", page.text)
        self.assertLess((self.place / "run/report.html").stat().st_size, 100 * 8192 + 200000)
        made_run.write_lines(self.place / "run/samples.jsonl", made_run.samples(21, 60, 6, {}))
        self.assertNotIn("passed over", self.report("--samples", "100").text)

    def test_few_and_many_samples_can_be_had(self):
        made_run.make(self.place)
        self.assertEqual(len(self.report("--samples", "1").data()["samples"]["groups"]), 1)
        groups = self.report("--samples", "1000000").data()["samples"]["groups"]
        evenly = {group["step"] for group in groups if group["reason"] == "evenly"}
        self.assertEqual(len(evenly), 12)
        self.assertEqual(sum(group["step"] == 60 for group in groups), made_run.CONTEXTS)

    def test_without_conversations_the_page_says_so(self):
        made_run.make(self.place)
        (self.place / "data.jsonl").unlink()
        run = self.call("run")
        self.assertEqual(run.returncode, 0)
        self.assertRegex(run.stderr,
                         r"\Awarning: the page goes without conversations: .*data\.jsonl")
        page = Page((self.place / "run/report.html").read_text(encoding="utf-8"))
        self.assertIn("Conversations are left out: ", page.text)
        self.assertIsNone(page.data()["samples"]["contexts"][0]["conversation"])
        (self.place / "run/samples.jsonl").unlink()
        self.assertIn("Samples are left out: there is no run/samples.jsonl", self.report().text)


class Curves(Place):
    def curves(self, **settings):
        run = made_run.make(self.place, contexts=1, **settings)
        with open(run / "metrics.jsonl", encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        curves = self.report().data()["curves"]
        return lines, curves, {curve["name"]: curve for curve in curves["curves"]}

    def test_a_short_curve_has_all_its_values(self):
        lines, curves, named = self.curves()
        self.assertEqual(curves["warmup"], 20)
        self.assertEqual(set(named), {key for line in lines for key in line} - {"step"})
        for name, curve in named.items():
            having = [line for line in lines if name in line]
            axis = curves["axes"][curve["axis"]]
            self.assertEqual(axis["steps"], [line["step"] for line in having])
            self.assertEqual((axis["per"], axis["count"]), (1, len(having)))
            values = curve.get("mean") or [curve["constant"]] * len(having)
            for value, line in zip(values, having, strict=True):
                self.assertAlmostEqual(value, line[name], delta=1e-5 * max(1, abs(line[name])))

    def test_a_long_curve_is_cut_into_bins(self):
        lines, curves, named = self.curves(steps=3500, warmup=0)
        curve = named["critic/rewards/mean"]
        axis = curves["axes"][curve["axis"]]
        values = [line["critic/rewards/mean"] for line in lines if "critic/rewards/mean" in line]
        self.assertEqual((axis["per"], axis["count"], len(curve["mean"])), (4, 3500, 875))
        self.assertEqual((axis["steps"][:2], axis["last"][-1]), ([1, 5], 3500))
        for i in range(875):
            bin_ = values[4 * i:4 * i + 4]
            for key, value in (("low", min(bin_)), ("high", max(bin_)), ("mean", sum(bin_) / 4)):
                self.assertAlmostEqual(curve[key][i], value, delta=1e-5 * abs(value))
        self.assertEqual(named["reward/format"]["constant"], 1)
        self.assertIsNone(curves["warmup"])

    def test_ten_thousand_steps_give_a_small_page_at_once(self):
        made_run.make(self.place, steps=10000, warmup=1000, every=20, contexts=4)
        begun = time.monotonic()
        self.assertEqual(self.call("run").returncode, 0)
        seconds = time.monotonic() - begun
        size = (self.place / "run/report.html").stat().st_size
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"10,000 steps: {size / 1e6:.2f} MB in {seconds:.2f} s")
        self.assertLess(size, 5_000_000)
        self.assertLess(seconds, 10)  # 1 is aimed at; machines under test may be busy
        self.assertLess(used.ru_maxrss, 200 << 10)


class Hostile(Place):
    def test_texts_stay_texts(self):
        texts = {key: HOSTILE + key for key in ("message", "response", "about", "fact", "verdict",
                                               "earlier")}
        run = made_run.make(self.place, texts=texts)
        path = run / "run.ini"
        path.write_text(path.read_text().replace('"run"', '"<img src=x onerror=alert(1)>\u202e"'))
        with open(run / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write('{"step": 61, "</script><img>": 1, "timing_s/<img src=x>": 1}\n')
        (run / "log.txt").write_bytes(b"learn2ask <img src=x>\xff\x1b[31m\nRESULT <img src=x>\n")
        page = self.report()
        tags = [tag for tag, _ in page.tags]
        self.assertEqual((tags.count("script"), tags.count("img")), (2, 0))
        raw = (run / "report.html").read_text(encoding="utf-8")
        self.assertNotIn("\u2028", raw)
        self.assertNotRegex(raw, "[\x00-\x08\x0b-\x1f\x7f-\x9f]")
        self.assertNotIn("\u202e", re.sub(r'<script type="application/json".*?</script>', "", raw,
                                          flags=re.S))
        data = page.data()["samples"]
        said = {response["text"] for group in data["groups"] for response in group["responses"]}
        self.assertEqual(said, {"<stop />", texts["response"]})
        response = data["groups"][0]["responses"][0]
        self.assertEqual((response["verdict"], response["earlier"]),
                         (texts["verdict"], texts["earlier"]))
        self.assertTrue(data["conversations"][0]["messages"][0][1].endswith(texts["message"]))
        self.assertEqual(data["conversations"][0]["about"], texts["about"])
        self.assertIn("<img src=x onerror=alert(1)>U+202E", page.text)
        self.assertIn("<img src=x>\ufffd\ufffd[31m", page.text)
        self.assertIn("timing_s/<img src=x>"[9:], page.text)


class Mistakes(Place):
    def refused(self, code, text, *arguments):
        run = self.call(*arguments)
        self.assertEqual((run.returncode, run.stdout), (code, ""), run.stderr)
        self.assertRegex(run.stderr, r"\Aerror: .*\n\Z")
        self.assertIn(text, run.stderr)
        self.assertEqual(list(self.place.glob("**/*.tmp-*")), [])

    def test_wrong_command_lines(self):
        made_run.make(self.place)
        self.refused(64, "report")
        self.refused(64, "report", "run", "run")
        self.refused(64, "'--colour'", "run", "--colour")
        self.refused(64, "--output", "run", "--output")
        for bad in ("0", "x", "1e3", "-5", ""):
            self.refused(64, "--samples", "run", f"--samples={bad}")
        self.assertFalse((self.place / "run/report.html").exists())
        run = self.call("--help")
        self.assertEqual(run.returncode, 0)
        self.assertIn("--samples N", run.stdout)

    def test_what_is_no_run_or_damaged(self):
        run = made_run.make(self.place)
        self.refused(66, "nowhere is no run's directory", "nowhere")
        (run / "report.html").write_text("the old one")
        with open(run / "samples.jsonl", "r+b") as file:
            file.write(b"\x00" * 40)
        self.refused(65, "samples.jsonl: at byte 0", "run")
        (run / "metrics.jsonl").write_text("no JSON\n")
        self.refused(65, "metrics.jsonl:1", "run")
        self.assertEqual((run / "report.html").read_text(), "the old one")

    def test_places_that_cannot_be_written(self):
        made_run.make(self.place)
        self.refused(73, "cannot create", "run", "--output", "none/a.html")
        (self.place / "dir").mkdir()
        self.refused(73, "cannot rename", "run", "--output", "dir")

    def test_the_page_is_as_private_as_the_run(self):
        os.umask(0o022)
        for who, mode in (("owner", 0o600), ("group", 0o640), ("all", 0o644)):
            holder = tempfile.TemporaryDirectory()
            self.addCleanup(holder.cleanup)
            self.place = pathlib.Path(holder.name)
            run = made_run.make(self.place)
            text = (run / "run.ini").read_text().replace("[model]", f"readable_by = {who}\n[model]")
            (run / "run.ini").write_text(text)
            self.report()
            self.assertEqual((run / "report.html").stat().st_mode & 0o777, mode)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: test_report.py PROGRAM [WORDS...]")
    PROGRAM = [os.path.abspath(sys.argv[1]), *sys.argv[2:]]
    unittest.main(argv=sys.argv[:1])
