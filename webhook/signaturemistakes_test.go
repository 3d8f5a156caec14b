package webhook_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/client"
	"waybill/webhook"
)

// indented is JSON as a receiver that parsed it may write it again.
func indented(t *testing.T, body []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, json.Indent(&out, body, "", "  "))
	return out.Bytes()
}

// Each of the usual mistakes is called by its name.
func TestVerifySignature_Mistakes(t *testing.T) {
	t.Parallel()
	text := webhook.NewSecret(secretKey).Reveal()
	bare := strings.TrimPrefix(text, "whsec_")
	stamp := strconv.FormatInt(at.Unix(), 10)
	std := base64.StdEncoding.EncodeToString
	rewritten := "the body is not byte for byte what was sent: its JSON has the same meaning, so it was parsed and written again"
	asText, asBase64 := "the key is the secret's text as shown, whsec_ included", "the key is what the base64 after whsec_ decodes to"
	rheo := func(value func(c *webhook.SignatureCheck) string) func(*webhook.SignatureCheck) {
		return func(c *webhook.SignatureCheck) { set(c, "X-Rheo-Signature", value(c)) }
	}
	standard := func(value func(c *webhook.SignatureCheck) string) func(*webhook.SignatureCheck) {
		return func(c *webhook.SignatureCheck) { set(c, "webhook-signature", value(c)) }
	}
	given := func(c *webhook.SignatureCheck) string {
		return strings.TrimPrefix(get(c, "X-Rheo-Signature"), "sha256=")
	}
	for name, tc := range map[string]struct {
		dialect string
		spoil   func(c *webhook.SignatureCheck)
		want    string
	}{
		"pretty-printed":        {"rheo", func(c *webhook.SignatureCheck) { c.Body = indented(t, c.Body) }, rewritten},
		"pretty-printed, known": {"rheo", func(c *webhook.SignatureCheck) { c.Sent = c.Body; c.Body = indented(t, c.Body) }, rewritten},
		"written by Go": {"rheo", func(c *webhook.SignatureCheck) {
			var v any
			require.NoError(t, json.Unmarshal(c.Body, &v))
			c.Sent = c.Body
			c.Body, _ = json.Marshal(v)
		}, rewritten},
		"escaped": {"standard", func(c *webhook.SignatureCheck) {
			c.Body = []byte(strings.NewReplacer("é", `\u00e9`, "😀", `\ud83d\ude00`, "<", `\u003c`, "/x", `\/x`).Replace(string(c.Body)))
		}, rewritten},
		"not ASCII any more": {"tradevine", func(c *webhook.SignatureCheck) { c.Body = []byte(strings.ReplaceAll(string(c.Body), `\u00e9`, "é")) }, rewritten},
		"members in another order": {"rheo", func(c *webhook.SignatureCheck) {
			var m map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(c.Body, &m))
			c.Body = fmt.Appendf(nil, `{"data":%s,"timestamp":%s,"eventType":%s,"eventId":%s}`, m["data"], m["timestamp"], m["eventType"], m["eventId"])
		}, rewritten},
		"line break at the end": {"rheo", func(c *webhook.SignatureCheck) { c.Body = append(c.Body, '\n') },
			"the body is not byte for byte what was sent: white space at its beginning or end differs"},
		"another body": {"rheo", func(c *webhook.SignatureCheck) { c.Body = bytes.Replace(c.Body, []byte("evt_1"), []byte("evt_2"), 1) },
			"no secret of the endpoint made the signature: the secret is another one, or the body or another signed value is not what was sent"},
		"another body, known": {"rheo", func(c *webhook.SignatureCheck) {
			c.Sent = c.Body
			c.Body = bytes.Replace(c.Body, []byte("evt_1"), []byte("evt_2"), 1)
		}, "the body is not what was sent: it has 149 bytes where 149 were sent, and differs from byte 17 on"},
		"another secret": {"rheo", func(c *webhook.SignatureCheck) {
			c.Sent, c.Keys = c.Body, webhook.SigningKeys{Current: webhook.NewSecret(bytes.Repeat([]byte{9}, 32))}
		}, "the body is what was sent, but no secret of the endpoint made the signature: the secret is another one, or the signature is of another delivery or attempt"},

		"no prefix":      {"rheo", rheo(given), "the header has no sha256= prefix"},
		"another prefix": {"rheo", rheo(func(c *webhook.SignatureCheck) string { return "sha1=" + given(c) }), "the header begins with sha1= where sha256= is expected"},
		"a prefix too many": {"tradevine", func(c *webhook.SignatureCheck) {
			set(c, "X-Tradevine-Hmac-SHA256", "sha256="+get(c, "X-Tradevine-Hmac-SHA256"))
		}, "the header begins with sha256=, which this header does not have"},
		"no version": {"standard", standard(func(c *webhook.SignatureCheck) string { return strings.TrimPrefix(get(c, "webhook-signature"), "v1,") }),
			"the header has no v1, prefix"},

		"base64": {"rheo", rheo(func(c *webhook.SignatureCheck) string { return "sha256=" + std(mac([]byte(text), string(c.Body))) }),
			"the signature is base64 where hex is expected"},
		"hex": {"standard", standard(func(c *webhook.SignatureCheck) string {
			return "v1," + hex.EncodeToString(mac(secretKey, "evt_1.", stamp, ".", string(c.Body)))
		}), "the signature is hex where base64 is expected"},
		"base64url": {"standard", standard(func(c *webhook.SignatureCheck) string {
			return "v1," + base64.RawURLEncoding.EncodeToString(mac(secretKey, "evt_1.", stamp, ".", string(c.Body)))
		}), "the signature is base64url without its padding where base64 is expected"},
		"upper case": {"rheo", rheo(func(c *webhook.SignatureCheck) string { return "sha256=" + strings.ToUpper(given(c)) }),
			"the signature is written in upper case: write it in lower case, or compare the bytes"},
		"cut": {"rheo", rheo(func(c *webhook.SignatureCheck) string { return "sha256=" + given(c)[:62] }),
			"the signature has 31 bytes, and hmac-sha256 has 32: it was cut, or is something else"},
		"SHA-512": {"rheo", rheo(func(c *webhook.SignatureCheck) string {
			h := hmac.New(sha512.New, []byte(text))
			h.Write(c.Body)
			return "sha256=" + hex.EncodeToString(h.Sum(nil))
		}), "the signature has 64 bytes like one of SHA-512; hmac-sha256 has 32"},
		"no signature": {"rheo", rheo(func(*webhook.SignatureCheck) string { return "sha256=" }), "the signature is empty"},

		"without whsec_": {"rheo", rheo(func(c *webhook.SignatureCheck) string {
			return "sha256=" + hex.EncodeToString(mac([]byte(bare), string(c.Body)))
		}),
			"signed with the secret without whsec_; " + asText},
		"decoded": {"rheo", rheo(func(c *webhook.SignatureCheck) string {
			return "sha256=" + hex.EncodeToString(mac(secretKey, string(c.Body)))
		}),
			"signed with what the base64 of the secret decodes to; " + asText},
		"line break": {"rheo", rheo(func(c *webhook.SignatureCheck) string {
			return "sha256=" + hex.EncodeToString(mac([]byte(text+"\n"), string(c.Body)))
		}),
			"signed with the secret and a line break after it; take the line break away"},
		"as text": {"standard", standard(func(c *webhook.SignatureCheck) string {
			return "v1," + std(mac([]byte(text), "evt_1.", stamp, ".", string(c.Body)))
		}),
			"signed with the secret's text; " + asBase64},
		"as text without whsec_": {"standard", standard(func(c *webhook.SignatureCheck) string {
			return "v1," + std(mac([]byte(bare), "evt_1.", stamp, ".", string(c.Body)))
		}),
			"signed with the secret's text without whsec_; " + asBase64},
		"two mistakes": {"rheo", rheo(func(c *webhook.SignatureCheck) string { return std(mac([]byte(bare), string(c.Body))) }),
			"the header has no sha256= prefix; the signature is base64 where hex is expected; signed with the secret without whsec_; " + asText},

		"the body alone": {"standard", standard(func(c *webhook.SignatureCheck) string { return "v1," + std(mac(secretKey, string(c.Body))) }),
			"signed was {body} where {event_id}.{timestamp}.{body} is to be signed"},
		"the body where the id is": {"tradly", func(c *webhook.SignatureCheck) {
			set(c, "X-Tradly-Signature", hex.EncodeToString(mac([]byte(text), string(c.Body))))
		}, "signed was {body} where {event_id} is to be signed"},
		"another id": {"tradly", func(c *webhook.SignatureCheck) {
			set(c, "X-Tradly-Signature", hex.EncodeToString(mac([]byte(text), "evt_2")))
		},
			"no secret of the endpoint made the signature: the secret is another one, or the signature is of another {event_id}"},
		"no timestamp": {"standard", func(c *webhook.SignatureCheck) { set(c, "webhook-timestamp", "") },
			"the signature covers the header webhook-timestamp, which is not among those given"},
		"no signature header": {"rheo", func(c *webhook.SignatureCheck) { set(c, "X-Rheo-Signature", "") },
			"the header X-Rheo-Signature is not among those given, nor is another signature"},
		"old": {"standard", func(c *webhook.SignatureCheck) { c.At = at.Add(12*time.Minute + 30*time.Second) },
			"the signature is right, but the timestamp is 12 minutes old, and receivers refuse more than 5 minutes"},
		"ahead": {"standard", func(c *webhook.SignatureCheck) { c.At = at.Add(-3 * time.Hour) },
			"the signature is right, but the timestamp is 3 hours ahead of the clock, and receivers refuse more than 5 minutes"},
		"milliseconds": {"standard", func(c *webhook.SignatureCheck) {
			ms := strconv.FormatInt(at.UnixMilli(), 10)
			set(c, "webhook-timestamp", ms)
			set(c, "webhook-signature", "v1,"+std(mac(secretKey, "evt_1.", ms, ".", string(c.Body))))
		}, "the signature is right, but the timestamp is in milliseconds where seconds are expected"},
		"no Unix time": {"standard", func(c *webhook.SignatureCheck) {
			set(c, "webhook-timestamp", "2026-05-27")
			set(c, "webhook-signature", "v1,"+std(mac(secretKey, "evt_1.2026-05-27.", string(c.Body))))
		}, "the signature is right, but the timestamp is not Unix seconds: 2026-05-27"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := asReceived(t, tc.dialect)
			require.NoError(t, received(c))
			tc.spoil(c)
			got := check(t, c)
			require.False(t, got.Valid)
			require.Equal(t, tc.want, got.Signatures[0].Reason)
			require.Error(t, received(c), "what the client gives to receivers refuses it too")
		})
	}
}

