package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"waybill/scripts/receiver"
	"waybill/scripts/stack"
)

// restoreEach is how many events each group of a restore has.
const restoreEach = 5

// reconcileAfter is how late a delivery of a restore may be before the reconciler looks for its workflow.
const reconcileAfter = "5s"

// Groups of events, named by when they were published and how far they were: at the backup, and at the loss of the databases.
const (
	done     = "done"     // delivered before the backup
	between  = "between"  // waiting at the backup, delivered before the loss
	waiting1 = "waiting"  // waiting at the backup and at the loss
	lateDone = "latedone" // published after the backup, delivered before the loss
	late     = "late"     // published after the backup, waiting at the loss
)

// outcome is what must have become of a group, a while after the restore: how often each event was accepted by the receiver, and its
// status in the log; "" where the log does not know it.
type outcome struct {
	accepted int
	status   string
}

// restore is one way to come back from a backup.
type restore struct {
	name, what string
	// databases are what comes from the backup; the others are as they were.
	waybill, temporal bool
	// together: the backup is of one moment, for which everything was stopped.
	together bool
	// restored is what must be once all is quiet, and again once what is unknown was published once more.
	restored, again map[string]outcome
	// orphans are workflows that run and whose event is not stored.
	orphans int
}

// restores are told in docs/operating.md, with their tables.
func restores() []restore {
	return []restore{
		{
			name: "restore-both", what: "both databases come from one backup", waybill: true, temporal: true, together: true,
			restored: map[string]outcome{done: {1, "delivered"}, between: {2, "delivered"}, waiting1: {1, "delivered"}, lateDone: {1, ""}, late: {0, ""}},
			again:    map[string]outcome{lateDone: {2, "delivered"}, late: {1, "delivered"}},
		},
		{
			name: "restore-temporal", what: "Temporal's databases come from a backup that is older than Waybill's", temporal: true,
			restored: map[string]outcome{done: {1, "delivered"}, between: {1, "delivered"}, waiting1: {1, "delivered"}, lateDone: {1, "delivered"}, late: {1, "delivered"}},
		},
		{
			name: "restore-waybill", what: "Waybill's database comes from a backup that is older than Temporal's", waybill: true, orphans: restoreEach,
			restored: map[string]outcome{done: {1, "delivered"}, between: {2, "delivered"}, waiting1: {1, "delivered"}, lateDone: {1, ""}, late: {0, ""}},
			again:    map[string]outcome{lateDone: {2, "delivered"}, late: {1, "delivered"}},
		},
	}
}

// restoreScenarios bring databases back from a backup. What was accepted since must be lost where Waybill's is older, so the oracle has
// nothing to say: each way is held to what docs/operating.md says of it.
func restoreScenarios() []scenario {
	var all []scenario
	for _, way := range restores() {
		gate := &gate{}
		all = append(all, scenario{
			name: way.name, what: way.what, env: []string{"WAYBILL_RECONCILE_AFTER=" + reconcileAfter},
			endpoints: []behavior{{name: "gated", schedule: patient, settles: []string{"delivered"}, answer: gate.answer}},
			story:     func(ctx context.Context, r *run) (*verdict, error) { return way.perform(ctx, r, gate) },
		})
	}
	return all
}

// gate is a receiver that accepts the groups it was told to.
type gate struct {
	mu   sync.Mutex
	open []string
}

func (g *gate) let(groups ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = append(g.open, groups...)
}

func (g *gate) answer(event string, _ int) receiver.Behavior {
	g.mu.Lock()
	defer g.mu.Unlock()
	if slices.Contains(g.open, groupOf(event)) {
		return receiver.Accept
	}
	return receiver.Status(http.StatusServiceUnavailable)
}

// groupOf reads the group from an event's id, <tenant>.<group>.<number>.
func groupOf(event string) string {
	parts := strings.Split(event, ".")
	return parts[max(0, len(parts)-2)]
}

