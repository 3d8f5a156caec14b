package api_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/store"
	"waybill/webhook"
)

func TestEndpoints_Create(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	a := b.admin("POST", "/v1/tenants/acme/endpoints", `{"url":"https://r.example/h?a=1&b=2","event_types":["order.*"],"filter":{"auction":["1","2"]},
		"description":"d","headers":{"X-Api-Key":"k"},"retry":{"exponential":{"first":"1s","factor":2,"retries":5,"cap":"1h"}},"timeout":"10s",
		"auto_disable":{"failures":3,"span":"60s"},"metadata":{"team":"x"}}`).want(201)
	got := into[object](a)
	require.Regexp(t, `^whsec_[A-Za-z0-9+/]{43}=$`, got["secret"])
	id, secret := got["id"].(string), got["secret"]
	delete(got, "id")
	delete(got, "secret")
	require.Equal(t, object{
		"tenant": "acme", "url": "https://r.example/h?a=1&b=2", "event_types": []any{"order.*"}, "filter": object{"auction": []any{"1", "2"}},
		"description": "d", "headers": object{"X-Api-Key": "k"}, "timeout": "10s", "status": "enabled", "streak": object{"failures": 0.0},
		"auto_disable": object{"failures": 3.0, "span": "1m"}, "auto_disable_in_force": object{"failures": 3.0, "span": "1m"}, "metadata": object{"team": "x"},
		"signing":    object{"algorithm": "hmac-sha256", "message_signatures": false},
		"retry":      object{"exponential": object{"first": "1s", "factor": 2.0, "retries": 5.0, "cap": "1h"}},
		"created_at": "2026-05-27T14:32:00.123456Z", "updated_at": "2026-05-27T14:32:00.123456Z",
	}, got)
	require.Equal(t, "/v1/tenants/acme/endpoints/"+id, a.header.Get("Location"))
	require.Contains(t, string(a.body), "a=1&b=2", "no escaping for HTML")

	a = b.admin("GET", a.header.Get("Location"), "").want(200)
	require.NotContains(t, string(a.body), "whsec_")
	revealed := into[object](b.admin("GET", "/v1/tenants/acme/endpoints/"+id+"/secret", "").want(200))
	require.Equal(t, secret, revealed["secret"])
}

func TestEndpoints_SecretsDiffer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.endpoint("acme")
	b.endpoint("acme")
	seen := map[string]bool{}
	for _, s := range b.store.secrets {
		seen[s.Reveal()] = true
	}
	require.Len(t, seen, 3, "the tenant's empty one and two of endpoints")
}

func TestEndpoints_Bad(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) {
		o.CheckAddress = func(_, host string, _ uint16) error {
			if host == "127.0.0.1" || host == "::1" || strings.HasPrefix(host, "10.") {
				return errors.New("is a private address")
			}
			return nil
		}
	})
	b.tenant("acme", "standard")
	b.tenant("rheo", "one")
	b.tenant("vine", "shared")
	for _, tc := range []struct{ tenant, body, field, detail string }{
		{"acme", `{"event_types":["*"]}`, "url", "is required"},
		{"acme", `{"url":"https://r.example"}`, "event_types", "is required"},
		{"acme", `{"url":"https://r.example","event_types":[]}`, "event_types", "is required"},
		{"acme", `{"url":"http://r.example","event_types":["*"]}`, "url", "https only"},
		{"acme", `{"url":"ftp://r.example","event_types":["*"]}`, "url", "scheme"},
		{"acme", `{"url":"https://u:p@r.example","event_types":["*"]}`, "url", "user name"},
		{"acme", `{"url":"https://127.0.0.1/h","event_types":["*"]}`, "url", "is a private address"},
		{"acme", `{"url":"https://[::1]:8443/h","event_types":["*"]}`, "url", "is a private address"},
		{"acme", `{"url":"https://10.0.0.7/h","event_types":["*"]}`, "url", "is a private address"},
		{"acme", `{"url":"https://r.example","event_types":["a..b"]}`, "event_types[0]", "is \"*\""},
		{"acme", `{"url":"https://r.example","event_types":["*"],"headers":{"Host":"x"}}`, "headers.Host", "set by Waybill"},
		{"acme", `{"url":"https://r.example","event_types":["*"],"timeout":"2m"}`, "timeout", "1s to 1m"},
		{"acme", `{"url":"https://r.example","event_types":["*"],"auto_disable":{"failures":10001}}`, "auto_disable.failures", "from 1 to 10000"},
		{"acme", `{"url":"https://r.example","event_types":["*"],"auto_disable":{"failures":1,"span":"721h"}}`, "auto_disable.span", "to 720h"},
		{"acme", `{"url":"https://r.example","event_types":["*"],"metadata":{"":"x"}}`, "metadata.", "at most 256 bytes"},
		{"rheo", `{"url":"https://r.example","event_types":["no.such"]}`, "event_types[0]", "not an event type"},
		{"rheo", `{"url":"https://r.example","headers":{"X-A":"1"}}`, "headers", "allows 0"},
		{"vine", `{"url":"https://r.example","event_types":["product.*"]}`, "event_types[0]", "is a pattern"},
		{"vine", `{"url":"https://r.example"}`, "event_types", "is required"},
	} {
		t.Run(tc.tenant+" "+tc.body, func(t *testing.T) {
			p := b.admin("POST", "/v1/tenants/"+tc.tenant+"/endpoints", tc.body).problem(422, webhook.CodeInvalid)
			require.Equal(t, tc.field, p.Errors[0].Field)
			require.Contains(t, p.Errors[0].Detail, tc.detail)
		})
	}
	require.Empty(t, b.store.endpoints)

	id := b.endpoint("acme")
	b.admin("PATCH", "/v1/tenants/acme/endpoints/"+id, `{"url":"https://10.0.0.7/h"}`).problem(422, webhook.CodeInvalid)
}

