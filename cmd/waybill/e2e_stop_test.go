package main_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A process that is asked to stop is gone within its budget, whatever hangs: a receiver, the database, a request. Nothing is
// lost: the next process makes the attempt again.
func TestStop_OneBudget(t *testing.T) {
	t.Parallel()
	const budget, slack = 4 * time.Second, 5 * time.Second
	g := ownGroup(t, groupOptions{postgresProxy: true})
	s := g.own(t, "serve", "WAYBILL_DRAIN_TIMEOUT="+budget.String())
	tn := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{}}})
	r := newReceiver(t, reply{after: time.Minute}, reply{})
	tn.endpoint(t, r, nil)
	sent := tn.publish(t, confirmed, 1)
	r.wait(t, 1)

	resume := sync.OnceFunc(g.postgres.stall())
	t.Cleanup(resume)
	asked := make(chan struct{})
	go func() { // hangs, and gets no answer
		close(asked)
		_, _ = tn.try("POST", tn.path+"/events", confirmed)
	}()
	<-asked
	told := time.Now()
	s.terminate(t)
	s.stopped(t)
	require.Less(t, time.Since(told), budget+slack)

	resume()
	s.restart(t)
	got := r.wait(t, 2)
	require.Equal(t, got[0].header.Get("webhook-id"), got[1].header.Get("webhook-id"))
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
}
