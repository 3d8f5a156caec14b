package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// runs is a run function that waits for a permit, remembers what it was called with, and answers with the input doubled.
type runs struct {
	permit chan struct{}
	mu     sync.Mutex
	seen   [][]int
	fail   func(in []int) error
	again  func(in []int, i int) bool
}

func (r *runs) run(ctx context.Context, in []int) ([]result[int], error) {
	r.mu.Lock()
	r.seen = append(r.seen, in)
	r.mu.Unlock()
	if r.permit != nil {
		select {
		case <-r.permit:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if r.fail != nil {
		if err := r.fail(in); err != nil {
			return nil, err
		}
	}
	out := make([]result[int], len(in))
	for i, n := range in {
		out[i] = result[int]{out: 2 * n, again: r.again != nil && r.again(in, i)}
	}
	return out, nil
}

func (r *runs) all() [][]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]int{}, r.seen...)
}

func newRuns(t *testing.T, o Options, limit int, r *runs) *group[int, int] {
	o.setDefaults()
	g := newGroup(o, limit, r.run)
	t.Cleanup(g.close)
	return g
}

// callGroup sends n from a goroutine of its own and waits until the group has it.
func callGroup(ctx context.Context, t *testing.T, g *group[int, int], n int) <-chan error {
	t.Helper()
	before := g.waitingRequests()
	done := make(chan error, 1)
	go func() {
		out, err := g.do(ctx, n)
		if err == nil && out != 2*n {
			err = fmt.Errorf("%d became %d", n, out)
		}
		done <- err
	}()
	require.Eventually(t, func() bool { return g.waitingRequests() > before }, 10*time.Second, time.Millisecond)
	return done
}

// waitingRequests is how many calls wait for a run.
func (g *group[In, Out]) waitingRequests() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lenLocked()
}

// busy returns a group with one run under way, and its call's result.
func busy(t *testing.T, o Options, r *runs) (*group[int, int], <-chan error) {
	t.Helper()
	r.permit = make(chan struct{})
	g := newRuns(t, o, 1, r)
	first := make(chan error, 1)
	go func() {
		_, err := g.do(context.Background(), 0)
		first <- err
	}()
	require.Eventually(t, func() bool { return len(r.all()) == 1 }, 10*time.Second, time.Millisecond)
	return g, first
}

func TestGroup_LoneCallRunsAtOnce(t *testing.T) {
	t.Parallel()
	r := &runs{}
	g := newRuns(t, Options{}, 1, r)
	out, err := g.do(t.Context(), 21)
	require.NoError(t, err)
	require.Equal(t, 42, out)
	require.Equal(t, [][]int{{21}}, r.all())
}

func TestGroup_WhatArrivesDuringARunFormsTheNext(t *testing.T) {
	t.Parallel()
	r := &runs{}
	g, first := busy(t, Options{MaxGroup: 3}, r)
	var calls []<-chan error
	for n := 1; n <= 5; n++ {
		calls = append(calls, callGroup(t.Context(), t, g, n))
	}
	close(r.permit)
	require.NoError(t, <-first)
	for _, c := range calls {
		require.NoError(t, <-c)
	}
	require.Equal(t, [][]int{{0}, {1, 2, 3}, {4, 5}}, r.all())
}

func TestGroup_WeightBoundsARun(t *testing.T) {
	t.Parallel()
	r := &runs{}
	g, first := busy(t, Options{}, r)
	g.weigh, g.maxWeight = func(n int) int { return n }, 10
	var calls []<-chan error
	for _, n := range []int{4, 6, 1, 100, 2} {
		calls = append(calls, callGroup(t.Context(), t, g, n))
	}
	close(r.permit)
	require.NoError(t, <-first)
	for _, c := range calls {
		require.NoError(t, <-c)
	}
	require.Equal(t, [][]int{{0}, {4, 6}, {1}, {100}, {2}}, r.all())
}

func TestGroup_CallerLeaves(t *testing.T) {
	t.Parallel()
	r := &runs{}
	g, first := busy(t, Options{}, r)
	ctx, cancel := context.WithCancel(t.Context())
	left := callGroup(ctx, t, g, 1)
	stays := callGroup(t.Context(), t, g, 2)
	cancel()
	requireUnavailable(t, <-left)
	close(r.permit)
	require.NoError(t, <-first)
	require.NoError(t, <-stays)
	require.Equal(t, [][]int{{0}, {2}}, r.all(), "nobody waits for the call that left")
}

func requireUnavailable(t *testing.T, err error) {
	t.Helper()
	require.Equal(t, webhook.CodeUnavailable, webhook.ErrorCode(err), "%v", err)
}

func TestGroup_PoisonousCallFailsAlone(t *testing.T) {
	t.Parallel()
	for name, poison := range map[string]func() error{
		"error": func() error { return errors.New("poison") },
		"panic": func() error { panic("poison") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &runs{fail: func(in []int) error {
				for _, n := range in {
					if n == 2 {
						return poison()
					}
				}
				return nil
			}}
			g, first := busy(t, Options{}, r)
			one, two, three := callGroup(t.Context(), t, g, 1), callGroup(t.Context(), t, g, 2), callGroup(t.Context(), t, g, 3)
			close(r.permit)
			require.NoError(t, <-first)
			require.NoError(t, <-one)
			require.ErrorContains(t, <-two, "poison")
			require.NoError(t, <-three)
			require.Equal(t, [][]int{{0}, {1, 2, 3}, {1}, {2}, {3}}, r.all())
		})
	}
}

