package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Keys of the rows, in the JSON output too.
const (
	floorOne  = "floor/one"
	floorTen  = "floor/ten"
	floorRate = "floor/rate"
	// The floor while closed workflows are kept, the same at half the rate, and then while as many are deleted as start.
	floorKeeping  = "floor/retention/keeping"
	floorHalf     = "floor/retention/half"
	floorDeleting = "floor/retention/deleting"

	rowOne          = "one"
	rowTen          = "ten"
	rowRate         = "rate"
	rowRest         = "rest"
	rowBatch        = "batch"
	rowRetry        = "retry"
	rowQuiet        = "neighbor/quiet"
	rowBeside       = "neighbor/beside"
	rowBurst        = "neighbor/burst"
	rowFailing      = "neighbor/failing"
	rowOutageQuiet  = "outage/quiet"
	rowOutage       = "outage/down"
	rowAcceptSingle = "accept/single"
	rowAcceptBatch  = "accept/batch"
	rowLogEmpty     = "history/empty"
	rowLogFull      = "history/full"
	rowLogAsked     = "log"
	rowNoneWaiting  = "backlog/none"
	rowSomeWaiting  = "backlog/some"
	rowManyWaiting  = "backlog/many"
	rowKeeping      = "retention/keeping"
	rowHalf         = "retention/half"
	rowDeleting     = "retention/deleting"
)

const (
	concurrency      = 64
	batchSize        = 500
	batchConcurrency = 4
)

// benchCase is one measurement.
type benchCase struct {
	name string
	// own is a case that restarts Waybill, or writes or reads its tables, so that it is no case for a given one.
	own bool
	run func(context.Context, *rig) error
}

const (
	// caseFloor is measured before all others, by measureMode.
	caseFloor     = "floor"
	caseRetention = "retention"
	caseRest      = "rest"
)

// allCases lists the cases in the order in which they run. Those that leave much behind in Postgres or Temporal come
// last, because a mode's cases share one stack.
func allCases() []benchCase {
	return slices.Concat([]benchCase{
		{caseFloor, false, func(context.Context, *rig) error { return nil }},
		{"one", false, func(ctx context.Context, r *rig) error {
			return r.scenario(ctx, row{Key: rowOne, Title: "one endpoint, 64 publishers", Floor: floorOne}, scenario{events: 5000, endpoints: 1})
		}},
		{"ten", false, func(ctx context.Context, r *rig) error {
			return r.scenario(ctx, row{Key: rowTen, Title: "ten endpoints, 64 publishers", Floor: floorTen}, scenario{events: 1000, endpoints: 10})
		}},
		{"rate", false, func(ctx context.Context, r *rig) error {
			return r.scenario(ctx, row{Key: rowRate, Title: "20 events/s for 20 s"}, scenario{events: 400, endpoints: 1, perSecond: 20})
		}},
		{caseRest, false, func(ctx context.Context, r *rig) error {
			return r.series(ctx, row{Key: rowRest, Title: "at rest, each second"}, r.rest)
		}},
		{"batch", false, func(ctx context.Context, r *rig) error {
			return r.scenario(ctx, row{Key: rowBatch, Title: "batches of 500", Floor: floorOne}, scenario{events: 2500, endpoints: 1, batch: batchSize})
		}},
		{"retry", false, func(ctx context.Context, r *rig) error {
			return r.scenario(ctx, row{Key: rowRetry, Title: "fails once, accepts after 1 s"}, scenario{
				events: r.retryEvents(), endpoints: 1, behavior: fails(1), schedule: []string{"1s"},
			})
		}},
		{"neighbor", false, neighborCase},
		{"outage", false, outageCase},
		{caseRetention, true, retentionCase},
	}, tenantCases(), []benchCase{
		{"accept", true, acceptCase},
		{"history", true, historyCase},
		{"log", true, logCase},
		{"size", true, sizeCase},
		{"backlog", true, backlogCase},
	})
}

func caseNames() []string {
	var names []string
	for _, c := range allCases() {
		names = append(names, c.name)
	}
	return names
}

// retryEvents are enough for their publication to take several times the second that each waits for its retry.
func (r *rig) retryEvents() int {
	if r.mode == modeExpress {
		return 10_000
	}
	return 1000
}

