"""The commonest mistake, to be looked at and not to be copied: this receiver verifies what json.dumps makes of the parsed body.

The signature is over the bytes that were sent, and json.dumps writes others: always without separators, and with them as soon as a body has
é, 1e2 or a space. standard.py has it right.

    PORT=3000 WEBHOOK_SECRET=whsec_... python3 reserialized.py
"""
import base64
import hmac
import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))


def verify(headers, event):
    body = json.dumps(event, separators=(",", ":"))  # WRONG: not what was sent
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}"
    expected = b"v1," + base64.b64encode(hmac.digest(KEY, signed.encode(), "sha256"))
    return hmac.compare_digest(headers.get("webhook-signature", "").encode(), expected)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        valid = verify(self.headers, event)
        if valid:
            print("handled", event["type"], self.headers["webhook-id"], flush=True)
        text = b"ok" if valid else b"the signature is not valid"
        self.send_response(200 if valid else 401)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


server = HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver)
print(f"listens on 127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
