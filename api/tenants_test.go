package api_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/webhook"
)

func TestTenants_Create(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.admin("POST", "/v1/tenants", `{"id":"acme","name":"Acme","dialect":"standard","contact_email":"ops@acme.example","retry":{"policy":"table-5"}}`).want(201)
	require.JSONEq(t, `{"id":"acme","name":"Acme","dialect":"standard","contact_email":"ops@acme.example","allow_unknown_types":false,"express":false,
		"retry":{"policy":"table-5"},"limits":{"endpoints":500,"keys":100},"created_at":"2026-05-27T14:32:00.123456Z"}`, string(a.body))
	require.Equal(t, "/v1/tenants/acme", a.header.Get("Location"))
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))

	b.admin("POST", "/v1/tenants", `{"id":"acme","name":"Again","dialect":"standard"}`).problem(409, webhook.CodeConflict)
	p := b.admin("POST", "/v1/tenants", `{"id":"A B","name":"","dialect":"","contact_email":"x"}`).problem(422, webhook.CodeInvalid)
	require.Equal(t, []string{"id", "name", "dialect", "contact_email"}, p.fields())
}

func TestTenants_Secret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	created := into[object](b.admin("POST", "/v1/tenants", `{"id":"vine","name":"V","dialect":"shared"}`).want(201))
	require.Regexp(t, `^whsec_[A-Za-z0-9+/]{43}=$`, created["secret"])
	require.NotContains(t, string(b.admin("GET", "/v1/tenants/vine", "").want(200).body), "whsec_")

	revealed := into[object](b.admin("GET", "/v1/tenants/vine/secret", "").want(200))
	require.Equal(t, created["secret"], revealed["secret"])

	endpoint := into[object](b.admin("POST", "/v1/tenants/vine/endpoints", `{"url":"https://r.example","event_types":["product.created"]}`).want(201))
	require.NotContains(t, endpoint, "secret")
	p := b.admin("GET", "/v1/tenants/vine/endpoints/"+endpoint["id"].(string)+"/secret", "").problem(404, webhook.CodeNotFound)
	require.Contains(t, p.Detail, "/v1/tenants/vine/secret")

	b.tenant("acme", "standard")
	b.admin("GET", "/v1/tenants/acme/secret", "").problem(404, webhook.CodeNotFound)
}

func TestTenants_Update(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "one")
	const unknown = `{"type":"no.such","data":{"salePrice":1}}`
	b.admin("POST", "/v1/tenants/acme/events", unknown).problem(422, webhook.CodeUnknownEventType)

	a := b.admin("PATCH", "/v1/tenants/acme", `{"contact_email":"a@b.example","allow_unknown_types":true,"express":true,"retry":{"schedule":["1s"]}}`).want(200)
	require.Equal(t, "a@b.example", into[object](a)["contact_email"])
	b.admin("POST", "/v1/tenants/acme/events", unknown).want(202) // the cached tenant was dropped

	a = b.admin("PATCH", "/v1/tenants/acme", `{"contact_email":null,"allow_unknown_types":null,"express":null,"retry":null}`).want(200)
	require.NotContains(t, into[object](a), "contact_email")
	require.NotContains(t, into[object](a), "retry")
	b.admin("POST", "/v1/tenants/acme/events", unknown).problem(422, webhook.CodeUnknownEventType)

	b.admin("PATCH", "/v1/tenants/acme", `{}`).want(200)
	require.Equal(t, "N", b.store.tenants["acme"].Name)
	for _, body := range []string{`{"name":null}`, `{"name":""}`, `{"dialect":"standard"}`, `{"id":"x"}`, `{"retry":{"policy":"x"}}`} {
		b.admin("PATCH", "/v1/tenants/acme", body).problem(422, webhook.CodeInvalid)
	}
}

func TestTenants_DialectNotLoaded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.tenants["old"] = webhook.Tenant{ID: "old", Dialect: "gone"}
	b.admin("GET", "/v1/tenants/old", "").problem(500, webhook.CodeInternal)
	require.Contains(t, b.log.String(), "which is not loaded")
}

func TestLists_Pages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 7 {
		b.tenant(fmt.Sprintf("t%d", i), "standard")
	}
	type page struct {
		Data       []struct{ ID string }
		NextCursor string `json:"next_cursor"`
	}
	var seen []string
	path := "/v1/tenants?limit=3"
	for path != "" {
		p := into[page](b.admin("GET", path, "").want(200))
		require.LessOrEqual(t, len(p.Data), 3)
		for _, item := range p.Data {
			seen = append(seen, item.ID)
		}
		if path = ""; p.NextCursor != "" {
			path = "/v1/tenants?limit=3&cursor=" + p.NextCursor
		}
	}
	require.Equal(t, []string{"t0", "t1", "t2", "t3", "t4", "t5", "t6"}, seen)
	exact := into[object](b.admin("GET", "/v1/tenants?limit=7", "").want(200))
	require.NotContains(t, exact, "next_cursor", "nothing follows")
}

