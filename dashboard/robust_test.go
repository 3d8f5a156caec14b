package dashboard

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A page is not larger than what it shows, whatever JSON an event has.
func TestPretty_Bounded(t *testing.T) {
	t.Parallel()
	require.Len(t, strings.Split(pretty(`{"a":[1,{}]}`), "\n"), 6)
	for name, text := range map[string]string{
		"deep": strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		"wide": strings.Repeat("[", 60) + strings.Repeat("1,", 100_000) + "1" + strings.Repeat("]", 60),
	} {
		require.Equal(t, text, pretty(text), name)
	}
	for _, text := range []string{`{"a":{"b":[1,2,{"c":null}]},"d":[]}`, `[[],[[]],{"a":"],["}]`, `[` + strings.Repeat(`{"k":[1,2]},`, 100) + `0]`} {
		require.LessOrEqual(t, len(pretty(text)), indented(text))
	}
}

// Nobody waits for the dialect that another page asks for and does not get.
func TestDialects_SlowAnswer(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	stuck, reached := make(chan struct{}), make(chan struct{})
	known := tenantAPI(t, adminSession, "rheo", nil)
	d := newTest(t, Options{API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/dialects/rheo" && asked.Add(1) == 1 {
			close(reached)
			<-stuck
		}
		known.ServeHTTP(w, r)
	})})
	ended := make(chan int)
	go func() { ended <- d.open("/tenants/acme/event-types").Code }()
	<-reached
	require.Equal(t, http.StatusOK, d.open("/tenants/acme/event-types").Code)
	close(stuck)
	require.Equal(t, http.StatusOK, <-ended)
}

// Only an endpoint that is not there was deleted.
func TestLog_EndpointsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	api := logAPI(readsAll, fakeAPI{"GET " + pathOfLog: says(http.StatusOK, listJSON("", deliveryJSON(deliveryOfLog, "delivered", 1)))})
	d := newTest(t, Options{API: api})
	const one = "GET /v1/tenants/acme/endpoints/" + endpointOfLog
	api[one] = says(http.StatusUnauthorized, unauthorized)
	w := d.read("/tenants/acme/deliveries")
	require.Equal(t, http.StatusSeeOther, w.Code, "the session ended in between")
	delete(api, one)
	require.Contains(t, d.read("/tenants/acme/deliveries").Body.String(), ">deleted<")
}

// A logo allows its one host and nothing else, whatever the settings name.
func TestLogo_Policy(t *testing.T) {
	t.Parallel()
	for logo, want := range map[string]string{
		"https://cdn.example/logo.svg": "'self' https://cdn.example;", "https://cdn.example:8443/l.png": "'self' https://cdn.example:8443;",
		"https://[2001:db8::1]/l.png": "'self' https://[2001:db8::1];", "https://*/l.png": "'self';", "https://*.example/l.png": "'self';",
		"http://cdn.example/l.png": "'self';", "https://cdn.example;script-src/l.png": "'self';",
	} {
		d := newTest(t, Options{API: tenantAPI(t, adminSession, "rheo", fakeAPI{
			"GET /v1/tenants/acme": says(http.StatusOK, `{"id":"acme","name":"Acme","dialect":"rheo","branding":{"logo_url":"`+logo+`"}}`),
		})})
		policy := d.open("/tenants/acme/event-types").Header().Get("Content-Security-Policy")
		require.Contains(t, policy, "img-src "+want, logo)
	}
}

// The log says which page failed, and not the address, which may be a link that opens a portal.
func TestLog_NamesThePage(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	d := New(Options{API: fakeAPI{"GET /v1/session": says(http.StatusOK, "no JSON")}, SigningKeys: [][]byte{[]byte("a key that signs the cookies here")}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	t.Cleanup(d.Close)
	require.Equal(t, http.StatusInternalServerError, d.signed(httptest.NewRequest(http.MethodGet, "/tenants/acme/events/evt_42", http.NoBody)).Code)
	require.Contains(t, log.String(), "page=/tenants/{tenant}/events/{event}")
	require.NotContains(t, log.String(), "evt_42")
}
