package worker_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/store"
	"waybill/webhook"
	"waybill/worker"
	"waybill/workflows"
)

type attempterFunc func(in activities.AttemptInput) (*activities.AttemptResult, error)

func (f attempterFunc) Attempt(_ context.Context, in activities.AttemptInput) (*activities.AttemptResult, error) {
	return f(in)
}

func always(out activities.AttemptResult, err error) attempterFunc {
	return func(activities.AttemptInput) (*activities.AttemptResult, error) { return &out, err }
}

func made(status webhook.Status, delay time.Duration) activities.AttemptResult {
	return activities.AttemptResult{Status: status, Delay: delay, Attempt: &webhook.AttemptSummary{Number: 1, StatusCode: 500}}
}

// awake finds every queue awake.
func awake(context.Context, string, webhook.EndpointID, time.Duration) (bool, error) {
	return false, nil
}

// A delivery that the first attempt settles needs no workflow; for the others the workflow continues from their state.
func TestExpress(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		attempt attempterFunc
		want    *workflows.DeliveryState // of the workflow; nil: none
	}{
		"delivered":       {always(made(webhook.StatusDelivered, 0), nil), nil},
		"exhausted":       {always(made(webhook.StatusExhausted, 0), nil), nil},
		"canceled before": {always(activities.AttemptResult{Status: webhook.StatusCanceled}, nil), nil},
		"to be retried": {always(made(webhook.StatusRetrying, time.Second), nil), &workflows.DeliveryState{
			Lane: activities.LaneFast, Status: webhook.StatusRetrying, Delay: time.Second,
			Attempts: []webhook.AttemptSummary{{Number: 1, StatusCode: 500}},
		}},
		"under way for long":         {always(activities.AttemptResult{FollowOn: "q"}, nil), &workflows.DeliveryState{Lane: activities.LaneFast, FollowOn: "q"}},
		"a fault of ours":            {always(activities.AttemptResult{}, errDown), &workflows.DeliveryState{Lane: activities.LaneFast}},
		"handed over":                {always(activities.AttemptResult{Status: webhook.StatusHeld, Queued: true}, nil), nil},
		"to be retried by the queue": {always(activities.AttemptResult{Status: webhook.StatusRetrying, Queued: true, Delay: time.Second}, nil), nil},
		"neither":                    {always(activities.AttemptResult{Status: webhook.StatusHeld}, nil), &workflows.DeliveryState{Lane: activities.LaneFast}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(o *worker.DispatcherOptions) { o.Express = worker.NewExpress(test.attempt, awake, true) })
			b.dispatcher.Offer([]store.Dispatch{event(1, 1)})
			eventually(t, b.dispatches.has(1, 0))
			started := b.starter.all()
			if test.want == nil {
				require.Empty(t, started)
				return
			}
			require.Len(t, started, 1)
			test.want.ID, test.want.EndpointID = event(1, 1).Deliveries[0].ID, event(1, 1).Deliveries[0].EndpointID
			require.Equal(t, *test.want, started[0].Deliveries[0])
		})
	}
}

// One delivery that is not settled is enough for a workflow, which leaves the others alone.
func TestExpress_SomeSettled(t *testing.T) {
	t.Parallel()
	second := event(1, 3).Deliveries[1].ID
	b := setup(t, func(o *worker.DispatcherOptions) {
		o.Express = worker.NewExpress(attempterFunc(func(in activities.AttemptInput) (*activities.AttemptResult, error) {
			out := made(webhook.StatusDelivered, 0)
			if in.DeliveryID == second {
				out = made(webhook.StatusRetrying, time.Minute)
			}
			return &out, nil
		}), awake, true)
	})
	b.dispatcher.Offer([]store.Dispatch{event(1, 3)})
	eventually(t, b.dispatches.has(1, 0))
	require.Len(t, b.starter.all(), 1)
	var statuses []webhook.Status
	for _, d := range b.starter.all()[0].Deliveries {
		statuses = append(statuses, d.Status)
	}
	require.Equal(t, []webhook.Status{webhook.StatusDelivered, webhook.StatusRetrying, webhook.StatusDelivered}, statuses)
}

// Unless everybody has it, a tenant asks for it. It needs no engine.
func TestExpress_OfTheTenant(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *worker.DispatcherOptions) {
		o.Express = worker.NewExpress(always(made(webhook.StatusDelivered, 0), nil), awake, false)
	})
	b.starter.setDown(true)
	express := event(2, 1)
	express.Express = true
	b.dispatcher.Offer([]store.Dispatch{event(1, 1)})
	eventually(t, b.dispatches.has(0, 1))
	b.dispatcher.Offer([]store.Dispatch{express})
	eventually(t, b.dispatches.has(1, 1))
	require.Equal(t, []webhook.EventKey{key(2)}, b.dispatches.deleted)
}

// eventTo is an event to one endpoint.
func eventTo(n, endpoint int) store.Dispatch {
	e := event(n, 1)
	e.Deliveries[0].EndpointID = webhook.NewID[webhook.EndpointID]([16]byte{0xe, 15: byte(endpoint)})
	return e
}

