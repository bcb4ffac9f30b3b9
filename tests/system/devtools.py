"""devtools.py - a headless Chromium driven over its DevTools pipe, with the standard library alone.

    with Browser() as browser:
        browser.open("file:///tmp/page.html")
        browser.evaluate("document.title")
"""
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

PATIENCE = 60  # seconds until an answer that does not come is an error
NAMES = ("chromium", "chromium-browser", "google-chrome")
# The browser reads its orders from descriptor 3 and answers on 4.
LAUNCH = """
import fcntl, os, sys
orders, answers = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(orders, 3)
os.dup2(answers, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), "ArrowLeft": (37, ""),
        "ArrowUp": (38, ""), "ArrowRight": (39, ""), "ArrowDown": (40, ""), "Home": (36, ""),
        "End": (35, ""), "PageUp": (33, ""), "PageDown": (34, "")}


def find():
    """The name of a browser that is installed, or None."""
    return next((name for name in NAMES if shutil.which(name)), None)


class Browser:
    """One page. `errors` are what its console and log said, `requests` the addresses asked for."""

    def __init__(self):
        self.errors, self.requests, self.loaded = [], [], False
        self.buffer, self.number, self.session = b"", 0, None
        self.profile = tempfile.mkdtemp()
        orders, self.out = os.pipe()
        self.into, answers = os.pipe()
        fcntl.fcntl(self.into, fcntl.F_SETFL, os.O_NONBLOCK)
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(orders), str(answers), find(), "--headless",
             "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--hide-scrollbars", "--remote-debugging-pipe",
             f"--user-data-dir={self.profile}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=(orders, answers), env={**os.environ, "HOME": self.profile})
        os.close(orders)
        os.close(answers)
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.call("Target.attachToTarget", targetId=target,
                                     flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(domain + ".enable")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.send("Browser.close", None)
            self.process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.out)
        os.close(self.into)
        shutil.rmtree(self.profile, ignore_errors=True)

    def send(self, method, session, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        return self.number

    def receive(self, deadline):
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.into], [], [], left)[0]:
                raise TimeoutError(f"the browser does not answer for {PATIENCE} s")
            data = os.read(self.into, 1 << 20)
            if not data:
                raise EOFError("the browser has ended")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def take(self, event):
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Log.entryAdded":
            self.errors.append(parameters["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled":
            self.errors.append(str(parameters["args"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Page.loadEventFired":
            self.loaded = True

    def call(self, method, **parameters):
        number = self.send(method, self.session, **parameters)
        deadline = time.monotonic() + PATIENCE
        while True:
            message = self.receive(deadline)
            if message.get("id") != number:
                self.take(message)
            elif "error" in message:
                raise RuntimeError(f"{method}: {message['error']['message']}")
            else:
                return message["result"]

    def open(self, address):
        self.loaded = False
        self.errors.clear()
        self.requests.clear()
        self.call("Page.navigate", url=address)
        deadline = time.monotonic() + PATIENCE
        while not self.loaded:
            self.take(self.receive(deadline))

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def settle(self):
        """Waits until what was begun is drawn."""
        self.evaluate("new Promise(done => requestAnimationFrame("
                      "() => requestAnimationFrame(done)))")

    def press(self, key, times=1):
        code, text = KEYS[key]
        for _ in range(times):
            for kind, typed in (("keyDown", text), ("keyUp", "")):
                self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, text=typed,
                          windowsVirtualKeyCode=code)
        self.settle()

    def view(self, width, height, scheme="light", media=""):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", media=media,
                  features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.settle()

    def script(self, runs):
        self.call("Emulation.setScriptExecutionDisabled", value=not runs)
