package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/schemas"
	"waybill/webhook"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	const path = "/v1/tenants/acme/keys"
	created := into[object](b.admin("POST", path, `{"name":"n","scopes":["read","publish","read"]}`).want(201))
	require.Regexp(t, `^wbk_[A-Za-z0-9_-]{43}$`, created["key"])
	require.Equal(t, []any{"publish", "read"}, created["scopes"])
	for hash := range b.store.keys {
		require.Len(t, hash, 32, "only the hash is stored")
	}
	b.call(created["key"].(string), "GET", "/v1/tenants/acme", "").want(200)

	listed := b.admin("GET", path, "").want(200)
	require.NotContains(t, string(listed.body), "wbk_")
	require.Len(t, into[struct{ Data []object }](listed).Data, 1)

	for body, field := range map[string]string{
		`{"scopes":["read"]}`: "name", `{"name":"n"}`: "scopes", `{"name":"n","scopes":[]}`: "scopes",
		`{"name":"n","scopes":["read","root"]}`: "scopes[1]", `{"name":"n","scopes":["read"],"id":"x"}`: "id",
	} {
		p := b.admin("POST", path, body).problem(422, webhook.CodeInvalid)
		require.Equal(t, field, p.Errors[0].Field, body)
	}
	b.admin("DELETE", path+"/key_00000000000000000000000000000000", "").problem(404, webhook.CodeNotFound)
	b.admin("DELETE", path+"/nonsense", "").problem(404, webhook.CodeNotFound)
}

func TestDialects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	got := into[struct{ Data []object }](b.call(b.key("acme", webhook.ScopePublish), "GET", "/v1/dialects", "").want(200)).Data
	var names []any
	for _, d := range got {
		names = append(names, d["name"])
	}
	require.Equal(t, []any{"asymmetric", "auction", "choice", "one", "shared", "standard"}, names)
	require.Equal(t, []any{}, got[5]["event_types"])
	require.Equal(t, object{"salePrice": 0.0}, got[3]["event_types"].([]any)[0].(object)["example"].(object)["data"])
	require.Equal(t, "10s", got[3]["timeout"])

	require.Equal(t, got[3], into[object](b.admin("GET", "/v1/dialects/one", "").want(200)))
	b.admin("GET", "/v1/dialects/two", "").problem(404, webhook.CodeNotFound)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.call("", "GET", "/readyz", "").want(200)
	require.JSONEq(t, `{"status":"ok","database":"up","temporal":"up"}`, string(a.body))

	b.engine.ready = func() error { return errors.New("hush-hush") }
	a = b.call("", "GET", "/readyz", "").want(200)
	require.JSONEq(t, `{"status":"ok","database":"up","temporal":"down"}`, string(a.body), "events are accepted all the same")

	b.store.breakWith(errors.New("hush-hush"))
	a = b.call("", "GET", "/readyz", "")
	p := a.problem(503, webhook.CodeUnavailable)
	require.Equal(t, "the database does not answer", p.Detail)
	require.Equal(t, "1", a.header.Get("Retry-After"))
	b.call("", "GET", "/healthz", "").want(200)
}

func TestServesSpecAndMetrics(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, string(schemas.OpenAPI), string(b.call("", "GET", "/openapi.yaml", "").want(200).body))
	fromJSON, err := openapi3.NewLoader().LoadFromData(b.call("", "GET", "/openapi.json", "").want(200).body)
	require.NoError(t, err)
	fromYAML, err := openapi3.NewLoader().LoadFromData(schemas.OpenAPI)
	require.NoError(t, err)
	want, err := json.Marshal(fromYAML)
	require.NoError(t, err)
	got, err := json.Marshal(fromJSON)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got), "one document in two notations")
	require.Equal(t, "up 1\n", string(b.admin("GET", "/metrics", "").want(200).body))
	b.call("", "GET", "/metrics", "").problem(401, webhook.CodeUnauthorized)

	bare := setup(t, func(o *api.Options) { o.Metrics = nil })
	a := httptest.NewRecorder()
	bare.server.ServeHTTP(a, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 404, a.Code)
}