// A burst to an endpoint whose requests take long leaves slots to the events of others, which pass it. None of it is forgotten.
func TestExpress_BurstToOneEndpoint(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	slow := eventTo(0, 1).Deliveries[0].EndpointID
	var atOnce, most atomic.Int32
	b := setup(t, func(o *worker.DispatcherOptions) {
		o.Express = worker.NewExpress(attempterFunc(func(in activities.AttemptInput) (*activities.AttemptResult, error) {
			out := made(webhook.StatusDelivered, 0)
			if in.EndpointID != slow {
				return &out, nil
			}
			for now := atOnce.Add(1); now > most.Load(); {
				most.Store(now)
			}
			<-release
			atOnce.Add(-1)
			return &out, nil
		}), awake, true)
	})
	answerAll := sync.OnceFunc(func() { close(release) })
	t.Cleanup(answerAll)
	for n := range 200 {
		b.dispatcher.Offer([]store.Dispatch{eventTo(n, 1)})
	}
	for n := range 10 {
		b.dispatcher.Offer([]store.Dispatch{eventTo(200+n, 2)})
	}
	eventually(t, b.dispatches.has(10, 0))
	for n := range 10 {
		require.Contains(t, b.dispatches.deleted, key(200+n))
	}
	answerAll()
	eventually(t, b.dispatches.has(210, 0))
	require.Less(t, most.Load(), int32(150))
}

// What waits in a line when the process stops is released at once.
func TestExpress_StopsWithALine(t *testing.T) {
	t.Parallel()
	release, begun := make(chan struct{}), make(chan struct{})
	b := setup(t, func(o *worker.DispatcherOptions) {
		o.Express = worker.NewExpress(attempterFunc(func(in activities.AttemptInput) (*activities.AttemptResult, error) {
			if in.EventKey == key(200) {
				close(begun)
			}
			<-release
			out := made(webhook.StatusDelivered, 0)
			return &out, nil
		}), awake, true)
	})
	answerAll := sync.OnceFunc(func() { close(release) })
	t.Cleanup(answerAll)
	for n := range 200 {
		b.dispatcher.Offer([]store.Dispatch{eventTo(n, 1)})
	}
	b.dispatcher.Offer([]store.Dispatch{eventTo(200, 2)})
	eventually(t, isClosed(begun)) // so all before it are attempted, or wait
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.stop()
	}()
	eventually(t, func() bool {
		b.dispatches.mu.Lock()
		defer b.dispatches.mu.Unlock()
		return len(b.dispatches.released) > 0
	})
	answerAll()
	eventually(t, isClosed(ended))
	require.Equal(t, 201, len(b.dispatches.deleted)+len(b.dispatches.released))
}

// An event whose deliveries are left to queues keeps its dispatch until the queues are awake. Meanwhile others are delivered.
func TestExpress_WakesQueues(t *testing.T) {
	t.Parallel()
	failing := event(0, 1).Deliveries[0].EndpointID
	var down atomic.Bool
	var woken atomic.Int32
	down.Store(true)
	b := setup(t, func(o *worker.DispatcherOptions) {
		o.Express = worker.NewExpress(attempterFunc(func(in activities.AttemptInput) (*activities.AttemptResult, error) {
			out := made(webhook.StatusDelivered, 0)
			if in.EndpointID == failing {
				out = made(webhook.StatusRetrying, time.Minute)
				out.Queued = true
			}
			return &out, nil
		}), func(_ context.Context, tenant string, to webhook.EndpointID, delay time.Duration) (bool, error) {
			if down.Load() {
				return true, errDown
			}
			if tenant == "acme" && to == failing && delay == time.Minute {
				woken.Add(1)
			}
			return true, nil
		}, true)
	})
	b.dispatcher.Offer([]store.Dispatch{event(1, 1), eventTo(2, 2)})
	eventually(t, b.dispatches.has(1, 1))
	require.Equal(t, []webhook.EventKey{key(2)}, b.dispatches.deleted)
	down.Store(false)
	b.dispatcher.Offer([]store.Dispatch{event(1, 1)})
	eventually(t, b.dispatches.has(2, 1))
	require.Equal(t, int32(1), woken.Load())
	require.Empty(t, b.starter.all())
}

// An event that needs a workflow and a queue gets both.
func TestExpress_WorkflowAndQueue(t *testing.T) {
	t.Parallel()
	queued := event(1, 2).Deliveries[1].EndpointID
	var woken atomic.Int32
	b := setup(t, func(o *worker.DispatcherOptions) {
		o.Express = worker.NewExpress(attempterFunc(func(in activities.AttemptInput) (*activities.AttemptResult, error) {
			if in.EndpointID == queued {
				return &activities.AttemptResult{Status: webhook.StatusRetrying, Queued: true, Delay: time.Minute}, nil
			}
			return &activities.AttemptResult{FollowOn: "q"}, nil
		}), func(_ context.Context, _ string, to webhook.EndpointID, _ time.Duration) (bool, error) {
			if to == queued {
				woken.Add(1)
			}
			return true, nil
		}, true)
	})
	b.dispatcher.Offer([]store.Dispatch{event(1, 2)})
	eventually(t, b.dispatches.has(1, 0))
	require.Len(t, b.starter.all(), 1)
	require.True(t, b.starter.all()[0].Deliveries[1].Queued)
	require.Equal(t, int32(1), woken.Load())
}

