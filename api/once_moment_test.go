package api_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// repeated is a request whose moments have passed, or whose endpoint has changed, when it is repeated.
type repeated struct{ path, body string }

// A repetition gets the first answer, though what was asked for is no longer possible: the moments that it names have passed, what it
// names is gone. No route that takes an Idempotency-Key is left out.
func TestIdempotencyKey_AfterItsMoment(t *testing.T) {
	t.Parallel()
	c := newClock()
	b := setup(t, c.use)
	b.tenant("acme", "standard")
	b.tenant("vine", "shared")
	one, id := "/v1/tenants/acme/endpoints/"+b.endpoint("acme"), b.endpoint("acme")
	two := "/v1/tenants/acme/endpoints/" + id
	old := b.newKey(adminKey, `["read"]`, "")["id"].(string)
	const soon, later = `"2026-05-27T15:00:00Z"`, `"2027-01-01T00:00:00Z"`
	b.admin("POST", one+"/rotate-secret", `{"overlap":"28m"}`).want(200)
	requests := map[string]repeated{
		"createTenant":         {"/v1/tenants", `{"id":"new","name":"N","dialect":"standard"}`},
		"createKey":            {"/v1/tenants/acme/keys", `{"name":"k","scopes":["read"],"expires_at":` + soon + `}`},
		"rotateKey":            {"/v1/tenants/acme/keys/" + old + "/rotate", `{"expires_at":` + soon + `}`},
		"createEndpoint":       {"/v1/tenants/acme/endpoints", `{"url":"https://r.example","event_types":["*"],"also_sign_as":{"dialect":"choice","until":` + soon + `}}`},
		"rotateTenantSecret":   {"/v1/tenants/vine/rotate-secret", `{"switch_at":` + soon + `}`},
		"rotateEndpointSecret": {two + "/rotate-secret", `{"secret":"brought along"}`},
		"createRecovery":       {"/v1/tenants/acme/recoveries", `{"endpoint_id":"` + id + `","since":"2026-02-27T14:32:00Z"}`},
		"testEndpoint":         {one + "/test", `{"secret":"previous"}`},
		"publishEvent":         {"/v1/tenants/acme/events", `{"type":"a.b","data":1,"occurred_at":` + soon + `}`},
		"createSession":        {"/v1/sessions", ""},
		"createPortalLink":     {"/v1/tenants/acme/portal-links", ""},
		"createSignInLink":     {"/v1/sign-in-links", ""},
	}
	always := []string{"publishEvent", "createSession", "createPortalLink", "createSignInLink"} // possible at any time
	require.ElementsMatch(t, b.spec.takingKeys(), slices.Collect(maps.Keys(requests)), "a route that takes an Idempotency-Key needs a row")
	first := map[string]*answer{}
	for name, r := range requests {
		first[name] = b.admin("POST", r.path, r.body, "Idempotency-Key", "one")
		require.Less(t, first[name].status, 300, "%s: %s", name, first[name].body)
	}
	c.advance(webhook.DefaultRetention)
	b.admin("DELETE", "/v1/tenants/acme/keys/"+old, "").want(204)
	b.store.secrets[id] = webhook.SecretFromText("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	b.admin("PATCH", two, `{"also_sign_as":{"dialect":"choice","until":`+later+`}}`).want(200)
	for name, r := range requests {
		again := b.admin("POST", r.path, r.body, "Idempotency-Key", "one").want(first[name].status)
		require.Equal(t, string(first[name].body), string(again.body), name)
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"), name)
		if !slices.Contains(always, name) {
			require.GreaterOrEqual(t, b.admin("POST", r.path, r.body, "Idempotency-Key", "two").status, 400, "%s: with another key it is refused", name)
		}
	}
}

// takingKeys lists the operations that are answered the same by their Idempotency-Key. enableEndpoint hands it to its test only, and tells
// what the endpoint is now.
func (s *spec) takingKeys() (operations []string) {
	for _, path := range s.doc.Paths.Map() {
		for _, operation := range path.Operations() {
			for _, p := range operation.Parameters {
				if p.Value.Name == "Idempotency-Key" && operation.OperationID != "enableEndpoint" {
					operations = append(operations, operation.OperationID)
				}
			}
		}
	}
	return operations
}
