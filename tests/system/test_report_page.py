#!/usr/bin/env python3
"""test_report_page.py - the page of `l2a-show report` in a headless Chromium, used as people do.

    test_report_page.py PROGRAM [WORDS...]      # skipped (77) where there is no Chromium
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import devtools  # noqa: E402
import made_run  # noqa: E402

PROGRAM = []
HOSTILE = ("</script><img src=x onerror=\"document.title='taken'\"><!--\u2028 a\u202eb\u202c"
           " \x07 \u05d0\u05d1 &amp; <b>c</b> {{name}}")
SHOWN = HOSTILE.replace("\u202e", "U+202E").replace("\u202c", "U+202C").replace("\x07", "U+0007")


def setUpModule():
    Visit.browser = devtools.Browser()
    unittest.addModuleCleanup(Visit.browser.close)


class Visit(unittest.TestCase):
    """A page of a made run, opened anew for each test in one browser."""
    browser, settings = None, {}

    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.holder.cleanup)
        place = pathlib.Path(cls.holder.name)
        made_run.make(place, **cls.settings)
        subprocess.run([*PROGRAM, "run"], cwd=place, check=True, stdout=subprocess.DEVNULL)
        cls.address = (place / "run/report.html").as_uri()

    def setUp(self):
        self.browser.view(1280, 900)
        self.browser.open(self.address)
        self.browser.settle()

    def tearDown(self):
        self.assertEqual(self.browser.errors, [])
        self.assertEqual(self.browser.requests, [self.address])

    def look(self, expression):
        return self.browser.evaluate(expression)

    def one(self, selector):
        return f"document.querySelector({json.dumps(selector)})"

    def text(self, selector):
        return self.look(f"{self.one(selector)}.innerText")

    def texts(self, selector):
        return self.look(f"[...document.querySelectorAll({json.dumps(selector)})]"
                         ".map(element => element.innerText)")

    def choose(self, selector, value):
        self.look(f"{{const field = {self.one(selector)}; field.value = {json.dumps(value)};"
                  "field.dispatchEvent(new Event('input', {bubbles: true}));"
                  "field.dispatchEvent(new Event('change', {bubbles: true}));}")
        self.browser.settle()

    def click(self, selector):
        self.look(f"{self.one(selector)}.click()")
        self.browser.settle()

    def focus(self, selector):
        self.look(f"{self.one(selector)}.focus()")

    def focused(self):
        return self.look("document.activeElement.id || document.activeElement.className")

    def found(self):
        return int(self.text("#found").split()[0].replace(",", ""))

    def rewards(self):
        return [float(text.split()[-1]) for text in self.texts(".row-reward")]

    def all(self):
        """Every response with its group and context, as the page's data have them."""
        samples = self.look("JSON.parse(document.getElementById('data').textContent).samples")
        return [(response, group, samples["contexts"][group["context"]])
                for group in samples["groups"] for response in group["responses"]]

    def is_open(self):
        return self.look("document.getElementById('sample').open")


