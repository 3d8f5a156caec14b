package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/client"
)

// fake is a server that answers as its steps say, one for each request; the last is for all that follow.
type fake struct {
	*httptest.Server
	mu    sync.Mutex
	got   []*http.Request
	bodys []string
}

func newFake(t *testing.T, steps ...http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		step := steps[min(len(f.got), len(steps)-1)]
		f.got, f.bodys = append(f.got, r), append(f.bodys, string(body))
		f.mu.Unlock()
		step(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) requests() []*http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.got
}

func (f *fake) client(t *testing.T, options ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New(f.URL, adminKey, options...)
	require.NoError(t, err)
	return c
}

func answers(status int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func says(body string) http.HandlerFunc { return answers(200, "application/json", body) }

func refuses(status int, code string, header ...string) http.HandlerFunc {
	return answers(status, "application/problem+json", `{"type":"urn:waybill:problem:`+code+`","title":"no","status":`+
		jsonNumber(status)+`,"detail":"a sentence","code":"`+code+`","request_id":"req_1","errors":[{"field":"url","detail":"is wrong"}]}`, header...)
}

func jsonNumber(n int) string { text, _ := json.Marshal(n); return string(text) }

// breaks ends the connection without an answer.
func breaks(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

const receipt = `{"id":"evt_1","deliveries":[]}`

func TestClient_RepeatsWithOneKey(t *testing.T) {
	t.Parallel()
	f := newFake(t, breaks, answers(502, "text/html", "<h1>"), refuses(503, "unavailable"), answers(202, "application/json", receipt))
	c := f.client(t)
	out, err := c.PublishEvent(t.Context(), "acme", client.EventCreate{Type: "a.b", Data: json.RawMessage(`{"html":"<&>"}`)})
	require.NoError(t, err)
	require.Equal(t, "evt_1", out.ID)
	require.Len(t, f.requests(), 4)
	keys := map[string]bool{}
	for i, r := range f.requests() {
		keys[r.Header.Get("Idempotency-Key")] = true
		require.JSONEq(t, `{"type":"a.b","data":{"html":"<&>"}}`, f.bodys[i])
		require.Contains(t, f.bodys[i], "<&>", "nothing is escaped for HTML")
		require.Equal(t, "Bearer "+adminKey, r.Header.Get("Authorization"))
		require.Equal(t, "waybill-go/1", r.Header.Get("User-Agent"))
	}
	require.Len(t, keys, 1)
	require.NotContains(t, keys, "")

	_, err = c.PublishEvent(t.Context(), "acme", client.EventCreate{Type: "a.b", Data: 1})
	require.NoError(t, err)
	require.NotContains(t, keys, f.requests()[4].Header.Get("Idempotency-Key"), "another call, another key")
	_, err = c.PublishEvent(t.Context(), "acme", client.EventCreate{Type: "a.b", Data: 1}, client.WithIdempotencyKey("mine"))
	require.NoError(t, err)
	require.Equal(t, "mine", f.requests()[5].Header.Get("Idempotency-Key"))
}

// What is made again, and what is not.
func TestClient_WhatIsRepeated(t *testing.T) {
	t.Parallel()
	id, ctx := new("order-1"), t.Context()
	gateway, unavailable, limited := answers(504, "text/html", "<h1>"), refuses(503, "unavailable"), refuses(429, "rate_limited")
	get := func(c *client.Client) error { _, err := c.GetTenant(ctx, "acme"); return err }
	patch := func(c *client.Client) error { _, err := c.UpdateTenant(ctx, "acme", client.TenantPatch{}); return err }
	patchIf := func(c *client.Client) error {
		_, err := c.UpdateTenant(ctx, "acme", client.TenantPatch{}, client.WithIfMatch(`"a"`))
		return err
	}
	retry := func(c *client.Client) error { _, err := c.RetryDelivery(ctx, "acme", "dlv_1", nil); return err }
	disable := func(c *client.Client) error { _, err := c.DisableEndpoint(ctx, "acme", "ep_1", nil); return err }
	batch := func(ids ...*string) func(c *client.Client) error {
		var events []client.EventCreate
		for _, id := range ids {
			events = append(events, client.EventCreate{ID: id, Type: "a.b", Data: 1})
		}
		return func(c *client.Client) error {
			_, err := c.PublishBatch(ctx, "acme", client.PublishBatchRequest{Events: events})
			return err
		}
	}
	for name, tc := range map[string]struct {
		call  func(*client.Client) error
		first http.HandlerFunc
		again bool
	}{
		"GET, connection lost":               {get, breaks, true},
		"GET, gateway":                       {get, gateway, true},
		"GET, rate":                          {get, limited, true},
		"GET, not found":                     {get, refuses(404, "not_found"), false},
		"GET, internal":                      {get, refuses(500, "internal"), false},
		"PATCH, connection lost":             {patch, breaks, true},
		"PATCH with If-Match, lost":          {patchIf, breaks, false},
		"PATCH with If-Match, unavailable":   {patchIf, unavailable, false},
		"POST without a key, lost":           {retry, breaks, false},
		"POST without a key, gateway":        {retry, gateway, false},
		"POST without a key, proxy's 503":    {retry, answers(503, "text/html", "<h1>"), false},
		"POST without a key, Waybill's 503":  {retry, unavailable, false},
		"POST without a key, rate":           {retry, limited, true},
		"POST that changes nothing more":     {disable, breaks, true},
		"batch with ids, lost":               {batch(id, id), breaks, true},
		"batch with ids, unavailable":        {batch(id, id), unavailable, true},
		"batch of which one has no id, lost": {batch(id, nil), breaks, false},
		"batch of which one has no id, 503":  {batch(id, nil), unavailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, tc.first, says(`{"results":[]}`))
			err := tc.call(f.client(t))
			if !tc.again {
				require.Error(t, err)
				require.Len(t, f.requests(), 1)
				return
			}
			require.NoError(t, err)
			require.Len(t, f.requests(), 2)
		})
	}
}

