package main

import (
	"context"
	"fmt"
	"time"
)

// Deliveries to the healthy endpoint, at a rate that leaves the machine some air.
const (
	neighborEvents = 500
	neighborRate   = 50
	hangTime       = 10 * time.Second
	// burstSize comes at once, burstEvery that often.
	burstSize  = 200
	burstEvery = 2 * time.Second
)

// noise is what another tenant does meanwhile, to one endpoint.
type noise struct {
	row
	traffic
	// batch is how many events a call publishes; 0: one, and not as a batch.
	batch    int
	behavior behavior
	// schedule is the noisy tenant's retry schedule; none: the dialect's.
	schedule []string
	// recover, where set, ends the endpoint's trouble.
	recover func()
}

// noises are what a healthy endpoint is measured beside.
func noises() []noise {
	return []noise{
		{
			row:     row{Key: rowBeside, Title: fmt.Sprintf("the same beside %d/s to one that hangs 10 s", neighborRate)},
			traffic: traffic{calls: neighborEvents, perSecond: neighborRate}, behavior: hangs(hangTime),
		},
		{
			row:     row{Key: rowBurst, Title: fmt.Sprintf("the same beside %d at once, every %s, to one that hangs", burstSize, burstEvery)},
			traffic: traffic{calls: int(neighborEvents / neighborRate * time.Second / burstEvery), perSecond: 1 / burstEvery.Seconds()},
			batch:   burstSize, behavior: hangs(hangTime),
		},
		{
			row:     row{Key: rowFailing, Title: fmt.Sprintf("the same beside %d/s to one that fails each once", neighborRate)},
			traffic: traffic{calls: neighborEvents, perSecond: neighborRate}, behavior: fails(1), schedule: []string{"1s"},
		},
	}
}

// healthy is what is measured beside others.
func healthy() scenario {
	return scenario{events: neighborEvents, endpoints: 1, perSecond: neighborRate}
}

// neighborCase compares a healthy endpoint alone with the same beside an endpoint in trouble.
func neighborCase(ctx context.Context, r *rig) error {
	err := r.scenario(ctx, row{Key: rowQuiet, Title: fmt.Sprintf("healthy endpoint, %d/s, alone", neighborRate)}, healthy())
	if err != nil {
		return err
	}
	for _, n := range noises() {
		err := r.measure(ctx, n.row, func(ctx context.Context, share float64) (figures, error) {
			return r.playBeside(ctx, &n, healthy(), share)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// playBeside returns the figures of the healthy endpoint. Its tenant is not the noisy one's.
func (r *rig) playBeside(ctx context.Context, n *noise, own scenario, share float64) (figures, error) {
	noisy, err := r.newTenant(ctx, n.schedule...)
	if err != nil {
		return nil, err
	}
	troubled, err := r.newEndpoints(ctx, noisy, 1, n.behavior)
	if err != nil {
		return nil, err
	}
	t := n.traffic
	if t.calls = r.opts.scaled(t.calls, share); n.batch > 0 {
		t.calls = max(1, int(float64(n.calls)*r.opts.scale*share))
	}
	beside := t.driveAside(ctx, r.api.publishing(noisy, n.batch))
	f, err := r.play(ctx, own, share)
	other := <-beside
	if err != nil {
		return nil, err
	}
	if other.err != nil {
		return nil, fmt.Errorf("publish to the endpoint in trouble: %w", other.err)
	}
	r.out.Say("%s: %d requests to the endpoint in trouble meanwhile, for %d events", r.mode, troubled[0].requested(), len(other.sent.events))
	f.dropCosts()
	// Requests that still hang would disturb the next run, and the deliveries of the slow endpoint must all arrive too.
	troubled[0].releaseHung()
	if n.recover != nil {
		n.recover()
	}
	if err := r.awaitAccepted(ctx, troubled, len(other.sent.events)); err != nil {
		return nil, err
	}
	theirs := other.sent.delivering(troubled)
	f[lost] += theirs[lost]
	f[duplicates] += theirs[duplicates]
	r.played = append(r.played, played{other.sent, troubled})
	return f, pause(ctx, r.opts.settle)
}
