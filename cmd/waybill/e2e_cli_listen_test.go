package main_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// workshop is a receiver on the developer's machine, without TLS.
type workshop struct {
	*httptest.Server
	mu       sync.Mutex
	arrivals []arrival
	answer   func(n int, w http.ResponseWriter)
}

func newWorkshop(t *testing.T, answer func(n int, w http.ResponseWriter)) *workshop {
	t.Helper()
	w := &workshop{answer: answer}
	w.Server = httptest.NewServer(w)
	t.Cleanup(w.Close)
	return w
}

func (w *workshop) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	w.arrivals = append(w.arrivals, arrival{body: body, header: r.Header, at: time.Now()})
	n := len(w.arrivals)
	w.mu.Unlock()
	if w.answer != nil {
		w.answer(n, out)
	}
}

func (w *workshop) wait(t *testing.T, n int) []arrival {
	t.Helper()
	got := func() []arrival {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.Clone(w.arrivals)
	}
	await(t, patience, fmt.Sprintf("%d requests on the developer's machine", n), func() error {
		if len(got()) < n {
			return fmt.Errorf("%d have come", len(got()))
		}
		return nil
	})
	require.Len(t, got(), n)
	return got()
}

var uuidText = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// What is forwarded is what an endpoint gets, in each dialect: body, headers and signature.
func TestListen_ForwardsWhatAnEndpointGets(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for dialect, eventType := range map[string]string{
		"standard": "order.confirmed", "rheo": "item.sold", "tradly": "user.created", "tradevine": "product.created", "auction-excellence": "submission.created",
	} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			tn, local, remote := newTenant(t, s, dialect, nil), newWorkshop(t, nil), newReceiver(t)
			more := fields{"event_types": []string{eventType}}
			if dialect == "auction-excellence" {
				more["filter"] = nil
			}
			secret := remoteSecret(tn, tn.endpoint(t, remote, more))
			r := s.begin(t, "Listening to the events of "+tn.id, "listen", "--tenant", tn.id, "--forward-to", local.URL+"/hooks", "--secret", secret)
			if dialect == "standard" {
				tn.publish(t, fields{"type": eventType, "data": fields{"name": "é😀 <&>", "n": 1}, "id": "order-1"}, 1)
			} else {
				out, said, code := s.finish(t, "trigger", eventType, "--tenant", tn.id)
				require.Zero(t, code, said)
				require.Contains(t, out, "is published, to 1 endpoint")
			}
			want, got := remote.wait(t, 1)[0], local.wait(t, 1)[0]
			same := func(text string) string { return text }
			if dialect == "auction-excellence" {
				// The id of the delivery is in the body: another delivery, another id.
				same = func(text string) string { return strings.Replace(text, uuidText.FindString(text), "", 1) }
				require.Equal(t, got.header.Get("X-Webhook-ID"), uuidText.FindString(string(got.body)))
			}
			require.Equal(t, same(string(want.body)), same(string(got.body)))
			for name, values := range want.header {
				require.Len(t, got.header.Values(name), len(values), name)
			}
			if dialect == "rheo" || dialect == "tradevine" || dialect == "tradly" {
				for _, name := range []string{"X-Rheo-Signature", "X-Tradevine-Hmac-Sha256", "X-Tradly-Signature", "User-Agent"} {
					require.Equal(t, want.header[name], got.header[name])
				}
			}
			line := r.lines(t, 1)[0]
			require.Contains(t, line, eventType)
			require.Contains(t, line, "-> 200 in ")
			require.Len(t, tn.deliveries(t, ""), 1, "nothing is in the log but the endpoint's delivery")
		})
	}
}

func remoteSecret(tn *tenant, e *endpoint) string {
	if e.Secret != "" {
		return e.Secret
	}
	return tn.secret
}