func TestGroup_DatabaseAwayFailsAllAtOnce(t *testing.T) {
	t.Parallel()
	r := &runs{fail: func(in []int) error {
		if len(in) > 1 {
			return webhook.Errorf(webhook.CodeUnavailable, "away")
		}
		return nil
	}}
	g, first := busy(t, Options{}, r)
	one, two := callGroup(t.Context(), t, g, 1), callGroup(t.Context(), t, g, 2)
	close(r.permit)
	require.NoError(t, <-first)
	requireUnavailable(t, <-one)
	requireUnavailable(t, <-two)
	require.Equal(t, [][]int{{0}, {1, 2}}, r.all())
}

func TestGroup_AgainComesFirstInTheNextRun(t *testing.T) {
	t.Parallel()
	r := &runs{again: func(in []int, i int) bool { return i > 0 && in[i] == in[i-1] }}
	g, first := busy(t, Options{MaxGroup: 3}, r)
	calls := []<-chan error{}
	for _, n := range []int{7, 7, 8, 9} {
		calls = append(calls, callGroup(t.Context(), t, g, n))
	}
	close(r.permit)
	require.NoError(t, <-first)
	for _, c := range calls {
		require.NoError(t, <-c)
	}
	require.Equal(t, [][]int{{0}, {7, 7, 8}, {7, 9}}, r.all())
}

func TestGroup_RunsAtOnceUpToTheLimit(t *testing.T) {
	t.Parallel()
	r := &runs{permit: make(chan struct{})}
	g := newRuns(t, Options{}, 2, r)
	var calls []<-chan error
	for n := range 2 {
		done := make(chan error, 1)
		go func() { _, err := g.do(context.Background(), n); done <- err }()
		calls = append(calls, done)
		require.Eventually(t, func() bool { return len(r.all()) == n+1 }, 10*time.Second, time.Millisecond)
	}
	calls = append(calls, callGroup(t.Context(), t, g, 2))
	require.Len(t, r.all(), 2)
	close(r.permit)
	for _, c := range calls {
		require.NoError(t, <-c)
	}
}

func TestGroup_RunIsBounded(t *testing.T) {
	t.Parallel()
	r := &runs{permit: make(chan struct{})}
	g := newRuns(t, Options{Timeout: time.Millisecond}, 1, r)
	_, err := g.do(t.Context(), 1)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestGroup_CloseServesWhatWasAccepted(t *testing.T) {
	t.Parallel()
	r := &runs{}
	g, first := busy(t, Options{}, r)
	waiting := callGroup(t.Context(), t, g, 1)
	closed := make(chan struct{})
	go func() { g.close(); close(closed) }()
	require.Eventually(t, g.isClosed, 10*time.Second, time.Millisecond)
	_, err := g.do(t.Context(), 2)
	requireUnavailable(t, err)
	close(r.permit)
	require.NoError(t, <-first)
	require.NoError(t, <-waiting)
	<-closed
	require.Equal(t, [][]int{{0}, {1}}, r.all())
}

func (g *group[In, Out]) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// Who sends many requests at once delays another by one of its own a run's place, not by all of them.
func TestGroup_TenantsTakeTurns(t *testing.T) {
	t.Parallel()
	r := &runs{}
	g, first := busy(t, Options{MaxGroup: 4}, r)
	g.tenantOf = func(n int) string { return fmt.Sprint(n / 100) }
	var all []<-chan error
	for _, n := range []int{100, 101, 102, 103, 104, 200, 201} {
		all = append(all, callGroup(t.Context(), t, g, n))
	}
	close(r.permit)
	for _, done := range append(all, first) {
		require.NoError(t, <-done)
	}
	require.Equal(t, [][]int{{0}, {100, 200, 101, 201}, {102, 103, 104}}, r.all())
}

// Who has many requests that need a run each takes turns with others all the same.
func TestGroup_TenantsTakeTurnsWithWhatRunsAgain(t *testing.T) {
	t.Parallel()
	r := &runs{again: func(in []int, i int) bool { return i > 0 && in[i] == 100 }}
	g, first := busy(t, Options{MaxGroup: 4}, r)
	g.tenantOf = func(n int) string { return fmt.Sprint(n / 100) }
	var all []<-chan error
	for _, n := range []int{100, 100, 100, 100, 100, 200, 201, 202, 203, 204} {
		all = append(all, callGroup(t.Context(), t, g, n))
	}
	close(r.permit)
	for _, done := range append(all, first) {
		require.NoError(t, <-done)
	}
	require.Equal(t, [][]int{{0}, {100, 200, 100, 201}, {100, 202, 100, 203}, {100, 204, 100, 100}, {100, 100}, {100}}, r.all())
}