class Browsing(Visit):
    def test_filters_leave_what_they_name(self):
        responses = self.all()
        self.assertEqual(self.found(), len(responses))
        cases = [
            ("#filter-decision", "wrong", lambda r, g, c: r["decision"] == 0),
            ("#filter-decision", "right", lambda r, g, c: r["decision"] == 1),
            ("#filter-truth", "stop", lambda r, g, c: c["truth"] == "stop"),
            ("#filter-step", "60", lambda r, g, c: g["step"] == 60),
            ("#filter-reason", "worst", lambda r, g, c: g["reason"] == "worst"),
            ("#filter-from", "2.5", lambda r, g, c: r["reward"] >= 2.5),
            ("#filter-to", "0.5", lambda r, g, c: r["reward"] <= 0.5),
            ("#filter-text", "<STOP", lambda r, g, c: "<stop" in r["text"]
             or "<stop />" in c["expert"]),
        ]
        for selector, value, keeps in cases:
            expected = sum(keeps(*item) for item in responses)
            self.assertTrue(0 < expected < len(responses), selector)
            self.choose(selector, value)
            self.assertEqual(self.found(), expected, (selector, value))
            self.click("#filter button")
            self.look("new Promise(done => setTimeout(done))")
            self.assertEqual(self.found(), len(responses))
        self.choose("#filter-score", "content")
        self.choose("#filter-from", "0.5")
        self.choose("#filter-to", "0.5")
        self.choose("#filter-decision", "right")
        self.assertEqual(self.found(), sum(r["content"] == 0.5 and r["decision"] == 1
                                           for r, _, _ in responses))
        self.choose("#filter-text", "nobody said this")
        self.assertEqual((self.found(), self.texts(".row")), (0, []))
        self.focus("#list")
        self.browser.press("ArrowDown")

    def test_search_finds_what_was_said_before(self):
        self.choose("#filter-text", "complaint 7.2 ")
        expected = sum(c["cid"] in ("7_2", "7_3", "7_4") for _, _, c in self.all())
        self.assertEqual(self.found(), expected)
        self.assertGreater(expected, 0)

    def test_order_is_that_of_the_chosen_score(self):
        rewards = sorted(r["reward"] for r, _, _ in self.all())
        self.choose("#sort", "reward")
        self.assertEqual(self.rewards(), rewards[:200])
        self.choose("#direction", "down")
        self.assertEqual(self.rewards(), rewards[::-1][:200])
        for field, key in (("step", lambda r, g, c: g["step"]),
                           ("tokens", lambda r, g, c: r["tokens"]),
                           ("content", lambda r, g, c: r["content"])):
            self.choose("#sort", field)
            self.assertEqual(
                self.look(f"browser.found.map(item => {json.dumps(field)} === 'step'"
                          f" ? item.group.step : item.response[{json.dumps(field)}])"),
                sorted((key(*item) for item in self.all()), reverse=True))

    def test_more_rows_come_when_asked_for(self):
        count = len(self.all())
        self.assertGreater(count, 200)
        self.assertEqual(len(self.texts(".row")), 200)
        self.click("#more")
        self.assertEqual(len(self.texts(".row")), min(count, 400))
        self.assertEqual(self.look("[...document.querySelectorAll('.row')]"
                                   ".indexOf(document.activeElement)"), 200)

    def test_the_list_is_walked_by_keys(self):
        rows = "[...document.querySelectorAll('.row')]"
        at = f"{rows}.indexOf(document.activeElement)"
        self.focus("#filter button")
        self.browser.press("Tab")
        for key, where in (("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("PageDown", 11),
                           ("Home", 0), ("ArrowUp", 0), ("End", len(self.all()) - 1)):
            self.browser.press(key)
            self.assertEqual(self.look(at), where, key)
        self.assertEqual(self.look(f"{rows}.filter(row => row.tabIndex === 0).length"), 1)
        outline = self.look("getComputedStyle(document.activeElement).outlineStyle")
        self.assertEqual(outline, "solid")

    def test_a_sample_is_opened_read_and_left_by_keys(self):
        self.focus(".row")
        self.browser.press("ArrowDown", 3)
        self.browser.press("Enter")
        self.assertTrue(self.is_open())
        self.assertEqual(self.focused(), "close")
        first = self.text("#sample-title")
        opened = "document.querySelector('.card.current').innerText"
        four = self.look(opened)
        self.browser.press("ArrowRight", 2)
        self.assertNotEqual(self.text("#sample-title"), first)
        self.browser.press("ArrowLeft", 2)
        self.assertEqual(self.look(opened), four)
        self.browser.press("ArrowRight")
        self.browser.press("Escape")
        self.assertFalse(self.is_open())
        self.assertEqual(self.look("[...document.querySelectorAll('.row')]"
                                   ".indexOf(document.activeElement)"), 4)
        self.browser.press("ArrowUp", 9)
        self.browser.press("Enter")
        self.assertTrue(self.look("document.getElementById('previous').disabled"))
        self.browser.press("ArrowLeft")
        self.assertTrue(self.is_open())
        self.click("#close")
        self.assertFalse(self.is_open())

    def test_an_open_sample_shows_conversation_response_and_alternatives(self):
        responses = self.all()
        longer = {c["conversation"] for _, _, c in responses if c["cid"].endswith("_4")}
        response, group, context = next(
            (r, g, c) for r, g, c in responses if c["cid"].endswith("_2")
            and r["repeat"] == 1 and r["decision"] == 1 and c["conversation"] in longer)
        self.look(f"openSample(browser.found.findIndex(item => item.group.step === {group['step']}"
                  f" && item.context.cid === {json.dumps(context['cid'])}"
                  " && item.response.repeat === 1))")
        bubbles = self.texts("#sample .bubble")
        self.assertEqual([re.split("[\n,]", text)[0] for text in bubbles],
                         ["User", "Expert", "User", "The model's response 2",
                          "What the expert said"])
        self.assertTrue(bubbles[3].endswith(response["text"]))
        self.assertIn(f"Where is it, {context['cid'].replace('_', '.')}?", bubbles[4])
        self.assertEqual(len(self.texts(".card")), made_run.GROUP)
        self.assertIn("Response 2, shown", self.text(".card.current"))
        side = self.text(".side")
        for part in ("place: left", "expert asked on", "pain", context["cid"]):
            self.assertIn(part, side)
        self.click(".card:nth-child(4) button")
        self.assertIn("The model's response 4", self.text(".bubble.response"))
        self.assertIn("Response 4, shown",
                      self.look("document.activeElement.innerText"))

    def test_the_settings_unfold(self):
        before = self.look("document.documentElement.scrollHeight")
        self.click("#settings summary")
        self.assertGreater(self.look("document.documentElement.scrollHeight"), before)
        self.assertIn("algorithm.kl_coefficient", self.text("#settings details"))


class Curves(Visit):
    settings = {"steps": 4000, "warmup": 200, "every": 500, "contexts": 2}

    def test_curves_are_drawn_and_read_by_keys(self):
        self.assertEqual([text.split("\n")[0].strip() for text in self.texts("#charts figcaption")],
                         ["Reward", "Decision", "Content", "Format"])
        value = "document.querySelector('#charts svg').getAttribute('aria-valuetext')"
        self.assertIn("lowest to highest of each 4 steps", self.text("#charts figcaption"))
        self.focus("#charts svg")
        self.browser.press("End")
        self.assertRegex(self.look(value), r"^steps 3,997 to 4,000: 2\.\d+ \(.* to .*\); running")
        self.browser.press("Home")
        self.browser.press("ArrowRight")
        self.assertRegex(self.look(value), "^steps 201 to 204: ")
        self.assertEqual(self.text("#charts .readout"), self.look(value))
        self.assertEqual(self.look("document.querySelector('#charts .cursor')"
                                   ".getAttribute('visibility')"), "visible")
        self.assertGreater(self.look("document.querySelectorAll('#charts svg .evaluation').length"),
                           4 * 7)

    def test_a_pointer_reads_a_curve(self):
        box = self.look("(() => {const chart = document.querySelector('#charts svg');"
                        "chart.scrollIntoView({behavior: 'instant'});"
                        "const box = chart.getBoundingClientRect();"
                        "return [box.left, box.top, box.width]})()")
        self.browser.call("Input.dispatchMouseEvent", type="mouseMoved",
                          x=box[0] + box[2] / 2, y=box[1] + 50)
        self.browser.settle()
        step = int(re.match(r"steps? ([\d,]+)", self.text("#charts .readout"))[1].replace(",", ""))
        self.assertTrue(1900 < step < 2300, step)

    def test_the_warm_up_is_shown_when_asked_for(self):
        first = "document.querySelector('#metric-chart svg').getAttribute('aria-valuemin')"
        self.choose("#metric", "actor/pg_loss")
        self.assertGreaterEqual(int(self.look(first)), 200 - 4)
        self.click("#warmup")
        self.assertLess(int(self.look(first)), 5)
        self.assertEqual(len(self.texts("#metric-chart .boundary")), 1)

    def test_every_metric_can_be_chosen(self):
        for name in self.look("[...document.getElementById('metric').options].map(o => o.value)"):
            self.choose("#metric", name)
            self.assertEqual(self.text("#metric-chart figcaption").split("\n")[0].strip(), name)
            for path in self.look("[...document.querySelectorAll('#metric-chart path')]"
                                  ".map(path => path.getAttribute('d'))"):
                self.assertNotIn("NaN", path)


class Widths(Visit):
    settings = {"texts": {"response": "longwordwithoutanyblank" * 20, "about": "x" * 90,
                          "message": "y" * 300}}

    def width(self):
        return self.look("Math.max(document.documentElement.scrollWidth,"
                         "document.getElementById('sample').scrollWidth)")

    def test_a_phone_scrolls_down_only(self):
        for width in (360, 768):
            for scheme in ("light", "dark"):
                self.browser.view(width, 780, scheme)
                self.assertLessEqual(self.width(), width)
                self.click(".row")
                self.assertLessEqual(self.width(), width)
                self.browser.press("Escape")
                self.click("#settings summary")
                self.assertLessEqual(self.width(), width)

    def test_paper_shows_the_open_sample_alone(self):
        self.browser.view(800, 1000, media="print")
        self.assertEqual(self.look("getComputedStyle(document.getElementById('filter')).display"),
                         "none")
        self.click(".row")
        self.assertEqual(self.look("getComputedStyle(document.querySelector('main')).display"),
                         "none")
        self.assertLessEqual(self.width(), 800)

    def test_text_stands_out_from_its_ground(self):
        # Contrast of WCAG 2 between the colours of an element's text and of what is behind it.
        measure = """(selector => {
            const rgb = text => text.match(/[\\d.]+/g).map(Number);
            const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
                .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
                .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
            const element = document.querySelector(selector);
            let ground = element;
            while (rgb(getComputedStyle(ground).backgroundColor)[3] === 0)
                ground = ground.parentElement;
            const pair = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor]
                .map(rgb).map(light).sort((a, b) => b - a);
            return (pair[0] + 0.05) / (pair[1] + 0.05);
        })"""
        self.click(".row")
        for scheme in ("light", "dark"):
            self.browser.view(1280, 900, scheme)
            for selector in ("body", "nav a", ".above", ".interval", ".done", ".readout",
                             ".row-facts", ".row .right", ".who", ".bubble.response .words",
                             ".bubble.response .who", ".bubble.expert .who", ".field", "button"):
                self.assertGreaterEqual(self.look(f"{measure}({json.dumps(selector)})"), 4.5,
                                        (scheme, selector))

    def test_what_is_operated_has_a_name(self):
        unnamed = self.look("""[...document.querySelectorAll('input, select, button, svg[role]')]
            .filter(e => !(e.ariaLabel || e.innerText || e.labels && e.labels.length)
                && e.id !== 'more').map(e => e.outerHTML)""")
        self.assertEqual(unnamed, [])
        tree = self.browser.call("Accessibility.getFullAXTree")["nodes"]
        roles = {"button", "combobox", "searchbox", "spinbutton", "checkbox", "slider", "dialog"}
        for node in tree:
            if not node.get("ignored") and node.get("role", {}).get("value") in roles:
                self.assertTrue(node.get("name", {}).get("value"), node)


class Hostile(Visit):
    settings = {"texts": {key: HOSTILE for key in ("message", "response", "about", "fact",
                                                  "verdict", "earlier")}}

    def test_hostile_texts_are_shown_as_texts(self):
        self.look("openSample(browser.found.findIndex(item => item.response.text !== '<stop />'"
                  " && item.context.facts.length > 0))")
        self.look("document.querySelectorAll('#sample details').forEach(d => d.open = true)")
        def plain(text):
            return re.sub(r"\s+", " ", text)
        for selector in ("#sample .bubble .words", ".bubble.response .words", ".side li",
                         ".side .words", ".card .words", ".row-text"):
            texts = [plain(text) for text in self.texts(selector)]
            self.assertTrue(any(plain(SHOWN) in text for text in texts), (selector, texts[:3]))
        self.assertEqual(self.look("document.querySelectorAll('img, b').length"), 0)
        self.assertNotEqual(self.look("document.title"), "taken")
        self.assertNotIn("\u202e", self.look("document.body.innerText"))

    def test_direction_marks_turn_nothing_around_them(self):
        # The bubble's last character stands right of its first Latin one, as it was written.
        places = self.look("""(() => {
            const words = [...document.querySelectorAll('.row-text')]
                .find(element => element.textContent.includes('U+202E'));
            const at = node => {const range = document.createRange(); range.selectNode(node);
                return range.getBoundingClientRect().left;};
            return [...words.querySelectorAll('.mark')].map(at);
        })()""")
        self.assertEqual(places, sorted(places))


class Plain(Visit):
    def test_without_script_tables_remain(self):
        self.browser.script(False)
        self.addCleanup(self.browser.script, True)
        self.browser.open(self.address)
        document = self.browser.call("DOM.getDocument", depth=-1)["root"]
        html = self.browser.call("DOM.getOuterHTML", nodeId=document["nodeId"])["outerHTML"]
        self.assertIn("ave_total_reward", html)
        self.assertIn("drawn by this page's script, which does not run here", html)
        self.assertNotIn('class="row"', html)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: test_report_page.py PROGRAM [WORDS...]")
    if not devtools.find():
        print("skipped: there is no Chromium")
        sys.exit(77)
    PROGRAM = [os.path.abspath(sys.argv[1]), *sys.argv[2:]]
    unittest.main(argv=sys.argv[:1])
