package worker_test

import (
	"context"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"waybill/webhook"
	"waybill/worker"
)

// counter counts what it was set to, or fails.
type counter struct {
	mu      sync.Mutex
	waiting int
	fail    error
	most    int
	// during, when set, is called while the events are counted.
	during func()
}

func (c *counter) CountDispatches(_ context.Context, most int) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most = most
	n := min(c.waiting, most)
	if c.during != nil {
		c.during()
	}
	return n, c.fail
}

func (c *counter) set(waiting int, fail error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting, c.fail = waiting, fail
}

func newBacklog(t *testing.T, limit int) (*worker.Backlog, *counter, *prometheus.Registry) {
	t.Helper()
	c, reg := &counter{}, prometheus.NewRegistry()
	return worker.NewBacklog(worker.BacklogOptions{Counter: c, Limit: limit, Registerer: reg, Logger: slog.New(slog.DiscardHandler)}), c, reg
}

func requireFull(t *testing.T, b *worker.Backlog, code webhook.Code) {
	t.Helper()
	require.Equal(t, code, webhook.ErrorCode(b.Admit(1)))
}

// admit lets events in and reports them stored.
func admit(t *testing.T, b *worker.Backlog, events int) {
	t.Helper()
	require.NoError(t, b.Admit(events))
	b.Done(events, events)
}

// No more events than the limit are admitted between two readings, however many callers there are.
func TestBacklog_Burst(t *testing.T) {
	t.Parallel()
	b, c, _ := newBacklog(t, 50)
	c.set(10, nil)
	b.Read(t.Context())
	var all sync.WaitGroup
	var admitted atomic.Int32
	for range 200 {
		all.Go(func() {
			if b.Admit(1) == nil {
				admitted.Add(1)
				b.Done(1, 1)
			}
		})
	}
	all.Wait()
	require.Equal(t, int32(40), admitted.Load())
	requireFull(t, b, webhook.CodeBacklogFull)

	c.set(49, nil) // some were dispatched
	b.Read(t.Context())
	admit(t, b, 1)
	requireFull(t, b, webhook.CodeBacklogFull)
}

// Events under way count; those that came to nothing make room again.
func TestBacklog_UnderWay(t *testing.T) {
	t.Parallel()
	b, _, _ := newBacklog(t, 2)
	require.NoError(t, b.Admit(1))
	require.NoError(t, b.Admit(1))
	requireFull(t, b, webhook.CodeBacklogFull)
	b.Done(1, 0)
	require.NoError(t, b.Admit(1))
	requireFull(t, b, webhook.CodeBacklogFull)
}

// A batch is let in whole while there is room for one event: one above the limit would never be.
func TestBacklog_Batch(t *testing.T) {
	t.Parallel()
	b, _, _ := newBacklog(t, 3)
	admit(t, b, 2)
	admit(t, b, 500)
	requireFull(t, b, webhook.CodeBacklogFull)
}

// What is stored while the events are counted may be in the count or not, so it is counted on.
func TestBacklog_StoredDuringReading(t *testing.T) {
	t.Parallel()
	b, c, _ := newBacklog(t, 5)
	admit(t, b, 2)
	c.set(2, nil)
	c.during = func() { admit(t, b, 2) }
	b.Read(t.Context())
	admit(t, b, 1) // 2 counted, 2 stored meanwhile
	requireFull(t, b, webhook.CodeBacklogFull)
}

// While the database cannot be read nothing is let in above the limit, and the answer is that of a database that is away.
func TestBacklog_Unreadable(t *testing.T) {
	t.Parallel()
	b, c, reg := newBacklog(t, 2)
	c.set(1, nil)
	b.Read(t.Context())
	require.EqualValues(t, 1, metric(t, reg, "waybill_backlog_events"))
	admit(t, b, 1)
	c.set(0, webhook.Errorf(webhook.CodeUnavailable, "away"))
	b.Read(t.Context())
	requireFull(t, b, webhook.CodeUnavailable)
	require.EqualValues(t, 1, metric(t, reg, "waybill_backlog_events"), "one reading took too long")
	b.Read(t.Context())
	require.True(t, math.IsNaN(metric(t, reg, "waybill_backlog_events")), "nobody knows")
	requireFull(t, b, webhook.CodeUnavailable)
	c.set(2, nil)
	b.Read(t.Context())
	requireFull(t, b, webhook.CodeBacklogFull)
	require.EqualValues(t, 2, metric(t, reg, "waybill_backlog_events"))
}

func TestBacklog_NoLimit(t *testing.T) {
	t.Parallel()
	b, c, reg := newBacklog(t, 0)
	c.set(30, nil)
	stop := background(t, b.Run)
	eventually(t, func() bool {
		return testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP waybill_backlog_events Events accepted and not yet dispatched, counted up to the limit; without a limit, up to a million.
# TYPE waybill_backlog_events gauge
waybill_backlog_events 30
`)) == nil
	})
	stop()
	admit(t, b, 10_000_000)
	admit(t, b, 1)
	require.Equal(t, worker.DefaultMaxBacklog, c.most)
}
