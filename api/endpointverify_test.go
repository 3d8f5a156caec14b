package api_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/webhook"
)

// The whole way with the real store: held until verified, and no way around.
func TestEndpoints_Verify(t *testing.T) {
	t.Parallel()
	w := newAuditWorld(t)
	w.tenant("acme", "standard")
	w.admin("PATCH", "/v1/tenants/acme", `{"verify_endpoints":true}`).want(200)

	const path = "/v1/tenants/acme/endpoints"
	made := into[object](w.admin("POST", path, `{"url":"https://r.example","event_types":["*"]}`).want(201))
	one := path + "/" + made["id"].(string)
	require.Equal(t, "unverified", made["status"])
	require.Equal(t, "verification", made["disabled"].(object)["by"])
	require.Equal(t, object{"method": "token"}, made["verification"])
	for _, call := range []struct{ path, body string }{{"/enable", ""}, {"/enable", `{"test":true}`}, {"/test", ""}} {
		p := w.admin("POST", one+call.path, call.body).problem(409, webhook.CodeConflict)
		require.Contains(t, p.Detail, "not verified")
	}
	require.Len(t, into[struct{ Data []object }](w.admin("GET", path+"?status=unverified", "").want(200)).Data, 1)
	require.Empty(t, into[struct{ Data []object }](w.admin("GET", path+"?status=disabled", "").want(200)).Data)

	got := into[object](w.admin("POST", one+"/verify", "").want(200))
	require.Equal(t, "enabled", got["status"])
	require.NotEmpty(t, got["verification"].(object)["verified_at"])
	require.NotContains(t, got, "disabled")
	got = into[object](w.admin("PATCH", one, `{"description":"d"}`).want(200))
	require.Equal(t, "enabled", got["status"])
	got = into[object](w.admin("PATCH", one, `{"url":"https://elsewhere.example"}`).want(200))
	require.Equal(t, "unverified", got["status"])
	require.NotContains(t, got["verification"], "verified_at")
	w.admin("POST", one+"/enable", "").problem(409, webhook.CodeConflict)
	w.admin("PATCH", one, `{"verification":null}`).want(200)
	w.admin("POST", one+"/enable", "").problem(409, webhook.CodeConflict)

	w.admin("POST", one+"/verify", "").want(200)
	got = into[object](w.admin("PATCH", one, `{"verification":{"method":"token","credentials":true}}`).want(200))
	require.Equal(t, "unverified", got["status"], "a challenge of another kind")
	require.Equal(t, object{"method": "token", "credentials": true}, into[object](w.admin("GET", one, "").want(200))["verification"])
}

func TestEndpoints_VerifyRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	p := b.call(b.key("acme", webhook.ScopeManage), "PATCH", "/v1/tenants/acme", `{"verify_endpoints":false}`).problem(403, webhook.CodeForbidden)
	require.Equal(t, []string{"verify_endpoints"}, p.fields(), "who is bound by it may not lift it")
	const path = "/v1/tenants/acme/endpoints"
	const asks = `"verification":{"method":"cloudevents","origin":"events.example.com"}`
	one := path + "/" + into[object](b.admin("POST", path, `{"url":"https://r.example","event_types":["*"],`+asks+`}`).want(201))["id"].(string)
	b.engine.challenge = func() (*webhook.Proof, error) {
		return &webhook.Proof{Refused: "the receiver answered 404"}, nil
	}
	p = b.admin("POST", one+"/verify", "").problem(409, webhook.CodeConflict)
	require.Contains(t, p.Detail, "the receiver answered 404")
	require.Empty(t, b.engine.told)
	b.engine.challenge = func() (*webhook.Proof, error) {
		return nil, webhook.Errorf(webhook.CodeUnavailable, "the delivery engine does not answer")
	}
	b.admin("POST", one+"/verify", "").problem(503, webhook.CodeUnavailable)

	p = b.admin("PATCH", one, `{"verification":{"method":"cloudevents"}}`).problem(422, webhook.CodeInvalid)
	require.Equal(t, []string{"verification.origin"}, p.fields())
}

