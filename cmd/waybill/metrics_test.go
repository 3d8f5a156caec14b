package main

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// A metric that is registered twice ends no process: the first stays, and the log says so.
func TestRegistry_Twice(t *testing.T) {
	t.Parallel()
	log := &bytes.Buffer{}
	r := newRegistry(slog.New(slog.NewTextHandler(log, nil)))
	first, second := prometheus.NewCounter(prometheus.CounterOpts{Name: "seen_total", Help: "h"}), prometheus.NewCounter(prometheus.CounterOpts{Name: "seen_total", Help: "h"})
	r.MustRegister(first, second)
	first.Inc()
	w := httptest.NewRecorder()
	r.handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), "seen_total 1\n")
	require.Contains(t, log.String(), "a metric is registered twice")
}

// A scrape that asks for them gets native histograms too.
func TestRegistry_Native(t *testing.T) {
	t.Parallel()
	r := newRegistry(slog.New(slog.DiscardHandler))
	req := httptest.NewRequest("GET", "/metrics", nil)
	req.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	w := httptest.NewRecorder()
	r.handler().ServeHTTP(w, req)
	require.Contains(t, w.Header().Get("Content-Type"), "protobuf")
}
