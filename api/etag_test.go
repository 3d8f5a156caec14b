package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// The ETag is what a caller knows of a resource: it changes with it, and is the same in every answer and for every caller.
func TestETag_Endpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	a := b.admin("POST", "/v1/tenants/acme/endpoints", `{"url":"https://r.example","event_types":["*"],"headers":{"X-Api-Key":"k"},"metadata":{"a":"b"}}`).want(201)
	path, created := a.header.Get("Location"), a.header.Get("ETag")
	require.Regexp(t, `^"[A-Za-z0-9_-]{22}"$`, created)
	require.Equal(t, created, b.admin("GET", path, "").want(200).header.Get("ETag"))
	require.Equal(t, created, b.call(b.key("acme", webhook.ScopeRead), "GET", path, "").want(200).header.Get("ETag"), "whoever asks")

	// What attempts change is not the resource's.
	id := parseID[webhook.EndpointID](t, into[object](a)["id"].(string))
	e, at := b.store.endpoints[id], time.Unix(1, 0)
	e.Streak, e.LastFailureAt, e.LastSuccessAt, e.Version = webhook.Streak{Failures: 3, Since: &at}, &at, &at, 7
	b.store.endpoints[id] = e
	require.Equal(t, created, b.admin("GET", path, "").want(200).header.Get("ETag"))

	seen := map[string]bool{created: true}
	for _, change := range []struct{ method, path, body string }{
		{"PATCH", path, `{"description":"d"}`}, {"PATCH", path, `{"headers":{"X-Api-Key":"other"}}`}, {"PATCH", path, `{"metadata":null}`},
		{"POST", path + "/disable", ""},
	} {
		tag := b.admin(change.method, change.path, change.body).want(200).header.Get("ETag")
		require.False(t, seen[tag], change)
		seen[tag] = true
		require.Equal(t, tag, b.admin("GET", path, "").header.Get("ETag"))
	}
	require.Regexp(t, `^"`, b.admin("POST", path+"/enable", "").want(200).header.Get("ETag"))
}

func TestETag_Tenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	created := b.admin("POST", "/v1/tenants", `{"id":"acme","name":"N","dialect":"shared"}`).want(201).header.Get("ETag")
	require.Equal(t, created, b.admin("GET", "/v1/tenants/acme", "").want(200).header.Get("ETag"))
	changed := b.admin("PATCH", "/v1/tenants/acme", `{"metadata":{"plan":"gold"}}`).want(200)
	require.NotEqual(t, created, changed.header.Get("ETag"))
	require.Equal(t, object{"plan": "gold"}, into[object](changed)["metadata"])
	b.admin("PATCH", "/v1/tenants/acme", `{"name":"M"}`, "If-Match", created).problem(412, webhook.CodePreconditionFailed)
	b.admin("PATCH", "/v1/tenants/acme", `{"name":"M"}`, "If-Match", changed.header.Get("ETag")).want(200)
	require.Equal(t, "M", b.store.tenants["acme"].Name)
}

// Of two people who change an endpoint that both have read, the second learns of the first.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	path := "/v1/tenants/acme/endpoints/" + b.endpoint("acme")
	known := b.admin("GET", path, "").header.Get("ETag")
	first := b.admin("PATCH", path, `{"description":"first"}`, "If-Match", known).want(200).header.Get("ETag")

	p := b.admin("PATCH", path, `{"description":"second"}`, "If-Match", known).problem(412, webhook.CodePreconditionFailed)
	require.Contains(t, p.Detail, first)
	b.admin("DELETE", path, "", "If-Match", known).problem(412, webhook.CodePreconditionFailed)
	require.Equal(t, "first", into[object](b.admin("GET", path, ""))["description"])

	b.admin("PATCH", path, `{}`, "If-Match", "W/"+first).problem(412, webhook.CodePreconditionFailed)
	b.admin("PATCH", path, `{}`, "If-Match", known+`, "a,b" ,`+first).want(200)
	for _, bad := range []string{"abc", `"abc`, `"a" "b"`, "*, *", `w/"a"`} {
		p := b.admin("PATCH", path, `{}`, "If-Match", bad).problem(422, webhook.CodeInvalid)
		require.Equal(t, []string{"If-Match"}, p.fields(), bad)
	}
	b.admin("DELETE", path, "", "If-Match", "*").want(204)
	b.admin("PATCH", path, `{}`, "If-Match", "*").problem(404, webhook.CodeNotFound)
}