// perform goes through a backup, work after it, the loss of everything and the restore.
func (w *restore) perform(ctx context.Context, r *run, g *gate) (*verdict, error) {
	v := &verdict{kills: 1}
	g.let(done, lateDone)
	if err := errors.Join(r.publishGroup(ctx, done), r.publishGroup(ctx, between), r.publishGroup(ctx, waiting1)); err != nil {
		return nil, err
	}
	if err := r.reaches(ctx, map[string]string{done: "delivered", between: "retrying", waiting1: "retrying"}); err != nil {
		return nil, err
	}
	if err := w.backup(ctx, r); err != nil {
		return nil, err
	}
	g.let(between)
	if err := errors.Join(r.publishGroup(ctx, lateDone), r.publishGroup(ctx, late)); err != nil {
		return nil, err
	}
	if err := r.reaches(ctx, map[string]string{between: "delivered", waiting1: "retrying", lateDone: "delivered", late: "retrying"}); err != nil {
		return nil, err
	}
	if err := r.waitsLong(ctx, late); err != nil {
		return nil, err
	}
	if err := w.loseAndRestore(ctx, r); err != nil {
		return nil, err
	}
	g.let(waiting1, late)
	if err := w.endOrphans(ctx, r); err != nil {
		v.wrong("orphans: %s", err)
	}
	w.judge(ctx, r, v, w.restored)
	if w.again == nil {
		return v, nil
	}
	// A producer that keeps its events publishes what Waybill does not know, with the ids of before.
	if err := errors.Join(r.publishGroup(ctx, lateDone), r.publishGroup(ctx, late)); err != nil {
		return nil, err
	}
	w.judge(ctx, r, v, w.again)
	return v, nil
}

// backup takes what the way needs. Together means that nothing changes meanwhile: everybody who writes is stopped.
func (w *restore) backup(ctx context.Context, r *run) error {
	if w.together {
		if err := errors.Join(r.server.terminate(), r.stack.Kill("temporal")); err != nil {
			return err
		}
	}
	for _, database := range w.databases(r) {
		if err := r.stack.Backup(ctx, database, w.file(r, database)); err != nil {
			return err
		}
	}
	if !w.together {
		return nil
	}
	if err := r.stack.StartTemporal(ctx); err != nil {
		return err
	}
	return r.server.start(ctx, r.scenario.env...)
}

func (w *restore) databases(r *run) []string {
	var all []string
	if w.waybill {
		all = append(all, r.stack.Database)
	}
	if w.temporal {
		all = append(all, stack.TemporalDatabases...)
	}
	return all
}

func (w *restore) file(r *run, database string) string { return filepath.Join(r.dir, database+".dump") }

// loseAndRestore kills whoever works on the databases, puts the backup in their place, and starts again in the order that docs/operating.md has.
func (w *restore) loseAndRestore(ctx context.Context, r *run) error {
	if err := errors.Join(r.server.Kill(), r.stack.Kill("temporal")); err != nil {
		return err
	}
	for _, database := range w.databases(r) {
		if err := r.stack.Restore(ctx, database, w.file(r, database)); err != nil {
			return err
		}
	}
	if err := errors.Join(r.migrate(ctx), r.stack.StartTemporal(ctx)); err != nil {
		return err
	}
	// The lease of the reconciler that was killed, or is in the backup, has up to five minutes to go, and there is nothing to see meanwhile.
	if _, err := r.db.ExecContext(ctx, `UPDATE `+r.table("reconciler_lease")+` SET lease_until = now()`); err != nil {
		return fmt.Errorf("end the reconciler's lease: %w", err)
	}
	return r.server.start(ctx, r.scenario.env...)
}

// endOrphans has the reconciler's metric tell how many workflows wait for an event that is not stored, and terminates them as an operator does.
func (w *restore) endOrphans(ctx context.Context, r *run) error {
	if w.orphans == 0 {
		return nil
	}
	const metric = "waybill_reconciler_orphan_workflows"
	err := until(ctx, time.Minute, func() error {
		found, err := r.metric(ctx, metric)
		if err == nil && found != float64(w.orphans) {
			err = fmt.Errorf("%s is %g, not %d", metric, found, w.orphans)
		}
		return err
	})
	for n := range w.orphans {
		err = errors.Join(err, r.stack.TerminateWorkflow(ctx, r.tenant+"/"+r.groupEvent(late, n)))
	}
	return err
}