func TestClient_RepetitionIsBounded(t *testing.T) {
	t.Parallel()
	f := newFake(t, refuses(503, "unavailable"))
	_, err := f.client(t, client.WithRetries(2, time.Minute)).GetTenant(t.Context(), "acme")
	require.True(t, client.HasCode(err, client.ErrorCodeUnavailable), "%v", err)
	require.Len(t, f.requests(), 3)

	f = newFake(t, refuses(429, "backlog_full", "Retry-After", "3600"))
	_, err = f.client(t).GetTenant(t.Context(), "acme")
	require.True(t, client.HasCode(err, client.ErrorCodeBacklogFull), "%v", err)
	require.Len(t, f.requests(), 1, "an hour is longer than a call may take")
	var refused *client.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, time.Hour, refused.RetryAfter)

	for _, ages := range []string{"Fri, 31 Dec 9999 23:59:59 GMT", "99999999999999999999"} {
		f = newFake(t, refuses(503, "unavailable", "Retry-After", ages))
		_, err = f.client(t).GetTenant(t.Context(), "acme")
		require.ErrorAs(t, err, &refused)
		require.Equal(t, 24*time.Hour, refused.RetryAfter, ages)
		require.Len(t, f.requests(), 1)
	}

	begin := time.Now()
	f = newFake(t, refuses(429, "rate_limited", "Retry-After", "1"), says(`{}`))
	_, err = f.client(t).GetTenant(t.Context(), "acme")
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(begin), time.Second, "Retry-After is honored")
}

func TestClient_ContextEndsACall(t *testing.T) {
	t.Parallel()
	held := make(chan struct{})
	f := newFake(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-held:
		}
	})
	t.Cleanup(func() { close(held) })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := f.client(t).GetTenant(ctx, "acme")
	require.ErrorIs(t, err, context.Canceled)

	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = f.client(t).GetTenant(ctx, "acme")
	require.ErrorIs(t, err, context.DeadlineExceeded)

	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	f = newFake(t, refuses(429, "rate_limited", "Retry-After", "30"))
	begin := time.Now()
	_, err = f.client(t).GetTenant(ctx, "acme")
	require.True(t, client.HasCode(err, client.ErrorCodeRateLimited))
	require.Less(t, time.Since(begin), 10*time.Second, "it does not wait for what comes too late")
}

