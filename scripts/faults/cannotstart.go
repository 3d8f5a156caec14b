package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// cannotStartScenarios have events among the others whose workflow Temporal refuses to start.
func cannotStartScenarios() []scenario {
	return []scenario{
		cannotStart("cannot-start", "an event", 1),
		cannotStart("cannot-start-fifty", "fifty events", 50),
	}
}

// refusedWithin is how long it may take until an event that cannot start is set aside: some tries, with growing delays.
const refusedWithin = 3 * time.Minute

// cannotStart begins with a process that accepts and starts nothing, spoils some of what it accepted, and then starts one
// that serves all of it.
func cannotStart(name, what string, n int) scenario {
	var spoiled *run
	var unnamed error
	return scenario{
		name: name, what: what + " that Temporal refuses to start among healthy ones, which are on time", endpoints: []behavior{healthy},
		rate: besidesPerSecond, command: "api", env: []string{"WAYBILL_DISPATCH=false"},
		before: func(ctx context.Context, r *run) (err error) {
			spoiled, err = r.spoil(ctx, n)
			return err
		},
		faults: func(ctx context.Context, r *run) error {
			serve, err := r.startServer(ctx, "serve")
			if err != nil {
				return err
			}
			err = calm(besides)(ctx, r)
			ids := make([]string, n)
			for i := range ids {
				ids[i] = spoiled.event(i + 1).id
			}
			unnamed = until(ctx, refusedWithin, func() error { return serve.logged(ids...) })
			return err
		},
		also: func(ctx context.Context, r *run, v *verdict) error {
			if unnamed != nil {
				v.wrong("not every event that cannot start is named: %s", unnamed)
			}
			return errors.Join(r.judgePrompt(v), spoiled.judgeSpoiled(ctx, v, n))
		},
	}
}

// tooLong is an event type that no publication may have: Temporal refuses a search attribute of more than 2 KiB.
var tooLong = strings.Repeat("x", 3000)

// spoil publishes events of a tenant beside the scenario's own and makes their type, in the database, one that Temporal
// refuses. Nothing may have started them yet.
func (r *run) spoil(ctx context.Context, n int) (*run, error) {
	other, err := r.beside(ctx, "spoiled", healthy)
	if err != nil {
		return nil, err
	}
	if err := other.publishBatch(ctx, 1, n+1); err != nil {
		return nil, err
	}
	for _, table := range []string{"events", "deliveries"} {
		done, err := r.db.ExecContext(ctx, `UPDATE `+r.table(table)+` SET event_type = $1 WHERE tenant_id = $2`, tooLong, other.tenant)
		if err != nil {
			return nil, fmt.Errorf("spoil %s: %w", table, err)
		}
		if rows, err := done.RowsAffected(); err != nil || rows != int64(n) {
			return nil, fmt.Errorf("spoil %s: %d rows in place of %d, %w", table, rows, n, err)
		}
	}
	return other, nil
}

// judgeSpoiled makes sure that nothing of what cannot start was sent or given up, and takes it away: later scenarios have
// the same database.
func (r *run) judgeSpoiled(ctx context.Context, v *verdict, n int) error {
	if err := r.close(); err != nil {
		return err
	}
	arrived, err := readLedger[arrival](r.path("arrivals"))
	if err != nil {
		return err
	}
	if len(arrived) > 0 {
		v.wrong("%d requests came of events that cannot start", len(arrived))
	}
	log, err := r.readLog(ctx, v)
	if err != nil {
		return err
	}
	if len(log) != n {
		v.wrong("of %d deliveries that cannot start %d are in the log", n, len(log))
	}
	for p, d := range log {
		if d.status != "pending" || d.attempts > 0 {
			v.wrong("%v cannot start and stands as %s after %d attempts", p, d.status, d.attempts)
		}
	}
	return r.remove(ctx)
}

// remove deletes the tenant's events and deliveries.
func (r *run) remove(ctx context.Context) error {
	for _, query := range []string{
		`DELETE FROM ` + r.table("dispatches") + ` d USING ` + r.table("events") + ` e WHERE e.id = d.event_key AND e.tenant_id = $1`,
		`DELETE FROM ` + r.table("deliveries") + ` WHERE tenant_id = $1`,
		`DELETE FROM ` + r.table("events") + ` WHERE tenant_id = $1`,
	} {
		if _, err := r.db.ExecContext(ctx, query, r.tenant); err != nil {
			return fmt.Errorf("remove the events of %s: %w", r.tenant, err)
		}
	}
	return nil
}
