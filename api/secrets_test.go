package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestRotateSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	path := "/v1/tenants/acme/endpoints/" + b.endpoint("acme")
	old := into[object](b.admin("GET", path+"/secret", "").want(200))
	require.NotContains(t, old, "previous_valid_until")

	made := into[object](b.admin("POST", path+"/rotate-secret", "").want(200))
	require.NotEqual(t, old["secret"], made["secret"])
	require.Equal(t, webhook.SecretFromText(made["secret"].(string)).Fingerprint(), made["fingerprint"])
	require.Equal(t, old["fingerprint"], made["previous_fingerprint"])
	require.NotContains(t, made, "previous_valid_until", "a header of one signature has gone over")
	require.Equal(t, made, into[object](b.admin("GET", path+"/secret", "").want(200)))

	p := b.admin("POST", path+"/rotate-secret", "").problem(409, webhook.CodeConflict)
	require.Contains(t, p.Detail, "retire-secret")
	left := into[object](b.admin("POST", path+"/retire-secret", "").want(200))
	require.Equal(t, object{"fingerprint": made["fingerprint"]}, left)
	b.admin("POST", path+"/retire-secret", "").want(200)
	b.admin("POST", path+"/rotate-secret", `{"overlap":"168h"}`).want(200)
	last := into[object](b.admin("POST", path+"/rotate-secret", `{"overlap":"0s"}`).want(200))
	require.NotContains(t, last, "previous_fingerprint")
	require.NotContains(t, b.log.String(), "whsec_")
}

// A repetition does not rotate twice: the receivers' secret would be lost.
func TestRotateSecret_Repeated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	path := "/v1/tenants/acme/endpoints/" + b.endpoint("acme") + "/rotate-secret"
	first := b.admin("POST", path, `{"overlap":"1h"}`, "Idempotency-Key", "one").want(200)
	again := b.admin("POST", path, `{"overlap":"1h"}`, "Idempotency-Key", "one").want(200)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	require.Equal(t, string(first.body), string(again.body))
	b.admin("POST", path, `{"overlap":"2h"}`, "Idempotency-Key", "one").problem(409, webhook.CodeIdempotencyConflict)
}

func TestRotateSecret_SwitchAt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("pool", "shared")
	const at = "2026-05-29T14:32:00Z"
	made := into[object](b.admin("POST", "/v1/tenants/pool/rotate-secret", `{"secret":"their own client secret","switch_at":"`+at+`"}`).want(200))
	require.Equal(t, "their own client secret", made["secret"])
	require.Equal(t, at, made["switch_at"])
	require.Equal(t, at, made["previous_valid_until"])
}

func TestRotateSecret_Refused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.tenant("pool", "shared")
	path := "/v1/tenants/acme/endpoints/" + b.endpoint("acme")
	current := into[object](b.admin("GET", path+"/secret", "").want(200))["secret"].(string)
	const soon = "2026-05-27T16:32:00Z"
	for body, field := range map[string]string{
		`{"overlap":"-1s"}`:                             "overlap",
		`{"overlap":"168h0m1s"}`:                        "overlap",
		`{"secret":"short"}`:                            "secret",
		`{"secret":"` + strings.Repeat("x", 257) + `"}`: "secret",
		`{"secret":"two\nlines of text"}`:               "secret",
		`{"secret":" space around it "}`:                "secret",
		`{"secret":"` + current + `"}`:                  "secret",
		`{"switch_at":"2026-05-27T14:31:59Z"}`:          "switch_at",
		`{"switch_at":"2100-01-01T00:00:00Z"}`:          "switch_at",
		`{"switch_at":"` + soon + `","overlap":"1h"}`:   "switch_at",
		`{"switch_at":"` + soon + `","overlap":"0s"}`:   "switch_at",
	} {
		p := b.admin("POST", path+"/rotate-secret", body).problem(422, webhook.CodeInvalid)
		require.Equal(t, []string{field}, p.fields(), body)
		require.NotContains(t, p.Detail, current)
	}
	require.Equal(t, current, into[object](b.admin("GET", path+"/secret", "").want(200))["secret"], "nothing has changed")
	b.admin("POST", path+"/rotate-secret", `{"secret":"`+strings.Repeat("x", 256)+`","overlap":"168h"}`).want(200)

	// Whose secret it is not.
	b.admin("POST", "/v1/tenants/acme/rotate-secret", "").problem(404, webhook.CodeNotFound)
	b.admin("POST", "/v1/tenants/acme/retire-secret", "").problem(404, webhook.CodeNotFound)
	shared := into[object](b.admin("POST", "/v1/tenants/pool/endpoints", `{"url":"https://r.example","event_types":["product.created"]}`).want(201))["id"].(string)
	p := b.admin("POST", "/v1/tenants/pool/endpoints/"+shared+"/rotate-secret", "").problem(404, webhook.CodeNotFound)
	require.Contains(t, p.Detail, "share the tenant's secret")
}

