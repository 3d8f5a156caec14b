package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"waybill/scripts/debian"
	"waybill/scripts/stack"
)

// noticed is how long the loss of a primary goes unnoticed before something is done about it, and away how long a standby is: long
// enough for a request to be given up, and to be sent again.
const (
	noticed = time.Second
	away    = 25 * time.Second
)

// standbyScenarios lose a Postgres primary for good, and the standby takes its place.
func standbyScenarios() []scenario {
	all := []scenario{
		{
			name: "standby-waybill", what: "the primary of Waybill's database is lost, and its synchronous standby promoted; the URL has both servers",
			in:     func(ctx context.Context, w *world) (*world, error) { return w.onStandby(ctx, waybillFailsOver) },
			faults: func(ctx context.Context, r *run) error { return r.failOver(ctx, r.losePrimary, r.promote) },
		},
		{
			name: "standby-temporal", what: "the primary of Temporal's databases is lost; its address leads to the standby, which is promoted 1 s later",
			in:     func(ctx context.Context, w *world) (*world, error) { return w.onStandby(ctx, temporalFailsOver) },
			faults: func(ctx context.Context, r *run) error { return r.failOver(ctx, r.losePrimary, r.takeOver, r.promote) },
		},
		{
			name: "standby-both", what: "the same with all databases in one server",
			in:     func(ctx context.Context, w *world) (*world, error) { return w.onStandby(ctx, bothFailOver) },
			faults: func(ctx context.Context, r *run) error { return r.failOver(ctx, r.losePrimary, r.takeOver, r.promote) },
		},
		{
			name: "standby-silent", what: "the primary of Waybill's database vanishes from the network without closing a connection, and its standby is promoted",
			impossible: func() error { return silencePossible(context.Background()) },
			in:         func(ctx context.Context, w *world) (*world, error) { return w.onStandby(ctx, waybillFailsOver) },
			faults: func(ctx context.Context, r *run) error {
				// Calls wait for the primary until they are given up.
				return r.failOver(ctx, r.standby.SilencePrimary, r.promote, func(ctx context.Context) error { return calm(15*time.Second)(ctx, r) })
			},
		},
		standbyAway("standby-away", "the synchronous standby of Waybill's database is away for 25 s", func(ctx context.Context, r *run) error {
			return errors.Join(r.standby.Start(ctx), r.standby.Synchronous(ctx))
		}),
		standbyAway("standby-away-lost", "the same, and then the primary is lost and the standby promoted", func(ctx context.Context, r *run) error {
			return errors.Join(r.losePrimary(ctx), r.standby.Start(ctx), r.promote(ctx))
		}),
	}
	for i := range all {
		all[i].endpoints, all[i].settleWithin = usual, 5*time.Minute
		if all[i].also == nil {
			all[i].also = func(_ context.Context, r *run, _ *verdict) error { return r.tellOutage() }
		}
	}
	return all
}

// standbyAway stops the standby for a while. Nothing may be answered 202 until it is back, or its primary is no more.
func standbyAway(name, what string, back func(context.Context, *run) error) scenario {
	var gone window
	return scenario{
		// What was recorded on the lost primary alone is for the reconciler to find.
		name: name, what: what, refuses: true, env: promptReconciler,
		in: func(ctx context.Context, w *world) (*world, error) { return w.onStandby(ctx, waybillFailsOver) },
		faults: func(ctx context.Context, r *run) error {
			pause(ctx, 2*time.Second)
			from := time.Now()
			if err := r.standby.Stop(); err != nil {
				return err
			}
			gone.from = time.Now()
			pause(ctx, away)
			gone.to = time.Now()
			if err := back(ctx, r); err != nil {
				return err
			}
			r.outage(from, time.Now().Add(afterOutage))
			return calm(4*time.Second)(ctx, r)
		},
		also: func(_ context.Context, r *run, v *verdict) error { return r.judgeUnconfirmed(v, gone) },
	}
}

// underWay is how long an answer may be on its way to its ledger.
const underWay = 500 * time.Millisecond

// judgeUnconfirmed finds what was answered 202 while no standby could confirm it.
func (r *run) judgeUnconfirmed(v *verdict, gone window) error {
	answers, err := readLedger[answered](r.path("answers"))
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Status == http.StatusAccepted && a.At.After(gone.from.Add(underWay)) && a.At.Before(gone.to) {
			v.wrong("%s was answered 202 when the standby had been away for %s", a.Event, a.At.Sub(gone.from).Round(time.Millisecond))
		}
	}
	return r.tellOutage()
}