// Waybill is killed and started again, and the developer's program too: each event comes once and in order.
func TestListen_SurvivesRestarts(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	s := g.own(t, "serve", "WAYBILL_LISTEN="+freeAddress(t))
	tn := newTenant(t, s, "standard", nil)
	tn.publish(t, fields{"type": "order.confirmed", "data": 0, "id": "before"}, 0)
	address := freeAddress(t)
	r := s.begin(t, "Nothing of this is in the delivery log", "listen", "--tenant", tn.id, "--forward-to", "http://"+address+"/hooks", "--types", "order.*")
	require.Regexp(t, `Signing secret: whsec_\S+ `, r.said.String())
	for i := range 3 {
		tn.publish(t, fields{"type": "order.confirmed", "data": i, "id": fmt.Sprint("order-", i)}, 0)
	}
	tn.publish(t, fields{"type": "user.created", "data": 0, "id": "other"}, 0)
	await(t, patience, "the command to say that nothing listens", func() error {
		if !strings.Contains(r.said.String(), "Nothing listens at "+address) {
			return fmt.Errorf("it said %s", r.said.String())
		}
		return nil
	})
	local := &workshop{answer: func(n int, w http.ResponseWriter) {
		if n == 2 {
			http.Error(w, "that was wrong\x1b[31m", http.StatusInternalServerError)
		}
	}}
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	local.Server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: local, ReadHeaderTimeout: time.Minute}}
	local.Start()
	t.Cleanup(local.Close)
	local.wait(t, 3)

	s.kill(t)
	await(t, patience, "the command to lose Waybill", func() error {
		if !strings.Contains(r.said.String(), "Waybill cannot be reached") {
			return fmt.Errorf("it said %s", r.said.String())
		}
		return nil
	})
	s.restart(t)
	for i := 3; i < 6; i++ {
		tn.publish(t, fields{"type": "order.confirmed", "data": i, "id": fmt.Sprint("order-", i)}, 0)
	}
	local.wait(t, 6)
	for i, line := range r.lines(t, 6) {
		require.Contains(t, line, fmt.Sprint("order-", i))
		require.Equal(t, i == 1, strings.Contains(line, "-> 500 in "), line)
		require.NotContains(t, line, "\x1b", "a terminal obeys nothing of it")
	}
	require.Contains(t, r.lines(t, 6)[1], "that was wrong")
	r.end(t)
	require.Contains(t, r.said.String(), "5 events were accepted, 1 not.")
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func TestListen_Usage(t *testing.T) {
	t.Parallel()
	s := shared(t)
	tn := newTenant(t, s, "standard", nil)
	for _, args := range [][]string{
		{"--forward-to", "http://127.0.0.1:1"}, {"--tenant", tn.id}, {"--tenant", tn.id, "--forward-to", "localhost:3000"},
		{"--tenant", tn.id, "--forward-to", "http://127.0.0.1:1", "--secret", "whsec_?"},
		{"--tenant", tn.id, "--forward-to", "http://127.0.0.1:1", "--header", "x"},
	} {
		_, said, code := s.finish(t, append([]string{"listen"}, args...)...)
		require.Equal(t, 2, code, said)
	}
	_, said, code := s.finish(t, "listen", "--tenant", "nobody", "--forward-to", "http://127.0.0.1:1")
	require.Equal(t, 1, code)
	require.Contains(t, said, "not_found")
}

func TestTrigger(t *testing.T) {
	t.Parallel()
	s := shared(t)
	tn := newTenant(t, s, "rheo", nil)
	out, said, code := s.finish(t, "trigger", "item.sold", "--tenant", tn.id, "--id", "evt_mine")
	require.Zero(t, code, said)
	require.Equal(t, "item.sold evt_mine is published, to 0 endpoints\nNobody gets it: the tenant has no endpoints.\n", out)
	tn.endpoint(t, newReceiver(t), fields{"event_types": []string{"listing.ended"}})
	out, _, _ = s.finish(t, "trigger", "item.sold", "--tenant", tn.id)
	require.Contains(t, out, "Nobody gets it: 1 endpoint does not subscribe to its type")
	out, _, code = s.finish(t, "trigger", "listing.ended", "--tenant", tn.id, "-o", "json")
	require.Zero(t, code)
	require.Contains(t, out, `"deliveries": [`)
	_, said, code = s.finish(t, "trigger", "nope", "--tenant", tn.id)
	require.Equal(t, 1, code)
	require.Contains(t, said, "waybill event-types list")
	_, _, code = s.finish(t, "trigger", "item.sold")
	require.Equal(t, 2, code)
}