func TestClient_Errors(t *testing.T) {
	t.Parallel()
	f := newFake(t, refuses(422, "invalid"))
	_, err := f.client(t).GetTenant(t.Context(), "acme")
	var refused *client.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, &client.Error{
		Code: client.ErrorCodeInvalid, Status: 422, Detail: "a sentence", RequestID: "req_1", Fields: []client.FieldError{{Field: "url", Detail: "is wrong"}},
	}, refused)
	require.EqualError(t, err, "client: GET /v1/tenants/{tenant}: a sentence (invalid, 422, request req_1)")
	require.False(t, client.HasCode(err, client.ErrorCodeNotFound))
	require.False(t, client.HasCode(errors.New("x"), client.ErrorCodeInvalid))

	f = newFake(t, answers(403, "text/html", "<h1>Blocked</h1>"))
	_, err = f.client(t).GetTenant(t.Context(), "acme")
	require.ErrorAs(t, err, &refused)
	require.Empty(t, refused.Code)
	require.ErrorContains(t, err, "the server answered 403 Forbidden, and not as Waybill does")

	for _, body := range []string{"<h1>Welcome</h1>", "", "null\n", `{"id":`} {
		f = newFake(t, answers(200, "text/html", body))
		_, err = f.client(t).GetTenant(t.Context(), "acme")
		require.ErrorContains(t, err, "the answer is not what Waybill answers", body)
		_, err = f.client(t).CountRecovery(t.Context(), "acme", client.RecoveryCreate{})
		require.ErrorContains(t, err, "the answer is not what Waybill answers", body)
	}
	f = newFake(t, answers(204, "", ""))
	require.NoError(t, f.client(t).DeleteEndpoint(t.Context(), "acme", "ep_1"), "which answers nothing")

	_, err = f.client(t).PublishEvent(t.Context(), "acme", client.EventCreate{}, client.WithIdempotencyKey("hush\nhush"))
	require.ErrorContains(t, err, "Idempotency-Key has a line break")
	require.NotContains(t, err.Error(), "hush")
	require.Len(t, f.requests(), 1, "no header can be so, however often one tries")
}

// A redirect would carry the key to whom it names.
func TestClient_FollowsNoRedirect(t *testing.T) {
	t.Parallel()
	other := newFake(t, says(`{}`))
	for _, status := range []int{301, 302, 303, 307, 308} {
		f := newFake(t, answers(status, "text/html", "", "Location", other.URL+"/v1/tenants/acme"))
		follows := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
		_, err := f.client(t, client.WithHTTPClient(follows)).GetTenant(t.Context(), "acme")
		require.ErrorContains(t, err, "which is not followed")
		require.Len(t, f.requests(), 1)
	}
	require.Empty(t, other.requests())
}

func TestClient_BoundsAnAnswer(t *testing.T) {
	t.Parallel()
	text := func(n int) http.HandlerFunc { return says(`"` + strings.Repeat("a", n-2) + `"`) }
	f := newFake(t, text(client.MaxAnswerBytes), text(client.MaxAnswerBytes+1))
	_, err := f.client(t).GetOpenAPIJSON(t.Context())
	require.NoError(t, err)
	_, err = f.client(t).GetOpenAPIJSON(t.Context())
	require.ErrorContains(t, err, "larger than 16 MiB")
	require.Len(t, f.requests(), 2, "it would be as large again")
}

func TestClient_Paths(t *testing.T) {
	t.Parallel()
	f := newFake(t, says(`{}`))
	c := f.client(t)
	since := time.Date(2026, 5, 27, 14, 32, 0, 5000, time.UTC)
	_, err := c.GetEvent(t.Context(), "acme", "a/b?c%d#e ü")
	require.NoError(t, err)
	_, err = c.ListEvents(t.Context(), "acme", &client.ListEventsParams{
		Test: new(false), Since: &since, Limit: new(7), Attributes: map[string]string{"auction_id": "x&y"}, Metadata: map[string]string{"plan": "gold"},
	})
	require.NoError(t, err)
	require.Equal(t, "/v1/tenants/acme/events/a%2Fb%3Fc%25d%23e%20%C3%BC", f.requests()[0].RequestURI)
	require.Equal(t, "/v1/tenants/acme/events?attribute.auction_id=x%26y&limit=7&metadata.plan=gold&since=2026-05-27T14%3A32%3A00.000005Z&test=false",
		f.requests()[1].RequestURI)
	for _, id := range []string{"", ".", ".."} {
		require.ErrorContains(t, c.DeleteEndpoint(t.Context(), "acme", id), "is no id of endpoint")
	}
	require.Len(t, f.requests(), 2)
}

