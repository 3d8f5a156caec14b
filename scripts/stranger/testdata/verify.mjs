// Reads {"requests": [...]} from standard input and writes {"verdicts": [...]}, "" for a request that verifies and otherwise why not.
import { createHash, createPublicKey, verify as verifySignature } from "node:crypto";
import { httpbis, createVerifier } from "http-message-signatures";
import { importJWK } from "jose";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";

// jwkOf finds the key of an id, or the only one, as jose reads it.
async function jwkOf(jwks, id) {
  const found = jwks.keys.filter((k) => id === undefined || k.kid === id);
  if (found.length !== 1) throw new Error(`${found.length} keys of the set fit`);
  return createPublicKey({ key: await exported(await importJWK(found[0], "EdDSA")), format: "jwk" });
}

const exported = (key) => crypto.subtle.exportKey("jwk", key);

const kinds = {
  standardwebhooks: (r, body) => new StandardWebhook(r.secret).verify(body, r.headers),
  svix: (r, body) => new SvixWebhook(r.secret).verify(body, r.headers),

  // The text of Standard Webhooks, with the signature of node's OpenSSL.
  async v1a(r, body) {
    const key = r.jwks
      ? await jwkOf(r.jwks)
      : createPublicKey({
          key: { kty: "OKP", crv: "Ed25519", x: Buffer.from(r.public_key.replace(/^whpk_/, ""), "base64").toString("base64url") },
          format: "jwk",
        });
    const signed = Buffer.concat([Buffer.from(`${r.headers["webhook-id"]}.${r.headers["webhook-timestamp"]}.`), body]);
    const fits = r.headers["webhook-signature"]
      .split(" ")
      .map((s) => s.split(","))
      .some(([version, text]) => version === "v1a" && verifySignature(null, signed, key, Buffer.from(text, "base64")));
    if (!fits) throw new Error("no signature of v1a fits");
  },

  // RFC 9421, and the digest of RFC 9530 that its signature covers.
  async message(r, body) {
    const digest = createHash("sha256").update(body).digest("base64");
    if (r.headers["content-digest"] !== `sha-256=:${digest}:`) throw new Error("the digest is not that of the body");
    const keyLookup = async ({ keyid, alg }) => {
      if (r.jwks && alg === "ed25519") {
        return { id: keyid, algs: ["ed25519"], verify: createVerifier(await jwkOf(r.jwks, keyid), "ed25519") };
      }
      if (r.secret && alg === "hmac-sha256" && keyid === r.key_id) {
        return { id: keyid, algs: ["hmac-sha256"], verify: createVerifier(Buffer.from(r.secret, "base64"), "hmac-sha256") };
      }
      return null;
    };
    const verified = await httpbis.verifyMessage(
      {
        keyLookup,
        tolerance: 5,
        maxAge: 300,
        requiredParams: ["created", "keyid", "alg"],
        requiredFields: ["@method", "@authority", "@path", "@query", "content-type", "content-digest", ...(r.fields ?? [])],
      },
      { method: r.method, url: r.url, headers: r.headers },
    );
    if (verified !== true) throw new Error(`the signature does not verify: ${verified}`);
  },
};

let text = "";
for await (const part of process.stdin) text += part;
const verdicts = [];
for (const r of JSON.parse(text).requests) {
  try {
    await kinds[r.kind](r, Buffer.from(r.body, "base64"));
    verdicts.push("");
  } catch (error) {
    verdicts.push(String(error.message || error));
  }
}
process.stdout.write(JSON.stringify({ verdicts }));
