package webhook_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"waybill/scripts/stranger"
	"waybill/webhook"
)

var (
	seed        = bytes.Repeat([]byte{0x17, 0x42}, webhook.Ed25519SeedBytes/2)
	otherSecret = webhook.NewSecret(bytes.Repeat([]byte{0x33}, webhook.SecretBytes))
)

// arrival is what a receiver gets of an attempt that begins now.
func arrival(t *testing.T, d *webhook.Dialect, r webhook.Request) stranger.Request {
	t.Helper()
	e := &webhook.Event{ID: "evt_1", Type: "user.created", OccurredAt: at, Data: json.RawMessage(`{"name":"é😀"}`)}
	r.EventID, r.EventType, r.DeliveryID, r.Body = e.ID, e.Type, deliveryID(7), d.Render(e).For(deliveryID(7))
	if r.At.IsZero() {
		r.At = time.Now()
	}
	list, err := d.RequestHeaders(r)
	require.NoError(t, err)
	out := stranger.Request{Method: "POST", URL: r.URL, Headers: map[string]string{}, Body: r.Body}
	for _, h := range list {
		name := strings.ToLower(h.Name)
		require.NotContains(t, out.Headers, name, "it is there once")
		out.Headers[name] = h.Value
	}
	return out
}

func httpHeader(headers map[string]string) http.Header {
	out := http.Header{}
	for name, value := range headers {
		out.Set(name, value)
	}
	return out
}

// requireVerdicts asks strangers about requests. A name that begins with "no" is of a request that must not verify.
func requireVerdicts(t *testing.T, requests map[string]stranger.Request) {
	t.Helper()
	var names []string
	var list []stranger.Request
	for name, r := range requests {
		names, list = append(names, name), append(list, r)
	}
	verdicts, err := stranger.Verify(t.Context(), list...)
	require.NoError(t, err)
	for i, name := range names {
		if strings.HasPrefix(name, "no ") {
			require.NotEmpty(t, verdicts[i], name)
		} else {
			require.Empty(t, verdicts[i], name)
		}
	}
}

func with(r stranger.Request, change func(*stranger.Request)) stranger.Request {
	headers := make(map[string]string, len(r.Headers))
	for name, value := range r.Headers {
		headers[name] = value
	}
	r.Headers = headers
	change(&r)
	return r
}

// TestStrangers_Rotation shows that the libraries of Standard Webhooks and Svix accept both signatures of a rotation with either secret.
func TestStrangers_Rotation(t *testing.T) {
	t.Parallel()
	until := time.Now().Add(time.Hour)
	keys := webhook.SigningKeys{Current: webhook.NewSecret(secretKey), Previous: otherSecret, PreviousUntil: &until}
	requests := map[string]stranger.Request{}
	for _, name := range []string{"standard", "tradly"} {
		got := arrival(t, dialect(t, name), webhook.Request{Keys: keys})
		require.Len(t, strings.Split(got.Headers["webhook-signature"], " "), 2)
		for secret, text := range map[string]string{"current": keys.Current.Reveal(), "previous": otherSecret.Reveal()} {
			verifier, err := standardwebhooks.NewWebhook(text)
			require.NoError(t, err)
			require.NoError(t, verifier.Verify(got.Body, httpHeader(got.Headers)), name, secret)
			for _, kind := range []stranger.Kind{stranger.StandardWebhooks, stranger.Svix} {
				ask := with(got, func(r *stranger.Request) { r.Kind, r.Secret = kind, text })
				label := fmt.Sprintf("%s with the %s secret, %s", name, secret, kind)
				requests[label] = ask
				requests["no "+label] = with(ask, func(r *stranger.Request) { r.Body = append([]byte(" "), r.Body...) })
			}
		}
		requests["no "+name+" with another secret"] = with(got, func(r *stranger.Request) {
			r.Kind, r.Secret = stranger.StandardWebhooks, webhook.NewSecret(bytes.Repeat([]byte{9}, 32)).Reveal()
		})
	}
	requireVerdicts(t, requests)
}

