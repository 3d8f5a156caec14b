package main

import (
	"context"
	"fmt"
	"time"

	"waybill/scripts/receiver"
)

// What a soak puts on two servers. Steady means that nothing gathers: an event costs the hanging endpoint two attempts of
// two seconds, so 20 are in flight at a time, of the 64 that the isolated lanes of two servers have for one endpoint, and
// every event is settled some five seconds after it came.
const (
	soakPerSecond = 5
	sampleEvery   = 5 * time.Second
	// warmUp, or a quarter of a short soak, is left out of the fit: caches and pools fill, the heap finds its size.
	warmUp    = 2 * time.Minute
	leastSoak = 4 * time.Minute
)

// hanging takes a request and never answers; it lets go when the sender does.
var hanging = hostileOne("hanging", receiver.Hang)

// soaks are steady load on two servers for so long, with nothing killed.
func soaks(d time.Duration) []scenario {
	one := func(name, mode string, env ...string) scenario {
		s := &soak{load: d, warm: min(warmUp, d/4)}
		return scenario{
			name: name, what: fmt.Sprintf("steady load on two `serve` in %s mode for %s; nothing may grow", mode, d), env: env,
			endpoints: []behavior{healthy, flaky, hanging}, rate: soakPerSecond, faults: s.run, also: s.judge,
		}
	}
	return []scenario{one("soak-workflow", "workflow"), one("soak-express", "express", "WAYBILL_EXPRESS=true")}
}

// soak is a load and what the processes held meanwhile.
type soak struct {
	load, warm time.Duration
	series     []*series
}

// run samples while the load goes on.
func (s *soak) run(ctx context.Context, r *run) error {
	second, err := r.startServer(ctx, "serve", r.scenario.env...)
	if err != nil {
		return err
	}
	began := time.Now()
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for time.Since(began) < s.load {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		at := time.Since(began)
		held, err := r.holdings(ctx, r.server, second)
		if err != nil {
			return fmt.Errorf("sample what the processes hold: %w", err)
		}
		if s.series == nil {
			s.series = make([]*series, len(held))
		}
		for i, h := range held {
			if s.series[i] == nil {
				s.series[i] = &series{holder: h.holder, kind: h.kind}
			}
			s.series[i].add(at, h.value)
		}
		if minute := at.Truncate(time.Minute); at-minute < sampleEvery && minute > 0 {
			r.say("%s: %s of %s", r.scenario.name, minute, s.load)
		}
	}
	return nil
}

// judge prints the table and finds what grew.
func (s *soak) judge(_ context.Context, r *run, v *verdict) error {
	r.say("%s", trendHeader)
	for _, one := range s.series {
		t := one.trend(s.warm)
		r.say("%s", t.line())
		if t.grew() {
			v.wrong("%s of %s grew by %.1f, more than %.1f", t.kind.name, t.holder, t.growth, t.limit())
		}
	}
	return nil
}
