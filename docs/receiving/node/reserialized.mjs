// The commonest mistake, to be looked at and not to be copied: this receiver has its body parsed, as many frameworks do, and
// verifies what JSON.stringify makes of it. That works until a body has a number like 49.90 or an escaped letter: the
// signature is over the bytes that were sent, and these are others. standard.mjs has it right.
//
//     PORT=3000 WEBHOOK_SECRET=whsec_... node reserialized.mjs
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const key = Buffer.from(process.env.WEBHOOK_SECRET.replace('whsec_', ''), 'base64');

function verify(headers, event) {
  const body = JSON.stringify(event); // WRONG: not what was sent
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const expected = Buffer.from('v1,' + createHmac('sha256', key).update(signed).digest('base64'));
  const given = Buffer.from(headers['webhook-signature'] ?? '');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

const server = createServer(async (request, response) => {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  const event = JSON.parse(text);
  if (!verify(request.headers, event)) return response.writeHead(401).end('the signature is not valid');
  console.log('handled', event.type, request.headers['webhook-id']);
  response.writeHead(200).end('ok');
});
server.listen(process.env.PORT, '127.0.0.1', () => console.log(`listens on 127.0.0.1:${server.address().port}`));
