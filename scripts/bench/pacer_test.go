package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/scripts/stack"
)

// arrive has n events arrive at a sink.
func arrive(s *sink, n int) {
	for range n {
		_, have := s.count()
		s.note(eventID{14: byte(have >> 8), 15: byte(have)}, time.Now())
	}
}

func TestPacer_InFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, slow := newSink(accepts), newSink(accepts)
		p := &pacer{sinks: []*sink{one, slow}, inFlight: 3}
		var published atomic.Int64
		go func() {
			for range 5 {
				_ = p.wait(t.Context())
				published.Add(1)
			}
		}()
		time.Sleep(time.Second)
		require.Equal(t, int64(3), published.Load())
		arrive(one, 2)
		time.Sleep(time.Second)
		require.Equal(t, int64(3), published.Load(), "the slower sink has none yet")
		arrive(slow, 2)
		time.Sleep(time.Second)
		require.Equal(t, int64(5), published.Load())
	})
}

func TestPacer_Refused(t *testing.T) {
	t.Parallel()
	p := &pacer{sinks: []*sink{newSink(accepts)}, inFlight: 1}
	call := p.count(func(context.Context) ([]eventID, int, error) { return nil, 1, errors.New("refused") })
	for range 3 {
		require.NoError(t, p.wait(t.Context()))
		_, refused, err := call(t.Context())
		require.Error(t, err)
		require.Equal(t, 1, refused, "what was refused is not under way")
	}
}

// That a publisher had to wait makes no call take longer.
func TestPacer_Rate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pacer{sinks: []*sink{newSink(accepts)}, inFlight: 1000, perSecond: 20, began: time.Now()}
		call := p.count(func(context.Context) ([]eventID, int, error) {
			time.Sleep(time.Millisecond)
			return []eventID{{}}, 0, nil
		})
		out, err := traffic{concurrency: 4, lasting: 10 * time.Second, wait: p.wait}.drive(t.Context(), call)
		require.NoError(t, err)
		require.InDelta(t, 200, len(out.events), 8)
		require.Equal(t, 1.0, out.accepting()[latencyP99])
	})
}

func TestTraffic_Lasting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		call := func(context.Context) ([]eventID, int, error) {
			time.Sleep(time.Second)
			return []eventID{{}}, 0, nil
		}
		out, err := traffic{concurrency: 2, lasting: 10 * time.Second}.drive(t.Context(), call)
		require.NoError(t, err)
		require.Len(t, out.events, 20)
	})
}

func TestSent_Took(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to := newSink(accepts)
		began := time.Now()
		var s sent
		for n := range 3 {
			called := time.Now()
			time.Sleep(time.Duration(n+1) * time.Second)
			arrive(to, 1)
			s.events = append(s.events, published{event: eventID{15: byte(n)}, called: called})
		}
		require.Equal(t, []time.Duration{2 * time.Second}, s.took([]*sink{to}, began.Add(time.Second), began.Add(3*time.Second)))
	})
}

func TestExecuted_AddTo(t *testing.T) {
	t.Parallel()
	before := executed{statements: map[string]float64{"temporal": 100, "waybill": 10}, commits: map[string]float64{"temporal": 50, "waybill": 5}}
	after := executed{statements: map[string]float64{"temporal": 500, "waybill": 50}, commits: map[string]float64{"temporal": 70, "waybill": 5}}
	f := figures{}
	after.addTo(f, before, 10)
	require.Equal(t, figures{statementsOf("temporal"): 40, statementsOf("waybill"): 4, commitsOf("temporal"): 2, commitsOf("waybill"): 0}, f)
}

func TestOptions_Lifetimes(t *testing.T) {
	t.Parallel()
	usual := (&options{scale: 2}).lifetimes()
	require.Equal(t, stack.ClosedFor, usual[0].kept)
	require.Equal(t, stack.ClosedFor, usual[1].kept)
	require.Equal(t, time.Minute, usual[2].kept, "more events make no longer runs")
	require.Greater(t, usual[2].before, usual[2].kept+retentionJitter, "deletions have begun when the figures do")
	quick := (&options{scale: quickScale}).lifetimes()
	require.Equal(t, retentionJitter, quick[2].kept)
}