func TestEndpoints_AllowHTTP(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.AllowHTTP = true })
	b.tenant("acme", "standard")
	b.admin("POST", "/v1/tenants/acme/endpoints", `{"url":"http://r.example","event_types":["*"]}`).want(201)
}

func TestEndpoints_OneGetsEverything(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("rheo", "one")
	got := into[object](b.admin("POST", "/v1/tenants/rheo/endpoints", `{"url":"https://r.example"}`).want(201))
	require.Equal(t, []any{"*"}, got["event_types"])
	require.Equal(t, []int{1}, b.store.limits)
	b.admin("POST", "/v1/tenants/rheo/endpoints", `{"url":"https://r.example"}`).problem(409, webhook.CodeConflict)
}

func TestEndpoints_HeaderValuesAreForManagers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	a := b.admin("POST", "/v1/tenants/acme/endpoints", `{"url":"https://r.example","event_types":["*"],"headers":{"X-Api-Key":"hush-hush"}}`).want(201)
	path := a.header.Get("Location")
	reader := b.key("acme", webhook.ScopeRead)
	for _, p := range []string{path, "/v1/tenants/acme/endpoints"} {
		a = b.call(reader, "GET", p, "").want(200)
		require.Contains(t, string(a.body), `"headers":{"X-Api-Key":"[redacted]"}`)
		require.NotContains(t, string(a.body), "hush-hush")
		a = b.call(b.key("acme", webhook.ScopeRead, webhook.ScopeManage), "GET", p, "").want(200)
		require.Contains(t, string(a.body), "hush-hush")
		require.Contains(t, string(b.admin("GET", p, "").body), "hush-hush")
	}
	require.NotContains(t, b.log.String(), "hush-hush")
}

func TestEndpoints_Update(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	a := b.admin("POST", "/v1/tenants/acme/endpoints", `{"url":"https://r.example","event_types":["*"],"filter":{"a":["1"]},"headers":{"X-A":"1","X-B":"2"},
		"retry":{"policy":"table-5"},"timeout":"5s","description":"d","auto_disable":{"off":true},"metadata":{"a":"b"}}`).want(201)
	path := a.header.Get("Location")
	before := into[object](b.admin("GET", path, ""))

	require.Equal(t, before, into[object](b.admin("PATCH", path, `{}`).want(200)))
	got := into[object](b.admin("PATCH", path, `{"url":"https://s.example","headers":{"X-C":"3"},"timeout":"7s"}`).want(200))
	require.Equal(t, "https://s.example", got["url"])
	require.Equal(t, object{"X-C": "3"}, got["headers"])
	require.Equal(t, "7s", got["timeout"])
	require.Equal(t, before["filter"], got["filter"])

	got = into[object](b.admin("PATCH", path, `{"filter":null,"headers":null,"retry":null,"timeout":null,"description":null,"auto_disable":null,"metadata":null}`).want(200))
	for _, field := range []string{"filter", "headers", "retry", "timeout", "auto_disable", "metadata"} {
		require.NotContains(t, got, field)
	}
	require.Empty(t, got["description"])

	for _, body := range []string{`{"url":null}`, `{"event_types":null}`, `{"event_types":[]}`, `{"status":"disabled"}`, `{"secret":"x"}`, `{"timeout":"1ms"}`,
		`{"auto_disable":{}}`, `{"auto_disable":{"off":true,"failures":1}}`, `{"metadata":{"a":null}}`, `{"disabled":true}`} {
		b.admin("PATCH", path, body).problem(422, webhook.CodeInvalid)
	}
	require.Equal(t, got, into[object](b.admin("GET", path, "")))
}