func TestCreate_BroughtSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	made := into[object](b.admin("POST", "/v1/tenants/acme/endpoints", `{"url":"https://r.example","event_types":["*"],"secret":"what they have"}`).want(201))
	require.Equal(t, "what they have", made["secret"])
	tenant := into[object](b.admin("POST", "/v1/tenants", `{"id":"pool","name":"P","dialect":"shared","secret":"existing client secret"}`).want(201))
	require.Equal(t, "existing client secret", tenant["secret"])
	require.Equal(t, "existing client secret", into[object](b.admin("GET", "/v1/tenants/pool/secret", "").want(200))["secret"])

	for _, tc := range [][2]string{
		{"/v1/tenants", `{"id":"x","name":"X","dialect":"standard","secret":"what they have"}`},
		{"/v1/tenants/pool/endpoints", `{"url":"https://r.example","event_types":["product.created"],"secret":"what they have"}`},
		{"/v1/tenants/acme/endpoints", `{"url":"https://r.example","event_types":["*"],"secret":"short"}`},
	} {
		p := b.admin("POST", tc[0], tc[1]).problem(422, webhook.CodeInvalid)
		require.Equal(t, []string{"secret"}, p.fields())
		require.NotContains(t, string(p.Detail), "what they have")
	}
	require.NotContains(t, b.log.String(), "what they have")
}

func TestTestEndpoint_Secret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	path := "/v1/tenants/acme/endpoints/" + b.endpoint("acme")
	b.admin("POST", path+"/test", `{"secret":"current"}`).want(202)
	b.admin("POST", path+"/test", `{"secret":"previous"}`).problem(409, webhook.CodeConflict)
	require.Equal(t, []string{"secret"}, b.admin("POST", path+"/test", `{"secret":"both"}`).problem(422, webhook.CodeInvalid).fields())
	b.admin("POST", path+"/rotate-secret", "").want(200)
	first := into[object](b.admin("POST", path+"/test", `{"secret":"previous"}`, "Idempotency-Key", "k").want(202))
	require.NotEqual(t, first["id"], into[object](b.admin("POST", path+"/test", `{"secret":"current"}`, "Idempotency-Key", "k").want(202))["id"])
	b.admin("POST", path+"/retire-secret", "").want(200)
	b.admin("POST", path+"/test", `{"secret":"previous"}`).problem(409, webhook.CodeConflict)
}

// A rotation is the way from one algorithm to another.
func TestRotateSecret_Algorithm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "choice")
	path := "/v1/tenants/acme/endpoints/" + b.endpoint("acme")
	made := into[object](b.admin("POST", path+"/rotate-secret", `{"algorithm":"ed25519"}`).want(200))
	require.NotContains(t, made, "secret")
	require.Contains(t, made["public_key"], webhook.PublicKeyPrefix)
	require.Equal(t, []string{"algorithm"}, b.admin("POST", path+"/rotate-secret", `{"algorithm":"rsa"}`).problem(422, webhook.CodeInvalid).fields())
	other := "/v1/tenants/acme/endpoints/" + b.endpoint("acme")
	require.Equal(t, []string{"secret"}, b.admin("POST", other+"/rotate-secret", `{"algorithm":"ed25519","secret":"a text for HMAC"}`).problem(422, webhook.CodeInvalid).fields())
	b.tenant("pool", "shared")
	require.Equal(t, []string{"algorithm"}, b.admin("POST", "/v1/tenants/pool/rotate-secret", `{"algorithm":"ed25519"}`).problem(422, webhook.CodeInvalid).fields())
}

// A tenant or an endpoint that was made before its dialect's secrets were its own has none to show.
func TestRevealSecret_None(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.tenant("pool", "shared")
	id := b.endpoint("acme")
	for name, path := range map[string]string{id: "/v1/tenants/acme/endpoints/" + id + "/secret", "pool": "/v1/tenants/pool/secret"} {
		b.admin("GET", path, "").want(200)
		b.store.mu.Lock()
		delete(b.store.secrets, name)
		b.store.mu.Unlock()
		b.admin("GET", path, "").problem(404, webhook.CodeNotFound)
	}
}