// A tenant whose endpoints all hang takes half of the attempts at most. Another's are made at once.
func TestExpress_AllEndpointsHang(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var hanging, most atomic.Int32
	b := setup(t, func(o *worker.DispatcherOptions) {
		o.Express = worker.NewExpress(attempterFunc(func(in activities.AttemptInput) (*activities.AttemptResult, error) {
			out := made(webhook.StatusDelivered, 0)
			if in.Tenant == "quiet" {
				return &out, nil
			}
			for now := hanging.Add(1); now > most.Load(); {
				most.Store(now)
			}
			<-release
			hanging.Add(-1)
			return &out, nil
		}), awake, true)
	})
	answerAll := sync.OnceFunc(func() { close(release) })
	t.Cleanup(answerAll)
	for n := range 20 { // 4,000 deliveries
		b.dispatcher.Offer([]store.Dispatch{of("noisy", event(n, 200))})
	}
	eventually(t, func() bool { return hanging.Load() >= 192 })
	for n := range 30 {
		b.dispatcher.Offer([]store.Dispatch{of("quiet", eventTo(100+n, n+1))})
	}
	eventually(t, b.dispatches.has(30, 0))
	require.Less(t, most.Load(), int32(192+64), "half, and the rest of one event")
	answerAll()
	eventually(t, b.dispatches.has(50, 0))
}

// What one tenant has lined up for a busy endpoint begins only as far as the tenant may make attempts, however wide its events are.
func TestExpress_WideEventsInLine(t *testing.T) {
	t.Parallel()
	step := make(chan struct{})
	var atOnce, most atomic.Int32
	b := setup(t, func(o *worker.DispatcherOptions) {
		o.Express = worker.NewExpress(attempterFunc(func(in activities.AttemptInput) (*activities.AttemptResult, error) {
			out := made(webhook.StatusDelivered, 0)
			if in.Tenant == "quiet" {
				return &out, nil
			}
			for now := atOnce.Add(1); now > most.Load(); {
				most.Store(now)
			}
			<-step
			atOnce.Add(-1)
			return &out, nil
		}), awake, true)
	})
	answerAll := sync.OnceFunc(func() { close(step) })
	t.Cleanup(answerAll)
	for n := range 96 { // all that the first endpoint gets at once
		b.dispatcher.Offer([]store.Dispatch{of("noisy", event(n, 1))})
	}
	eventually(t, func() bool { return atOnce.Load() == 96 })
	for n := range 100 {
		b.dispatcher.Offer([]store.Dispatch{of("noisy", event(100+n, 64))})
	}
	for range 96 {
		passGate(t, step)
	}
	for n := range 10 {
		b.dispatcher.Offer([]store.Dispatch{of("quiet", eventTo(300+n, n+1))})
	}
	eventually(t, func() bool {
		b.dispatches.mu.Lock()
		defer b.dispatches.mu.Unlock()
		quiet := 0
		for n := range 10 {
			if slices.Contains(b.dispatches.deleted, key(300+n)) {
				quiet++
			}
		}
		return quiet == 10
	})
	require.Less(t, most.Load(), int32(192+64), "half, and the rest of one event")
	answerAll()
	eventually(t, b.dispatches.has(96+100+10, 0))
}

// A tenant whose events all need their endpoints' queues, while those are slow to wake, does not shut out those of another.
func TestExpress_LeftoversTakeTurns(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	var noisy, quiet atomic.Int32
	b := setup(t, func(o *worker.DispatcherOptions) {
		o.Express = worker.NewExpress(always(activities.AttemptResult{Status: webhook.StatusRetrying, Queued: true, Delay: time.Second}, nil),
			func(_ context.Context, tenant string, _ webhook.EndpointID, _ time.Duration) (bool, error) {
				<-gate
				if tenant == "quiet" {
					quiet.Add(1)
				} else {
					noisy.Add(1)
				}
				return true, nil
			}, true)
	})
	openAll := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(openAll)
	for n := range 2000 {
		b.dispatcher.Offer([]store.Dispatch{of("noisy", eventTo(n, n%200))})
		if n%100 == 0 {
			eventually(t, func() bool { return !b.isCrowded("noisy") })
		}
	}
	eventually(t, func() bool { return !b.isCrowded("noisy") })
	b.dispatcher.Offer([]store.Dispatch{of("quiet", eventTo(3000, 1))})
	for woken := int32(1); quiet.Load() == 0; woken++ {
		passGate(t, gate)
		eventually(t, func() bool { return noisy.Load()+quiet.Load() == woken })
		require.Less(t, woken, int32(200), "it is not behind all of the other's")
	}
	openAll()
}

// isCrowded reports whether a further event of a tenant would be left to the relay.
func (b *bundle) isCrowded(tenant string) bool {
	e := of(tenant, event(1, 1))
	return b.dispatcher.Full(&e)
}