// TestStrangers_Ed25519 verifies v1a with a public key as text and as a JWK, alone and beside the HMAC of a receiver that is moving.
func TestStrangers_Ed25519(t *testing.T) {
	t.Parallel()
	d, secret, until := dialect(t, "standard"), webhook.NewEd25519Secret(seed), time.Now().Add(time.Hour)
	public, err := secret.PublicKey()
	require.NoError(t, err)
	set, err := json.Marshal(map[string]any{"keys": []webhook.JWK{public.JWK()}})
	require.NoError(t, err)
	unrelated, err := webhook.NewEd25519Secret(bytes.Repeat([]byte{5}, 32)).PublicKey()
	require.NoError(t, err)

	alone := arrival(t, d, webhook.Request{Keys: webhook.SigningKeys{Current: secret}})
	require.True(t, strings.HasPrefix(alone.Headers["webhook-signature"], "v1a,"))
	moving := arrival(t, d, webhook.Request{Keys: webhook.SigningKeys{Current: secret, Previous: otherSecret, PreviousUntil: &until}})
	require.Regexp(t, `^v1a,[^ ]+ v1,[^ ]+$`, moving.Headers["webhook-signature"])
	seedOnly := webhook.SecretFromText(webhook.PrivateKeyPrefix + base64.StdEncoding.EncodeToString(seed))

	v1a := func(r *stranger.Request) { r.Kind, r.PublicKey = stranger.V1a, public.String() }
	requests := map[string]stranger.Request{
		"alone":               with(alone, v1a),
		"moving":              with(moving, v1a),
		"by a key set":        with(alone, func(r *stranger.Request) { r.Kind, r.JWKS = stranger.V1a, set }),
		"with the seed alone": with(arrival(t, d, webhook.Request{Keys: webhook.SigningKeys{Current: seedOnly}}), v1a),
		"no other body":       with(alone, func(r *stranger.Request) { v1a(r); r.Body = []byte("{}") }),
		"no other time":       with(alone, func(r *stranger.Request) { v1a(r); r.Headers["webhook-timestamp"] = "1" }),
		"no other key":        with(alone, func(r *stranger.Request) { r.Kind, r.PublicKey = stranger.V1a, unrelated.String() }),
	}
	for _, kind := range []stranger.Kind{stranger.StandardWebhooks, stranger.Svix} {
		hmac := func(r *stranger.Request) { r.Kind, r.Secret = kind, otherSecret.Reveal() }
		requests["moving, the old secret, "+string(kind)] = with(moving, hmac)
		requests["no HMAC when alone, "+string(kind)] = with(alone, hmac)
	}
	requireVerdicts(t, requests)
}

