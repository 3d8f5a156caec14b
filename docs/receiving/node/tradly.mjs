// A receiver of Tradly's webhooks. It needs Node 18 or later and nothing else:
//
//     PORT=3000 WEBHOOK_SECRET=whsec_... node tradly.mjs
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

if (!process.env.WEBHOOK_SECRET) throw new Error('WEBHOOK_SECRET is not set');
const largest = 1024 * 1024; // bytes of a body

// While the secret is being replaced, the next one is known too.
const secrets = [process.env.WEBHOOK_SECRET, process.env.WEBHOOK_SECRET_NEXT].filter(Boolean);
const tolerance = 5 * 60; // seconds that a request may be old, or the clocks differ

// verify returns what is wrong with a request. X-Tradly-Signature is over the event's id alone, so that anybody who has seen one
// request could send another body with it. The signature over the body, byte for byte as it arrived, is in webhook-signature.
function verify(headers, body) {
  const { 'webhook-id': id, 'webhook-timestamp': sent, 'webhook-signature': signatures, 'x-tradly-signature': tradly } = headers;
  if (!id || !sent || !signatures || !tradly) return 'a header of the signature is missing';
  if (!(Math.abs(Date.now() / 1000 - sent) <= tolerance)) return 'the timestamp is too old';
  const ofId = secrets.map((secret) => createHmac('sha256', secret).update(id).digest('hex'));
  if (!ofId.some((expected) => same(tradly, expected))) return 'X-Tradly-Signature is not valid';
  const ofBody = secrets.map((secret) => {
    const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
    return 'v1,' + createHmac('sha256', key).update(`${id}.${sent}.`).update(body).digest('base64');
  });
  // While the secret is being replaced there are two signatures, of the old secret and of the new one.
  const given = signatures.split(' ');
  if (!ofBody.some((expected) => given.some((one) => same(one, expected)))) return 'webhook-signature is not valid';
  if (JSON.parse(body).id !== id) return 'the body has another id than the header';
}

// same takes as long for a guess that is almost right as for any other.
function same(given, expected) {
  const a = Buffer.from(given), b = Buffer.from(expected);
  return a.length === b.length && timingSafeEqual(a, b);
}

// The same event can arrive twice. In your program `seen` is a table of your database with a unique id, and the event is in
// it before the answer: what was answered with 2xx is not sent again.
const seen = new Set();

function work(id, type, event) {
  console.log('handled', type, id);
}

async function receive(request, response) {
  const answer = (status, text) => response.writeHead(status).end(text);
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= largest) chunks.push(chunk);
  }
  if (size > largest) return answer(413, 'the body is too large');
  const body = Buffer.concat(chunks);
  const wrong = verify(request.headers, body);
  if (wrong) return answer(401, wrong);
  const event = JSON.parse(body);
  const [id, type] = [event.id, event.type];
  if (!seen.has(id)) {
    seen.add(id);
    setImmediate(work, id, type, event); // after the answer, which must not wait for the work
  }
  answer(200, 'ok');
}

const server = createServer((request, response) => {
  receive(request, response).catch((error) => {
    console.error(error.message);
    response.destroy();
  });
});
server.listen(process.env.PORT, '127.0.0.1', () => console.log(`listens on 127.0.0.1:${server.address().port}`));
