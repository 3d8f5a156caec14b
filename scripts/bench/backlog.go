package main

import (
	"context"
	"fmt"
	"net/http"
)

const (
	backlogProbe = 1000
	// backlogWaits is the tenants' schedule, beyond the end of any run.
	backlogWaits = "2h"
)

// backlogCase compares the throughput beside more and more deliveries that wait for their retry.
func backlogCase(ctx context.Context, r *rig) error {
	waiting, events := 0, 0
	for _, level := range []struct {
		key     string
		waiting int
	}{{rowNoneWaiting, 0}, {rowSomeWaiting, 10_000}, {rowManyWaiting, 50_000}} {
		more := (r.opts.scaled(level.waiting, 1) - waiting) / r.opts.fanOut
		if err := r.makeWait(ctx, more); err != nil {
			return fmt.Errorf("make deliveries wait: %w", err)
		}
		events, waiting = events+more, waiting+more*r.opts.fanOut
		info := row{Key: level.key, Title: fmt.Sprintf("one endpoint beside %d waiting of %d events", waiting, events), Floor: floorOne}
		if err := r.scenario(ctx, info, scenario{events: backlogProbe, endpoints: 1}); err != nil {
			return err
		}
	}
	return nil
}

// makeWait publishes events whose deliveries fail and wait two hours for the retry, and returns once they wait. The answer
// is 429, which does not make the endpoint slow; the reason makes no difference to how a delivery waits. Every waiting
// event has a workflow in both modes, so setting up takes as long as so many starts. Fewer events with more endpoints are
// faster.
func (r *rig) makeWait(ctx context.Context, events int) error {
	if events == 0 {
		return nil
	}
	tenant, err := r.newTenant(ctx, backlogWaits)
	if err != nil {
		return err
	}
	sinks, err := r.newEndpoints(ctx, tenant, r.opts.fanOut, answers(http.StatusTooManyRequests))
	if err != nil {
		return err
	}
	want := events * r.opts.fanOut
	r.out.Say("%s: making %d deliveries of %d events wait", r.mode, want, events)
	publishing := make(chan error, 1)
	go func() {
		out, err := traffic{calls: events, concurrency: concurrency}.drive(ctx, r.api.publisher(tenant))
		if err == nil && out.refused > 0 {
			err = fmt.Errorf("%d events were refused: %w", out.refused, out.refusal)
		}
		publishing <- err
	}()
	err = r.await(ctx, "refused once", want, arrivalsEvery, func(context.Context) (int, error) { return seen(sinks), nil })
	if failed := <-publishing; failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	return r.awaitWaiting(ctx, tenant, want)
}

// seen is how many deliveries were attempted.
func seen(sinks []*sink) int {
	sum := 0
	for _, s := range sinks {
		n, _ := s.count()
		sum += n
	}
	return sum
}

// awaitWaiting waits until so many deliveries are on record as waiting, in workflows that have started: express mode
// records the first attempt before, and would still be at it while the next figures are taken.
func (r *rig) awaitWaiting(ctx context.Context, tenant string, want int) error {
	const query = `
		SELECT count(*) FROM deliveries AS d
		WHERE tenant_id = $1 AND status = 'retrying' AND next_attempt_at > now() AND failed_at IS NOT NULL
			AND NOT EXISTS (SELECT FROM dispatches WHERE event_key = d.event_key)`
	var waits int
	err := r.await(ctx, "waiting", want, tableEvery, func(ctx context.Context) (int, error) {
		err := r.db.QueryRowContext(ctx, query, tenant).Scan(&waits)
		return waits, err
	})
	if err == nil && waits < want {
		err = fmt.Errorf("%d of %d deliveries wait", waits, want)
	}
	if err != nil {
		return err
	}
	return pause(ctx, 2*r.opts.settle) // for what follows a start
}
