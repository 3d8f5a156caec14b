package main_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// oddData is JSON that any reader and writer in between would change: spacing, number forms, keys that are alike or
// the same, escapes, characters beyond ASCII.
const oddData = "{ \"a\" :1e2,\t\"A\":-0.50 , \"\\u0061\":\"\\/<b>&\\u00e9é😀\",\n  \"n\":12345678901234567890 ,\"a\":[ ] }"

// Every attempt sends the same bytes, and what was published is in them as it was written.
func TestAttempts_SameBytes(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{"1s", "1s"}}})
	r := newReceiver(t, fails(2)...)
	tn.endpoint(t, r, nil)
	sent := tn.publish(t, `{ "data" : `+oddData+`, "occurred_at":"2026-05-27T16:32:00.5+02:00" , "type":"order.confirmed"}`, 1)

	got := r.wait(t, 3)
	requireBytes(t, `{"type":"order.confirmed","timestamp":"2026-05-27T14:32:00.500000Z","data":`+oddData+`}`, got[0].body)
	require.Equal(t, string(got[0].body), string(got[1].body))
	require.Equal(t, string(got[0].body), string(got[2].body))
	for _, a := range got {
		require.Equal(t, sent.ID, a.header.Get("webhook-id"), "constant over retries")
		require.NoError(t, recent(a.header.Get("webhook-timestamp")))
	}
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 3)
}

// Rheo's schedule in real time: 1 s and 2 s between an answer and the next attempt, and not much more.
func TestAttempts_Schedule(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "rheo", nil)
	r := newReceiver(t, fails(2)...)
	tn.endpoint(t, r, nil)
	s := readRheo(t, rheoSamples[1])
	sent := tn.publish(t, fields{"type": s.EventType, "data": s.Data}, 1)
	got := r.waitAnswered(t, 3)
	for i, delay := range []time.Duration{time.Second, 2 * time.Second} {
		gap := got[i+1].at.Sub(got[i].answered)
		// The receiver notes its answer a little before the sender has it, or a little after.
		require.GreaterOrEqual(t, gap, delay-20*time.Millisecond, "delay %d", i+1)
		require.LessOrEqual(t, gap, delay+5*time.Second, "delay %d", i+1)
	}
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 3)
}

// An endpoint that takes its time delays neither the first attempt to another endpoint of the same event nor its retry.
func TestAttempts_HangingNeighbor(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{"1s"}}})
	hanging, failing := newReceiver(t, reply{after: 12 * time.Second}), newReceiver(t, fails(1)...)
	slow, quick := tn.endpoint(t, hanging, nil), tn.endpoint(t, failing, nil)
	published := time.Now()
	sent := tn.publish(t, `{"type":"order.confirmed","data":1}`, 2)
	got := failing.waitAnswered(t, 2)
	require.Less(t, got[0].at.Sub(published), 8*time.Second, "the first attempt")
	require.Less(t, got[1].at.Sub(got[0].answered), 8*time.Second, "the retry that is due after 1 s")
	tn.waitDelivery(t, sent.to(t, quick), "delivered", 2)
	tn.waitDelivery(t, sent.to(t, slow), "delivered", 1)
	hanging.wait(t, 1)
}