// TestStrangers_MessageSignatures verifies RFC 9421 in every dialect, with both algorithms, over URLs that are not written plainly.
func TestStrangers_MessageSignatures(t *testing.T) {
	t.Parallel()
	const plain = "https://r.example/hook"
	until := time.Now().Add(time.Hour)
	private := webhook.NewEd25519Secret(seed)
	public, err := private.PublicKey()
	require.NoError(t, err)
	set, err := json.Marshal(map[string]any{"keys": []webhook.JWK{public.JWK()}})
	require.NoError(t, err)
	secret := webhook.NewSecret(secretKey)
	hmac := func(r *stranger.Request) {
		r.Kind, r.Secret, r.KeyID = stranger.Message, base64.StdEncoding.EncodeToString(secretKey), secret.Fingerprint()
	}
	text := func(r *stranger.Request) {
		hmac(r)
		r.Secret = base64.StdEncoding.EncodeToString([]byte(secret.Reveal()))
	}
	ed25519 := func(r *stranger.Request) { r.Kind, r.JWKS = stranger.Message, set }
	rotated := webhook.SigningKeys{Current: private, Previous: secret, PreviousUntil: &until}
	standard := func(keys webhook.SigningKeys, url string) stranger.Request {
		return arrival(t, dialect(t, "standard"), webhook.Request{Keys: keys, URL: url, MessageSignatures: true})
	}
	requests := map[string]stranger.Request{
		"HMAC":                     with(standard(webhook.SigningKeys{Current: secret}, plain), hmac),
		"Ed25519":                  with(standard(webhook.SigningKeys{Current: private}, plain), ed25519),
		"rotation, new key":        with(standard(rotated, plain), ed25519),
		"rotation, old key":        with(standard(rotated, plain), hmac),
		"headers that identify":    with(standard(rotated, plain), func(r *stranger.Request) { hmac(r); r.Fields = []string{"webhook-id", "webhook-timestamp"} }),
		"no other body":            with(standard(rotated, plain), func(r *stranger.Request) { hmac(r); r.Body = []byte("{}") }),
		"no other path":            with(standard(rotated, plain), func(r *stranger.Request) { hmac(r); r.URL += "/" }),
		"no other query":           with(standard(rotated, plain), func(r *stranger.Request) { hmac(r); r.URL += "?a=b" }),
		"no other host":            with(standard(rotated, plain), func(r *stranger.Request) { hmac(r); r.URL = "https://s.example/hook" }),
		"no other method":          with(standard(rotated, plain), func(r *stranger.Request) { hmac(r); r.Method = "PUT" }),
		"no other id":              with(standard(rotated, plain), func(r *stranger.Request) { hmac(r); r.Headers["webhook-id"] = "evt_2" }),
		"no other digest":          with(standard(rotated, plain), otherDigest(hmac)),
		"no key of another":        with(standard(rotated, plain), func(r *stranger.Request) { hmac(r); r.Secret = "AAAA" }),
		"no signature from before": with(arrival(t, dialect(t, "standard"), webhook.Request{Keys: rotated, URL: plain, MessageSignatures: true, At: time.Now().Add(-time.Hour)}), ed25519),
	}
	for _, u := range []string{
		"https://R.Example:443/Hook", "https://r.example:8443", "https://r.example?", "https://r.example/a?b=c&d=%C3%A9+e", "https://[2001:db8::1]:9000/h",
		"http://r.example:80/%7Ea/b%2Fc",
	} {
		requests[u] = with(standard(webhook.SigningKeys{Current: secret}, u), hmac)
	}
	for _, name := range []string{"rheo", "tradly", "tradevine", "auction-excellence"} {
		got := arrival(t, dialect(t, name), webhook.Request{Keys: webhook.SigningKeys{Current: secret}, URL: plain, MessageSignatures: true})
		requests[name] = with(got, text)
	}
	requireVerdicts(t, requests)
}

// otherDigest gives a request another body with its digest, which the signature does not cover.
func otherDigest(ask func(*stranger.Request)) func(*stranger.Request) {
	return func(r *stranger.Request) {
		ask(r)
		r.Body = []byte("{}")
		sum := sha256.Sum256(r.Body)
		r.Headers["content-digest"] = "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	}
}

// TestStrangers_AlsoSignAs verifies a request with the signatures of two dialects as receivers of either would.
func TestStrangers_AlsoSignAs(t *testing.T) {
	t.Parallel()
	secret := webhook.NewSecret(secretKey)
	verifier, err := standardwebhooks.NewWebhook(secret.Reveal())
	require.NoError(t, err)
	got := arrival(t, dialect(t, "rheo"), webhook.Request{Keys: webhook.SigningKeys{Current: secret}, Also: dialect(t, "standard")})
	require.NoError(t, verifier.Verify(got.Body, httpHeader(got.Headers)))
	requireVerdicts(t, map[string]stranger.Request{
		"standard": with(got, func(r *stranger.Request) { r.Kind, r.Secret = stranger.StandardWebhooks, secret.Reveal() }),
		"svix":     with(got, func(r *stranger.Request) { r.Kind, r.Secret = stranger.Svix, secret.Reveal() }),
	})
	alone := arrival(t, dialect(t, "rheo"), webhook.Request{Keys: webhook.SigningKeys{Current: secret}})
	for name, value := range alone.Headers {
		require.Equal(t, value, got.Headers[name], "what the first dialect sends stays")
	}
	require.Len(t, got.Headers, len(alone.Headers)+len([]string{"webhook-id", "webhook-timestamp", "webhook-signature"}))
}

func TestRequestHeaders_MessageSignatures_OnlyWhereAskedFor(t *testing.T) {
	t.Parallel()
	got := arrival(t, dialect(t, "standard"), webhook.Request{Keys: webhook.SigningKeys{Current: otherSecret}, URL: "https://r.example/"})
	for _, name := range []string{"signature", "signature-input", "content-digest"} {
		require.NotContains(t, got.Headers, name)
	}
}