// A process without the API is watched over all the same, and has nothing else to offer.
func TestOperation(t *testing.T) {
	t.Parallel()
	store, engine := newMemStore(nil), &fakeEngine{}
	s := api.NewOperation(api.Options{
		Store: store, Engine: engine, Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("up 1\n")) }),
	})
	t.Cleanup(s.Close)
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w
	}
	require.JSONEq(t, `{"status":"ok"}`, get("/healthz").Body.String())
	require.Equal(t, "up 1\n", get("/metrics").Body.String())
	engine.ready = func() error { return errors.New("down") }
	require.JSONEq(t, `{"status":"ok","database":"up","temporal":"down"}`, get("/readyz").Body.String())
	store.breakWith(errors.New("down"))
	require.Equal(t, 503, get("/readyz").Code)
	for _, path := range []string{"/v1/tenants", "/v1/dialects", "/openapi.yaml"} {
		require.Equal(t, 404, get(path).Code)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for given, kept := range map[string]bool{
		"abc-123": true, "a.b_c:d/e+f=": true, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "a b": false, "é": false, "a\"b": false,
	} {
		got := b.call("", "GET", "/healthz", "", "X-Request-Id", given).want(200).header.Get("X-Request-Id")
		if kept {
			require.Equal(t, given, got)
		} else {
			require.Regexp(t, `^req_[0-9a-f]{32}$`, got)
		}
	}
}

func TestPanics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	b := setup(t, func(o *api.Options) {
		o.Registerer = reg
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("half"))
			panic("late")
		})
	})
	b.tenant("acme", "standard")
	b.engine.ready = func() error { panic("hush-hush") }
	a := b.call("", "GET", "/readyz", "")
	a.problem(500, webhook.CodeInternal)
	require.NotContains(t, string(a.body), "hush-hush")
	require.Contains(t, b.log.String(), "panic: hush-hush")
	require.Contains(t, b.log.String(), "health.go", "with the stack")

	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Authorization", "Bearer "+adminKey)
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		b.server.ServeHTTP(w, r)
	}, "half an answer is cut off")
	require.Contains(t, b.log.String(), "panic: late")
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	b := setup(t, func(o *api.Options) { o.Registerer = reg })
	b.tenant("acme", "standard")
	for i := range 3 {
		b.admin("GET", fmt.Sprintf("/v1/tenants/acme/events/e%d", i), "").problem(404, webhook.CodeNotFound)
	}
	b.call("", "BREW", "/coffee", "").want(404)
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP waybill_api_problems_total Problem documents answered, those within a batch included, by code.
# TYPE waybill_api_problems_total counter
waybill_api_problems_total{code="backlog_full"} 0
waybill_api_problems_total{code="conflict"} 0
waybill_api_problems_total{code="event_id_conflict"} 0
waybill_api_problems_total{code="idempotency_conflict"} 0
waybill_api_problems_total{code="forbidden"} 0
waybill_api_problems_total{code="internal"} 0
waybill_api_problems_total{code="invalid"} 0
waybill_api_problems_total{code="malformed"} 0
waybill_api_problems_total{code="method_not_allowed"} 0
waybill_api_problems_total{code="not_found"} 4
waybill_api_problems_total{code="overloaded"} 0
waybill_api_problems_total{code="payload_too_large"} 0
waybill_api_problems_total{code="precondition_failed"} 0
waybill_api_problems_total{code="rate_limited"} 0
waybill_api_problems_total{code="recipient_limit"} 0
waybill_api_problems_total{code="schema_violation"} 0
waybill_api_problems_total{code="unauthorized"} 0
waybill_api_problems_total{code="unavailable"} 0
waybill_api_problems_total{code="unknown_event_type"} 0
waybill_api_problems_total{code="unsupported_media"} 0
`), "waybill_api_problems_total"))

	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text := w.Body.String()
	require.Contains(t, text, `waybill_api_requests_total{kind="read",status="4xx"} 3`)
	require.Contains(t, text, `waybill_api_requests_total{kind="unmatched",status="4xx"} 1`)
	require.Contains(t, text, `waybill_api_requests_total{kind="write",status="2xx"} 1`)
	require.Contains(t, text, `waybill_api_requests_total{kind="publish",status="5xx"} 0`, "zero is visible")
	require.NotContains(t, text, "acme", "kinds, not paths")
	require.Less(t, strings.Count(text, "\n"), 200, "what somebody looks at, not a histogram for each route")
	lint, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, lint)
}

func TestCallerGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequest("GET", "/v1/tenants/acme", nil).WithContext(ctx)
	r.Header.Set("Authorization", "Bearer "+adminKey)
	b.server.ServeHTTP(httptest.NewRecorder(), r)
	require.NotContains(t, b.log.String(), "level=ERROR")
	require.NotContains(t, b.log.String(), "level=WARN")
}

func TestSlowPart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.store.breakWith(fmt.Errorf("query: %w", context.DeadlineExceeded))
	b.admin("GET", "/v1/tenants", "").problem(503, webhook.CodeUnavailable)
}
