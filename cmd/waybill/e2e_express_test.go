package main_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// In express mode no event has a workflow: what the first attempt does not settle waits in its endpoint's queue, on its own
// schedule. The log and the history tell the same for both.
func TestExpress(t *testing.T) {
	t.Parallel()
	s := shared(t)
	tn := newTenant(t, s, "standard", fields{"express": true, "retry": fields{"schedule": []string{"1s", "1h"}}})
	fine, failing := newReceiver(t), newReceiver(t, fails(1)...)
	tn.endpoint(t, fine, fields{"event_types": []string{"order.confirmed"}})
	e := tn.endpoint(t, failing, fields{"event_types": []string{"order.canceled"}})

	taken := tn.publish(t, confirmed, 1)
	requireBytes(t, confirmedBody, fine.wait(t, 1)[0].body)
	tn.waitDelivery(t, taken.Deliveries[0].ID, "delivered", 1)
	h := tn.history(t, taken.ID)
	require.Equal(t, "log", h.Source, "there is no workflow")
	require.Len(t, h.Deliveries[0].Attempts, 1)

	retried := tn.publish(t, `{"type":"order.canceled","data":1}`, 1)
	got := failing.wait(t, 2)
	require.Equal(t, string(got[0].body), string(got[1].body))
	require.GreaterOrEqual(t, got[1].at.Sub(got[0].at), time.Second)
	tn.waitDelivery(t, retried.to(t, e), "delivered", 2)
	h = tn.history(t, retried.ID)
	require.Equal(t, "log", h.Source, "there is no workflow")
	require.Len(t, h.Deliveries[0].Attempts, 2)
	require.Equal(t, 500, h.Deliveries[0].Attempts[0].StatusCode)
}

// A process that is killed during an express attempt leaves the event's dispatch, and the event's workflow delivers it.
func TestExpress_Kill(t *testing.T) {
	t.Parallel()
	s := ownGroup(t, groupOptions{}).own(t, "serve", "WAYBILL_EXPRESS=true")
	tn := newTenant(t, s, "standard", nil)
	r := newReceiver(t, reply{after: 700 * time.Millisecond}, reply{})
	tn.endpoint(t, r, nil)
	sent := tn.publish(t, confirmed, 1)
	r.wait(t, 1)
	s.kill(t)
	s.restart(t)
	got := r.wait(t, 2)
	requireBytes(t, confirmedBody, got[1].body)
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
	require.Len(t, tn.attempts(t, sent.Deliveries[0].ID), 1)
}

// A long express attempt goes on while the event's workflow begins, and the workflow waits for its result.
func TestExpress_SlowReceiver(t *testing.T) {
	t.Parallel()
	s := shared(t)
	tn := newTenant(t, s, "standard", fields{"express": true})
	r := newReceiver(t, reply{after: 3 * time.Second}, reply{})
	tn.endpoint(t, r, nil)
	sent := tn.publish(t, confirmed, 1)
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
	require.Len(t, r.wait(t, 1), 1, "one request")
	made := tn.attempts(t, sent.Deliveries[0].ID)
	require.Len(t, made, 1)
	require.GreaterOrEqual(t, made[0].DurationMS, int64(3000))
}
