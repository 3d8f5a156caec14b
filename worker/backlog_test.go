package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
	"waybill/worker"
)

// counter counts what it was set to, all of it acme's but what others have, or fails.
type counter struct {
	mu      sync.Mutex
	waiting int
	others  map[string]int
	fail    error
	each    int
	// during, when set, is called while the events are counted.
	during func()
}

func (c *counter) CountDispatches(_ context.Context, each int) (*store.Backlog, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.each = each
	out := &store.Backlog{All: min(c.waiting, each), Of: map[string]int{"acme": min(c.waiting, each)}}
	for tenant, n := range c.others {
		n = min(n, each)
		out.All += n
		out.Of[tenant] = n
	}
	if c.during != nil {
		c.during()
	}
	return out, c.fail
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
	require.Equal(t, code, webhook.ErrorCode(b.Admit("acme", 1)))
}

// admit lets events in and reports them stored.
func admit(t *testing.T, b *worker.Backlog, events int) {
	t.Helper()
	require.NoError(t, b.Admit("acme", events))
	b.Done("acme", events, events)
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
			if b.Admit("acme", 1) == nil {
				admitted.Add(1)
				b.Done("acme", 1, 1)
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
	require.NoError(t, b.Admit("acme", 1))
	require.NoError(t, b.Admit("acme", 1))
	requireFull(t, b, webhook.CodeBacklogFull)
	b.Done("acme", 1, 0)
	require.NoError(t, b.Admit("acme", 1))
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
# HELP waybill_backlog_events Events accepted and not yet dispatched, of each tenant counted up to the limit; without a limit, up to a million.
# TYPE waybill_backlog_events gauge
waybill_backlog_events 30
`)) == nil
	})
	stop()
	admit(t, b, 10_000_000)
	admit(t, b, 1)
	require.Equal(t, worker.DefaultMaxBacklog, c.each)
}

// One tenant alone may use all of the limit. Meanwhile another is let in, up to as much as is free, and what both have stays below twice
// the limit.
func TestBacklog_Shares(t *testing.T) {
	t.Parallel()
	b, c, _ := newBacklog(t, 100)
	c.set(100, nil)
	b.Read(t.Context())
	requireFull(t, b, webhook.CodeBacklogFull)
	admitOther := func(tenant string) (n int) {
		for b.Admit(tenant, 1) == nil {
			b.Done(tenant, 1, 1)
			n++
		}
		return n
	}
	require.Equal(t, 50, admitOther("other"), "half of what the first left")
	require.Equal(t, 25, admitOther("third"))
	requireFull(t, b, webhook.CodeBacklogFull)
	require.NoError(t, b.Admit("fourth", 1))
	b.Done("fourth", 1, 0)

	c.set(40, nil) // acme's went, and the others' were counted
	c.others = map[string]int{"other": 50, "third": 25}
	b.Read(t.Context())
	require.Equal(t, 23, admitMany(t, b), "until it has as much as is free")
	require.Zero(t, admitOther("other")/10, "who has most waits for the others")

	c.set(0, nil)
	c.others = nil
	b.Read(t.Context())
	require.Equal(t, 100, admitMany(t, b), "alone again")
}

// admitMany lets in as many of acme's events as there is room for.
func admitMany(t *testing.T, b *worker.Backlog) (n int) {
	t.Helper()
	for b.Admit("acme", 1) == nil {
		b.Done("acme", 1, 1)
		n++
	}
	return n
}

// A tenant of which the reading tells nothing is none that has much: it is let in as long as anything is free.
func TestBacklog_ManyTenants(t *testing.T) {
	t.Parallel()
	b, c, _ := newBacklog(t, 1000)
	c.set(0, nil)
	c.others = map[string]int{}
	for n := range store.MaxCountedTenants {
		c.others[fmt.Sprint("t", n)] = 1
	}
	b.Read(t.Context())
	require.NoError(t, b.Admit("unlisted", 1))
	b.Done("unlisted", 1, 1)
	require.Equal(t, 500, admitMany(t, b), "2,000 less what waits, by two")
}

// What is published with SQL is refused nobody, so it may go far beyond the limit. It takes no more of the place than others may have.
func TestBacklog_BeyondTheLimit(t *testing.T) {
	t.Parallel()
	b, c, _ := newBacklog(t, 100)
	c.set(5000, nil)
	c.others = map[string]int{"sql": 5000}
	b.Read(t.Context())
	requireFull(t, b, webhook.CodeBacklogFull)
	require.Equal(t, webhook.CodeBacklogFull, webhook.ErrorCode(b.Admit("sql", 1)))
	n := 0
	for b.Admit("quiet", 1) == nil {
		b.Done("quiet", 1, 1)
		n++
	}
	require.Equal(t, 50, n, "of 200, by four: one part is for those that come")
	c.others["quiet"] = 50
	b.Read(t.Context())
	require.Equal(t, webhook.CodeBacklogFull, webhook.ErrorCode(b.Admit("quiet", 1)))
	require.NoError(t, b.Admit("another", 1))
	b.Done("another", 1, 0)

	c.set(0, nil) // they were dispatched
	c.others = nil
	b.Read(t.Context())
	require.Equal(t, 100, admitMany(t, b))
}
