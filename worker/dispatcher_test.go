package worker_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
	"waybill/worker"
	"waybill/workflows"
)

func TestDispatcher_StartsAndDeletes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dispatcher.Offer([]store.Dispatch{event(1, 2), event(2, 1)})
	eventually(t, b.dispatches.has(2, 0))
	require.ElementsMatch(t, []webhook.EventKey{key(1), key(2)}, b.dispatches.deleted)
	for _, in := range b.starter.all() {
		require.Equal(t, "acme", in.Tenant)
		require.Len(t, in.Policies, 1, "the dialect's, once")
		require.Len(t, in.Policies[0].Schedule, 5)
	}
}

// While starts fail, new events are left in dispatches at once, and the relay's probe finds out when they work again.
func TestDispatcher_EngineDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.starter.setDown(true)
	b.dispatcher.Offer([]store.Dispatch{event(1, 1)})
	eventually(t, b.dispatches.has(0, 1))
	require.True(t, b.isFull())
	b.dispatcher.Offer([]store.Dispatch{event(2, 1), event(3, 1)})
	eventually(t, b.dispatches.has(0, 3))
	require.Empty(t, b.starter.all())

	b.dispatches.mu.Lock()
	b.dispatches.waiting = []store.Dispatch{event(1, 1), event(2, 1), event(3, 1)}
	b.dispatches.mu.Unlock()
	b.starter.setDown(false)
	background(t, worker.NewRelay(b.dispatches, b.dispatcher, slog.New(slog.DiscardHandler)).Run)
	eventually(t, b.dispatches.has(3, 3))
	require.Equal(t, key(1), b.starter.all()[0].EventKey, "oldest first")
	require.Equal(t, 1, b.dispatches.limits[0], "one event as a probe")
}

func TestDispatcher_NeverBlocks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.starter.block(t)
	for range 2000 {
		b.dispatcher.Offer([]store.Dispatch{event(1, 1)}) // more than the queue holds
	}
	require.True(t, b.isFull(), "so that the store leaves events to the relay")
	b.starter.open()
	eventually(t, func() bool { return !b.isFull() })
	eventually(t, func() bool {
		b.dispatches.mu.Lock()
		defer b.dispatches.mu.Unlock()
		return len(b.dispatches.deleted) == len(b.starter.all()) && len(b.dispatches.deleted) > 0 && len(b.dispatches.released) > 0
	})
}

// A process that stops finishes the starts in flight, deletes their dispatches, and releases the events that it has not
// begun.
func TestDispatcher_Stop(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *worker.DispatcherOptions) { o.Starts = 1 })
	b.starter.block(t)
	for n := range 5 {
		b.dispatcher.Offer([]store.Dispatch{event(n, 1)})
	}
	passGate(t, b.starter.gate)
	eventually(t, b.dispatches.has(1, 0))
	stopped := make(chan struct{})
	go func() {
		b.stop()
		close(stopped)
	}()
	b.starter.open()
	eventually(t, isClosed(stopped))
	require.Len(t, b.dispatches.deleted, len(b.starter.all()))
	require.Equal(t, 5, len(b.dispatches.deleted)+len(b.dispatches.released))
}

// lastStarter has the process told to stop by its first start.
type lastStarter struct {
	stop   context.CancelFunc
	starts atomic.Int32
}

func (s *lastStarter) Start(context.Context, *workflows.EventDeliveryInput) error {
	s.starts.Add(1)
	s.stop()
	return nil
}

// Starts may be slow, so that a process that stops must not begin more of them, however many wait. Again and again, since a
// dispatcher that tosses a coin is right half of the time.
func TestDispatcher_BeginsNothingWhileStopping(t *testing.T) {
	t.Parallel()
	var options worker.DispatcherOptions
	setup(t, func(o *worker.DispatcherOptions) { options = *o })
	for round := range 20 {
		ctx, stop := context.WithCancel(t.Context())
		starter, dispatches := &lastStarter{stop: stop}, newDispatches()
		options.Starter, options.Dispatches, options.Starts, options.Express = starter, dispatches, 1, nil
		if round%2 == 1 {
			// Its many goroutines take events of other tenants too, which then wait for the one slot.
			options.Express = worker.NewExpress(nil, nil, false)
		}
		d := worker.NewDispatcher(options)
		for n := range 10 {
			d.Offer([]store.Dispatch{event(n, 1)})
		}
		d.Run(ctx)
		require.EqualValues(t, 1, starter.starts.Load())
		require.True(t, dispatches.has(1, 9)(), "the others are given back")
	}
}

// While all its endpoints are slow and busy an event stays in dispatches, but not for ever.
func TestDispatcher_PutsOff(t *testing.T) {
	t.Parallel()
	young := store.Dispatch{EventKey: webhook.NewID[webhook.EventKey](uuid.Must(uuid.NewV7())), TenantID: "acme", Dialect: "rheo", Deliveries: event(1, 2).Deliveries}
	old := event(2, 1)
	var asked []webhook.EndpointID
	b := setup(t, func(o *worker.DispatcherOptions) {
		o.RetryAfter = func(endpoints []webhook.EndpointID) time.Duration {
			asked = endpoints
			return 7 * time.Second
		}
	})
	b.dispatcher.Offer([]store.Dispatch{young, old})
	eventually(t, b.dispatches.has(1, 1))
	require.Equal(t, []store.Release{{EventKey: young.EventKey, After: 7 * time.Second}}, b.dispatches.released)
	require.Equal(t, []webhook.EventKey{old.EventKey}, b.dispatches.deleted)
	require.Equal(t, []webhook.EndpointID{young.Deliveries[0].EndpointID, young.Deliveries[1].EndpointID}, asked)
}

