package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

const (
	historyProbe = 1000
	// logQueries is how often each kind of query is asked.
	logQueries = 100

	// logP95 is of all queries of the log together, and logWorst that of the slowest kind. logRSS is the memory of waybill meanwhile.
	logP95   metric = "log_p95_ms"
	logWorst metric = "log_worst_p95_ms"
	logRSS   metric = "log_peak_rss_mib_waybill"
)

func logP50Of(kind string) metric { return metric("log_p50_ms: " + kind) }
func logP95Of(kind string) metric { return metric("log_p95_ms: " + kind) }

// logCase asks a long log, by the API and by pages of the dashboard, with nothing beside it.
func logCase(ctx context.Context, r *rig) error {
	if err := r.forgetEvents(ctx); err != nil {
		return err
	}
	stored, err := r.fillLog(ctx, r.opts.scaled(r.opts.logAttempts, 1))
	if err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	if err := r.askStored(ctx, stored); err != nil {
		return err
	}
	return r.forgetLog(ctx)
}

// askStored measures queries and pages of a stored log.
func (r *rig) askStored(ctx context.Context, stored *storedLog) error {
	info := row{Key: rowLogAsked, Title: fmt.Sprintf("%d attempts stored", stored.attempts)}
	return r.series(ctx, info, func(ctx context.Context, share float64) (figures, error) {
		f := figures{}
		if err := r.askLog(ctx, f, stored, share); err != nil {
			return nil, err
		}
		return f, r.askPages(ctx, f, stored, share)
	})
}

// historyCase compares the throughput with an empty log and with a long one, and asks the long one.
func historyCase(ctx context.Context, r *rig) error {
	if err := r.forgetEvents(ctx); err != nil {
		return err
	}
	probe := scenario{events: historyProbe, endpoints: 1}
	if err := r.scenario(ctx, row{Key: rowLogEmpty, Title: "one endpoint, empty log", Floor: floorOne}, probe); err != nil {
		return err
	}
	stored, err := r.fillLog(ctx, r.opts.scaled(r.opts.logAttempts, 1))
	if err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	info := row{Key: rowLogFull, Title: fmt.Sprintf("one endpoint, %d attempts stored", stored.attempts), Floor: floorOne}
	err = r.series(ctx, info, func(ctx context.Context, share float64) (figures, error) {
		f, err := r.play(ctx, probe, share)
		if err != nil {
			return nil, err
		}
		return f, r.askLog(ctx, f, stored, share)
	})
	if err != nil {
		return err
	}
	return r.forgetLog(ctx)
}

// askLog adds how long queries of the log take, one after the other, and what memory they take.
func (r *rig) askLog(ctx context.Context, f figures, s *storedLog, share float64) error {
	found, err := r.lookUp(ctx, s)
	if err != nil {
		return err
	}
	m, err := startMeter(ctx, r.processes())
	if err != nil {
		return err
	}
	var all []time.Duration
	for _, kind := range logKinds() {
		took, err := r.ask(ctx, max(1, int(logQueries*share)), func(n int) string { return found.query(kind, n) })
		if err != nil {
			m.abandon()
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		all = append(all, took...)
		slices.Sort(took)
		f[logP50Of(kind.name)] = milliseconds(percentile(took, 50))
		f[logP95Of(kind.name)] = milliseconds(percentile(took, 95))
		f[logWorst] = max(f[logWorst], f[logP95Of(kind.name)])
	}
	slices.Sort(all)
	f[logP95] = milliseconds(percentile(all, 95))
	cost := figures{}
	if err := m.stop(cost, len(all)); err != nil {
		return err
	}
	f[logRSS] = cost[rssOf("waybill")]
	return nil
}

// ask asks the API n times, each time what query says.
func (r *rig) ask(ctx context.Context, times int, query func(n int) string) ([]time.Duration, error) {
	took := make([]time.Duration, times)
	for i := range took {
		path := query(i)
		began := time.Now()
		if _, err := r.api.send(ctx, http.MethodGet, path, nil); err != nil {
			return nil, err
		}
		took[i] = time.Since(began)
	}
	return took, nil
}
