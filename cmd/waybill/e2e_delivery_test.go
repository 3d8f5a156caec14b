package main_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An attempt that a person asks for comes on top of the retry policy. A settled delivery is sent again, with the whole policy.
func TestDelivery_RetryNow(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{"1h"}}})
	r := newReceiver(t, fails(3)...)
	tn.endpoint(t, r, nil)
	sent := tn.publish(t, `{"type":"order.confirmed","data":1}`, 1)
	d := sent.Deliveries[0].ID
	due := *tn.waitDelivery(t, d, "retrying", 1).NextAttemptAt
	for attempts := 1; attempts <= 3; attempts++ {
		waiting := tn.waitDelivery(t, d, "retrying", attempts)
		require.Equal(t, due, *waiting.NextAttemptAt, "the retry policy goes on as if nothing had been asked")
		tn.call(t, "POST", tn.path+"/deliveries/"+d+"/retry", nil).is(t, 202, nil)
		r.wait(t, attempts+1)
	}
	settled := tn.waitDelivery(t, d, "delivered", 4)
	require.Nil(t, settled.NextAttemptAt)
	for _, a := range tn.history(t, sent.ID).Deliveries[0].Attempts {
		require.Equal(t, a.Number > 1, a.Manual, "attempt %d", a.Number)
	}
	tn.call(t, "POST", tn.path+"/deliveries/"+d+"/cancel", nil).isProblem(t, 409, "conflict")

	r.answers(fails(1)...)
	tn.call(t, "POST", tn.path+"/deliveries/"+d+"/retry", nil).is(t, 202, nil)
	again := tn.waitDelivery(t, d, "retrying", 5)
	require.WithinDuration(t, time.Now().Add(time.Hour), *again.NextAttemptAt, time.Minute, "the whole policy again")
	tn.call(t, "POST", tn.path+"/deliveries/"+d+"/retry", nil).is(t, 202, nil)
	tn.waitDelivery(t, d, "delivered", 6)
	got := r.wait(t, 6)
	requireBytes(t, string(got[0].body), got[5].body)
	require.Equal(t, got[0].header.Get("Webhook-Id"), got[5].header.Get("Webhook-Id"))
	attempts := tn.attempts(t, d)
	require.Len(t, attempts, 6)
	for _, a := range attempts {
		require.Equal(t, a.Number > 1, a.Manual, "attempt %d", a.Number)
	}
}

// What is held waits for its endpoint: an attempt that is asked for is refused, with the reason.
func TestDelivery_RetryHeld(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	r := newReceiver(t)
	e := tn.endpoint(t, r, nil)
	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/disable", nil).is(t, 200, nil)
	d := tn.publish(t, `{"type":"order.confirmed","data":1}`, 1).Deliveries[0].ID
	tn.waitDelivery(t, d, "held", 0)
	p := tn.call(t, "POST", tn.path+"/deliveries/"+d+"/retry", nil).isProblem(t, 409, "conflict")
	require.Contains(t, p.Detail, "the endpoint is disabled; enable it first")
	r.wait(t, 0)
}

// No attempt starts after the answer to cancel, and the delivery to the other endpoint goes on.
func TestDelivery_Cancel(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{"2s"}}})
	r, neighbor := newReceiver(t, reply{status: 500}), newReceiver(t, fails(1)...)
	e, n := tn.endpoint(t, r, nil), tn.endpoint(t, neighbor, nil)
	sent := tn.publish(t, `{"type":"order.confirmed","data":1}`, 2)
	d := sent.to(t, e)
	due := *tn.waitDelivery(t, d, "retrying", 1).NextAttemptAt
	var canceled delivery
	tn.call(t, "POST", tn.path+"/deliveries/"+d+"/cancel", fields{"reason": "sold elsewhere"}).is(t, 200, &canceled)
	require.Equal(t, "canceled", canceled.Status)
	require.Equal(t, "sold elsewhere", canceled.Reason)

	tn.waitDelivery(t, sent.to(t, n), "delivered", 2)
	awaitClock(t, due.Add(500*time.Millisecond))
	r.wait(t, 1)
	tn.waitDelivery(t, d, "canceled", 1)
	require.Equal(t, "canceled", tn.deliveries(t, "?status=canceled")[0].Status)
}

// The history comes from the running workflow, or from the log where Temporal does not answer. Both tell the same.
func TestHistory_LiveAndLog(t *testing.T) {
	t.Parallel()
	s := shared(t)
	// A process whose Temporal is nowhere.
	apart := s.group.own(t, "api", "WAYBILL_DISPATCH=false", "WAYBILL_TEMPORAL_ADDRESS=127.0.0.1:9")
	tn := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{"1s", "1h"}}})
	failing, fine := newReceiver(t, reply{status: 503}), newReceiver(t)
	e, f := tn.endpoint(t, failing, nil), tn.endpoint(t, fine, nil)
	sent := tn.publish(t, `{"type":"order.confirmed","data":1}`, 2)
	tn.waitDelivery(t, sent.to(t, e), "retrying", 2)
	tn.waitDelivery(t, sent.to(t, f), "delivered", 1)

	var live *history
	await(t, patience, "the workflow to know what the log knows", func() error {
		if live = tn.history(t, sent.ID); live.Source != "live" {
			return fmt.Errorf("the %s answers", live.Source)
		}
		return tells(live, map[string]int{sent.to(t, e): 2, sent.to(t, f): 1})
	})
	log := tn.through(apart).history(t, sent.ID)
	require.Equal(t, "log", log.Source)
	require.Equal(t, sent.ID, log.EventID)
	requireSameStory(t, live, log)
	for _, d := range live.Deliveries {
		if d.ID == sent.to(t, e) {
			require.Equal(t, 503, d.Attempts[1].StatusCode)
			require.Equal(t, "http_status", d.Attempts[1].ErrorClass)
			require.WithinDuration(t, time.Now().Add(time.Hour), *d.NextAttemptAt, time.Minute)
		}
	}
	tn.call(t, "GET", tn.path+"/events/evt_unknown/history", nil).isProblem(t, 404, "not_found")
}

// requireSameStory compares two histories of one event. Moments may differ a little: Postgres rounds them, and the clock
// was read twice.
func requireSameStory(t *testing.T, live, log *history) {
	t.Helper()
	require.Len(t, log.Deliveries, len(live.Deliveries))
	for _, a := range live.Deliveries {
		at := slices.IndexFunc(log.Deliveries, func(b historyDelivery) bool { return b.ID == a.ID })
		require.GreaterOrEqual(t, at, 0)
		b := log.Deliveries[at]
		require.Equal(t, a.NextAttemptAt == nil, b.NextAttemptAt == nil)
		if a.NextAttemptAt != nil {
			require.WithinDuration(t, *a.NextAttemptAt, *b.NextAttemptAt, 5*time.Second)
		}
		require.Len(t, b.Attempts, len(a.Attempts))
		for i := range a.Attempts {
			require.WithinDuration(t, a.Attempts[i].StartedAt, b.Attempts[i].StartedAt, time.Millisecond)
			a.Attempts[i].StartedAt = b.Attempts[i].StartedAt
		}
		a.NextAttemptAt = b.NextAttemptAt
		require.Equal(t, a, b)
	}
}
