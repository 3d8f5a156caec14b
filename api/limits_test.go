package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// TestTenants_Limits sets how many endpoints a tenant may have: the administrator does, and the dialect's own limit stays.
func TestTenants_Limits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	limits := func(a *answer) any { return into[object](a)["limits"].(object)["endpoints"] }
	created := b.admin("POST", "/v1/tenants", `{"id":"acme","name":"A","dialect":"standard","limits":{"endpoints":2}}`).want(201)
	require.Equal(t, 2.0, limits(created))
	b.endpoint("acme")
	b.endpoint("acme")
	const more = `{"url":"https://r.example","event_types":["*"]}`
	p := b.admin("POST", "/v1/tenants/acme/endpoints", more).problem(409, webhook.CodeConflict)
	require.Contains(t, p.Detail, "2 endpoints")

	require.Equal(t, 3.0, limits(b.admin("PATCH", "/v1/tenants/acme", `{"limits":{"endpoints":3}}`).want(200)))
	b.endpoint("acme") // the cached tenant was dropped
	b.admin("PATCH", "/v1/tenants/acme", `{"limits":{"endpoints":1}}`).want(200)
	b.admin("POST", "/v1/tenants/acme/endpoints", more).problem(409, webhook.CodeConflict)
	require.Len(t, b.store.endpointsOf("acme"), 3, "those above a limit that was lowered stay")

	require.Equal(t, 500.0, limits(b.admin("PATCH", "/v1/tenants/acme", `{"limits":null}`).want(200)))
	require.Equal(t, 500.0, limits(b.admin("GET", "/v1/tenants/acme", "").want(200)))
	b.endpoint("acme")
	b.tenant("rheo", "one")
	b.endpoint("rheo")
	require.Equal(t, []int{2, 2, 2, 3, 1, 500, 1}, b.store.limits)

	for _, body := range []string{`{"limits":{"endpoints":0}}`, `{"limits":{"endpoints":10001}}`, `{"limits":{}}`} {
		p := b.admin("PATCH", "/v1/tenants/acme", body).problem(422, webhook.CodeInvalid)
		require.Equal(t, []string{"limits.endpoints"}, p.fields(), body)
		require.Contains(t, p.Detail, "limits as null means the default of 500")
	}
	b.admin("PATCH", "/v1/tenants/acme", `{"limits":{"endpoints":10000}}`).want(200)
}

// TestTenants_AdministratorsFields sends what a tenant's own key may not set.
func TestTenants_AdministratorsFields(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	manage := b.key("acme", webhook.ScopeManage)
	for body, want := range map[string][]string{
		`{"express":true}`: {"express"}, `{"express":false}`: {"express"}, `{"express":null}`: {"express"}, `{"limits":null}`: {"limits"},
		`{"name":"Mine","limits":{"endpoints":10000},"express":true}`: {"express", "limits"},
	} {
		p := b.call(manage, "PATCH", "/v1/tenants/acme", body).problem(403, webhook.CodeForbidden)
		require.Equal(t, want, p.fields(), body)
		require.Contains(t, p.Detail, "may be set only by the administrator")
	}
	require.Equal(t, "N", b.store.tenants["acme"].Name)
	got := into[object](b.call(manage, "PATCH", "/v1/tenants/acme", `{"allow_unknown_types":true,"url":"https://acme.example"}`).want(200))
	require.Equal(t, "https://acme.example", got["url"])
	require.NotContains(t, into[object](b.call(manage, "PATCH", "/v1/tenants/acme", `{"url":null}`).want(200)), "url")
	b.call(manage, "PATCH", "/v1/tenants/acme", `{"url":"http://acme.example"}`).problem(422, webhook.CodeInvalid)
}

// TestRetryPolicies_LeastDelay asks for delays below 1 s, of a tenant and of an endpoint. What was stored before stays.
func TestRetryPolicies_LeastDelay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	id := b.endpoint("acme")
	path := "/v1/tenants/acme/endpoints/" + id
	for retry, field := range map[string]string{
		`{"schedule":["1s","999ms"]}`:                                         "retry.schedule[1]",
		`{"exponential":{"first":"999ms","factor":2,"retries":1}}`:            "retry.exponential.first",
		`{"exponential":{"first":"2s","factor":2,"retries":1,"cap":"999ms"}}`: "retry.exponential.cap",
	} {
		body := `{"retry":` + retry + `}`
		for _, a := range []*answer{
			b.admin("PATCH", "/v1/tenants/acme", body), b.admin("PATCH", path, body),
			b.admin("POST", "/v1/tenants", `{"id":"new","name":"N","dialect":"standard",`+body[1:]),
			b.admin("POST", "/v1/tenants/acme/endpoints", `{"url":"https://r.example","event_types":["*"],`+body[1:]),
		} {
			require.Equal(t, []string{field}, a.problem(422, webhook.CodeInvalid).fields())
		}
	}
	old := &webhook.RetryPolicy{Schedule: []webhook.Duration{5e8}}
	e, tenant := b.store.endpoints[parseID[webhook.EndpointID](t, id)], b.store.tenants["acme"]
	e.Retry, tenant.Retry = old, old
	b.store.endpoints[e.ID], b.store.tenants["acme"] = e, tenant
	for _, path := range []string{path, "/v1/tenants/acme"} {
		method, body := "PATCH", `{"description":"still here"}`
		if path == "/v1/tenants/acme" {
			body = `{"name":"still here"}`
		}
		got := into[object](b.admin(method, path, body).want(200))
		require.Equal(t, object{"schedule": []any{"500ms"}}, got["retry"])
	}
}

