package worker_test

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
	"waybill/worker"
	"waybill/workflows"
)

var (
	hanging = webhook.NewID[webhook.EndpointID]([16]byte{15: 1})
	well    = webhook.NewID[webhook.EndpointID]([16]byte{15: 2})
)

// young is an event of now to endpoints. Its id is not that of NewV7, which does not go back to the time in a bubble.
func young(endpoints ...webhook.EndpointID) store.Dispatch {
	id := uuid.New()
	now := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixMilli()))
	copy(id[:6], now[2:])
	id[6] = 7<<4 | id[6]&15
	e := store.Dispatch{EventKey: webhook.NewID[webhook.EventKey](id), TenantID: "acme", EventType: "item.sold", Dialect: "rheo"}
	e.EventID = e.EventKey.String()
	for _, id := range endpoints {
		e.Deliveries = append(e.Deliveries, store.DispatchDelivery{ID: webhook.NewID[webhook.DeliveryID](uuid.Must(uuid.NewV7())), EndpointID: id})
	}
	return e
}

// many are as many events of now to an endpoint.
func many(n int, to webhook.EndpointID) (all []store.Dispatch) {
	for range n {
		all = append(all, young(to))
	}
	return all
}

// roomy is a dispatcher whose endpoint hanging, and any other but well, has room for three attempts that nobody answers, until answer adds
// to it.
func roomy(t *testing.T, change ...func(*worker.DispatcherOptions)) (b *bundle, answer func(n int64)) {
	t.Helper()
	var room atomic.Int64
	room.Store(3)
	b = setup(t, append(change, func(o *worker.DispatcherOptions) {
		o.Room = func(id webhook.EndpointID) int {
			if id == well {
				return 1000
			}
			return int(room.Load()) - startsTo(o.Starter.(*fakeStarter), id)
		}
	})...)
	return b, func(n int64) { room.Add(n) }
}

func startsTo(f *fakeStarter, id webhook.EndpointID) (n int) {
	for _, in := range f.all() {
		for i := range in.Deliveries {
			if in.Deliveries[i].EndpointID == id {
				n++
			}
		}
	}
	return n
}

// What comes at once for an endpoint that answers nothing is not started at once, and is in nobody's way.
func TestDispatcher_StartsNoMoreThanAnEndpointHasRoomFor(t *testing.T) {
	t.Parallel()
	b, answer := roomy(t)
	b.dispatcher.Offer(many(20, hanging))
	eventually(t, func() bool { return startsTo(b.starter, hanging) == 3 })
	b.dispatcher.Offer(many(5, well))
	eventually(t, func() bool { return startsTo(b.starter, well) == 5 })
	require.Equal(t, 3, startsTo(b.starter, hanging), "two starts at once stay within the room, too")
	b.dispatcher.Offer([]store.Dispatch{young(hanging, well)})
	eventually(t, func() bool { return startsTo(b.starter, well) == 6 })
	require.Equal(t, 4, startsTo(b.starter, hanging), "one endpoint with room is enough for an event")

	answer(10)
	eventually(t, func() bool { return startsTo(b.starter, hanging) == 13 })
	answer(100)
	eventually(t, b.dispatches.has(26, 0))
	require.Equal(t, 21, startsTo(b.starter, hanging))
}

// An event waits for the endpoint for which the fewest wait.
func TestDispatcher_WaitsForTheEndpointWithTheShortestLine(t *testing.T) {
	t.Parallel()
	other := webhook.NewID[webhook.EndpointID]([16]byte{15: 3})
	var roomOfOther, asked atomic.Int64
	b := setup(t, func(o *worker.DispatcherOptions) {
		o.Room = func(id webhook.EndpointID) int {
			if id == other {
				asked.Add(1)
				return int(roomOfOther.Load())
			}
			return 0
		}
	})
	b.dispatcher.Offer(many(20, hanging))
	both := young(hanging, other)
	b.dispatcher.Offer([]store.Dispatch{both})
	eventually(t, func() bool { return asked.Load() > 0 }) // so it waits
	roomOfOther.Store(1)
	eventually(t, b.dispatches.has(1, 0))
	require.Equal(t, both.EventKey, b.dispatches.deleted[0])
}

// Events that wait for room go back to dispatches when their endpoint turns out to be slow, and when the process stops. One that is old enough to
// leave dispatches does not wait.
func TestDispatcher_ReleasesWhatWaitsForRoom(t *testing.T) {
	t.Parallel()
	var slow atomic.Bool
	b, _ := roomy(t, func(o *worker.DispatcherOptions) {
		o.RetryAfter = func([]webhook.EndpointID) time.Duration {
			if slow.Load() {
				return 7 * time.Second
			}
			return 0
		}
	})
	b.dispatcher.Offer(many(20, hanging))
	eventually(t, b.dispatches.has(3, 0))
	slow.Store(true)
	eventually(t, b.dispatches.has(3, 17))
	require.Equal(t, 7*time.Second, b.dispatches.released[16].After)
	slow.Store(false)

	old := event(1, 1)
	b.dispatcher.Offer([]store.Dispatch{old})
	eventually(t, b.dispatches.has(4, 17))
	require.Equal(t, old.EventKey, b.dispatches.deleted[3])

	b.dispatcher.Offer(many(2, hanging))
	b.stop()
	require.True(t, b.dispatches.has(4, 19)())
	require.Zero(t, b.dispatches.released[18].After)
}

