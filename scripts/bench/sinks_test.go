package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/scripts/receiver"
)

var anEvent = eventID{15: 1}

// post sends an event as any HTTP client would, and returns the status or the error.
func post(ctx context.Context, url string) any {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(strings.Repeat("x", 20_000)))
	if err != nil {
		return err
	}
	req.Header["webhook-id"] = []string{anEvent.String()}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	return res.StatusCode
}

func TestSinks(t *testing.T) {
	t.Parallel()
	r := newSinks()
	add := func(b behavior) *sink {
		s, err := r.add(t.Context(), b)
		require.NoError(t, err)
		return s
	}
	steady, flaky, down, slow := add(accepts), add(fails(1)), add(answers(http.StatusTooManyRequests)), add(hangs(time.Hour))

	before := time.Now()
	require.Equal(t, 200, post(t.Context(), steady.url))
	first := steady.find(anEvent)
	require.WithinRange(t, first.at, before, time.Now())
	require.Equal(t, 200, post(t.Context(), steady.url))
	require.Equal(t, arrivals{requests: 2, accepted: 2, at: first.at}, steady.find(anEvent), "the second is a duplicate")

	require.Equal(t, 500, post(t.Context(), flaky.url))
	require.Equal(t, 1, flaky.find(anEvent).requests)
	require.Zero(t, flaky.find(anEvent).accepted)
	require.Equal(t, 200, post(t.Context(), flaky.url))
	require.Equal(t, 1, flaky.find(anEvent).accepted)

	require.Equal(t, 429, post(t.Context(), down.url))
	seen, accepted := down.count()
	require.Equal(t, [2]int{1, 0}, [2]int{seen, accepted})

	answered := make(chan any)
	go func() { answered <- post(t.Context(), slow.url) }()
	require.Eventually(t, func() bool { return slow.find(anEvent).requests == 1 }, 10*time.Second, time.Millisecond)
	slow.releaseHung()
	require.Equal(t, 200, <-answered)
	require.NoError(t, r.close())
}

// A request without an event id is not a webhook.
func TestSinks_Malformed(t *testing.T) {
	t.Parallel()
	r := newSinks()
	s, err := r.add(t.Context(), accepts)
	require.NoError(t, err)
	res, err := http.Post(s.url, "application/json", strings.NewReader("{}"))
	if err == nil {
		_ = res.Body.Close()
	}
	require.Error(t, err)
	require.ErrorIs(t, r.close(), receiver.ErrMalformed)
}

func TestParseEventID(t *testing.T) {
	t.Parallel()
	id, err := parseEventID(anEvent.String())
	require.NoError(t, err)
	require.Equal(t, anEvent, id)
	for _, bad := range []string{"", "evt_", "evt_1", "dlv_" + strings.Repeat("0", 32), "evt_" + strings.Repeat("g", 32)} {
		_, err := parseEventID(bad)
		require.Error(t, err, bad)
	}
}
