package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// engineScenarios are those that kill Postgres and Temporal. The world has a stack then.
func engineScenarios() []scenario {
	all := []scenario{
		{name: "kill-temporal", what: "Temporal is killed and started again, twice", faults: func(ctx context.Context, r *run) error {
			for range 2 {
				if err := r.around(ctx, 500*time.Millisecond, kill("temporal"), start("temporal")); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "temporal-down", what: "Temporal is away for 20 s while events are accepted", faults: func(ctx context.Context, r *run) error {
			return r.around(ctx, 20*time.Second, kill("temporal"), start("temporal"))
		}},
		persistenceFaults(),
		{name: "kill-backends", what: "every backend of Waybill's in Postgres is terminated, five times", faults: killBackends},
		{name: "kill-postmaster", what: "Postgres' postmaster is killed and started again", faults: func(ctx context.Context, r *run) error {
			return r.around(ctx, 500*time.Millisecond, kill("postgres"), start("postgres"))
		}},
		{name: "sql-kill-postmaster", what: "half of the events are published by SQL, and the postmaster is killed and started again, twice", sql: true, faults: func(ctx context.Context, r *run) error {
			for range 2 {
				if err := r.around(ctx, 500*time.Millisecond, kill("postgres"), start("postgres")); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "postgres-immediate", what: "Postgres is shut down immediately and started again", faults: func(ctx context.Context, r *run) error {
			return r.around(ctx, 500*time.Millisecond, stopPostgres, start("postgres"))
		}},
	}
	all = append(all, fullDisk(), databaseHangs())
	for _, order := range [][]string{
		{"postgres", "temporal", "serve"}, {"postgres", "serve", "temporal"}, {"serve", "postgres", "temporal"},
		{"temporal", "postgres", "serve"}, {"temporal", "serve", "postgres"}, {"serve", "temporal", "postgres"},
	} {
		all = append(all, scenario{
			name: "all-down-" + strings.Join(order, "-"), what: "all three are killed and started again in the order " + strings.Join(order, ", "),
			faults: allDown(order),
		})
	}
	for i := range all {
		all[i].endpoints, all[i].settleWithin = usual, 5*time.Minute
	}
	return append(all, lockHeld())
}

// step does something to a part of the engine.
type step func(ctx context.Context, r *run) error

func kill(name string) step {
	return func(_ context.Context, r *run) error { return r.stack.Kill(name) }
}

func start(name string) step {
	return func(ctx context.Context, r *run) error {
		if name == "postgres" {
			return r.stack.StartPostgres(ctx)
		}
		return r.stack.StartTemporal(ctx)
	}
}

func stopPostgres(_ context.Context, r *run) error { return r.stack.StopImmediately() }

// afterOutage is how long after its return a part may still be the reason for a missing record: a process waits that
// long for the database before it gives a record up.
const afterOutage = 12 * time.Second

// around breaks something, waits and mends it, all under load.
func (r *run) around(ctx context.Context, away time.Duration, breaks, mends step) error {
	pause(ctx, time.Duration(1000+r.rnd.IntN(1000))*time.Millisecond)
	from := time.Now()
	if err := breaks(ctx, r); err != nil {
		return err
	}
	pause(ctx, away)
	if err := mends(ctx, r); err != nil {
		return err
	}
	r.outage(from, time.Now().Add(afterOutage))
	return calm(2*time.Second)(ctx, r)
}

// logged makes sure that what was to happen did, by what a part of the engine logged of it.
func (r *run) logged(name, text string) error {
	times, err := r.stack.Logged(name, text)
	if err == nil && times == 0 {
		err = fmt.Errorf("%s did not log %q", name, text)
	}
	return err
}

func killBackends(ctx context.Context, r *run) error {
	for range 5 {
		pause(ctx, time.Duration(500+r.rnd.IntN(500))*time.Millisecond)
		at := time.Now()
		_, err := r.db.ExecContext(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'waybill'`)
		if err != nil {
			return fmt.Errorf("terminate backends: %w", err)
		}
		r.outage(at, at.Add(afterOutage))
	}
	return calm(2*time.Second)(ctx, r)
}

// allDown kills the server, Temporal and Postgres and starts them in an order. Temporal ends without its database, and is
// started again until that is there, as whatever supervises it would.
func allDown(order []string) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		pause(ctx, 2*time.Second)
		from := time.Now()
		if err := r.server.Kill(); err != nil {
			return err
		}
		for _, name := range []string{"temporal", "postgres"} {
			if err := r.stack.Kill(name); err != nil {
				return err
			}
		}
		temporal := make(chan error, 1)
		starts := map[string]func() error{
			"postgres": func() error { return r.stack.StartPostgres(ctx) },
			"serve":    func() error { return r.server.start(ctx) },
			"temporal": func() error {
				go func() { temporal <- r.stack.Supervise(ctx, "temporal") }()
				return nil
			},
		}
		for _, name := range order {
			if err := starts[name](); err != nil {
				return fmt.Errorf("start %s: %w", name, err)
			}
			pause(ctx, 2*time.Second)
		}
		if err := <-temporal; err != nil {
			return fmt.Errorf("start temporal: %w", err)
		}
		r.outage(from, time.Now().Add(afterOutage))
		return calm(2*time.Second)(ctx, r)
	}
}
