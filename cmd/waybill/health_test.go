package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The command asks where the process listens and says 0 or 1, whatever else is set.
func TestHealthCommand(t *testing.T) {
	t.Parallel()
	serve := func(status int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/readyz" {
				w.WriteHeader(status)
			}
		}))
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	ready, notReady := serve(200), serve(503)
	_, port, _ := strings.Cut(ready, ":")
	other := httptest.NewServer(http.RedirectHandler("http://"+ready+"/readyz", http.StatusFound))
	t.Cleanup(other.Close)
	const nowhere = "127.0.0.1:1"
	for name, c := range map[string]struct {
		environ, args []string
		code          int
		says          string
	}{
		"ready":              {[]string{"WAYBILL_LISTEN=" + ready, "WAYBILL_NOT_A_SETTING=x"}, nil, 0, "ok: " + ready + "/readyz"},
		"everywhere":         {[]string{"WAYBILL_LISTEN=0.0.0.0:" + port}, nil, 0, "ok: localhost:" + port},
		"a worker":           {[]string{"WAYBILL_LISTEN=" + nowhere, "WAYBILL_WORKER_LISTEN=" + ready}, nil, 0, "ok: " + ready},
		"an address":         {[]string{"WAYBILL_LISTEN=" + nowhere}, []string{"--address", ready}, 0, "ok: " + ready},
		"not ready":          {[]string{"WAYBILL_LISTEN=" + notReady}, nil, 1, "answers 503 Service Unavailable"},
		"another program":    {[]string{"WAYBILL_LISTEN=" + strings.TrimPrefix(other.URL, "http://")}, nil, 1, "answers 302 Found"},
		"live and not ready": {[]string{"WAYBILL_LISTEN=" + notReady}, []string{"--live"}, 0, "/healthz"},
		"nothing":            {[]string{"WAYBILL_LISTEN=" + nowhere}, nil, 1, "nothing answers at 127.0.0.1:1"},
		"no address":         {[]string{"WAYBILL_LISTEN=8080"}, nil, 2, "host:port"},
	} {
		code, out, messages := called(t, c.environ, append([]string{"health"}, c.args...)...)
		require.Equal(t, c.code, code, "%s: %s", name, messages)
		require.Contains(t, out+messages, c.says, name)
	}
}

// A process that takes the connection and says nothing is not healthy, and does not hold up whoever asks.
func TestHealthCommand_Hangs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(release) })
	began := time.Now()
	code, _, messages := called(t, nil, "health", "--address", strings.TrimPrefix(s.URL, "http://"))
	require.Equal(t, 1, code)
	require.Less(t, time.Since(began), healthTimeout+10*time.Second)
	require.Contains(t, messages, "nothing answers")
}
