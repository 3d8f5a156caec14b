package main_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const confirmed = `{"type":"order.confirmed","occurred_at":"2026-05-27T14:32:00Z","data":{ "n":1e2 ,"note":"é 😀" }}`

const confirmedBody = `{"type":"order.confirmed","timestamp":"2026-05-27T14:32:00.000000Z","data":{ "n":1e2 ,"note":"é 😀" }}`

// A process that is killed right after it accepted an event has not lost it: what was accepted is delivered once.
func TestKill_BeforeFirstAttempt(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{temporalProxy: true})
	s := g.own(t, "serve")
	tn := newTenant(t, s, "standard", nil)
	r := newReceiver(t)
	tn.endpoint(t, r, nil)
	g.temporal.cut() // so that it cannot be quicker than the kill
	sent := tn.publish(t, confirmed, 1)
	s.kill(t)
	require.Empty(t, r.got())
	g.temporal.restore()
	s.restart(t)

	requireBytes(t, confirmedBody, r.wait(t, 1)[0].body)
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
	made := tn.attempts(t, sent.Deliveries[0].ID)
	require.Len(t, made, 1)
	require.Equal(t, 1, made[0].Number)
	tn.publishAnother(t)
	require.Len(t, r.wait(t, 2), 2)
}

// publishAnother publishes another event and waits for its delivery: whatever came before has come by then.
func (tn *tenant) publishAnother(t *testing.T) {
	t.Helper()
	another := tn.publish(t, `{"type":"order.canceled","data":"another"}`, 1)
	tn.waitDelivery(t, another.Deliveries[0].ID, "delivered", 1)
}

// A process that is killed between two attempts forgets neither the first nor when the second is due.
func TestKill_BetweenAttempts(t *testing.T) {
	t.Parallel()
	s := ownGroup(t, groupOptions{}).own(t, "serve")
	const delay = 10 * time.Second
	tn := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{delay.String(), "1h"}}})
	r := newReceiver(t, fails(1)...)
	tn.endpoint(t, r, nil)
	d := tn.publish(t, confirmed, 1).Deliveries[0].ID
	due := *tn.waitDelivery(t, d, "retrying", 1).NextAttemptAt
	s.kill(t)
	s.restart(t)
	require.Less(t, time.Now(), due, "the machine is too slow for this test")
	require.Equal(t, due, *tn.delivery(t, d).NextAttemptAt)

	got := r.wait(t, 2)
	requireBytes(t, confirmedBody, got[0].body)
	requireBytes(t, confirmedBody, got[1].body)
	// The database keeps moments to the microsecond, and two clock readings are a little apart.
	require.False(t, got[1].at.Before(due.Add(-50*time.Millisecond)), "due %s, came %s", due, got[1].at)
	// Temporal offers the work to the dead process first, for 5 s.
	require.WithinDuration(t, due, got[1].at, 20*time.Second)
	tn.waitDelivery(t, d, "delivered", 2)
	made := tn.attempts(t, d)
	require.Len(t, made, 2)
	for i, a := range made {
		require.Equal(t, i+1, a.Number)
	}
	require.Equal(t, 500, made[0].StatusCode)
	require.Equal(t, 200, made[1].StatusCode)
}

// An attempt that dies with its process is an internal fault: it is made again, under the same number.
func TestKill_DuringAttempt(t *testing.T) {
	t.Parallel()
	s := ownGroup(t, groupOptions{}).own(t, "serve")
	tn := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{}}})
	r := newReceiver(t, reply{after: 15 * time.Second}, reply{})
	tn.endpoint(t, r, nil)
	sent := tn.publish(t, confirmed, 1)
	r.wait(t, 1)
	s.kill(t)
	s.restart(t)
	got := r.wait(t, 2)
	require.Equal(t, string(got[0].body), string(got[1].body))
	require.Equal(t, got[0].header.Get("webhook-id"), got[1].header.Get("webhook-id"))
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
}

// An attempt that is in flight when the process is asked to stop is finished and recorded, and is not made again.
func TestStop_DuringAttempt(t *testing.T) {
	t.Parallel()
	s := ownGroup(t, groupOptions{}).own(t, "serve")
	tn := newTenant(t, s, "standard", nil)
	r := newReceiver(t, reply{after: 3 * time.Second}, reply{})
	tn.endpoint(t, r, nil)
	sent := tn.publish(t, confirmed, 1)
	r.wait(t, 1)
	s.stop(t)
	r.waitAnswered(t, 1)
	s.restart(t)

	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
	tn.publishAnother(t)
	r.wait(t, 2)
	made := tn.attempts(t, sent.Deliveries[0].ID)
	require.Len(t, made, 1)
	require.Equal(t, 200, made[0].StatusCode)
	require.GreaterOrEqual(t, made[0].DurationMS, int64(3000))
	await(t, patience, "the workflow to know", func() error {
		return tells(tn.history(t, sent.ID), map[string]int{sent.Deliveries[0].ID: 1})
	})
}