func TestEndpoints_Delete(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	path := "/v1/tenants/acme/endpoints/" + b.endpoint("acme")
	b.admin("DELETE", path, "").want(204)
	b.admin("GET", path, "").problem(404, webhook.CodeNotFound)
	b.admin("DELETE", path, "").problem(404, webhook.CodeNotFound)
}

func TestEndpoints_DisableEnable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	id := b.endpoint("acme")
	path := "/v1/tenants/acme/endpoints/" + id

	got := into[object](b.admin("POST", path+"/disable", `{"reason":"it moves"}`).want(200))
	require.Equal(t, "disabled", got["status"])
	require.Equal(t, object{"at": "2026-05-27T14:32:00.123456Z", "by": "admin", "reason": "it moves"}, got["disabled"])
	again := into[object](b.admin("POST", path+"/disable", "").want(200))
	require.Equal(t, got, again, "disabling twice changes nothing")

	b.admin("POST", path+"/test", "").want(202)

	got = into[object](b.admin("POST", path+"/enable", "").want(200))
	require.Equal(t, "enabled", got["status"])
	require.NotContains(t, got, "disabled")
	b.admin("POST", path+"/enable", "{}").want(200)
	b.admin("POST", path+"/disable", "").want(200)
	require.Equal(t, []string{
		"disabled acme " + id + " it moves", "enabled acme " + id, "disabled acme " + id + " disabled through the API",
	}, b.engine.told)

	for _, reason := range []string{strings.Repeat("x", 501), "two\nlines"} {
		p := b.admin("POST", path+"/disable", fmt.Sprintf(`{"reason":%q}`, reason)).problem(422, webhook.CodeInvalid)
		require.Equal(t, []string{"reason"}, p.fields())
	}
	b.admin("POST", path+"/enable", `{"reason":"x"}`).problem(422, webhook.CodeInvalid)
}

// An endpoint is made before its receiver is ready: it gets deliveries, which are held until a person enables it.
func TestEndpoints_CreatedDisabled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	key := b.key("acme", webhook.ScopeManage)
	a := b.call(key, "POST", "/v1/tenants/acme/endpoints", `{"url":"https://r.example","event_types":["*"],"disabled":true}`).want(201)
	got := into[object](a)
	require.Equal(t, "disabled", got["status"])
	by := got["disabled"].(object)["by"]
	require.Regexp(t, `^key_`, by)
	require.Equal(t, object{"at": "2026-05-27T14:32:00.123456Z", "by": by, "reason": "created disabled"}, got["disabled"])
	require.Equal(t, got["disabled"], into[object](b.admin("GET", a.header.Get("Location"), ""))["disabled"])
	got = into[object](b.admin("POST", a.header.Get("Location")+"/enable", "").want(200))
	require.Equal(t, "enabled", got["status"])
	require.NotContains(t, got, "disabled")
}

// The rule in force is the endpoint's, otherwise the dialect's.
func TestEndpoints_AutoDisableInForce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.tenant("bids", "auction")
	for _, tc := range []struct {
		tenant, own string
		want        object
	}{
		{"acme", `null`, object{"off": true}},
		{"acme", `{"failures":5}`, object{"failures": 5.0}},
		{"bids", `null`, object{"failures": 10.0, "span": "10m"}},
		{"bids", `{"off":true}`, object{"off": true}},
		{"bids", `{"failures":5,"span":"1s"}`, object{"failures": 5.0, "span": "1s"}},
	} {
		path := "/v1/tenants/" + tc.tenant + "/endpoints/" + b.endpoint(tc.tenant)
		got := into[object](b.admin("PATCH", path, `{"auto_disable":`+tc.own+`}`).want(200))
		require.Equal(t, tc.want, got["auto_disable_in_force"], tc.own)
	}
}

