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
	b := setup(t, func(o *api.Options) { o.AdminKeys = nil })
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
	require.Equal(t, 1, b.store.called("APIKeyByHash"))
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
	require.Equal(t, "PUT is not possible here; possible are GET, HEAD, PATCH, DELETE",
		b.call("", "PUT", "/v1/tenants/acme", "").problem(405, webhook.CodeMethodNotAllowed).Detail)
	require.Equal(t, "GET, HEAD, PATCH, DELETE", b.call("", "PUT", "/v1/tenants/acme", "").header.Get("Allow"))
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
