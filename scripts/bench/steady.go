package main

import (
	"context"
	"errors"
	"time"
)

// lateWindow is what taking the figures of all windows may take longer.
const lateWindow = time.Second

// steady is a closed loop without end, of which windows are measured.
type steady struct {
	lifetime
	call  publish
	sinks []*sink
	// inFlight is how many events may be published that have not arrived, perSecond how many are published at most; 0: as many as arrive.
	concurrency, inFlight int
	perSecond             float64
	window                time.Duration
}

// window is a moment of a load that goes on, and what was measured in it.
type window struct {
	from, to time.Time
	figures
}

// steadily publishes without a pause and measures windows one after the other, as many as there are to be runs.
func (r *rig) steadily(ctx context.Context, info row, s steady) (*sent, error) {
	info.Mode = r.mode
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	paced := &pacer{sinks: s.sinks, inFlight: s.inFlight, perSecond: s.perSecond, began: time.Now()}
	t := traffic{concurrency: s.concurrency, lasting: s.before + time.Duration(r.opts.runs)*s.window + lateWindow, wait: paced.wait}
	beside := t.driveAside(ctx, paced.count(s.call))
	windows, err := r.measureWindows(ctx, info.Title, s)
	if err != nil {
		stop(err)
	}
	end := <-beside
	if err := errors.Join(err, end.err); err != nil {
		return nil, err
	}
	r.sayRefusal(end.sent)
	if err := r.awaitAccepted(ctx, s.sinks, len(end.sent.events)); err != nil {
		return nil, err
	}
	runs := make([]figures, len(windows))
	for i, w := range windows {
		w.addLatencies(end.sent.took(s.sinks, w.from, w.to))
		runs[i] = w.figures
	}
	info.Metrics = summarizeAll(runs)
	r.report.add(info)
	return end.sent, nil
}

func (r *rig) measureWindows(ctx context.Context, title string, s steady) ([]window, error) {
	if err := pause(ctx, s.before); err != nil {
		return nil, err
	}
	var all []window
	for n := range r.opts.runs {
		w, err := r.measureWindow(ctx, s)
		if err != nil {
			return nil, err
		}
		r.out.Say("%s: %s, window %d of %d: %s, %.0f deleted/s", r.mode, title, n+1, r.opts.runs, w.figures, w.figures[deleted])
		all = append(all, w)
	}
	return all, nil
}

// measureWindow takes the figures of a moment of a load that goes on.
func (r *rig) measureWindow(ctx context.Context, s steady) (window, error) {
	w := window{from: time.Now(), figures: figures{}}
	m, err := startMeter(ctx, r.processes())
	if err != nil {
		return w, err
	}
	before, err := r.countSteady(ctx, s)
	if err == nil {
		err = pause(ctx, s.window)
	}
	if err != nil {
		m.abandon()
		return w, err
	}
	after, err := r.countSteady(ctx, s)
	w.to = time.Now()
	n := after.arrived - before.arrived
	if err := errors.Join(err, m.stop(w.figures, n)); err != nil {
		return w, err
	}
	after.executed.addTo(w.figures, before.executed, n)
	took := w.to.Sub(w.from)
	w.figures[delivered] = perSecond(n, took)
	w.figures[deleted] = perSecond(after.deleted-before.deleted, took)
	return w, nil
}

// steadyCount is what has happened so far.
type steadyCount struct {
	arrived, deleted int
	executed         executed
}

func (r *rig) countSteady(ctx context.Context, s steady) (n steadyCount, err error) {
	for _, one := range s.sinks {
		_, accepted := one.count()
		n.arrived += accepted
	}
	if n.executed, err = r.counter.read(ctx); err != nil {
		return n, err
	}
	n.deleted, err = r.deletions(ctx)
	return n, err
}
