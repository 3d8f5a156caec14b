package activities_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"waybill/activities"
	"waybill/store"
	"waybill/webhook"
)

// What waits arrives once, oldest first, with few requests at a time at first and then with more.
func TestActivities_Drain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	b, q := setupQueue(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get("X-Id"))
	}, func(o *activities.Options) { o.IsolatedLimit = 8 })
	q.add(queued(200)...)
	out := drain(t, b, 0)
	require.Equal(t, &activities.DrainResult{Window: 8, Attempts: 200, Delivered: 200, End: activities.QueueEmpty}, out)
	require.Len(t, got, 200)
	for i := range 200 {
		require.Contains(t, got, queuedID(i+1).UUID())
		require.Equal(t, queuedID(i+1), q.claimed[i])
	}
	require.LessOrEqual(t, q.most, 8)
	for _, r := range q.records {
		require.True(t, r.Queued)
		require.NotEmpty(t, r.Holder)
		require.Equal(t, q.endpoint.URL, r.Attempt.URL)
	}
	require.Equal(t, []int64{7}, q.woken, "once it is known that the queue drains")
	require.Less(t, q.claimedThen, 100, "long before it is empty, so that nobody wakes it meanwhile")
	require.NoError(t, testutil.GatherAndCompare(b.registry, strings.NewReader(`
		# HELP waybill_queue_attempts_total Attempts that endpoints' queues made: of deliveries that were held or opened again.
		# TYPE waybill_queue_attempts_total counter
		waybill_queue_attempts_total 200
		`), "waybill_queue_attempts_total"))
}

// A delivery that was opened again has its whole policy again, whatever was attempted before.
func TestActivities_Drain_wholePolicyAgain(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, answer(500))
	row := queued(1)[0]
	row.status, row.attempts, row.uncounted, row.asked = webhook.StatusRetrying, 5, 5, true
	q.add(row)
	out := drain(t, b, 0)
	require.Equal(t, activities.QueueEmpty, out.End)
	require.Equal(t, 2, out.Attempts, "the first and its retry")
	require.Equal(t, webhook.StatusExhausted, row.status)
	first, second := q.records[0], q.records[1]
	require.Equal(t, []int{6, 7}, []int{first.Attempt.Number, second.Attempt.Number})
	require.True(t, first.Attempt.Manual, "a person asked")
	require.False(t, first.Uncounted, "but the policy begins with it")
	require.False(t, second.Attempt.Manual)
	require.Contains(t, out.Host, "127.0.0.1")
}

// A person's attempt in between leaves the schedule as it is.
func TestActivities_Drain_manualInBetween(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, answer(500))
	due := time.Now().Add(time.Hour).UTC()
	row := queued(1)[0]
	row.status, row.attempts, row.uncounted, row.asked, row.next = webhook.StatusRetrying, 6, 5, true, &due
	q.add(row)
	out := drain(t, b, 0)
	require.Equal(t, 1, out.Attempts)
	require.True(t, q.records[0].Uncounted)
	require.Equal(t, due, *q.records[0].NextAttemptAt)
	require.InDelta(t, time.Hour, out.Next, float64(bounded))
	require.Contains(t, out.Why, "the next attempt of what waits")
	require.Equal(t, 1, out.Waiting)
	require.Empty(t, out.End)
}

func TestActivities_Drain_ofADisabledEndpoint(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, unreachable(t))
	rows := queued(1500)
	for _, r := range rows {
		r.status = webhook.StatusRetrying
	}
	q.add(rows...)
	q.disabled = true
	out := drain(t, b, 16)
	require.Equal(t, &activities.DrainResult{Window: 16, Waiting: 1500, End: activities.QueueDisabled}, out)
	for _, r := range rows {
		require.Equal(t, webhook.StatusHeld, r.status)
	}
	require.Equal(t, []int64{7}, q.woken)
}

// An endpoint that is disabled while its queue drains gets nothing more. What was leased is held with the others.
func TestActivities_Drain_disabledMeanwhile(t *testing.T) {
	t.Parallel()
	var q *memQueue
	var got atomic.Int32
	b, q := setupQueue(t, func(http.ResponseWriter, *http.Request) {
		if got.Add(1) == 10 {
			q.mu.Lock()
			q.disabled = true
			q.mu.Unlock()
		}
	})
	q.add(queued(100)...)
	out := drain(t, b, 4)
	require.Equal(t, activities.QueueDisabled, out.End)
	held := 0
	for _, r := range q.rows {
		if r.status == webhook.StatusHeld {
			held++
		}
	}
	require.Equal(t, 100, held+out.Delivered)
	require.Less(t, out.Delivered, 50)
	q.requireNoLeases(t)
}

