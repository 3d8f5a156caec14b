package api_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/webhook"
)

// fill replaces the variables of a route's path.
func fill(path string, values map[string]string) string {
	for name, value := range values {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	return path
}

// bodyFor returns a body that each route accepts.
func bodyFor(rt api.Route) string {
	switch rt.Method + " " + rt.Path[strings.LastIndex(rt.Path, "/"):] {
	case "POST /tenants":
		return `{"id":"new","name":"N","dialect":"standard"}`
	case "POST /keys":
		return `{"name":"n","scopes":["read"]}`
	case "POST /endpoints":
		return `{"url":"https://r.example","event_types":["*"]}`
	case "POST /events":
		return `{"type":"a.b","data":1}`
	case "POST /recoveries":
		return `{"endpoint_id":"ep_01970000000070008000000000000001"}`
	case "POST /batch":
		return `{"events":[{"type":"a.b","data":1}]}`
	}
	if rt.Method == "PUT" {
		return `{"description":"d"}`
	}
	if rt.Method == "PATCH" {
		return `{}`
	}
	return ""
}

// world is a tenant "acme" with one of everything, and the path variables that name it.
func (b *testBundle) world() map[string]string {
	b.t.Helper()
	b.tenant("acme", "standard")
	values := map[string]string{"tenant": "acme", "endpoint": b.endpoint("acme"), "event": "e1", "dialect": "standard"}
	values["delivery"] = b.publish("acme", `{"type":"a.b","data":1,"id":"e1"}`)
	attempt := webhook.NewID[webhook.AttemptID](b.store.uuid())
	b.store.record(webhook.Attempt{
		ID: attempt, DeliveryID: parseID[webhook.DeliveryID](b.t, values["delivery"]),
		AttemptSummary: webhook.AttemptSummary{Number: 1, Outcome: webhook.OutcomeRetryable},
	})
	values["attempt"] = attempt.String()
	key := into[object](b.admin("POST", "/v1/tenants/acme/keys", `{"name":"k","scopes":["read"]}`).want(201))
	values["key"] = key["id"].(string)
	recovery := into[object](b.admin("POST", "/v1/tenants/acme/recoveries", `{"endpoint_id":"`+values["endpoint"]+`"}`).want(201))
	values["recovery"] = recovery["id"].(string)
	values["type"] = "parcel.moved"
	b.putType("acme", values["type"], `{"description":"d"}`).want(201)
	return values
}

func TestRoutes_OtherTenantsDoNotExist(t *testing.T) {
	t.Parallel()
	b := setup(t)
	values := b.world()
	b.tenant("other", "standard")
	stranger := b.key("other", webhook.Scopes...)

	missing := map[string]string{}
	for name, value := range values {
		missing[name] = value
	}
	missing["tenant"] = "ghost"
	walked := 0
	for _, rt := range b.server.Routes() {
		if !strings.Contains(rt.Path, "{tenant}") {
			continue
		}
		walked++
		p := b.call(stranger, rt.Method, fill(rt.Path, values), bodyFor(rt)).problem(404, webhook.CodeNotFound)
		ghost := b.call(stranger, rt.Method, fill(rt.Path, missing), bodyFor(rt)).problem(404, webhook.CodeNotFound)
		require.Equal(t, strings.ReplaceAll(ghost.Detail, "ghost", "acme"), p.Detail, "no telling an existing tenant from none")

		b.admin(rt.Method, fill(rt.Path, missing), bodyFor(rt)).problem(404, webhook.CodeNotFound)
	}
	require.Greater(t, walked, 20)
}

// TestRoutes_OtherTenantsThings names another tenant's things below the caller's own tenant.
func TestRoutes_OtherTenantsThings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	values := b.world()
	b.tenant("other", "standard")
	stranger := b.key("other", webhook.Scopes...)
	values["tenant"] = "other"
	told := len(b.engine.told)
	for _, rt := range b.server.Routes() {
		if strings.Count(rt.Path, "{") < 2 || rt.Method == "PUT" { // it makes what is not there
			continue
		}
		b.call(stranger, rt.Method, fill(rt.Path, values), bodyFor(rt)).problem(404, webhook.CodeNotFound)
	}
	require.Len(t, b.store.endpoints, 1, "nothing happened to them")
	require.Len(t, b.engine.told, told)
}

func TestRoutes_Scopes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	values := b.world()
	for _, rt := range b.server.Routes() {
		if rt.Access == "public" {
			b.call("", rt.Method, fill(rt.Path, values), "").want(200)
			continue
		}
		var lacking, having []webhook.Scope
		for _, scope := range webhook.Scopes {
			if string(scope) == rt.Access {
				having = append(having, scope)
			} else {
				lacking = append(lacking, scope)
			}
		}
		path := fill(rt.Path, values)
		switch rt.Access {
		case "any":
			b.call(b.key("acme", webhook.ScopePublish), rt.Method, path, "").want(200)
		case "admin":
			b.call(b.key("acme", webhook.Scopes...), rt.Method, path, bodyFor(rt)).problem(403, webhook.CodeForbidden)
		default:
			b.call(b.key("acme", lacking...), rt.Method, path, bodyFor(rt)).problem(403, webhook.CodeForbidden)
			status := b.call(b.key("acme", having...), rt.Method, path, bodyFor(rt)).status
			require.NotContains(t, []int{401, 403}, status, "%s %s", rt.Method, path)
		}
	}
}