const auction = "3fa85f64-5717-4562-b3fc-2c963f66afa6"

// TestFilters creates filters that no event can match, and one whose UUID is in upper case.
func TestFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("bids", "auction")
	create := func(filter string) *answer {
		return b.admin("POST", "/v1/tenants/bids/endpoints", `{"url":"https://r.example","event_types":["*"],"filter":`+filter+`}`)
	}
	for filter, field := range map[string]string{
		`{"auction":["` + auction + `"]}`: "filter.auction", `{"auction_id":["17"]}`: "filter.auction_id[0]", `{"auction_id":[]}`: "filter.auction_id",
	} {
		require.Equal(t, []string{field}, create(filter).problem(422, webhook.CodeInvalid).fields())
	}
	upper := strings.ToUpper(auction)
	a := create(`{"auction_id":["` + upper + `"]}`).want(201)
	require.Equal(t, object{"auction_id": []any{auction}}, into[object](a)["filter"])
	path := a.header.Get("Location")
	a = b.admin("PATCH", path, `{"filter":{"auction_id":["`+upper+`"]}}`).want(200)
	require.Equal(t, object{"auction_id": []any{auction}}, into[object](a)["filter"])
	b.admin("PATCH", path, `{"filter":{"lot":["A"]}}`).problem(422, webhook.CodeInvalid)

	publish := func(id, auction string) *answer {
		return b.admin("POST", "/v1/tenants/bids/events", fmt.Sprintf(`{"id":%q,"type":"submission.created","data":{"salePrice":1},"attributes":{"auction_id":%q}}`, id, auction))
	}
	first := publish("evt_1", upper).want(202)
	require.Len(t, into[webhook.Receipt](first).Deliveries, 1)
	event := into[object](b.admin("GET", "/v1/tenants/bids/events/evt_1", "").want(200))
	require.Equal(t, object{"auction_id": auction}, event["attributes"])
	again := publish("evt_1", auction).want(202)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"), "the same event")
	require.Equal(t, []string{"id"}, publish("order-1", auction).problem(422, webhook.CodeInvalid).fields(), "not of the dialect's form")
}

// TestEvents_RuledOut publishes to nobody: the answer says why, once.
func TestEvents_RuledOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	none := b.admin("POST", "/v1/tenants/acme/events", `{"type":"a.b","data":1}`).want(202)
	require.Equal(t, object{"by_type": 0.0, "by_filter": 0.0}, into[object](none)["ruled_out"], "there is no endpoint at all")

	b.endpoint("acme", "order.*")
	b.endpoint("acme", "user.created", "order.confirmed")
	b.admin("POST", "/v1/tenants/acme/endpoints", `{"url":"https://r.example","event_types":["a.*"],"filter":{"region":["nz"]}}`).want(201)
	const event = `{"id":"x","type":"a.b","data":1,"attributes":{"region":"au"}}`
	a := b.admin("POST", "/v1/tenants/acme/events", event).want(202)
	require.JSONEq(t, `{"id":"x","deliveries":[],"ruled_out":{"by_type":2,"by_filter":1}}`, string(a.body))
	a = b.admin("POST", "/v1/tenants/acme/events", event).want(202)
	require.JSONEq(t, `{"id":"x","deliveries":[]}`, string(a.body))

	a = b.admin("POST", "/v1/tenants/acme/events", `{"type":"order.confirmed","data":1}`).want(202)
	require.NotContains(t, into[object](a), "ruled_out", "somebody gets it")
	a = b.admin("POST", "/v1/tenants/acme/events/batch", `{"events":[{"type":"a.b","data":1}]}`).want(200)
	require.Contains(t, string(a.body), `"deliveries":[],"ruled_out":{"by_type":2,"by_filter":1}`)
}

// TestDialects_InForce holds that the API shows of a dialect what Waybill does.
func TestDialects_InForce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := into[object](b.admin("GET", "/v1/dialects/auction", "").want(200))
	require.Equal(t, object{"failures": 10.0, "span": "10m"}, got["auto_disable"])
	require.Equal(t, object{"on": []any{"exhausted"}, "subject": "about {tenant_url}", "min_interval": "1h"}, got["alerts"])
	require.Equal(t, "^evt_", got["event_id_pattern"])
	require.Equal(t, object{"delivered": "success", "exhausted": "failed"}, got["status_words"])
}

// TestRecipientLimit answers an event that too many endpoints subscribe to, alone and in a batch.
func TestRecipientLimit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.store.breakWith(webhook.TooManyRecipients(10_001, webhook.MaxRecipients), "Accept")
	p := b.admin("POST", "/v1/tenants/acme/events", `{"type":"a.b","data":1}`).problem(409, webhook.CodeRecipientLimit)
	require.Equal(t, "the event would go to 10001 endpoints; one event can go to at most 10000", p.Detail)
	a := b.admin("POST", "/v1/tenants/acme/events/batch", `{"events":[{"type":"a.b","data":1}]}`).want(200)
	require.Contains(t, string(a.body), `"code":"recipient_limit"`)
}
