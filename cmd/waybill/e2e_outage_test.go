package main_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type readiness struct{ Status, Database, Temporal string }

// waitTemporal waits until the server says that Temporal is up or down.
func waitTemporal(t *testing.T, s *server, state string) {
	t.Helper()
	await(t, patience, "readyz to say that Temporal is "+state, func() error {
		var ready readiness
		s.admin().call(t, "GET", "/readyz", nil).is(t, 200, &ready)
		if ready.Temporal != state {
			return fmt.Errorf("it says %+v", ready)
		}
		return nil
	})
}

// While Temporal is down events are accepted and shown, and they are delivered when it is back.
func TestTemporalDown(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{temporalProxy: true})
	s := g.own(t, "serve")
	tn := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{"1h"}}})
	r := newReceiver(t, fails(1)...)
	tn.endpoint(t, r, nil)
	before := tn.publish(t, confirmed, 1)
	tn.waitDelivery(t, before.Deliveries[0].ID, "retrying", 1)
	waitTemporal(t, s, "up")

	g.temporal.cut()
	var during []*receipt
	for range 3 {
		during = append(during, tn.publish(t, confirmed, 1))
	}
	waitTemporal(t, s, "down")
	h := tn.history(t, before.ID)
	require.Equal(t, "log", h.Source)
	require.Len(t, h.Deliveries[0].Attempts, 1)
	require.Equal(t, "pending", tn.delivery(t, during[2].Deliveries[0].ID).Status)
	r.wait(t, 1)

	g.temporal.restore()
	for _, sent := range during {
		tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
	}
	for _, got := range r.wait(t, 4) {
		requireBytes(t, confirmedBody, got.body)
	}
	waitTemporal(t, s, "up")
	await(t, patience, "the workflow to answer again", func() error {
		if h := tn.history(t, before.ID); h.Source != "live" {
			return fmt.Errorf("the %s answers", h.Source)
		}
		return nil
	})
}

// A server that starts while Temporal is down accepts events all the same.
func TestTemporalDown_AtStart(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{temporalProxy: true})
	g.temporal.cut()
	s := g.own(t, "serve")
	tn := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{"1s"}}})
	r := newReceiver(t, fails(1)...)
	e := tn.endpoint(t, r, nil)
	sent := tn.publish(t, confirmed, 1)
	var ready readiness
	tn.call(t, "GET", "/readyz", nil).is(t, 200, &ready)
	require.Equal(t, readiness{"ok", "up", "down"}, ready)
	// What an operator does meanwhile is not lost either: a disabled endpoint holds, an enabled one goes on.
	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/disable", nil).is(t, 200, nil)
	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/enable", nil).is(t, 200, nil)
	require.Empty(t, r.got())

	g.temporal.restore()
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 2)
	r.wait(t, 2)
}

// recovery is how long a process may take to find that its database is back.
const recovery = 10 * time.Second

// waitPostgres waits until readyz answers 200, the database is up, or 503.
func waitPostgres(t *testing.T, s *server, status int) {
	t.Helper()
	await(t, recovery, fmt.Sprintf("readyz to answer %d", status), func() error {
		if a := s.admin().call(t, "GET", "/readyz", nil); a.status != status {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		return nil
	})
}

// requireAway expects every answer to be 503 and to say when to try again.
func requireAway(t *testing.T, answers ...*answer) {
	t.Helper()
	for _, a := range answers {
		a.isProblem(t, 503, "unavailable")
		require.Regexp(t, `^[1-9]\d*$`, a.header.Get("Retry-After"))
	}
}

// Without Postgres nothing is accepted, and 503 says when to try again. Exactly what was answered with 202 is stored.
// The same process accepts again soon after the database is back, as often as it goes and comes.
func TestPostgresDown(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{postgresProxy: true})
	s := g.own(t, "serve")
	tn := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{"1s"}}})
	r := newReceiver(t)
	tn.endpoint(t, r, nil)
	stored := 0
	for range 2 {
		for _, a := range tn.crowd(t, 20) { // so that there are many connections to lose
			a.is(t, 202, nil)
			stored++
		}
		await(t, patience, "all to be delivered and recorded", func() error {
			if n := len(tn.deliveries(t, "?status=delivered&limit=200")); n != stored {
				return fmt.Errorf("%d are", n)
			}
			return nil
		})

		g.postgres.cut()
		event := fields{"id": fmt.Sprintf("order-%d", stored), "type": "order.confirmed", "data": "while down"}
		for range 3 {
			requireAway(t, tn.call(t, "POST", tn.path+"/events", event))
		}
		requireAway(t, tn.crowd(t, 20)...)
		requireAway(t, tn.call(t, "GET", "/readyz", nil))
		tn.call(t, "GET", "/healthz", nil).is(t, 200, nil)
		require.Equal(t, stored, g.count(t, "events", tn.id))

		g.postgres.restore()
		event["data"] = "now"
		var sent receipt
		await(t, recovery, "events to be accepted again", func() error {
			a := tn.call(t, "POST", tn.path+"/events", event)
			if a.status == 503 {
				return fmt.Errorf("%s", a.body)
			}
			require.Empty(t, a.header.Get("Idempotent-Replayed"))
			a.is(t, 202, &sent)
			return nil
		})
		stored++
		waitPostgres(t, s, 200)
		tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
		require.Contains(t, string(r.wait(t, stored)[stored-1].body), `"data":"now"`)
	}
}

// A database that hangs counts as away: Waybill gives up the connections to it.
func TestPostgresHangs(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{postgresProxy: true})
	s := g.own(t, "serve")
	tn := newTenant(t, s, "standard", nil)
	r := newReceiver(t)
	tn.endpoint(t, r, nil)
	tn.publishAnother(t)

	resume := sync.OnceFunc(g.postgres.stall())
	t.Cleanup(resume)
	requireAway(t, tn.call(t, "POST", tn.path+"/events", confirmed))
	requireAway(t, tn.call(t, "GET", "/readyz", nil))
	tn.call(t, "GET", "/healthz", nil).is(t, 200, nil)

	resume()
	await(t, recovery, "events to be accepted again", func() error {
		a := tn.call(t, "POST", tn.path+"/events", confirmed)
		if a.status == 503 {
			return fmt.Errorf("%s", a.body)
		}
		a.is(t, 202, nil)
		return nil
	})
	waitPostgres(t, s, 200)
	tn.publishAnother(t)
}

// A database that is away while a receiver answers costs no attempt: the record waits for it, and nothing is sent twice.
func TestPostgresDown_DuringAttempt(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{postgresProxy: true})
	s := g.own(t, "serve")
	tn := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{}}})
	r := newReceiver(t, reply{after: 2 * time.Second}, reply{})
	tn.endpoint(t, r, nil)
	sent := tn.publish(t, confirmed, 1)
	r.wait(t, 1)
	g.postgres.cut()
	answered := r.waitAnswered(t, 1)[0].answered
	awaitClock(t, answered.Add(500*time.Millisecond))
	g.postgres.restore()
	waitPostgres(t, s, 200)
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
	r.wait(t, 1)
}