// scenario is a case that publishes to endpoints which behave alike, until all have everything.
type scenario struct {
	events, endpoints int
	// perSecond publishes at a fixed rate; otherwise there is a closed loop.
	perSecond float64
	// batch is how many events a call publishes; 0: one, and not as a batch.
	batch int
	// sql publishes into the outbox, an event in each transaction.
	sql bool
	// behavior defaults to accepts.
	behavior behavior
	// schedule is the tenant's retry schedule; none: the dialect's.
	schedule []string
}

func (r *rig) scenario(ctx context.Context, info row, s scenario) error {
	return r.measure(ctx, info, func(ctx context.Context, share float64) (figures, error) { return r.play(ctx, s, share) })
}

// measure runs a series, with both builds in turns where there are two.
func (r *rig) measure(ctx context.Context, info row, run measured) error {
	if len(r.sides) > 1 {
		info.Mode = r.mode
		return r.compared(ctx, info, run)
	}
	return r.series(ctx, info, run)
}

// play runs a scenario once, with a tenant and endpoints of its own.
func (r *rig) play(ctx context.Context, s scenario, share float64) (figures, error) {
	if s.behavior == nil {
		s.behavior = accepts
	}
	tenant, err := r.newTenant(ctx, s.schedule...)
	if err != nil {
		return nil, err
	}
	sinks, err := r.newEndpoints(ctx, tenant, s.endpoints, s.behavior)
	if err != nil {
		return nil, err
	}
	t := traffic{calls: r.opts.scaled(s.events, share), concurrency: concurrency, perSecond: s.perSecond}
	if s.batch > 0 {
		t.calls, t.concurrency = max(1, t.calls/s.batch), batchConcurrency
	}
	call := r.api.publishing(tenant, s.batch)
	if s.sql {
		call = r.publishingSQL(tenant)
	}
	f, out, err := r.deliver(ctx, t, call, sinks)
	if err != nil {
		return nil, err
	}
	r.played = append(r.played, played{out, sinks})
	return f, nil
}

// restSeconds is how long nothing happens, which has to be long beside what is done every few seconds.
const restSeconds = 30

// rest measures what everything takes while there is nothing to do, for each second.
func (r *rig) rest(ctx context.Context, share float64) (figures, error) {
	seconds := max(1, int(restSeconds*r.opts.scale*share))
	return r.costing(ctx, func() (figures, int, error) {
		return figures{}, seconds, pause(ctx, time.Duration(seconds)*time.Second)
	})
}

// acceptCase measures the way of an event up to its 202, in a process that delivers nothing.
func acceptCase(ctx context.Context, r *rig) error {
	if err := r.stopServer(); err != nil {
		return err
	}
	if err := r.acceptOnly(ctx); err != nil {
		return err
	}
	for _, c := range []struct {
		row    row
		events int
		batch  int
	}{
		{row{Key: rowAcceptSingle, Title: "accept alone, 64 publishers (p: to the answer)"}, 20_000, 0},
		{row{Key: rowAcceptBatch, Title: "accept alone, batches of 500 (p: to the answer)"}, 50_000, batchSize},
	} {
		err := r.series(ctx, c.row, func(ctx context.Context, share float64) (figures, error) {
			return r.playAccept(ctx, c.events, c.batch, share)
		})
		if err != nil {
			return err
		}
	}
	if err := r.stopServer(); err != nil {
		return err
	}
	// The next process would deliver all of it.
	if err := r.forgetEvents(ctx); err != nil {
		return err
	}
	return r.serve(ctx)
}

func (r *rig) playAccept(ctx context.Context, events, batch int, share float64) (figures, error) {
	tenant, err := r.newTenant(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := r.newEndpoints(ctx, tenant, 1, accepts); err != nil {
		return nil, err
	}
	t := traffic{calls: r.opts.scaled(events, share), concurrency: concurrency}
	if batch > 0 {
		t.calls, t.concurrency = max(batchConcurrency, t.calls/batch), batchConcurrency
	}
	return r.accept(ctx, t, r.api.publishing(tenant, batch))
}

// forgetEvents empties the tables of events, with what belongs to them. Nothing may be under way.
func (r *rig) forgetEvents(ctx context.Context) error {
	_, err := r.db.ExecContext(ctx, `TRUNCATE events, deliveries, attempts, event_keys, dispatches, delivery_stats, tenant_stats`)
	if err != nil {
		return fmt.Errorf("empty the tables: %w", err)
	}
	return nil
}
