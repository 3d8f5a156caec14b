package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

const (
	// backlogFanOut is how many endpoints each waiting event has. One each would take many minutes to set up.
	backlogFanOut = 10
	backlogProbe  = 1000
)

// backlogCase compares the throughput beside more and more deliveries that wait for their retry.
func backlogCase(ctx context.Context, r *rig) error {
	waiting := 0
	for _, level := range []struct {
		key     string
		waiting int
	}{{rowNoneWaiting, 0}, {rowSomeWaiting, 10_000}, {rowManyWaiting, 50_000}} {
		want := r.opts.scaled(level.waiting, 1)
		if err := r.makeWait(ctx, want-waiting); err != nil {
			return fmt.Errorf("make deliveries wait: %w", err)
		}
		waiting = want
		info := row{Key: level.key, Title: fmt.Sprintf("one endpoint beside %d waiting deliveries", waiting), Floor: floorOne}
		if err := r.scenario(ctx, info, scenario{events: backlogProbe, endpoints: 1}); err != nil {
			return err
		}
	}
	return nil
}

// makeWait publishes what fails and is to be retried in two hours, and returns once it waits. The answer is 429: a
// failing server would be left to the isolated lane, which takes minutes for so many, and how a delivery waits
// does not depend on why.
func (r *rig) makeWait(ctx context.Context, deliveries int) error {
	events := deliveries / backlogFanOut
	if events == 0 {
		return nil
	}
	tenant, err := r.newTenant(ctx, "2h")
	if err != nil {
		return err
	}
	sinks, err := r.newEndpoints(ctx, tenant, backlogFanOut, answers(http.StatusTooManyRequests))
	if err != nil {
		return err
	}
	r.out.Say("%s: making %d deliveries wait", r.mode, events*backlogFanOut)
	out, err := traffic{calls: events, concurrency: concurrency}.drive(ctx, r.api.publisher(tenant))
	if err != nil {
		return err
	}
	want := len(out.events) * backlogFanOut
	err = r.await(ctx, "waiting", want, func() int {
		sum := 0
		for _, s := range sinks {
			seen, _ := s.count()
			sum += seen
		}
		return sum
	})
	if err != nil {
		return err
	}
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	var waits int
	err = r.db.QueryRowContext(ctx, `SELECT count(*) FROM deliveries WHERE tenant_id = $1 AND status = 'retrying' AND next_attempt_at > now()`, tenant).Scan(&waits)
	if err != nil {
		return err
	}
	if waits < want {
		return fmt.Errorf("%d of %d deliveries wait", waits, want)
	}
	return nil
}
