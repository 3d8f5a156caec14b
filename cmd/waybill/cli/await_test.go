package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// steps answers the nth request to a path, "METHOD /path", with the nth of its answers, the last from then on. "" ends the connection.
type steps map[string][]string

func (s steps) serve(t *testing.T) (url string) {
	counts := map[string]*atomic.Int64{}
	for path := range s {
		counts[path] = &atomic.Int64{}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.Method + " " + r.URL.Path
		all, ok := s[path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		answer := all[min(int(counts[path].Add(1)), len(all))-1]
		switch {
		case answer == "":
			panic(http.ErrAbortHandler)
		case strings.HasPrefix(answer, "problem "):
			var status int
			var code string
			_, _ = fmt.Sscanf(answer, "problem %d %s", &status, &code)
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"type":"about:blank","title":"t","status":%d,"detail":"no","code":%q,"request_id":"r1"}`, status, code)
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(answer))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (s steps) person(t *testing.T) *person {
	url := s.serve(t)
	return newPerson(t, "WAYBILL_URL="+url, "WAYBILL_KEY=k")
}

// A wait tells first what it waits for, and survives that Waybill is away for a while.
func TestAwait(t *testing.T) {
	t.Parallel()
	delivery := func(status string) string {
		return `{"data":[{"id":"dlv_1","status":"` + status + `","event_id":"evt_1","event_type":"x.y","endpoint_id":"ep_1","attempts":1,"test":false,
			"created_at":"2026-05-27T14:32:00Z","updated_at":"2026-05-27T14:32:00Z"}]}`
	}
	away := []string{"problem 503 unavailable", "problem 503 unavailable", "problem 503 unavailable", "problem 503 unavailable", "problem 503 unavailable"}
	p := steps{
		"POST /v1/tenants/a/events":                 {`{"id":"evt_1","deliveries":[{"id":"dlv_1","endpoint_id":"ep_1"}]}`},
		"GET /v1/tenants/a/events/evt_1/deliveries": append(append([]string{delivery("pending")}, away...), delivery("retrying"), delivery("delivered")),
		"DELETE /v1/tenants/a":                      {`{"tenant":"a","status":"running","rows":0,"started_at":"2026-05-27T14:32:00Z"}`},
		"GET /v1/erasures/a":                        {`{"tenant":"a","status":"running","rows":7,"started_at":"2026-05-27T14:32:00Z"}`, "", `{"tenant":"a","status":"completed","rows":9,"started_at":"2026-05-27T14:32:00Z","finished_at":"2026-05-27T14:34:00Z"}`},
		"POST /v1/tenants/a/recoveries":             {recoveryThat("running")},
		"GET /v1/tenants/a/recoveries/rec_1":        {recoveryThat("running"), recoveryThat("completed")},
		"POST /v1/tenants/b/events":                 {`{"id":"evt_2","deliveries":[]}`},
		"GET /v1/tenants/b/events/evt_2/deliveries": {"problem 404 not_found"},
		"POST /v1/tenants/a/endpoints/ep_1/test":    {`{"id":"evt_3","deliveries":[{"id":"dlv_3","endpoint_id":"ep_1"}]}`},
		"GET /v1/tenants/a/events/evt_3/deliveries": {delivery("exhausted")},
	}.person(t)
	r := p.run(t, "", "publish", "--tenant", "a", "--type", "x.y", "--data", "1", "--wait")
	require.Zero(t, r.code, r.messages)
	require.Contains(t, r.messages, "evt_1 is published, with 1 delivery.")
	require.Contains(t, r.messages, "Waybill cannot be reached, trying again: ")
	require.Contains(t, r.out, "delivered")

	r = p.run(t, "", "tenants", "delete", "a", "--yes", "--wait", "-o", "json")
	require.Zero(t, r.code, r.messages)
	require.Contains(t, r.messages, "in two minutes or later")
	require.Contains(t, r.out, `"rows": 9`)

	r = p.run(t, "", "recoveries", "create", "--tenant", "a", "--endpoint", "ep_1", "--wait")
	require.Zero(t, r.code, r.messages)
	require.Contains(t, r.messages, "rec_1 runs.")
	require.Contains(t, r.out, "completed")

	r = p.run(t, "", "publish", "--tenant", "b", "--type", "x.y", "--data", "1", "--wait")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.messages, "evt_2 is published", "a person knows what to look for")

	r = p.run(t, "", "endpoints", "test", "ep_1", "--tenant", "a", "--wait")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.messages, "evt_3 is sent.")
	require.Contains(t, r.messages, "1 delivery is not delivered")
}

func recoveryThat(status string) string {
	return `{"id":"rec_1","status":"` + status + `","endpoint_id":"ep_1","matched":1,"sent":1,"delivered":1,"failed":0,"missed":false,"statuses":["exhausted"],
		"since":"2026-05-27T14:32:00Z","until":"2026-05-27T14:33:00Z","created_at":"2026-05-27T14:33:00Z"}`
}

// Where nobody knows whether an event was published, the message says how to find out without publishing twice.
func TestPublish_Unknown(t *testing.T) {
	t.Parallel()
	p := steps{
		"POST /v1/tenants/lost/events":    {""},
		"POST /v1/tenants/broken/events":  {"problem 500 internal"},
		"POST /v1/tenants/refused/events": {"problem 422 invalid"},
	}.person(t)
	for _, tenant := range []string{"lost", "broken"} {
		r := p.run(t, "", "publish", "--tenant", tenant, "--type", "x.y", "--data", "1")
		require.Equal(t, 1, r.code)
		require.Regexp(t, `The same call with --idempotency-key [A-Z2-7]{26} publishes it if it is not`, r.messages)
		r = p.run(t, "", "publish", "--tenant", tenant, "--type", "x.y", "--data", "1", "--idempotency-key", "mine")
		require.Contains(t, r.messages, "--idempotency-key mine ")
	}
	r := p.run(t, "", "publish", "--tenant", "refused", "--type", "x.y", "--data", "1")
	require.NotContains(t, r.messages, "idempotency-key")
}

// An error of the network is a sentence, without the text that Go has for it.
func TestExplain_Unreached(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	address := strings.TrimPrefix(closed.URL, "http://")
	r := newPerson(t, "WAYBILL_URL="+closed.URL, "WAYBILL_KEY=hush").run(t, "", "tail", "--tenant", "a")
	require.Equal(t, 1, r.code)
	require.Equal(t, "nothing listens at "+address+": is Waybill running, and is the address right?", r.messages)

	url := steps{"GET /v1/tenants/a": {""}}.serve(t)
	r = newPerson(t, "WAYBILL_URL="+url, "WAYBILL_KEY=hush").run(t, "", "tenants", "get", "a")
	require.Equal(t, strings.TrimPrefix(url, "http://")+" ended the connection without an answer", r.messages)

	tls := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(tls.Close)
	r = newPerson(t, "WAYBILL_URL="+tls.URL, "WAYBILL_KEY=hush").run(t, "", "tenants", "get", "a")
	require.Contains(t, r.messages, " cannot be reached: tls: failed to verify certificate")
	require.NotContains(t, r.messages, "Get ")
}