func TestEndpoints_Test(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.tenant("rheo", "one")
	b.tenant("bids", "auction")
	for _, tc := range []struct{ name, tenant, types, body, wantType, wantData string }{
		{"no catalogue", "acme", "order.*", "", "waybill.test", `{"test":true}`},
		{"no catalogue, own type", "acme", "order.*", `{"type":"a.b"}`, "a.b", `{"test":true}`},
		{"own data", "acme", "order.*", `{"type":"a.b","data":null}`, "a.b", `null`},
		{"first type of the catalogue", "rheo", "*", "", "listing.created", `{"salePrice":0}`},
		{"given type", "rheo", "", `{"type":"item.sold"}`, "item.sold", `{"salePrice":1100}`},
		{"given data", "rheo", "", `{"type":"item.sold","data":{"salePrice":2}}`, "item.sold", `{"salePrice":2}`},
		{"required attribute from the example", "bids", "submission.created", "", "submission.created", `{"salePrice":1}`},
	} {
		if tc.types != "" {
			b.endpoint(tc.tenant, tc.types)
		}
		id := b.store.endpointsOf(tc.tenant)[0].ID.String()
		a := b.admin("POST", "/v1/tenants/"+tc.tenant+"/endpoints/"+id+"/test", tc.body).want(202)
		receipt := into[webhook.Receipt](a)
		p := b.store.published(tc.tenant, receipt.EventID)
		require.Equal(t, tc.wantType, p.Event.Type, tc.name)
		require.Equal(t, tc.wantData, string(p.Event.Data), tc.name)
		require.Equal(t, id, p.Only.String(), tc.name)
		require.True(t, p.Event.Test, tc.name)
		if tc.tenant != "acme" {
			require.Len(t, receipt.Deliveries, 1)
		}
		if tc.tenant == "acme" {
			b.store.endpoints = map[webhook.EndpointID]webhook.Endpoint{}
		}
	}
	id := b.store.endpointsOf("rheo")[0].ID.String()
	b.admin("POST", "/v1/tenants/rheo/endpoints/"+id+"/test", `{"type":"no.such"}`).problem(422, webhook.CodeUnknownEventType)
	b.admin("POST", "/v1/tenants/rheo/endpoints/"+id+"/test", `{"data":{}}`).problem(422, webhook.CodeSchemaViolation)
}

func TestEndpoints_ListFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	yes, no := true, false
	for query, want := range map[string]store.EndpointFilter{
		"status=enabled":                {Disabled: &no},
		"status=disabled&failing=false": {Disabled: &yes, Unverified: &no, Failing: &no},
		"status=unverified":             {Unverified: &yes},
		"trouble=true":                  {Trouble: &yes},
		"trouble=false":                 {Trouble: &no},
		"failing=true&q=billing":        {Failing: &yes, Text: "billing"},
		"event_type=order.confirmed&metadata.team=x%20y": {EventType: "order.confirmed", Metadata: map[string]string{"team": "x y"}},
	} {
		b.lenient = strings.Contains(query, "metadata") // the document describes any name as NAME
		b.admin("GET", "/v1/tenants/acme/endpoints?"+query, "").want(200)
		got := b.store.endpointFilters[len(b.store.endpointFilters)-1]
		want.Page = store.Page{Limit: 51}
		if want.Metadata == nil {
			want.Metadata = map[string]string{}
		}
		require.Equal(t, want, got, query)
	}
	for query, field := range map[string]string{"status=off": "status", "failing=1": "failing", "event_type=order.*": "event_type", "url=x": "url", "metadata.=x": "metadata."} {
		p := b.admin("GET", "/v1/tenants/acme/endpoints?"+query, "").problem(422, webhook.CodeInvalid)
		require.Equal(t, []string{field}, p.fields())
	}
}

func TestTenants_ListFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.store.next, b.lenient = "more", true
	got := into[object](b.admin("GET", "/v1/tenants?dialect=rheo&q=a%25&metadata.plan=gold", "").want(200))
	require.Equal(t, store.TenantFilter{Dialect: "rheo", Text: "a%", Metadata: map[string]string{"plan": "gold"}, Page: store.Page{Limit: 51}}, b.store.tenantFilters[0])
	require.NotEmpty(t, got["next_cursor"], "the search goes on where it ended")
}