// A process that died holds a lease until it ends. Only then is the last delivery held.
func TestActivities_Drain_disabledUnderALease(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, unreachable(t))
	row := queued(1)[0]
	row.status, row.holder, row.due = webhook.StatusRetrying, "somebody", time.Now().Add(time.Minute)
	q.add(row)
	q.disabled = true
	out := drain(t, b, 4)
	require.Empty(t, out.End)
	require.Positive(t, out.Next)
	require.Empty(t, q.woken)
	row.holder = ""
	require.Equal(t, activities.QueueDisabled, drain(t, b, 4).End)
}

func TestActivities_Drain_ofADeletedEndpoint(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, unreachable(t))
	q.deleted, q.just = true, 1
	q.canceled = [][]store.HeldDelivery{{{ID: queuedID(1), EventID: "evt_1"}, {ID: queuedID(2), EventID: "evt_2"}}, {{ID: queuedID(3), EventID: "evt_3"}}}
	b.engine.onTell = func(eventID string) error {
		if eventID == "evt_2" {
			return webhook.Errorf(webhook.CodeInvalid, "the workflow takes no more signals")
		}
		return nil
	}
	out := drain(t, b, 4)
	require.Empty(t, out.End, "an attempt that began before the deletion may still be recorded")
	require.Positive(t, out.Next)
	require.ElementsMatch(t, []string{"canceled evt_1: the endpoint was deleted", "canceled evt_3: the endpoint was deleted"}, b.engine.told)
	out = drain(t, b, 4)
	require.Equal(t, activities.QueueDeleted, out.End)
	require.Equal(t, []int64{7}, q.woken)
}

// A page that failed half-way is canceled and no longer listed: the next run of the activity knows it by the heartbeat.
func TestActivities_Drain_resumesAPage(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, unreachable(t))
	q.deleted = true
	q.canceled = [][]store.HeldDelivery{{{ID: queuedID(1), EventID: "evt_1"}}}
	b.engine.onTell = func(string) error { return errDown }
	details := make(chan map[string]any, 1)
	b.env.SetOnActivityHeartbeatListener(func(_ *activity.Info, values converter.EncodedValues) {
		var d map[string]any
		if values.Get(&d) == nil && d["page"] != nil {
			select {
			case details <- d:
			default:
			}
		}
	})
	_, err := b.env.ExecuteActivity(b.acts.Drain, activities.DrainInput{Tenant: "acme", EndpointID: endpointID})
	requireType(t, err, "unavailable", false)
	select {
	case d := <-details:
		b.env.SetHeartbeatDetails(d)
	case <-time.After(bounded):
		t.Fatal("no heartbeat carries the page")
	}
	b.engine.onTell = nil
	require.Equal(t, activities.QueueDeleted, drain(t, b, 4).End)
	require.Equal(t, []string{"canceled evt_1: the endpoint was deleted"}, b.engine.told)
}

// A drain ends in time, and the next goes on where it was.
func TestActivities_Drain_inPieces(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, answer(204), func(o *activities.Options) { o.DrainTime = 30 * time.Millisecond })
	q.add(queued(1000)...)
	attempts, window := 0, 0
	for drains := 0; ; drains++ {
		out := drain(t, b, window)
		attempts, window = attempts+out.Attempts, out.Window
		q.requireNoLeases(t)
		if out.End != "" {
			require.Positive(t, drains)
			break
		}
		require.Zero(t, out.Next)
		require.Equal(t, 1000-attempts, out.Waiting)
	}
	require.Equal(t, 1000, attempts)
}

// A worker that stops gives back what it has not attempted, and records what it has.
func TestActivities_Drain_stops(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	var once sync.Once
	b, q := setupQueue(t, func(http.ResponseWriter, *http.Request) { once.Do(func() { close(stop) }) })
	b.env.SetWorkerStopChannel(stop)
	q.add(queued(500)...)
	out := drain(t, b, 4)
	require.Empty(t, out.End)
	require.Equal(t, 500-out.Delivered, out.Waiting)
	require.Less(t, out.Delivered, 100)
	q.requireNoLeases(t)
}

// Rows that Waybill itself cannot send, and one that makes it panic, wait apart and stop none of the others.
func TestActivities_Drain_badRows(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, answer(204))
	q.add(queued(100)...)
	q.bad[queuedID(1)] = webhook.Errorf(webhook.CodeInternal, "a secret that no key opens")
	q.bad[queuedID(50)] = nil
	out := drain(t, b, 4)
	require.Equal(t, 98, out.Delivered)
	require.ElementsMatch(t, []webhook.DeliveryID{queuedID(1), queuedID(50)}, q.postponed)
	require.Positive(t, out.Next)
	require.LessOrEqual(t, out.Next, 10*time.Second, "less what passed since")
	q.requireNoLeases(t)
	require.Contains(t, b.logged.String(), queuedID(50).String())
}

