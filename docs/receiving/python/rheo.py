"""A receiver of Rheo's webhooks. It needs Python 3.9 or later and nothing else:

    PORT=3000 WEBHOOK_SECRET=whsec_... python3 rheo.py
"""
import hmac
import json
import os
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGEST = 1024 * 1024  # bytes of a body
# While the secret is being replaced, the next one is known too. The key is the secret as it is shown, whsec_ included.
SECRETS = [os.environ["WEBHOOK_SECRET"]] + [s for s in [os.environ.get("WEBHOOK_SECRET_NEXT")] if s]


def verify(headers, body):
    """Return what is wrong with a request. The body is what arrived, byte for byte: that is what was signed."""
    given = headers.get("X-Rheo-Signature", "").encode()
    expected = ["sha256=" + hmac.digest(secret.encode(), body, "sha256").hex() for secret in SECRETS]
    if not any(hmac.compare_digest(given, one.encode()) for one in expected):
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
        event_id, kind = event["eventId"], event["eventType"]
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
