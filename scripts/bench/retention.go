package main

import (
	"context"
	"fmt"
	"time"

	"waybill/scripts/stack"
)

const (
	// keptFor is how long a closed workflow is kept in place of days.
	keptFor = time.Minute
	// retentionJitter is the most that a deletion comes later than that, as retentionConfig says.
	retentionJitter = 5 * time.Second
	// steadyWarmUp comes before the figures while workflows are kept, and after the first deletions.
	steadyWarmUp = 10 * time.Second
	// steadyWindow is what figures are taken of.
	steadyWindow = 20 * time.Second
	// pacedShare is the rate at which workflows start while others are deleted, of the rate at which they can without. The server puts
	// deletions off while there is anything else to do, so that at full load hardly one is made and the database grows.
	pacedShare = 0.5
	// steadyInFlight is enough that no part waits for work, and little that waits in line.
	steadyInFlight   = 128
	steadyPublishers = 4

	// retentionConfig lets a namespace keep closed workflows for less than the hour that is the least. The server's cache holds them for
	// some 20 s, so that deleting one reads it from the database, as it does after days.
	retentionConfig = `
history.hostLevelCacheMaxSize:
  - value: 5000
system.namespaceMinRetentionLocal:
  - value: 1s
history.retentionTimerJitterDuration:
  - value: 5s
`
)

// deleted is how many closed workflows Temporal deleted.
const deleted metric = "deleted_per_s"

// lifetime is a time for which closed workflows are kept, and the rows that show what it costs.
type lifetime struct {
	name string
	kept time.Duration
	// before passes before the figures are taken.
	before     time.Duration
	paced      bool
	floor, own string
}

// lifetimes are the usual one, at which nothing is deleted meanwhile, as fast as it goes and at half of that, and one so short that as many
// are deleted as start.
func (o *options) lifetimes() []lifetime {
	brief := max(time.Duration(float64(keptFor)*min(o.scale, 1)), retentionJitter)
	warmUp := time.Duration(float64(steadyWarmUp) * min(o.scale, 1))
	return []lifetime{
		{name: "keeping", kept: stack.ClosedFor, before: warmUp, floor: floorKeeping, own: rowKeeping},
		{name: "half", kept: stack.ClosedFor, before: warmUp, paced: true, floor: floorHalf, own: rowHalf},
		{name: "deleting", kept: brief, before: brief + retentionJitter + warmUp, paced: true, floor: floorDeleting, own: rowDeleting},
	}
}

func (o *options) steadyWindow() time.Duration {
	return max(time.Duration(float64(steadyWindow)*min(o.scale, 1)), time.Second)
}

// retentionCase compares what an event costs while closed workflows are kept with what it costs while as many are deleted as start, which is
// what an installation does from the day on at which its namespace's retention ends.
func retentionCase(ctx context.Context, r *rig) error {
	if r.mode != modeWorkflow {
		return nil // in express mode there is hardly a workflow to delete
	}
	usual := r.side
	for _, l := range r.opts.lifetimes() {
		if err := r.stopServer(); err != nil {
			return err
		}
		r.side = &side{binary: usual.binary, schema: l.name, namespace: r.engine.namespace + "-" + l.name}
		if err := stack.EnsureNamespaceKeeping(ctx, r.engine.temporal, r.side.namespace, l.kept); err != nil {
			return err
		}
		if err := r.migrate(ctx); err != nil {
			return fmt.Errorf("prepare Waybill's tables: %w", err)
		}
		if err := r.serve(ctx); err != nil {
			return err
		}
		if err := r.playRetention(ctx, l); err != nil {
			return err
		}
	}
	if err := r.stopServer(); err != nil {
		return err
	}
	r.side = usual
	if r.opts.cases[len(r.opts.cases)-1] == caseRetention {
		return nil
	}
	if err := r.awaitDeleted(ctx); err != nil {
		return err
	}
	return r.serve(ctx)
}

func (r *rig) playRetention(ctx context.Context, l lifetime) error {
	tenant, err := r.newTenant(ctx)
	if err != nil {
		return err
	}
	sinks, err := r.newEndpoints(ctx, tenant, 1, accepts)
	if err != nil {
		return err
	}
	info := row{Key: l.own, Title: "one endpoint, " + l.title(), Floor: l.floor}
	out, err := r.steadily(ctx, info, steady{
		call: r.api.publisher(tenant), sinks: sinks, concurrency: steadyPublishers, inFlight: steadyInFlight,
		lifetime: l, perSecond: r.paceOf(l, rowKeeping), window: r.opts.steadyWindow(),
	})
	if err != nil {
		return err
	}
	r.played = append(r.played, played{out, sinks})
	return nil
}

// floorRetention is the same for bare Temporal.
func (r *rig) floorRetention(ctx context.Context, starts int) error {
	for _, l := range r.opts.lifetimes() {
		namespace := r.engine.namespace + "-floor-" + l.name
		if err := stack.EnsureNamespaceKeeping(ctx, r.engine.temporal, namespace, l.kept); err != nil {
			return err
		}
		if err := r.playFloorRetention(ctx, namespace, l, starts); err != nil {
			return err
		}
	}
	if r.opts.floor == floorShipped {
		return r.awaitDeleted(ctx) // Waybill comes next on the same server
	}
	return nil
}

func (r *rig) playFloorRetention(ctx context.Context, namespace string, l lifetime, starts int) error {
	f, err := startFloor(ctx, r.engine.frontend(), namespace)
	if err != nil {
		return err
	}
	defer f.stop()
	one, err := r.sinks.add(ctx, accepts)
	if err != nil {
		return err
	}
	sinks := []*sink{one}
	_, err = r.steadily(ctx, row{Key: l.floor, Title: "floor: one POST, " + l.title()}, steady{
		call: f.starter(sinks), sinks: sinks, concurrency: starts, inFlight: steadyInFlight,
		lifetime: l, perSecond: r.paceOf(l, floorKeeping), window: r.opts.steadyWindow(),
	})
	return err
}

// title says for a person what becomes of closed workflows.
func (l lifetime) title() string {
	title := "what closed is kept"
	if l.own == rowDeleting {
		title = "what closed is deleted"
	}
	if l.paced {
		title += fmt.Sprintf(", at %v of the rate", pacedShare)
	}
	return title
}

// paceOf returns how fast workflows start, 0 for as fast as they can.
func (r *rig) paceOf(l lifetime, keeping string) float64 {
	if !l.paced {
		return 0
	}
	rate, _ := r.report.find(r.mode, keeping, delivered)
	return pacedShare * rate
}

// deletions is how many workflows Temporal has deleted so far, as Postgres tells it a second later.
func (r *rig) deletions(ctx context.Context) (n int, err error) {
	if r.temporalDB == nil {
		if r.temporalDB, err = r.engine.stores("temporal"); err != nil {
			return 0, fmt.Errorf("open Temporal's database: %w", err)
		}
	}
	if err := r.temporalDB.QueryRowContext(ctx, `SELECT n_tup_del FROM pg_stat_user_tables WHERE relname = 'executions'`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count deleted workflows: %w", err)
	}
	return n, nil
}

// awaitDeleted waits until no deletion is left that would disturb what is measured next.
func (r *rig) awaitDeleted(ctx context.Context) error {
	for before := -1; ; {
		now, err := r.deletions(ctx)
		if err != nil || now == before {
			return err
		}
		before = now
		if err := pause(ctx, keptFor/4); err != nil {
			return err
		}
	}
}
