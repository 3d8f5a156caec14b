package main

import (
	"math"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sampled is a series of ten minutes, a sample each five seconds.
func sampled(k kind, value func(minutes float64) float64) *series {
	s := &series{holder: "serve", kind: k}
	for at := time.Duration(0); at <= 10*time.Minute; at += 5 * time.Second {
		s.add(at, value(at.Minutes()))
	}
	return s
}

func TestSeries_Trend(t *testing.T) {
	t.Parallel()
	trend := sampled(goroutines, func(m float64) float64 { return 100 + 3*m }).trend(2 * time.Minute)
	require.InDelta(t, 3, trend.perMinute, 1e-9)
	require.InDelta(t, 106, trend.start, 1e-9)
	require.InDelta(t, 130, trend.end, 1e-9)
	require.InDelta(t, 24, trend.growth, 1e-9)
	require.Equal(t, 97, trend.samples)
}

func TestTrend_Grew(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		kind  kind
		value func(minutes float64) float64
		grew  bool
	}{
		"as steady as can be":              {goroutines, func(float64) float64 { return 500 }, false},
		"up and down with the load":        {openFiles, func(m float64) float64 { return 60 + 20*math.Sin(9*m) }, false},
		"grows while warming up":           {resident, func(m float64) float64 { return 50 + 30*min(m, 2) }, false},
		"shrinks":                          {resident, func(m float64) float64 { return 200 - 10*m }, false},
		"a connection leaks every minute":  {connections, func(m float64) float64 { return 30 + 20*math.Sin(9*m) + 2*m }, true},
		"a goroutine leaks every second":   {goroutines, func(m float64) float64 { return 500 + 60*m }, true},
		"a kilobyte leaks with each event": {heap, func(m float64) float64 { return 12 + 0.6*m }, true},
		"a backend more every minute":      {backends, func(m float64) float64 { return 20 + m }, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trend := sampled(c.kind, c.value).trend(2 * time.Minute)
			require.Equal(t, c.grew, trend.grew(), trend.line())
		})
	}
}

// A kind that was not measured does not count as steady.
func TestTrend_FewSamples(t *testing.T) {
	t.Parallel()
	s := &series{kind: heap}
	s.add(3*time.Minute, 10)
	require.True(t, s.trend(2*time.Minute).grew())
}

func TestMetric(t *testing.T) {
	t.Parallel()
	text := []byte("# TYPE go_goroutines gauge\ngo_goroutines_created 9\ngo_goroutines 412\ngo_memstats_next_gc_bytes 2.1e+07\n")
	running, err := metric(text, "go_goroutines")
	require.NoError(t, err)
	require.InDelta(t, 412, running, 0)
	next, err := metric(text, "go_memstats_next_gc_bytes")
	require.NoError(t, err)
	require.InDelta(t, 2.1e7, next, 0)
	_, err = metric(text, "go_threads")
	require.ErrorContains(t, err, "go_threads")
}

func TestHeld(t *testing.T) {
	t.Parallel()
	rss, files, sockets, err := held(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, rss, 1.0)
	require.Less(t, rss, 10_000.0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	require.Positive(t, files)
	require.LessOrEqual(t, sockets, files)
	_, _, sockets, err = held(os.Getpid())
	require.NoError(t, err)
	require.Positive(t, sockets)
	_, _, _, err = held(1 << 30)
	require.ErrorContains(t, err, "1073741824")
}