func TestRoutes_NeedAKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	values := b.world()
	unknown := "wbk_" + strings.Repeat("x", 43)
	for _, rt := range b.server.Routes() {
		if rt.Access == "public" {
			continue
		}
		for _, key := range []string{"", "short", unknown, adminKey + "x", adminKey[:len(adminKey)-1]} {
			a := b.call(key, rt.Method, fill(rt.Path, values), bodyFor(rt))
			a.problem(401, webhook.CodeUnauthorized)
			require.Contains(t, a.header.Get("WWW-Authenticate"), "Bearer")
		}
	}
}

func TestAuth_Schemes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for header, status := range map[string]int{
		"Bearer " + adminKey: 200, "bearer " + adminKey: 200, "BEARER  " + adminKey: 200,
		adminKey: 401, "Basic " + adminKey: 401, "Bearer": 401, "Bearer" + " ": 401,
	} {
		b.call("", "GET", "/v1/dialects", "", "Authorization", header).want(status)
	}
}

func TestAuth_NoAdminKeyMeansNoAdmin(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.AdminKey = "" })
	b.call("", "GET", "/v1/tenants", "", "Authorization", "Bearer ").problem(401, webhook.CodeUnauthorized)
	b.call(adminKey, "GET", "/v1/tenants", "").problem(401, webhook.CodeUnauthorized)
}

func TestAuth_CachesKeysUntilRevoked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	created := into[object](b.admin("POST", "/v1/tenants/acme/keys", `{"name":"k","scopes":["read","manage"]}`).want(201))
	key, id := created["key"].(string), created["id"].(string)

	for range 5 {
		b.call(key, "GET", "/v1/tenants/acme", "").want(200)
	}
	require.Equal(t, 1, b.store.calls["APIKeyByHash"])
	a := b.call(key, "DELETE", "/v1/tenants/acme/keys/"+id, "").want(204)
	require.Empty(t, a.body)
	b.call(key, "GET", "/v1/tenants/acme", "").problem(401, webhook.CodeUnauthorized)
}

func TestAuth_DatabaseDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	key := b.key("acme", webhook.ScopeRead)
	b.store.breakWith(webhook.Errorf(webhook.CodeUnavailable, "the database does not answer"), "APIKeyByHash")
	a := b.call(key, "GET", "/v1/tenants/acme", "")
	a.problem(503, webhook.CodeUnavailable)
	require.Equal(t, "1", a.header.Get("Retry-After"))
}

func TestRoutes_NotFoundAndNotAllowed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{"/", "/v1", "/v1/tenants/", "/v2/tenants", "//v1/tenants", "/v1/tenants/acme/nothing"} {
		b.admin("GET", path, "").problem(404, webhook.CodeNotFound)
	}
	b.call("", http.MethodHead, "/healthz", "").want(200)
}

// Every path answers a method that it does not have with 405 and those that it has.
func TestRoutes_WrongMethod(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
	variable := regexp.MustCompile(`\{\w+\}`)
	walked := 0
	for _, shown := range b.server.Routes() {
		path := strings.NewReplacer("{", "", "}", "").Replace(shown.Path)
		var allowed []string
		for _, method := range all {
			for _, rt := range b.server.Routes() {
				serves := rt.Method == method || rt.Method == "GET" && method == "HEAD"
				if serves && regexp.MustCompile("^"+variable.ReplaceAllString(rt.Path, "[^/]+")+"$").MatchString(path) {
					allowed = append(allowed, method)
				}
			}
		}
		for _, method := range all {
			if slices.Contains(allowed, method) {
				continue
			}
			walked++
			a := b.call("", method, path, "")
			a.problem(405, webhook.CodeMethodNotAllowed)
			require.Equal(t, strings.Join(allowed, ", "), a.header.Get("Allow"), "%s %s", method, path)
		}
	}
	require.Greater(t, walked, 100)
	require.Equal(t, "DELETE is not possible here; possible are GET, HEAD, PATCH",
		b.call("", "DELETE", "/v1/tenants/acme", "").problem(405, webhook.CodeMethodNotAllowed).Detail)
	require.Equal(t, "GET, HEAD, PATCH", b.call("", "DELETE", "/v1/tenants/acme", "").header.Get("Allow"))
}

// An encoded slash is part of a name, and no name has one.
func TestRoutes_EncodedSlash(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("a", "standard")
	b.endpoint("a")
	for _, path := range []string{
		"/v1/tenants/a%2fendpoints", "/v1/tenants/a%2Fendpoints", "/v1%2ftenants", "/v1/tenants/a/events/x%2fhistory", "/v1/dialects/one%2F",
	} {
		b.admin("GET", path, "").problem(404, webhook.CodeNotFound)
	}
}

func TestRoutes_OddPaths(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	for _, path := range []string{
		"/v1/tenants/%ff", "/v1/tenants/%00", "/v1/tenants/acme/events/%00", "/v1/tenants/acme/events/%ff/history",
		"/v1/tenants/acme/events/" + strings.Repeat("x", 1000), "/v1/tenants/acme/events/..", "/v1/tenants/acme/endpoints/ep_zz",
		"/v1/tenants/acme/endpoints/dlv_00000000000000000000000000000000", "/v1/dialects/%ff",
	} {
		b.admin("GET", path, "").problem(404, webhook.CodeNotFound)
	}
}
