package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestEndpoints_Ed25519(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "choice")
	const path = "/v1/tenants/acme/endpoints"
	plain := into[object](b.admin("POST", path, `{"url":"https://r.example","event_types":["*"]}`).want(201))
	require.Equal(t, object{"algorithm": "hmac-sha256", "message_signatures": false}, plain["signing"])
	require.Contains(t, plain["secret"], webhook.SecretPrefix)
	b.admin("GET", path+"/"+plain["id"].(string)+"/public-key", "").problem(404, webhook.CodeNotFound)

	made := into[object](b.admin("POST", path, `{"url":"https://r.example","event_types":["*"],"signing":{"algorithm":"ed25519","message_signatures":true}}`).want(201))
	require.Equal(t, object{"algorithm": "ed25519", "message_signatures": true}, made["signing"])
	require.NotContains(t, made, "secret", "the receiver needs none")
	secret := b.store.secrets[made["id"].(string)]
	public, err := secret.PublicKey()
	require.NoError(t, err)
	require.Equal(t, public.String(), made["public_key"])

	one := path + "/" + made["id"].(string)
	jwk := public.JWK()
	shown := object{"kty": "OKP", "crv": "Ed25519", "x": jwk.X, "kid": jwk.KeyID, "use": "sig", "alg": "EdDSA"}
	got := into[object](b.call(b.key("acme", webhook.ScopeRead), "GET", one+"/public-key", "").want(200))
	require.Equal(t, object{"keys": []any{object{"public_key": public.String(), "jwk": shown}}}, got)
	a := b.call("", "GET", "/v1/tenants/acme/.well-known/jwks.json", "").want(200)
	require.Equal(t, object{"keys": []any{shown}}, into[object](a))
	require.Equal(t, "public, max-age=60", a.header.Get("Cache-Control"))

	b.admin("PATCH", one, `{"signing":{"message_signatures":false}}`).want(200)
	for patch, want := range map[string]object{
		`{"signing":null}`:                    {"algorithm": "ed25519", "message_signatures": false},
		`{"signing":{"algorithm":"ed25519"}}`: {"algorithm": "ed25519", "message_signatures": false},
		`{"description":"d"}`:                 {"algorithm": "ed25519", "message_signatures": false},
	} {
		require.Equal(t, want, into[object](b.admin("PATCH", one, patch).want(200))["signing"], patch)
	}
	p := b.admin("PATCH", one, `{"signing":{"algorithm":"hmac-sha256"}}`).problem(422, webhook.CodeInvalid)
	require.Equal(t, "signing.algorithm", p.Errors[0].Field)
	require.Contains(t, p.Errors[0].Detail, "is chosen at the creation")
}

// A key set tells nobody whether there is a tenant.
func TestKeySet_OfNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.tenant("vine", "shared")
	for _, tenant := range []string{"acme", "vine", "void", "%00"} {
		a := b.call("", "GET", "/v1/tenants/"+tenant+"/.well-known/jwks.json", "").want(http.StatusOK)
		require.Equal(t, object{"keys": []any{}}, into[object](a), tenant)
	}
}

// Anybody may ask for a key set, so that asking often costs little. A secret that cannot be read hides no other one's public key.
func TestKeySet_IsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "choice")
	make := func() object {
		return into[object](b.admin("POST", "/v1/tenants/acme/endpoints", `{"url":"https://r.example","event_types":["*"],"signing":{"algorithm":"ed25519"}}`).want(201))
	}
	keys := func() []any {
		return into[object](b.call("", "GET", "/v1/tenants/acme/.well-known/jwks.json", "").want(200))["keys"].([]any)
	}
	make()
	damaged := make()
	b.store.damaged = map[string]bool{damaged["id"].(string): true}
	for range 20 {
		require.Len(t, keys(), 1)
	}
	require.Equal(t, 1, b.store.called("KeySet"))
	require.Equal(t, 1, strings.Count(b.log.String(), "signing secrets cannot be read"))
	require.Contains(t, b.log.String(), damaged["id"])
	b.admin("GET", "/v1/tenants/acme/endpoints/"+damaged["id"].(string)+"/public-key", "").problem(500, webhook.CodeInternal)
	make()
	require.Eventually(t, func() bool { return len(keys()) == 2 }, 5*time.Second, 10*time.Millisecond, "two seconds later at the latest")
}