func TestLists_BadQueries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=201": "limit", "limit=x": "limit", "limit=1&limit=2": "limit", "cursor=!": "cursor",
		"cursor=dDE": "cursor", "color=red": "color", "status=done": "status", "endpoint=x": "endpoint",
		"since=now": "since", "until=2026-05-27": "until", "event_type=%00": "event_type", "event_type=%ff": "event_type", "event_type=order.*": "event_type",
		"a=%zz": "query", "a;b": "query", "since=": "since", "status=": "status", "status=held,": "status", "status=held,,held": "status", "endpoint": "endpoint",
		"status_code=99": "status_code", "status_code=0": "status_code", "status_code=nothing": "status_code", "error_class=bad": "error_class",
		"test=1": "test", "attribute.region=nz": "attribute.region", "limit=": "limit",
		"since=2026-05-27T14:32:01Z&until=2026-05-27T14:32:00Z": "until",
		"since=2026-05-27T14:32:60Z":                            "since", "until=2026-05-27+14:32:00Z": "until",
	} {
		t.Run(query, func(t *testing.T) {
			p := b.admin("GET", "/v1/tenants/acme/deliveries?"+query, "").problem(422, webhook.CodeInvalid)
			require.Contains(t, p.fields(), field)
		})
	}
	require.Empty(t, b.store.filters, "the store was not asked")
}

// Who misspells is told what there is.
func TestLists_BadQueriesSayWhatIsKnown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	for path, detail := range map[string]string{
		"/v1/tenants?page=2": "query: page is not a known parameter; known are dialect, q, metadata.NAME, limit, cursor",
		"/v1/tenants/acme/deliveries?type=e": "query: type is not a known parameter; known are event, endpoint, status, event_type, status_code, error_class, test, since, " +
			"until, limit, cursor",
		"/v1/tenants/acme/deliveries?status=done": "query: status is one or several, separated by commas, of pending, retrying, held, delivered, exhausted, canceled",
		"/v1/tenants/acme/events?type=order.*":    `query: type is a dot-separated name such as "order.confirmed", not a pattern`,
		"/v1/tenants/acme/events?region=nz":       "query: region is not a known parameter; known are type, test, since, until, attribute.NAME, metadata.NAME, limit, cursor",
	} {
		require.Equal(t, detail, b.admin("GET", path, "").problem(422, webhook.CodeInvalid).Detail)
	}
}

// A + that was not escaped is a space to everybody who reads a query: the answer tells what to write.
func TestLists_Moments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	p := b.admin("GET", "/v1/tenants/acme/deliveries?since=2026-05-27T14:32:00+02:00", "").problem(422, webhook.CodeInvalid)
	require.Equal(t, "since", p.Errors[0].Field)
	require.Contains(t, p.Errors[0].Detail, "write the + of an offset as %2B")
	p = b.admin("GET", "/v1/tenants/acme/deliveries?since=yesterday+noon", "").problem(422, webhook.CodeInvalid)
	require.NotContains(t, p.Detail, "%2B")

	b.lenient = true // the validator's date-time knows no lower case
	b.admin("GET", "/v1/tenants/acme/deliveries?since=2016-12-31T23:59:60z&until=2026-05-27t14:32:00%2B02:00", "").want(200)
	require.Equal(t, "2017-01-01T00:00:00Z", b.store.filters[0].Since.UTC().Format(time.RFC3339))
	require.Equal(t, "2026-05-27T12:32:00Z", b.store.filters[0].Until.UTC().Format(time.RFC3339))

	b.admin("POST", "/v1/tenants/acme/events", `{"type":"a.b","data":1,"id":"e1","occurred_at":"2016-12-31t23:59:60z"}`).want(202)
	require.Equal(t, "2017-01-01T00:00:00Z", b.store.published("acme", "e1").Event.OccurredAt.Format(time.RFC3339))
}

// storePath fills a route's path so that its handler asks the store: only a tenant that shares one secret has its own.
func storePath(rt api.Route, values map[string]string) string {
	if rt.Path == "/v1/tenants/{tenant}/secret" {
		return "/v1/tenants/vine/secret"
	}
	return fill(rt.Path, values)
}

func TestErrors_InternalTextStaysInTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	values := b.world()
	b.tenant("vine", "shared")
	b.store.breakWith(fmt.Errorf("pq: password of waybill@10.1.2.3: %w", errors.New("hush-hush")))
	b.engine.retry = func() error { return errors.New("hush-hush") }
	for _, rt := range b.server.Routes() {
		if strings.HasPrefix(rt.Path, "/v1/tenants") {
			a := b.admin(rt.Method, storePath(rt, values), bodyFor(rt, values), "X-Request-Id", "from-the-test")
			if strings.HasSuffix(rt.Path, "/batch") {
				require.Contains(t, string(a.body), `"status":500`)
			} else {
				p := a.problem(500, webhook.CodeInternal)
				require.Equal(t, "from-the-test", p.RequestID)
			}
			require.NotContains(t, string(a.body), "hush-hush")
			require.NotContains(t, string(a.body), "10.1.2.3")
		}
	}
	require.Contains(t, b.log.String(), `level=ERROR msg="request failed" request_id=from-the-test`)
	require.Contains(t, b.log.String(), "hush-hush")
}

func TestErrors_Unavailable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	values := b.world()
	b.tenant("vine", "shared")
	b.store.breakWith(webhook.Errorf(webhook.CodeUnavailable, "the database does not answer").WithCause(errors.New("hush-hush")))
	for _, rt := range b.server.Routes() {
		if strings.HasPrefix(rt.Path, "/v1/tenants") && !strings.HasSuffix(rt.Path, "/batch") {
			a := b.admin(rt.Method, storePath(rt, values), bodyFor(rt, values))
			p := a.problem(503, webhook.CodeUnavailable)
			require.Equal(t, "the database does not answer", p.Detail)
			require.Equal(t, "1", a.header.Get("Retry-After"))
		}
	}
}
