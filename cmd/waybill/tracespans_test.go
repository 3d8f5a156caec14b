package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// safeBuffer is a log that several goroutines write.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// exports returns a process that traces everything to a collector, what ends it, and its log.
func exports(t *testing.T, collector http.HandlerFunc) (p *process, end func(), log *safeBuffer) {
	t.Helper()
	server := httptest.NewServer(collector)
	t.Cleanup(server.Close)
	log = &safeBuffer{}
	to := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p = &process{
		settings: &settings{config: config{TracesEndpoint: server.URL, TracesRatio: 1}, traceHeaders: map[string]string{"X-Api-Key": "hush-hush"}},
		log:      to, metrics: newRegistry(to),
	}
	end, err := p.startTraces(t.Context())
	require.NoError(t, err)
	return p, end, log
}

func trace(t *testing.T, p *process, spans int) {
	t.Helper()
	for range spans {
		_, span := p.tracer.Accept(t.Context(), "", "/v1", 1)
		span.End(nil)
	}
}

// became fails unless so many spans were exported, dropped and failed.
func became(t *testing.T, p *process, exported, dropped, failed string) {
	t.Helper()
	require.NoError(t, testutil.GatherAndCompare(p.metrics, strings.NewReader(`
# HELP waybill_trace_spans_total Spans by what became of them: exported, dropped because too many waited for the collector, or failed because it did not take them.
# TYPE waybill_trace_spans_total counter
waybill_trace_spans_total{result="dropped"} `+dropped+`
waybill_trace_spans_total{result="exported"} `+exported+`
waybill_trace_spans_total{result="failed"} `+failed+`
`), "waybill_trace_spans_total"))
}

// Of a collector that hangs, no more spans wait than the queue holds; each of the others is counted, and the process ends in time.
func TestTraces_CollectorHangs(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	p, end, log := exports(t, func(http.ResponseWriter, *http.Request) { <-over })
	t.Cleanup(func() { close(over) })
	trace(t, p, queuedSpans+1000)
	became(t, p, "0", "1000", "0")
	began := time.Now()
	end()
	require.Less(t, time.Since(began), lastExport+10*time.Second)
	require.Contains(t, log.String(), "the last traces were not exported")
}

// What a collector takes is counted, and so is what it refuses, of which the log tells once, in few words and without a secret.
func TestTraces_CollectorRefuses(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	p, end, log := exports(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			return
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte("<html>\x1b[2J" + r.Header.Get("X-Api-Key") + strings.Repeat(" is not known", 10_000)))
	})
	trace(t, p, exportSpans)
	require.Eventually(t, func() bool { return asked.Load() > 0 }, 10*time.Second, time.Millisecond)
	trace(t, p, 2*exportSpans)
	end()
	became(t, p, "512", "0", "1024")
	require.Equal(t, 1, strings.Count(log.String(), "traces cannot be exported"))
	require.Contains(t, log.String(), "403 Forbidden")
	require.Less(t, len(log.String()), 2000)
	require.NotContains(t, log.String(), "hush-hush")
}

// A collector that leads elsewhere is not followed: neither do its headers go there, nor counts a page there as its answer.
func TestTraces_CollectorRedirects(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
		p, end, log := exports(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) })
		trace(t, p, 3)
		end()
		became(t, p, "0", "0", "3")
		require.Contains(t, log.String(), http.StatusText(status))
	}
	require.Zero(t, elsewhere.Load())
}

// What OpenTelemetry says by itself is a line of the log, and has no header of the collector's.
func TestTraces_OwnWords(t *testing.T) { // not parallel: the words of OpenTelemetry are the process's
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/at/all")
	_, end, log := exports(t, func(http.ResponseWriter, *http.Request) {})
	end()
	require.Contains(t, log.String(), "/nowhere/at/all")
	require.NotContains(t, log.String(), "hush-hush")
	for line := range strings.Lines(log.String()) {
		require.Regexp(t, "^time=.* level=", line)
	}
}