func TestEndpoints_SigningRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, dialect := range []string{"standard", "choice", "shared"} {
		b.tenant(dialect, dialect)
	}
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	late := time.Now().Add(webhook.MaxAlsoSign + 48*time.Hour).UTC().Format(time.RFC3339)
	past := time.Now().Add(-100000 * time.Hour).UTC().Format(time.RFC3339)
	for _, tc := range []struct{ tenant, more, field, detail string }{
		{"standard", `"signing":{"algorithm":"ed25519"}`, "signing.algorithm", `is hmac-sha256 in the dialect standard`},
		{"choice", `"signing":{"algorithm":"rsa"}`, "signing.algorithm", `is hmac-sha256 or ed25519 in the dialect choice, not "rsa"`},
		{"shared", `"signing":{"algorithm":"ed25519"}`, "signing.algorithm", `is hmac-sha256 in the dialect shared`},
		{"choice", `"also_sign_as":{"dialect":"void","until":"` + soon + `"}`, "also_sign_as.dialect", `is not a dialect`},
		{"choice", `"also_sign_as":{"dialect":"choice","until":"` + soon + `"}`, "also_sign_as.dialect", `is the tenant's own`},
		{"choice", `"also_sign_as":{"dialect":"asymmetric","until":"` + soon + `"}`, "also_sign_as.dialect", `does not sign with hmac-sha256`},
		{"choice", `"also_sign_as":{"dialect":"standard"}`, "also_sign_as.until", `must be a moment to come`},
		{"choice", `"also_sign_as":{"dialect":"standard","until":"` + past + `"}`, "also_sign_as.until", `must be a moment to come`},
		{"choice", `"also_sign_as":{"dialect":"standard","until":"` + late + `"}`, "also_sign_as.until", `at most 366 days`},
		{"choice", `"signing":{"message_signatures":true},"url":"https://bücher.example/"`, "url", "xn--"},
		{"choice", `"headers":{"Signature":"x"}`, "headers.Signature", "set by Waybill"},
	} {
		body := fmt.Sprintf(`{"event_types":["product.created"],%s}`, tc.more)
		if tc.field != "url" {
			body = `{"url":"https://r.example",` + body[1:]
		}
		p := b.admin("POST", "/v1/tenants/"+tc.tenant+"/endpoints", body).problem(422, webhook.CodeInvalid)
		require.Equal(t, tc.field, p.Errors[0].Field, tc.more)
		require.Contains(t, p.Errors[0].Detail, tc.detail)
	}
	made := into[object](b.admin("POST", "/v1/tenants/choice/endpoints",
		`{"url":"https://r.example","event_types":["*"],"also_sign_as":{"dialect":"standard","until":"`+soon+`"}}`).want(201))
	require.Equal(t, object{"dialect": "standard", "until": soon}, made["also_sign_as"])
	patched := into[object](b.admin("PATCH", "/v1/tenants/choice/endpoints/"+made["id"].(string), `{"also_sign_as":null}`).want(200))
	require.NotContains(t, patched, "also_sign_as")
}

// A secret that the second dialect cannot read would leave every attempt without its signature.
func TestEndpoints_AlsoSignAs_UnreadableSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.tenant("vine", "shared")
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	also := `"also_sign_as":{"dialect":"choice","until":"` + soon + `"}`

	id := b.endpoint("acme")
	b.admin("PATCH", "/v1/tenants/acme/endpoints/"+id, "{"+also+"}").want(200)
	b.store.secrets[id] = webhook.SecretFromText("brought along")
	p := b.admin("PATCH", "/v1/tenants/acme/endpoints/"+id, "{"+also+"}").problem(422, webhook.CodeInvalid)
	require.Equal(t, "also_sign_as.dialect", p.Errors[0].Field)
	require.NotContains(t, p.Detail, "brought along")

	body := `{"url":"https://r.example","event_types":["product.created"],` + also + "}"
	b.admin("POST", "/v1/tenants/vine/endpoints", body).want(201)
	b.store.secrets["vine"] = webhook.SecretFromText("brought along")
	b.admin("POST", "/v1/tenants/vine/endpoints", body).problem(422, webhook.CodeInvalid)
}

// A rotation brings no secret that the second dialect cannot read, of an endpoint or of a tenant, for as long as that one signs.
func TestRotateSecret_AlsoSignAs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.tenant("vine", "shared")
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	also := `"also_sign_as":{"dialect":"choice","until":"` + soon + `"}`
	own, other := "/v1/tenants/acme/endpoints/"+b.endpoint("acme"), "/v1/tenants/acme/endpoints/"+b.endpoint("acme")
	b.admin("PATCH", own, "{"+also+"}").want(200)
	made := into[object](b.admin("POST", "/v1/tenants/vine/endpoints", `{"url":"https://r.example","event_types":["product.created"],`+also+"}").want(201))
	shared := "/v1/tenants/vine/endpoints/" + made["id"].(string)

	const brought, readable = `{"secret":"brought along"}`, `{"secret":"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}`
	for path, endpoint := range map[string]string{own: own, "/v1/tenants/vine": shared} {
		p := b.admin("POST", path+"/rotate-secret", brought).problem(422, webhook.CodeInvalid)
		require.Equal(t, []string{"secret"}, p.fields())
		require.NotContains(t, p.Detail, "brought along")
		b.admin("POST", path+"/rotate-secret", readable).want(200)
		b.admin("POST", path+"/retire-secret", "").want(200)
		b.admin("PATCH", endpoint, `{"also_sign_as":null}`).want(200)
		b.admin("POST", path+"/rotate-secret", brought).want(200)
	}
	b.admin("POST", other+"/rotate-secret", brought).want(200)
}
