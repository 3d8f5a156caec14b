package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"waybill/postgres"
	"waybill/store"
)

const (
	// sizePasses is how often each statement of the upkeep is timed.
	sizePasses = 20
	// sizeRate is how many events a second are delivered while a month is removed, for sizeSpan.
	sizeRate = 50
	sizeSpan = 20 * time.Second

	// removalTook is how long the removal of the oldest month took.
	removalTook metric = "removal_ms"
)

func passOf(what string) metric { return metric("pass_p50_ms: " + what) }

// sizeCase measures the same with a long log and with an empty one, and asks the long one. It measures both modes, whichever it was
// started in. It removes the oldest month while events are delivered.
func sizeCase(ctx context.Context, r *rig) error {
	if err := r.forgetEvents(ctx); err != nil {
		return err
	}
	stored, err := r.fillLog(ctx, r.opts.scaled(r.opts.logAttempts, 1))
	if err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	if err := r.sayLogBytes(ctx, stored.attempts); err != nil {
		return err
	}
	if err := r.sizeSpeed(ctx, "full", fmt.Sprintf("%d attempts", stored.attempts)); err != nil {
		return err
	}
	if err := r.askStored(ctx, stored); err != nil {
		return err
	}
	if err := r.removeMonth(ctx); err != nil {
		return err
	}
	if err := errors.Join(r.stopServer(), r.forgetLog(ctx)); err != nil {
		return err
	}
	return r.sizeSpeed(ctx, "empty", "empty log")
}

// sayLogBytes says what the log takes.
func (r *rig) sayLogBytes(ctx context.Context, attempts int) error {
	var bytes int64
	err := r.db.QueryRowContext(ctx, `
		SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent IN ('events'::regclass, 'deliveries'::regclass, 'attempts'::regclass)`).Scan(&bytes)
	if err != nil {
		return err
	}
	r.out.Say("%s: the log takes %d MiB, %d bytes an attempt", r.mode, bytes>>20, bytes/int64(attempts))
	return nil
}

// sizeSpeed measures accepting alone, delivering in each mode, and the statements of the upkeep.
func (r *rig) sizeSpeed(ctx context.Context, key, title string) error {
	if err := r.acceptBeside(ctx, row{Key: "size/" + key + "/accept", Title: "accept alone, " + title}); err != nil {
		return err
	}
	asked := r.mode
	defer func() { r.mode = asked }()
	for _, m := range []struct {
		mode   string
		events int
	}{{modeWorkflow, historyProbe}, {modeExpress, 10 * historyProbe}} {
		r.mode = m.mode
		if err := errors.Join(r.stopServer(), r.serve(ctx)); err != nil {
			return err
		}
		info := row{Key: "size/" + key + "/one", Title: "one endpoint, " + title}
		if err := r.scenario(ctx, info, scenario{events: m.events, endpoints: 1}); err != nil {
			return err
		}
	}
	r.mode = asked
	if err := errors.Join(r.stopServer(), r.serve(ctx)); err != nil {
		return err
	}
	return r.series(ctx, row{Key: "size/" + key + "/upkeep", Title: "upkeep, " + title}, r.timeUpkeep)
}

// acceptBeside is accept/single beside what is stored, and removes what it accepted.
func (r *rig) acceptBeside(ctx context.Context, info row) error {
	if err := r.stopServer(); err != nil {
		return err
	}
	began := time.Now().Add(-time.Second)
	if err := r.acceptOnly(ctx); err != nil {
		return err
	}
	err := r.series(ctx, info, func(ctx context.Context, share float64) (figures, error) {
		return r.playAccept(ctx, 10*historyProbe, 0, share)
	})
	if err := errors.Join(err, r.stopServer()); err != nil {
		return err
	}
	for _, statement := range []string{
		`DELETE FROM dispatches WHERE event_key > uuid_floor($1)`, `DELETE FROM deliveries WHERE id > uuid_floor($1)`,
		`DELETE FROM events WHERE id > uuid_floor($1)`,
	} {
		if _, err := r.db.ExecContext(ctx, statement, began); err != nil {
			return fmt.Errorf("remove what was accepted: %w", err)
		}
	}
	return nil
}