// failOver does one step after the other under load, and waits until all is well.
func (r *run) failOver(ctx context.Context, steps ...func(context.Context) error) error {
	pause(ctx, time.Duration(2000+r.rnd.IntN(1000))*time.Millisecond)
	from := time.Now()
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
		pause(ctx, noticed)
	}
	if r.ownTemporal {
		if err := r.stack.Supervise(ctx, "temporal"); err != nil {
			return err
		}
	}
	r.outage(from, time.Now().Add(afterOutage))
	return calm(8*time.Second)(ctx, r)
}

func (r *run) losePrimary(context.Context) error { return r.standby.LosePrimary() }

func (r *run) takeOver(ctx context.Context) error { return r.standby.TakeOver(ctx) }

func (r *run) promote(ctx context.Context) error { return r.standby.Promote(ctx) }

// tellOutage tells for how long nothing was accepted, and nothing arrived for the first time.
func (r *run) tellOutage() error {
	answers, err := readLedger[answered](r.path("answers"))
	if err != nil {
		return err
	}
	arrived, err := readLedger[arrival](r.path("arrivals"))
	if err != nil {
		return err
	}
	var accepted, first []time.Time
	for _, a := range answers {
		if a.Status == http.StatusAccepted {
			accepted = append(accepted, a.At)
		}
	}
	for _, a := range arrived {
		if a.Number == 1 {
			first = append(first, a.At)
		}
	}
	r.say("%s: at the longest nothing was accepted for %.1f s, and nothing arrived for the first time for %.1f s", r.scenario.name, longest(accepted).Seconds(), longest(first).Seconds())
	return nil
}

// longest is the longest time between one moment and the next.
func longest(moments []time.Time) time.Duration {
	slices.SortFunc(moments, time.Time.Compare)
	var most time.Duration
	for i := 1; i < len(moments); i++ {
		most = max(most, moments[i].Sub(moments[i-1]))
	}
	return most
}

// failsOver says which databases are in the Postgres that has a standby. The others are the suite's.
type failsOver int

const (
	waybillFailsOver failsOver = iota
	temporalFailsOver
	bothFailOver
)

// onStandby makes a world with a Postgres of its own that has a synchronous standby.
func (w *world) onStandby(ctx context.Context, which failsOver) (_ *world, err error) {
	root, err := stack.FindRoot()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("standby_%x", randomBytes(4))
	out := w.out
	if out == nil {
		out = stack.NewPrinter(io.Discard)
	}
	s, err := stack.OpenTestPostgres(ctx, root, name, out)
	if err != nil {
		return nil, err
	}
	other := &world{
		dir: filepath.Join(w.dir, name), binary: w.binary, databaseURL: w.databaseURL, schema: name,
		temporalAddress: w.temporalAddress, temporalNS: name, stack: s, out: w.out, end: s.Close,
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make a Postgres with a standby: %w", err), other.close())
		}
	}()
	if err := os.Mkdir(other.dir, 0o700); err != nil {
		return nil, err
	}
	if err := other.bringUp(ctx, which); err != nil {
		return nil, err
	}
	if err := other.open(ctx); err != nil {
		return nil, err
	}
	return other, other.watchPrimary()
}

// watchPrimary has the suite itself look for the primary at each query, with a bound.
func (w *world) watchPrimary() error {
	if w.databaseURL != w.standby.URL(w.stack.Database) {
		return nil
	}
	if err := w.db.Close(); err != nil {
		return err
	}
	var err error
	if w.db, err = sql.Open("postgres", w.databaseURL+"&connect_timeout=2"); err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	w.db.SetMaxIdleConns(-1)
	return nil
}

// bringUp starts what the world has of its own, and finds the rest.
func (w *world) bringUp(ctx context.Context, which failsOver) error {
	database, s := w.stack.Database, w.stack
	up := s.UpPostgres
	if which != waybillFailsOver {
		up, w.ownTemporal = s.Up, true
		w.temporalAddress, w.temporalNS = s.TemporalAddress(), s.Namespace
	}
	if which == temporalFailsOver {
		database = stack.TemporalDatabases[0]
	}
	if err := up(ctx); err != nil {
		return err
	}
	var err error
	if w.standby, err = s.AddStandby(ctx, database); err != nil {
		return err
	}
	w.end = func() error { return errors.Join(w.standby.Close(), s.Close()) }
	switch which {
	case waybillFailsOver:
		w.databaseURL = w.standby.URL(database)
	case bothFailOver:
		w.databaseURL = s.DatabaseURL(database)
	}
	return stack.EnsureNamespace(ctx, w.temporalAddress, w.temporalNS)
}

// silencePossible returns why no server can fall silent here. It takes Debian's package with iptables where the user is root.
func silencePossible(ctx context.Context) error {
	if err := debian.Program(ctx, "iptables", "iptables"); err != nil {
		return err
	}
	return stack.SilencePossible(ctx)
}
