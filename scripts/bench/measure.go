package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// patience is how long nothing may arrive before what is missing counts as lost.
	patience = 30 * time.Second
	// warmUpShare is how much of a run comes before the first as a warm-up, whose figures are dropped.
	warmUpShare = 0.1
	sayEvery    = 10 * time.Second
	// arrivalsEvery is how often arrivals are counted, and tableEvery how often rows are.
	arrivalsEvery = 10 * time.Millisecond
	tableEvery    = 500 * time.Millisecond
)

// measured is one figure-giving run; share is 1, or less for the warm-up.
type measured func(ctx context.Context, share float64) (figures, error)

// series warms up, runs several times and keeps the figures as a row of the report.
func (r *rig) series(ctx context.Context, info row, run measured) error {
	info.Mode = r.mode
	if _, err := run(ctx, warmUpShare); err != nil {
		return fmt.Errorf("warm up: %w", err)
	}
	profile := r.startProfile(ctx, info.Key)
	var runs []figures
	for n := range r.opts.runs {
		f, err := run(ctx, 1)
		if err != nil {
			return fmt.Errorf("run %d: %w", n+1, err)
		}
		runs = append(runs, f)
		r.out.Say("%s: %s, run %d of %d: %s", r.mode, info.Title, n+1, r.opts.runs, f)
	}
	info.Metrics = summarizeAll(runs)
	r.report.add(info)
	return profile()
}

// String says in a line what is most telling of a run.
func (f figures) String() string {
	var parts []string
	for _, m := range []struct {
		metric metric
		format string
	}{
		{accepted, "%.0f accepted/s"}, {delivered, "%.0f delivered/s"}, {latencyP50, "p50 %.1f ms"}, {latencyP99, "p99 %.1f ms"},
		{cpuOf("waybill"), "%.2f ms of Waybill's CPU each"}, {logP95, "log p95 %.1f ms"}, {logWorst, "slowest kind %.1f ms"},
		{noisyRequests, "%.0f/s of the noisy tenant"}, {lost, "%.0f lost"},
	} {
		if v, ok := f[m.metric]; ok {
			parts = append(parts, fmt.Sprintf(m.format, v))
		}
	}
	return strings.Join(parts, ", ")
}

// deliver publishes and waits until every event has arrived at every sink. It returns what was published, too.
func (r *rig) deliver(ctx context.Context, t traffic, call publish, sinks []*sink) (figures, *sent, error) {
	var out *sent
	f, err := r.costing(ctx, func() (f figures, n int, err error) {
		call, stop := r.telling(ctx, t, call)
		out, err = t.drive(ctx, call)
		stop()
		if err == nil {
			err = r.awaitAccepted(ctx, sinks, len(out.events))
		}
		if err == nil {
			err = pause(ctx, r.opts.settle)
		}
		if err != nil {
			return nil, 0, err
		}
		r.sayRefusal(out)
		return out.delivering(sinks), len(out.events) * len(sinks), nil
	})
	if err != nil {
		return nil, nil, err
	}
	return f, out, nil
}

// costing adds to the figures of the work what each of its n cost: CPU, statements and commits.
func (r *rig) costing(ctx context.Context, work func() (f figures, n int, err error)) (figures, error) {
	before, err := r.counter.read(ctx)
	if err != nil {
		return nil, err
	}
	m, err := startMeter(ctx, r.processes())
	if err != nil {
		return nil, err
	}
	f, n, err := work()
	if err != nil {
		m.abandon()
		return nil, err
	}
	if err := m.stop(f, n); err != nil {
		return nil, err
	}
	after, err := r.counter.read(ctx)
	if err != nil {
		return nil, err
	}
	after.addTo(f, before, n)
	return f, nil
}

// telling returns the call, and says every sayEvery how many of them were answered, until it is stopped.
func (r *rig) telling(ctx context.Context, t traffic, call publish) (counted publish, stop func()) {
	var answered atomic.Int64
	ctx, cancel := context.WithCancel(ctx)
	var saying sync.WaitGroup
	saying.Go(func() {
		for began := time.Now(); pause(ctx, sayEvery) == nil; {
			n := int(answered.Load())
			r.out.Say("%s: %d of %d calls answered, %.0f/s", r.mode, n, t.calls, perSecond(n, time.Since(began)))
		}
	})
	counted = func(ctx context.Context) ([]eventID, int, error) {
		defer answered.Add(1)
		return call(ctx)
	}
	return counted, func() {
		cancel()
		saying.Wait()
	}
}

// accept publishes and waits for nothing but the answers.
func (r *rig) accept(ctx context.Context, t traffic, call publish) (figures, error) {
	m, err := startMeter(ctx, r.processes())
	if err != nil {
		return nil, err
	}
	out, err := t.drive(ctx, call)
	if err != nil {
		m.abandon()
		return nil, err
	}
	r.sayRefusal(out)
	f := out.accepting()
	return f, m.stop(f, len(out.events))
}

func (r *rig) sayRefusal(out *sent) {
	if out.refused > 0 {
		r.out.Say("%s: %d events were refused, the first with: %v", r.mode, out.refused, out.refusal)
	}
}

// awaitAccepted waits until each sink has accepted n events. Those that do not come are no error: they are lost.
func (r *rig) awaitAccepted(ctx context.Context, sinks []*sink, n int) error {
	return r.await(ctx, "delivered", n*len(sinks), arrivalsEvery, func(context.Context) (int, error) {
		sum := 0
		for _, s := range sinks {
			_, accepted := s.count()
			sum += min(accepted, n)
		}
		return sum, nil
	})
}

// await waits until the count is reached, or has not grown for as long as patience lasts.
func (r *rig) await(ctx context.Context, what string, want int, every time.Duration, count func(context.Context) (int, error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	began := time.Now()
	have, grown, said := 0, began, began
	for {
		n, err := count(ctx)
		if err != nil {
			return err
		}
		now := time.Now()
		if n > have {
			have, grown = n, now
		}
		if have >= want || now.Sub(grown) > patience {
			return nil
		}
		if now.Sub(said) > sayEvery {
			said = now
			r.out.Say("%s: %d of %d %s, %.0f/s", r.mode, have, want, what, perSecond(have, now.Sub(began)))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *rig) wants(name string) bool { return slices.Contains(r.opts.cases, name) }