func TestClient_Pages(t *testing.T) {
	t.Parallel()
	f := newFake(t,
		says(`{"data":[{"id":"a"},{"id":"b"}],"next_cursor":"2"}`), says(`{"data":[],"next_cursor":"3"}`), says(`{"data":[{"id":"c"}]}`),
	)
	var got []string
	params := &client.ListTenantsParams{Limit: new(2)}
	for tenant, err := range f.client(t).Tenants(t.Context(), params) {
		require.NoError(t, err)
		got = append(got, tenant.ID)
	}
	require.Equal(t, []string{"a", "b", "c"}, got, "a page may be empty and not the last")
	require.Nil(t, params.Cursor, "the caller's parameters stay as they are")
	require.Equal(t, "/v1/tenants?cursor=3&limit=2", f.requests()[2].RequestURI)

	f = newFake(t, says(`{"data":[{"id":"a"}],"next_cursor":"2"}`), refuses(404, "not_found"))
	var last error
	for _, err := range f.client(t).Tenants(t.Context(), nil) {
		last = err
	}
	require.True(t, client.HasCode(last, client.ErrorCodeNotFound))

	f = newFake(t, says(`{"data":[{"id":"a"}],"next_cursor":"2"}`))
	n := 0
	for _, err := range f.client(t).Tenants(t.Context(), nil) {
		last, n = err, n+1
	}
	require.ErrorContains(t, last, "the same cursor twice")
	require.Equal(t, 2, n)
	for _, err := range f.client(t).Tenants(t.Context(), nil) {
		require.NoError(t, err)
		break
	}
	require.Len(t, f.requests(), 3, "nobody asked for more")

	var circle []http.HandlerFunc
	for range 20 {
		circle = append(circle, says(`{"data":[],"next_cursor":"2"}`), says(`{"data":[],"next_cursor":"3"}`), says(`{"data":[],"next_cursor":"4"}`))
	}
	f = newFake(t, append(circle, says(`{"data":[]}`))...)
	for _, err := range f.client(t).Tenants(t.Context(), nil) {
		last = err
	}
	require.ErrorContains(t, last, "the same cursor twice")
	require.Less(t, len(f.requests()), 10, "cursors in a circle")
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "waybill.example", "ftp://waybill.example", "https://", "https://user:pass@waybill.example", "https://waybill.example?x=1", "https://waybill.example/#x", "http://a b"} {
		_, err := client.New(address, adminKey)
		require.Error(t, err, address)
		require.NotContains(t, err.Error(), "pass@")
	}
	for _, key := range []string{"two words", "a\nb", "schlüssel", " padded"} {
		_, err := client.New("https://waybill.example", key)
		require.Error(t, err)
		require.NotContains(t, err.Error(), key)
	}
	f := newFake(t, says(`{"status":"ok"}`))
	c, err := client.New(f.URL+"/below/", "", client.WithUserAgent("shop/2"))
	require.NoError(t, err)
	_, err = c.GetHealth(t.Context())
	require.NoError(t, err)
	require.Equal(t, "/below/healthz", f.requests()[0].RequestURI)
	require.NotContains(t, f.requests()[0].Header, "Authorization")
	require.Equal(t, "shop/2 waybill-go/1", f.requests()[0].Header.Get("User-Agent"))
}

// Calls of the real API that the examples do not make.
func TestClient_RealAPI(t *testing.T) {
	t.Parallel()
	ctx, c, tenant := t.Context(), dial(), withEvents(1)
	for event, err := range c.Events(ctx, tenant, nil) {
		require.NoError(t, err)
		whole, err := c.GetEvent(ctx, tenant, event.ID)
		require.NoError(t, err)
		require.JSONEq(t, "1", string(whole.Data))
	}
	endpoints, err := c.ListEndpoints(ctx, tenant, nil)
	require.NoError(t, err)
	id := endpoints.Data[0].ID
	disabled, err := c.DisableEndpoint(ctx, tenant, id, &client.Reason{Reason: new("they asked")})
	require.NoError(t, err)
	require.Equal(t, "they asked", disabled.Disabled.Reason)
	enabled, err := c.EnableEndpoint(ctx, tenant, id, nil)
	require.NoError(t, err)
	require.Equal(t, client.EndpointStatusEnabled, enabled.Status)
	count, err := c.CountRecovery(ctx, tenant, client.RecoveryCreate{EndpointID: id})
	require.NoError(t, err)
	require.Zero(t, count.Matched)
	run, err := c.CreateRecovery(ctx, tenant, client.RecoveryCreate{EndpointID: id})
	require.NoError(t, err)
	require.Equal(t, id, run.EndpointID)
	require.NoError(t, c.DeleteEndpoint(ctx, tenant, id))
	_, err = c.GetEndpoint(ctx, tenant, id)
	require.True(t, client.HasCode(err, client.ErrorCodeNotFound))
	dialect, err := c.GetDialect(ctx, client.DialectRheo)
	require.NoError(t, err)
	require.Equal(t, client.DialectRheo, dialect.Name)
}
