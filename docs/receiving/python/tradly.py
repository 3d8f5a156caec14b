"""A receiver of Tradly's webhooks. It needs Python 3.9 or later and nothing else:

    PORT=3000 WEBHOOK_SECRET=whsec_... python3 tradly.py
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
# While the secret is being replaced, the next one is known too.
SECRETS = [os.environ["WEBHOOK_SECRET"]] + [s for s in [os.environ.get("WEBHOOK_SECRET_NEXT")] if s]
TOLERANCE = 5 * 60  # seconds that a request may be old, or the clocks differ


def verify(headers, body):
    """Return what is wrong with a request.

    X-Tradly-Signature is over the event's id alone, so that anybody who has seen one request could send another body with it. The
    signature over the body, byte for byte as it arrived, is in webhook-signature.
    """
    event_id, sent, signatures = (headers.get("webhook-" + name, "") for name in ("id", "timestamp", "signature"))
    if not sent.isdecimal() or abs(time.time() - int(sent)) > TOLERANCE:
        return "the timestamp is missing or too old"
    tradly = headers.get("X-Tradly-Signature", "").encode()
    of_id = [hmac.digest(secret.encode(), event_id.encode(), "sha256").hex().encode() for secret in SECRETS]
    if not any(hmac.compare_digest(tradly, expected) for expected in of_id):
        return "X-Tradly-Signature is not valid"
    keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in SECRETS]
    signed = f"{event_id}.{sent}.".encode() + body
    of_body = [b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256")) for key in keys]
    # While the secret is being replaced there are two signatures, of the old secret and of the new one.
    if not any(hmac.compare_digest(given.encode(), expected) for given in signatures.split() for expected in of_body):
        return "webhook-signature is not valid"
    if json.loads(body)["id"] != event_id:
        return "the body has another id than the header"


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
        event_id, kind = event["id"], event["type"]
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