// received verifies as a receiver does that uses the client.
func received(c *webhook.SignatureCheck) error {
	header := http.Header{}
	for _, h := range c.Headers {
		header.Add(h.Name, h.Value)
	}
	return client.Verify(c.Dialect.Name, c.Keys.Current.Reveal(), header, c.Body, client.WithClock(func() time.Time { return c.At }))
}

func TestVerifySignature_MessageMistakes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(c *webhook.SignatureCheck)
		want  string
	}{
		"rewritten body": {func(c *webhook.SignatureCheck) { c.Body = indented(t, c.Body) },
			"Content-Digest is not that of the body: the body is not byte for byte what was sent: its JSON has the same meaning, so it was parsed and written again"},
		"another body": {func(c *webhook.SignatureCheck) { c.Body = []byte("{}") }, "Content-Digest is not that of the body: the body is not what was sent"},
		"another digest": {func(c *webhook.SignatureCheck) { set(c, "Content-Digest", "sha-512=:AAAA:") },
			"Content-Digest has no sha-256=:...: of the body; the key is the endpoint's by its keyid, but the signature is not of this request: a covered header is not what was sent, or the endpoint's URL has changed since"},
		"another URL": {func(c *webhook.SignatureCheck) { c.URL = "https://proxy.internal/hooks?a=b" },
			"the key is the endpoint's by its keyid, but the signature is not of this request: a covered header is not what was sent, or the endpoint's URL has changed since"},
		"another key": {func(c *webhook.SignatureCheck) {
			c.Keys = webhook.SigningKeys{Current: webhook.NewSecret(bytes.Repeat([]byte{9}, 32))}
		},
			"no key of the endpoint has the keyid " + webhook.NewSecret(secretKey).Fingerprint() + ", and none made the signature"},
		"no input":     {func(c *webhook.SignatureCheck) { set(c, "Signature-Input", "") }, "the header Signature-Input is not among those given: a message signature is in both Signature-Input and Signature"},
		"no signature": {func(c *webhook.SignatureCheck) { set(c, "Signature", "") }, "the header Signature is not among those given: a message signature is in both Signature-Input and Signature"},
		"other label":  {func(c *webhook.SignatureCheck) { set(c, "Signature", "sig9=:AAAA:") }, "the header Signature has no sig1, which Signature-Input lists"},
		"no header":    {func(c *webhook.SignatureCheck) { set(c, "Content-Type", "") }, "the signature covers content-type, which is not among the headers given"},
		"no colons":    {func(c *webhook.SignatureCheck) { set(c, "Signature", strings.ReplaceAll(get(c, "Signature"), ":", "")) }, "the signature is not between two colons"},
		"nonsense":     {func(c *webhook.SignatureCheck) { set(c, "Signature-Input", "sig1=created") }, `Signature-Input cannot be read: it is label=("name" ...);parameter=value, and covers what Waybill covers`},
		"nothing":      {func(c *webhook.SignatureCheck) { set(c, "Signature-Input", "x") }, "the header Signature-Input lists no signature"},
		"old":          {func(c *webhook.SignatureCheck) { c.At = at.Add(time.Hour) }, "the signature is right, but the timestamp is 60 minutes old, and receivers refuse more than 5 minutes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := asReceived(t, "rheo", func(r *webhook.Request) { r.MessageSignatures = true })
			tc.spoil(c)
			got := check(t, c)
			require.False(t, got.Valid)
			require.Equal(t, tc.want, got.Signatures[1].Reason)
		})
	}
}