// What waits for endpoints is bounded: of one tenant 512 events. The others wait where all do, and those of another tenant pass them.
func TestDispatcher_BoundsWhatWaitsForRoom(t *testing.T) {
	t.Parallel()
	b, answer := roomy(t)
	b.dispatcher.Offer(many(500, hanging))
	eventually(t, func() bool { return !b.isFull() })
	b.dispatcher.Offer(many(1500, hanging))
	eventually(t, func() bool { return startsTo(b.starter, hanging) == 3 })
	other := young(well)
	other.TenantID = "globex"
	b.dispatcher.Offer([]store.Dispatch{other})
	eventually(t, func() bool { return startsTo(b.starter, well) == 1 })
	require.Equal(t, 3, startsTo(b.starter, hanging))

	answer(2000)
	eventually(t, func() bool { return startsTo(b.starter, hanging) > 3+512 })
	b.stop()
	require.LessOrEqual(t, startsTo(b.starter, hanging), 3+512+512, "the relay finds the others")
}

// Who waited for room takes turns with other tenants like everybody.
func TestDispatcher_WhoWaitedForRoomTakesTurns(t *testing.T) {
	t.Parallel()
	b, answer := roomy(t, func(o *worker.DispatcherOptions) { o.Starter.(*fakeStarter).block(t) })
	pass := func(starts int) {
		for range starts {
			passGate(t, b.starter.gate)
		}
	}
	b.dispatcher.Offer(many(400, hanging))
	pass(3)
	eventually(t, b.dispatches.has(3, 0))
	answer(1000)
	pass(5)
	eventually(t, b.dispatches.has(8, 0))
	other := young(well)
	other.TenantID = "globex"
	b.dispatcher.Offer([]store.Dispatch{other})
	pass(5) // two are under way
	eventually(t, func() bool { return startsTo(b.starter, well) == 1 })
	b.starter.open()
	eventually(t, b.dispatches.has(401, 0))
}

// offerMany offers as many events of now to hanging as there are, in portions for which a tenant has room.
func (b *bundle) offerMany(n int) {
	for ; n > 0; n -= 300 {
		b.dispatcher.Offer(many(min(n, 300), hanging))
		synctest.Wait()
	}
}

// A tenant whose events wait for room as far as they may has a turn for what waits behind them, as soon as one of them begins.
func TestDispatcher_WhatWaitsBehindThoseInLineHasATurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var blocks atomic.Bool
		gate := make(chan struct{})
		b, answer := roomy(t, func(o *worker.DispatcherOptions) {
			o.Starter.(*fakeStarter).fault = func(in *workflows.EventDeliveryInput) error {
				if in.Deliveries[0].EndpointID == hanging && blocks.Load() {
					<-gate
				}
				return nil
			}
		})
		t.Cleanup(func() { close(gate) })
		b.offerMany(3 + 512)
		b.dispatcher.Offer([]store.Dispatch{young(well)})
		time.Sleep(20 * time.Millisecond) // the third begins when room is looked at again, if two were on their way at first
		require.Equal(t, 3, startsTo(b.starter, hanging))
		require.Zero(t, startsTo(b.starter, well), "as many wait as may")

		blocks.Store(true)
		answer(1)
		time.Sleep(20 * time.Millisecond)
		require.Equal(t, 1, startsTo(b.starter, well), "of two starts at once one is free")
	})
}

// What comes later does not pass what waits for the same endpoint.
func TestDispatcher_NewEventsDoNotPassThoseInLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, answer := roomy(t)
		events := many(13, hanging)
		b.dispatcher.Offer(events[:8])
		synctest.Wait()
		for i := 8; i < len(events); i++ {
			answer(1)
			b.dispatcher.Offer(events[i : i+1])
			synctest.Wait()
		}
		time.Sleep(time.Second)
		started := make(map[webhook.EventKey]bool) // two start at once, so in any order
		for _, in := range b.starter.all() {
			started[in.EventKey] = true
		}
		require.Len(t, started, 8)
		for i := range 8 {
			require.Contains(t, started, events[i].EventKey, "%d", i)
		}
	})
}

// Nothing waits here for longer than its lease, not even for an endpoint whose attempts all wait for the database: it answers nothing, and is not
// slow.
func TestDispatcher_EndsTheWaitForRoomBeforeTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := roomy(t)
		b.offerMany(3 + 512 + 300)
		time.Sleep(29 * time.Second)
		require.True(t, b.dispatches.has(3, 512+300)(), "%d released", len(b.dispatches.released))
		require.Zero(t, b.dispatches.released[0].After)
	})
}

// An event to many endpoints does not wait, because to look for room at all of them again and again would take longer than the start.
func TestDispatcher_ManyEndpointsDoNotWaitForRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		b := setup(t, func(o *worker.DispatcherOptions) {
			o.Room = func(webhook.EndpointID) int {
				asked.Add(1)
				return 0
			}
		})
		to := make([]webhook.EndpointID, 10_000)
		for i := range to {
			to[i] = webhook.NewID[webhook.EndpointID]([16]byte{14: byte(i >> 8), 15: byte(i)})
		}
		b.dispatcher.Offer([]store.Dispatch{young(to[:33]...), young(to...), young(to[:32]...)})
		time.Sleep(time.Second)
		require.Len(t, b.starter.all(), 2)
		require.Less(t, asked.Load(), int64(32*250), "once for each endpoint in 5 ms")
	})
}
