package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTraffic_ClosedLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int64
		var next atomic.Int64
		call := func(context.Context) ([]eventID, int, error) {
			most.Store(max(most.Load(), under.Add(1)))
			defer under.Add(-1)
			time.Sleep(100 * time.Millisecond)
			n := next.Add(1)
			if n%10 == 0 {
				return nil, 1, errors.New("refused")
			}
			return []eventID{{15: byte(n)}}, 0, nil
		}
		out, err := traffic{calls: 40, concurrency: 4}.drive(t.Context(), call)
		require.NoError(t, err)
		require.Equal(t, int64(4), most.Load())
		require.Len(t, out.events, 36)
		require.Equal(t, 4, out.refused)
		require.ErrorContains(t, out.refusal, "refused")
		f := out.accepting()
		require.Equal(t, 36.0, f[accepted], "36 within a second")
		require.Equal(t, 100.0, f[latencyP50])
	})
}

func TestTraffic_FixedRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		call := func(context.Context) ([]eventID, int, error) {
			time.Sleep(10 * time.Second) // slower than the rate
			return []eventID{{}}, 0, nil
		}
		out, err := traffic{calls: 20, perSecond: 20}.drive(t.Context(), call)
		require.NoError(t, err)
		last := began
		for _, p := range out.events {
			last = later(last, p.called)
		}
		require.Equal(t, 950*time.Millisecond, last.Sub(began), "the twentieth call")
	})
}

func TestTraffic_FixedRateOverloaded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const more = 10
		release := make(chan struct{})
		time.AfterFunc(time.Minute, func() { close(release) })
		call := func(context.Context) ([]eventID, int, error) {
			<-release
			return []eventID{{}}, 0, nil
		}
		out, err := traffic{calls: mostOpen + more, perSecond: 1000}.drive(t.Context(), call)
		require.NoError(t, err)
		require.Len(t, out.events, mostOpen, "no more are open at once")
		require.Equal(t, more, out.refused)
		require.ErrorIs(t, out.refusal, errTooManyOpen)
	})
}

func TestTraffic_Refused(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	_, err := traffic{calls: 3, concurrency: 2}.drive(t.Context(), func(context.Context) ([]eventID, int, error) { return nil, 1, down })
	require.ErrorIs(t, err, down)

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(down)
	_, err = traffic{calls: 3, perSecond: 1}.drive(ctx, func(context.Context) ([]eventID, int, error) { return []eventID{{}}, 0, nil })
	require.ErrorIs(t, err, down, "whoever stops it says why")
}

func TestSent_Delivering(t *testing.T) {
	t.Parallel()
	began := time.Now()
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	one, two := newSink(accepts), newSink(fails(1))
	first, second := eventID{1}, eventID{2}
	s := &sent{began: began, events: []published{{first, at(0), at(10)}, {second, at(100), at(500)}}}

	one.note(first, at(20))
	one.note(first, at(30)) // a duplicate, whose time does not count
	one.note(second, at(5)) // before the answer to the call, which happens
	two.note(first, at(40)) // refused
	two.note(first, at(2000))
	two.note(second, at(150))   // refused, and never tried again: lost
	two.note(eventID{9}, at(1)) // somebody else's

	f := s.delivering([]*sink{one, two})
	require.Equal(t, 1.0, f[lost])
	require.Equal(t, 1.0, f[duplicates])
	require.Equal(t, 1.5, f[delivered], "three within two seconds")
	require.Equal(t, 4.0, f[accepted], "two within half a second")
	require.Equal(t, 2000.0, f[latencyP99])
	require.Equal(t, 20.0, f[latencyP50])
}

func TestReadBatch(t *testing.T) {
	t.Parallel()
	ids, refused, err := readBatch([]byte(`{"results":[{"status":202,"id":"` + anEvent.String() + `","deliveries":[]},{"status":503,"problem":{"code":"unavailable"}}]}`))
	require.Equal(t, []eventID{anEvent}, ids)
	require.Equal(t, 1, refused)
	require.ErrorContains(t, err, "unavailable")
	_, _, err = readBatch([]byte(`{}`))
	require.Error(t, err)
}

func TestEventBody(t *testing.T) {
	t.Parallel()
	require.Len(t, eventBody(eventType), len(`{"type":"bench.happened","data":}`)+dataSize)
}
