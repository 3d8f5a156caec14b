"""A receiver of webhooks of the dialect standard (Standard Webhooks 1.0.0). It needs Python 3.9 or later and nothing else:

    PORT=3000 WEBHOOK_SECRET=whsec_... python3 standard.py
"""
import base64
import hmac
import json
import os
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGEST = 1024 * 1024  # bytes of a body
# What whsec_ is followed by is the key, in base64.
KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERANCE = 5 * 60  # seconds that a request may be old, or the clocks differ


def verify(headers, body):
    """Return what is wrong with a request. The body is what arrived, byte for byte: that is what was signed."""
    event_id, sent, signatures = (headers.get("webhook-" + name, "") for name in ("id", "timestamp", "signature"))
    if not sent.isdecimal() or abs(time.time() - int(sent)) > TOLERANCE:
        return "the timestamp is missing or too old"
    expected = b"v1," + base64.b64encode(hmac.digest(KEY, f"{event_id}.{sent}.".encode() + body, "sha256"))
    # While the secret is being replaced there are two signatures, of the old secret and of the new one.
    if not any(hmac.compare_digest(given.encode(), expected) for given in signatures.split()):
        return "the signature is not valid"


# The same event can arrive twice. In your program `seen` is a table of your database with a unique id, and the event is in
# it before the answer: what was answered with 2xx is not sent again.
seen, lock = set(), threading.Lock()
waiting = queue.Queue()


def work():
    while True:
        event_id, kind, event = waiting.get()
        print("handled", kind, event_id, flush=True)


class Receiver(BaseHTTPRequestHandler):
    timeout = 10  # seconds that a sender may be silent

    def do_POST(self):
        size = int(self.headers.get("Content-Length", 0))
        if size > LARGEST:
            return self.answer(413, b"the body is too large")
        body = self.rfile.read(size)
        wrong = verify(self.headers, body)
        if wrong:
            return self.answer(401, wrong.encode())
        event = json.loads(body)
        event_id, kind = self.headers["webhook-id"], event["type"]
        with lock:
            first = event_id not in seen
            seen.add(event_id)
        if first:
            waiting.put((event_id, kind, event))  # the answer must not wait for the work
        self.answer(200, b"ok")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


threading.Thread(target=work, daemon=True).start()
server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver)
print(f"listens on 127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