func TestRelay_SurvivesTheDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dispatches.fail = errDown
	b.dispatches.waiting = []store.Dispatch{event(1, 1)}
	background(t, worker.NewRelay(b.dispatches, b.dispatcher, slog.New(slog.DiscardHandler)).Run)
	tries := func(n int) func() bool {
		return func() bool {
			b.dispatches.mu.Lock()
			defer b.dispatches.mu.Unlock()
			return len(b.dispatches.limits) >= n
		}
	}
	eventually(t, tries(1))
	b.dispatches.mu.Lock()
	b.dispatches.fail = nil
	b.dispatches.mu.Unlock()
	eventually(t, b.dispatches.has(1, 0))
}

// of makes an event another tenant's.
func of(tenant string, e store.Dispatch) store.Dispatch {
	e.TenantID = tenant
	return e
}

// crowd offers more events of a tenant than it has room for, and lets none start.
func (b *bundle) crowd(t *testing.T, tenant string) {
	t.Helper()
	b.starter.block(t)
	for n := range 600 {
		b.dispatcher.Offer([]store.Dispatch{of(tenant, event(n, 1))})
	}
}

// A tenant that publishes faster than its events start has its own left to the relay. What others publish is started in turn.
func TestDispatcher_TenantsTakeTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.crowd(t, "noisy")
	noisy, quiet := of("noisy", event(1, 1)), of("quiet", event(1000, 1))
	require.True(t, b.dispatcher.Full(&noisy))
	require.False(t, b.dispatcher.Full(&quiet), "for others there is room")
	for n := range 5 {
		b.dispatcher.Offer([]store.Dispatch{of("quiet", event(1000+n, 1))})
	}
	const underWay = 2 // at the gate, as many as there are starts at once
	for passed := range 10 {
		eventually(t, func() bool { return len(b.starter.beginnings()) == passed+underWay })
		passGate(t, b.starter.gate)
	}
	eventually(t, func() bool { return len(b.starter.beginnings()) == 10+underWay })
	turns := b.starter.beginnings()
	require.Equal(t, 5, count(turns, "quiet"), "one of each, by turns: %v", turns)
	b.starter.open()
	eventually(t, func() bool { return !b.dispatcher.Full(&noisy) })
}

func count(in []string, what string) (n int) {
	for _, one := range in {
		if one == what {
			n++
		}
	}
	return n
}

// The relay claims nothing for a tenant that has no room, so that it does not wait for it with what others have.
func TestRelay_PassesOverTheCrowded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.crowd(t, "noisy")
	b.dispatches.mu.Lock()
	for n := range 300 {
		b.dispatches.waiting = append(b.dispatches.waiting, of("noisy", event(1000+n, 1)))
	}
	b.dispatches.waiting = append(b.dispatches.waiting, of("quiet", event(2000, 1)))
	b.dispatches.mu.Unlock()
	background(t, worker.NewRelay(b.dispatches, b.dispatcher, slog.New(slog.DiscardHandler)).Run)
	eventually(t, func() bool {
		b.dispatches.mu.Lock()
		defer b.dispatches.mu.Unlock()
		return len(b.dispatches.claimed) == 1
	})
	for range 4 {
		passGate(t, b.starter.gate)
	}
	eventually(t, func() bool {
		for _, in := range b.starter.all() {
			if in.Tenant == "quiet" {
				return true
			}
		}
		return false
	})
	b.starter.open()
	eventually(t, func() bool {
		b.dispatches.mu.Lock()
		defer b.dispatches.mu.Unlock()
		return len(b.dispatches.claimed) == 301
	})
}

// While starts fail the relay goes on with what express mode delivers, and so does a process that was told of nothing but failed starts.
func TestRelay_ExpressWhileStartsFail(t *testing.T) {
	t.Parallel()
	const some = 300
	b := setup(t, func(o *worker.DispatcherOptions) {
		o.Express = worker.NewExpress(always(made(webhook.StatusDelivered, 0), nil), awake, false)
	})
	b.starter.setDown(true)
	b.dispatcher.Offer([]store.Dispatch{event(0, 1)})
	eventually(t, b.dispatches.has(0, 1))
	b.dispatches.mu.Lock()
	for n := range some {
		e := of("quick", event(100+n, 1))
		e.Express = true
		b.dispatches.waiting = append(b.dispatches.waiting, event(1000+n, 1), e)
	}
	b.dispatches.mu.Unlock()
	background(t, worker.NewRelay(b.dispatches, b.dispatcher, slog.New(slog.DiscardHandler)).Run)
	eventually(t, func() bool {
		b.dispatches.mu.Lock()
		defer b.dispatches.mu.Unlock()
		return len(b.dispatches.deleted) == some
	})
	require.Empty(t, b.starter.all())
	b.starter.setDown(false)
	eventually(t, func() bool {
		b.dispatches.mu.Lock()
		defer b.dispatches.mu.Unlock()
		return len(b.dispatches.deleted) == 2*some
	})
}

// An event to very many endpoints has more of a tenant's share than one to a few, because its memory is as much larger.
func TestDispatcher_WideEventsTakeMore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var begun atomic.Int32
	b.starter.block(t)
	b.starter.fault = func(*workflows.EventDeliveryInput) error {
		begun.Add(1)
		return nil
	}
	b.dispatcher.Offer([]store.Dispatch{event(0, 1), event(1, 1)})
	eventually(t, func() bool { return begun.Load() == 2 })
	for n := range 20 {
		b.dispatcher.Offer([]store.Dispatch{event(2+n, 10_000)})
	}
	eventually(t, b.dispatches.has(0, 20-11)) // of 1,024 each has 51
	quiet := of("quiet", event(100, 1))
	require.False(t, b.dispatcher.Full(&quiet))
}
