// The receiver of standard.mjs with the package of Standard Webhooks in place of the function verify:
//
//     npm install standardwebhooks
//     PORT=3000 WEBHOOK_SECRET=whsec_... node standard-package.mjs
import { createServer } from 'node:http';
import { Webhook } from 'standardwebhooks';

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const largest = 1024 * 1024; // bytes of a body
const seen = new Set(); // a table of your database in your program: see standard.mjs

async function receive(request, response) {
  const answer = (status, text) => response.writeHead(status).end(text);
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= largest) chunks.push(chunk);
  }
  if (size > largest) return answer(413, 'the body is too large');
  let event;
  try {
    // verify takes the body as it arrived, and answers it parsed once signature and timestamp are right.
    event = webhook.verify(Buffer.concat(chunks).toString(), request.headers);
  } catch (error) {
    return answer(401, error.message);
  }
  const id = request.headers['webhook-id'];
  if (!seen.has(id)) {
    seen.add(id);
    setImmediate(() => console.log('handled', event.type, id)); // after the answer
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