// timeUpkeep times what the reconciler and the watch ask the database all the time.
func (r *rig) timeUpkeep(ctx context.Context, share float64) (figures, error) {
	s, err := postgres.Open(postgres.Options{URL: r.engine.databaseURL, Schema: r.side.schema, MaxConns: 1, Keys: []postgres.Key{{ID: "none"}}})
	if err != nil {
		return nil, err
	}
	rule := store.StallRule{After: time.Minute, Holds: map[string]time.Duration{"standard": 72 * time.Hour}}
	f := figures{}
	for what, pass := range map[string]func() error{
		"sweep": func() error { _, err := s.SweepDeliveries(ctx, time.Minute, 1000); return err },
		"stalled": func() error {
			_, err := s.StalledDeliveries(ctx, rule, store.Stalled{}, 100)
			return err
		},
		"count stalled": func() error { _, err := s.CountStalled(ctx, rule); return err },
		"overdue queues": func() error {
			_, err := s.OverdueQueues(ctx, time.Minute, store.EndpointRef{}.ID, 100)
			return err
		},
		"trouble": func() error { _, err := s.CountTrouble(ctx, 1000); return err },
	} {
		took := make([]time.Duration, max(2, int(sizePasses*share)))
		for i := range took {
			began := time.Now()
			if err := pass(); err != nil {
				return nil, errors.Join(fmt.Errorf("%s: %w", what, err), s.Close())
			}
			took[i] = time.Since(began)
		}
		slices.Sort(took)
		f[passOf(what)] = milliseconds(percentile(took, 50))
	}
	return f, s.Close()
}

// printUpkeep writes a line for each statement of the upkeep, and for the removal of a month.
func printUpkeep(out io.Writer, info row) {
	for _, m := range slices.Sorted(maps.Keys(info.Metrics)) {
		if m == removalTook || strings.HasPrefix(string(m), string(passOf(""))) {
			fmt.Fprintf(out, "%s, %s: %s %s\n", info.Mode, info.Title, m, info.cell(m, 2))
		}
	}
}

// removeMonth delivers at a rate, alone and while the oldest month is removed.
func (r *rig) removeMonth(ctx context.Context) error {
	events := scenario{events: int(sizeRate * sizeSpan.Seconds()), endpoints: 1, perSecond: sizeRate}
	if err := r.scenario(ctx, row{Key: "size/removal/quiet", Title: fmt.Sprintf("%d events/s", sizeRate)}, events); err != nil {
		return err
	}
	type removal struct {
		took time.Duration
		err  error
	}
	done := make(chan removal, 1)
	go func() {
		began := time.Now()
		err := r.retain(ctx, time.Since(spanOf(r.opts.logMonths).since.AddDate(0, 1, 0))-time.Minute)
		done <- removal{time.Since(began), err}
	}()
	f, err := r.play(ctx, events, 1)
	gone := <-done
	if err := errors.Join(err, gone.err); err != nil {
		return err
	}
	f[removalTook] = milliseconds(gone.took)
	r.out.Say("%s: the oldest month went in %s; meanwhile %s", r.mode, gone.took.Round(time.Millisecond), f)
	r.report.add(row{Mode: r.mode, Key: "size/removal", Title: "the same while a month is removed", Metrics: summarizeAll([]figures{f})})
	return nil
}

// retain runs `waybill retention` with what is older than keep.
func (r *rig) retain(ctx context.Context, keep time.Duration) error {
	cmd := exec.CommandContext(ctx, r.side.binary, "retention")
	cmd.Env = append(append(os.Environ(), r.settings()...), "WAYBILL_RETENTION="+keep.Round(time.Second).String())
	said, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	r.out.Say("%s", said)
	return nil
}
