"""An OpenAI-compatible server that answers as its request's model name says: well, late, or badly.

    misbehaving_server.py [--port PORT]     prints "port N" and ends when its standard input closes

Models: `normal` echoes the last message; `delay:S` does so after S seconds; `fixed:TEXT` says TEXT;
`replies:A|B|C` says A, B, C to the first, second, third request with the same messages; `facts`,
`verdicts` and `questions` choose an answer of that kind by the messages, and one in four is of no
use; the others misbehave. A model may begin with `delay:S,`. GET /stats tells
what was seen.
"""
import argparse
import hashlib
import json
import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SCORES = "<think>why</think>\n<format_score>%s</format_score>\n<content_score>%s</content_score>"
CHOICES = {
    "facts": ["['symptom: a']", "['symptom: b', \"c\"]", "none", "[]"],
    "verdicts": [SCORES % ("1.0", "0.5"), SCORES % ("0.5", "1.0"), "nothing", SCORES % ("1", "0")],
    "questions": ["Do you cough?", "<stop />", "Since when? Where?", "I see."],
}
lock = threading.Lock()
active = {}  # by model: requests without an answer yet
stats = {"peak": {}, "requests": 0, "last_answer": None, "body": None}
seen = {}


def begin(model, request):
    with lock:
        active[model] = active.get(model, 0) + 1
        stats["peak"][model] = max(stats["peak"].get(model, 0), active[model])
        stats["requests"] += 1
        stats["body"] = request


def end(model):
    with lock:
        active[model] -= 1
        stats["last_answer"] = time.time()


def times_seen(key):
    with lock:
        seen[key] = seen.get(key, 0) + 1
        return seen[key]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def reply(self, status, body, headers=(), length=None):
        if self.model is not None:  # no longer under way once the client may see the answer
            end(self.model)
            self.model = None
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def say(self, content, reason="stop"):
        choice = {"message": {"role": "assistant", "content": content}, "finish_reason": reason}
        self.reply(200, json.dumps({"choices": [choice]}).encode())

    def error(self, status, message, headers=()):
        self.reply(status, json.dumps({"error": {"message": message}}).encode(), headers)

    def hang_up(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self):
        self.model = None
        with lock:
            body = json.dumps(stats).encode()
        self.reply(200, body)

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        request = json.loads(raw)
        self.model = request["model"]
        begin(self.model, request)
        self.answer(request)

    def answer(self, request):
        model, words = request["model"], json.dumps(request["messages"])
        last = request["messages"][-1]["content"]
        if not self.path.endswith("/v1/chat/completions"):
            self.error(404, "no such path " + self.path)
            return
        if model.startswith("delay:"):
            seconds, _, model = model[len("delay:"):].partition(",")
            time.sleep(float(seconds))
            model = model or "normal"
        kind, _, text = model.partition(":")
        if kind == "normal":
            self.say(last)
        elif kind == "fixed":
            self.say(text)
        elif kind == "replies":
            replies = text.split("|")
            self.say(replies[min(times_seen(words), len(replies)) - 1])
        elif kind in CHOICES:
            choice = hashlib.md5(words.encode()).digest()[0]
            self.say(CHOICES[kind][choice % len(CHOICES[kind])])
        else:
            getattr(self, kind.replace("-", "_"))(times_seen(model + words), last)

    def too_many(self, times, last):
        if times == 1:
            self.error(429, "slow down", [("Retry-After", "1")])
        else:
            self.say(last)

    def broken_twice(self, times, last):
        if times <= 2:
            self.error(500, "broken")
        else:
            self.say(last)

    def always_503(self, times, last):
        self.error(503, "overloaded")

    def half(self, times, last):
        self.reply(200, b'{"choices": [', length=1000)
        self.hang_up()

    def not_json(self, times, last):
        self.reply(200, b"<html>Welcome</html>")

    def hang(self, times, last):
        self.hang_up()

    def long(self, times, last):
        self.say("x" * 10_000_000)

    def bad_utf8(self, times, last):
        self.reply(200, b'{"choices": [{"message": {"content": "\xff\xfe"}}]}')

    def no_choices(self, times, last):
        self.reply(200, b'{"choices": []}')

    def null(self, times, last):
        self.say(None)

    def parts(self, times, last):
        self.say([{"type": "text", "text": "two "}, {"type": "text", "text": "parts"}])

    def cut_off(self, times, last):
        self.say("not all", "length")

    def refused(self, times, last):
        self.error(401, "no entry with " + str(self.headers["Authorization"]))

    def refuses_some(self, times, last):
        if hashlib.md5(last.encode()).digest()[0] % 4 == 0:
            self.error(400, "not this one")
        else:
            self.say("Do you cough?")

    def judges_some(self, times, last):
        if hashlib.md5(last.encode()).digest()[0] % 4 == 0:
            self.error(400, "not this one")
        else:
            self.say(SCORES % ("1.0", "0.5"))

    def refused_late(self, times, last):
        self.error(401, "x" * 190 + str(self.headers["Authorization"])[len("Bearer "):])

    def moved(self, times, last):
        self.reply(302, b"", [("Location", "/elsewhere/v1/chat/completions")])


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that go away are what is tested


def end_with_parent():
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    server = Server(("127.0.0.1", parser.parse_args().port), Handler)
    print("port", server.server_port, flush=True)
    threading.Thread(target=end_with_parent, daemon=True).start()
    server.serve_forever()