// What waits for an event that retention removed is canceled, or it would be claimed for ever.
func TestActivities_Drain_ofAForgottenEvent(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, unreachable(t))
	q.add(queued(2)...)
	q.bad[queuedID(1)], q.bad[queuedID(2)] = errMissing, errMissing
	var n atomic.Int64 // two attempts may be under way
	q.onCancel = func(reason string) (*webhook.Delivery, error) {
		require.Equal(t, "the event is no longer stored", reason)
		if n.Add(1) == 1 {
			return nil, errMissing // gone with its event
		}
		return &webhook.Delivery{Status: webhook.StatusCanceled}, nil
	}
	require.Zero(t, drain(t, b, 4).Attempts)
	require.EqualValues(t, 2, n.Load())
	require.Empty(t, q.postponed)
}

// Where no row can be sent, the queue does not try them all, over and over.
func TestActivities_Drain_onlyBadRows(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, unreachable(t), func(o *activities.Options) { o.DrainTime = 100 * time.Millisecond })
	q.add(queued(1000)...)
	for i := range 1000 {
		q.bad[queuedID(i+1)] = webhook.Errorf(webhook.CodeInternal, "a secret that no key opens")
	}
	out := drain(t, b, 4)
	require.Empty(t, out.End)
	require.Less(t, len(q.postponed), 50)
}

// The lease of an attempt that takes long is renewed, by the clock of the process.
func TestActivities_Drain_renewsLeases(t *testing.T) {
	t.Parallel()
	var offset atomic.Int64
	var q *memQueue
	b, q := setupQueue(t, func(http.ResponseWriter, *http.Request) {
		for end := time.Now().Add(bounded); time.Now().Before(end); time.Sleep(time.Millisecond) {
			q.mu.Lock()
			renewed := q.renewed
			q.mu.Unlock()
			if renewed > 0 {
				return
			}
			offset.Store(int64(11 * time.Second))
		}
	}, func(o *activities.Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
		o.DrainTime = time.Hour
	})
	q.add(queued(1)...)
	out := drain(t, b, 1)
	require.Equal(t, 1, out.Delivered)
	require.Positive(t, q.renewed)
}

// A database that does not answer ends the drain, which Temporal repeats.
func TestActivities_Drain_databaseDown(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, unreachable(t))
	q.down = true
	_, err := b.env.ExecuteActivity(b.acts.Drain, activities.DrainInput{Tenant: "acme", EndpointID: endpointID})
	requireType(t, err, "unavailable", false)

	b, q = setupQueue(t, unreachable(t))
	q.add(queued(3)...)
	q.bad[queuedID(2)] = errDown
	q.bad[queuedID(1)], q.bad[queuedID(3)] = errDown, errDown
	_, err = b.env.ExecuteActivity(b.acts.Drain, activities.DrainInput{Tenant: "acme", EndpointID: endpointID})
	requireType(t, err, "unavailable", false)
	q.requireNoLeases(t)
}

// What a recovery moves page by page is sent by the same drain.
func TestActivities_Drain_recovers(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, answer(204))
	rows := queued(9)
	q.pages = [][]*memRow{rows[:3], {}, rows[3:6], rows[6:]}
	out := drain(t, b, 4)
	require.Equal(t, 9, out.Delivered)
	require.Equal(t, activities.QueueEmpty, out.End)
}

// A receiver that comes back gets few requests at a time; one that has too much to do gets fewer.
func TestActivities_Drain_adapts(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	inFlight, most := 0, 0
	var busy atomic.Bool
	b, q := setupQueue(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		inFlight++
		most = max(most, inFlight)
		mu.Unlock()
		if busy.Load() {
			w.WriteHeader(429)
		}
		mu.Lock()
		inFlight--
		mu.Unlock()
	})
	q.endpoint.Retry = &webhook.RetryPolicy{Schedule: []webhook.Duration{webhook.Duration(time.Hour)}}
	q.add(queued(4)...)
	require.Equal(t, 8, drain(t, b, 0).Window)
	require.LessOrEqual(t, most, 4)
	busy.Store(true)
	for i := range 6 {
		q.add(&memRow{id: queuedID(100 + i), status: webhook.StatusHeld, due: time.Now()})
	}
	require.Less(t, drain(t, b, 8).Window, 8)
}