// A recovery keeps to the rate that the receiver allows.
func TestRecoveries_AllowedRate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	made := into[object](b.admin("POST", "/v1/tenants/acme/endpoints", `{"url":"https://r.example","event_types":["*"]}`).want(201))
	id := made["id"].(string)
	b.engine.challenge = func() (*webhook.Proof, error) { return &webhook.Proof{AllowedRate: 120}, nil }
	got := into[object](b.admin("POST", "/v1/tenants/acme/endpoints/"+id+"/verify", "").want(200))
	require.EqualValues(t, 120, got["verification"].(object)["allowed_rate"])
	rec := into[object](b.admin("POST", "/v1/tenants/acme/recoveries", `{"endpoint_id":"`+id+`","rate":50}`).want(201))
	require.EqualValues(t, 2, rec["rate"])
}

// Whoever can make endpoints can name a stranger's URL: each tenant has so many challenges, and another tenant has its own.
func TestEndpoints_ChallengesOfATenant(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	now.Store(time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC).Unix())
	b := setup(t, func(o *api.Options) { o.Now = func() time.Time { return time.Unix(now.Load(), 0) } })
	b.engine.challenge = func() (*webhook.Proof, error) { return &webhook.Proof{Refused: "the receiver answered 404"}, nil }
	verify := func(tenant string) string {
		b.tenant(tenant, "standard")
		path := "/v1/tenants/" + tenant + "/endpoints"
		return path + "/" + into[object](b.admin("POST", path, `{"url":"https://r.example","event_types":["*"]}`).want(201))["id"].(string) + "/verify"
	}
	acme, other := verify("acme"), verify("other")
	for range 10 {
		b.admin("POST", "/v1/tenants/acme/endpoints/ep_01970000000070028000000000000fff/verify", "").problem(404, webhook.CodeNotFound)
	}
	for range 10 {
		b.admin("POST", acme, "").problem(409, webhook.CodeConflict)
	}
	refused := b.admin("POST", acme, "")
	require.Contains(t, refused.problem(429, webhook.CodeRateLimited).Detail, "in 6s")
	require.Equal(t, "6", refused.header.Get("Retry-After"))
	b.admin("POST", other, "").problem(409, webhook.CodeConflict)
	now.Add(6)
	b.admin("POST", acme, "").problem(409, webhook.CodeConflict)
	b.admin("POST", acme, "").problem(429, webhook.CodeRateLimited)
}

// Receivers that do not answer keep a tenant's own calls waiting, and nobody else's.
func TestEndpoints_TestsOfATenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	answer := make(chan struct{})
	asked := make(chan struct{}, 20)
	b.engine.challenge = func() (*webhook.Proof, error) {
		asked <- struct{}{}
		<-answer
		return &webhook.Proof{Refused: "the receiver answered 404"}, nil
	}
	paths := map[string]string{}
	for _, tenant := range []string{"acme", "other"} {
		b.tenant(tenant, "standard")
		path := "/v1/tenants/" + tenant + "/endpoints"
		paths[tenant] = path + "/" + into[object](b.admin("POST", path, `{"url":"https://r.example","event_types":["*"]}`).want(201))["id"].(string)
	}
	var calls sync.WaitGroup
	slow := func(tenant string) {
		calls.Go(func() { b.admin("POST", paths[tenant]+"/verify", "") })
		<-asked
	}
	for range 10 {
		slow("acme")
	}
	for _, act := range []struct{ path, body string }{{"/verify", ""}, {"/enable", `{"test":true}`}} {
		p := b.admin("POST", paths["acme"]+act.path, act.body).problem(429, webhook.CodeOverloaded)
		require.Contains(t, p.Detail, "10 endpoints of the tenant")
	}
	slow("other")
	close(answer)
	calls.Wait()
	p := b.admin("POST", paths["acme"]+"/enable", `{"test":true}`)
	require.NotEqual(t, 429, p.status, "the places are free again")
}
