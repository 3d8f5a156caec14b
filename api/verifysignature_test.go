package api_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

// pasted is what a receiver's developer sends to have it verified.
type pasted struct {
	Headers    map[string]string `json:"headers"`
	Body       *string           `json:"body,omitempty"`
	BodyBase64 *string           `json:"body_base64,omitempty"`
	At         string            `json:"at,omitempty"`
}

// sent is a delivery's request as the sender makes it at the clock of these tests, and records that it was sent.
func (b *testBundle) sent(tenant, dialect, delivery string) pasted {
	b.t.Helper()
	d := b.store.deliveries[parseID[webhook.DeliveryID](b.t, delivery)]
	e := b.store.endpoints[d.EndpointID]
	owner := store.SecretOwner{Tenant: tenant, Endpoint: e.ID}
	own := testDialects(b.t)[dialect]
	if own.Secret.Scope == webhook.SecretOfTenant {
		owner.Endpoint = webhook.EndpointID{}
	}
	keys, err := b.store.SigningKeys(b.t.Context(), owner)
	require.NoError(b.t, err)
	p := b.store.published(tenant, d.EventID)
	body := string(p.Body.For(d.ID))
	_, messages := webhook.SigningOf(e.Signing, own)
	list, err := own.RequestHeaders(webhook.Request{
		EventID: d.EventID, EventType: d.EventType, DeliveryID: d.ID, Body: []byte(body), At: time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC),
		Keys: *keys, URL: e.URL, MessageSignatures: messages,
	})
	require.NoError(b.t, err)
	out := pasted{Headers: map[string]string{}, Body: &body}
	for _, h := range list {
		out.Headers[h.Name] = h.Value
	}
	b.store.record(webhook.Attempt{
		ID: webhook.NewID[webhook.AttemptID](b.store.uuid()), DeliveryID: d.ID, AttemptSummary: webhook.AttemptSummary{Number: 1, Outcome: webhook.OutcomeRetryable},
	})
	return out
}

func (b *testBundle) verify(key, endpoint string, p pasted) *answer {
	b.t.Helper()
	body, err := json.Marshal(p)
	require.NoError(b.t, err)
	return b.call(key, "POST", "/v1/tenants/acme/endpoints/"+endpoint+"/verify-signature", string(body))
}

func TestVerifySignature(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	made := into[object](b.admin("POST", "/v1/tenants/acme/endpoints",
		`{"url":"https://r.example/h","event_types":["a.*"],"signing":{"message_signatures":true}}`).want(201))
	endpoint, secret := made["id"].(string), made["secret"].(string)
	other := b.endpoint("acme", "b.c")
	reader := b.key("acme", webhook.ScopeRead)
	p := b.sent("acme", "standard", b.publish("acme", `{"type":"a.b","data":{"n": 1},"id":"e1"}`))

	a := b.verify(reader, endpoint, p).want(200)
	got := into[webhook.SignatureReport](a)
	require.True(t, got.Valid)
	require.Len(t, got.Signatures, 2)
	require.Equal(t, "X-Signature", got.Signatures[0].Header)
	require.Equal(t, "message signature", got.Signatures[1].Profile)
	require.Equal(t, &webhook.ToleranceFinding{OK: true}, got.Tolerance)
	require.NotContains(t, string(a.body), secret[6:])
	require.Zero(t, b.store.called("Attempt"), "what verifies needs no look at what was sent")

	p.At = "2026-05-27T14:44:30Z"
	got = into[webhook.SignatureReport](b.verify(reader, endpoint, p).want(200))
	require.False(t, got.Valid)
	require.Equal(t, &webhook.ToleranceFinding{DifferenceS: 750}, got.Tolerance)
	require.Equal(t, "the signature is right, but the timestamp is 12 minutes old, and receivers refuse more than 5 minutes", got.Signatures[1].Reason)
	p.At = ""

	var rewritten bytes.Buffer
	require.NoError(t, json.Compact(&rewritten, []byte(*p.Body)))
	encoded := base64.StdEncoding.EncodeToString(rewritten.Bytes())
	forged := pasted{Headers: p.Headers, BodyBase64: &encoded}
	a = b.verify(adminKey, endpoint, forged).want(200)
	got = into[webhook.SignatureReport](a)
	require.False(t, got.Valid)
	require.Equal(t, "the body is not byte for byte what was sent: its JSON has the same meaning, so it was parsed and written again",
		got.Signatures[0].Reason, "the producer's white space is known from what was sent alone")
	for _, s := range got.Signatures[0].Steps {
		if s.Name == "expected" {
			require.Regexp(t, `^sha256=[0-9a-f]{8}\.\.\.$`, s.Value, "not even for the administrator: it would sign this body")
		}
	}

	got = into[webhook.SignatureReport](b.verify(reader, other, forged).want(200))
	require.Equal(t, "no secret of the endpoint made the signature: the secret is another one, or the body or another signed value is not what was sent",
		got.Signatures[0].Reason, "an endpoint is not told what another one was sent")
}

func TestVerifySignature_SecretOfTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "shared")
	endpoint := b.endpoint("acme", "product.created")
	p := b.sent("acme", "shared", b.publish("acme", `{"type":"product.created","data":{"salePrice":1}}`))
	require.True(t, into[webhook.SignatureReport](b.verify(adminKey, endpoint, p).want(200)).Valid)
}

func TestVerifySignature_Refuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	endpoint := b.endpoint("acme")
	text := func(n int) *string { return new(strings.Repeat("x", n)) }
	of := func(n int) *string { return new(base64.StdEncoding.EncodeToString(make([]byte, n))) }
	b.verify(adminKey, endpoint, pasted{Headers: map[string]string{"X-Signature": "x"}, BodyBase64: of(webhook.MaxCheckedBodyBytes)}).want(200)
	b.verify(adminKey, endpoint, pasted{Headers: map[string]string{}, Body: new(strings.Repeat(`"`, webhook.MaxCheckedBodyBytes))}).want(200)
	for field, p := range map[string]pasted{
		"body":        {Headers: map[string]string{}, Body: text(1), BodyBase64: of(1)},
		"body_base64": {Headers: map[string]string{}, BodyBase64: new("?")},
		"headers.a b": {Headers: map[string]string{"a b": ""}, Body: text(1)},
		"at":          {Headers: map[string]string{}, Body: text(1), At: "yesterday"},
	} {
		require.Equal(t, []string{field}, b.verify(adminKey, endpoint, p).problem(422, webhook.CodeInvalid).fields())
	}
	b.verify(adminKey, endpoint, pasted{Headers: map[string]string{}}).problem(422, webhook.CodeInvalid)
	b.verify(adminKey, endpoint, pasted{Headers: map[string]string{}, BodyBase64: of(webhook.MaxCheckedBodyBytes + 1)}).problem(422, webhook.CodeInvalid)
	b.verify(adminKey, endpoint, pasted{Headers: map[string]string{}, Body: text(1 << 20)}).problem(413, webhook.CodeTooLarge)
	b.verify(adminKey, "ep_0197122f3c4b7d1e8f00112233445566", pasted{Headers: map[string]string{}, Body: text(1)}).problem(404, webhook.CodeNotFound)
}

// Where there is no room to verify, a caller is told so soon.
func TestVerifySignature_Crowded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	endpoint := b.endpoint("acme")
	b.server.CrowdChecks()
	b.verify(adminKey, endpoint, pasted{Headers: map[string]string{}, Body: new("")}).problem(429, webhook.CodeOverloaded)
}
