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

// setAsideWithin is how long it may take until the events that cannot start are named and set aside, with the delays between
// the tries cut short.
const setAsideWithin = 2 * time.Minute

// spoiled is a tenant beside the scenario's own, whose events cannot start until they are mended.
type spoiled struct {
	*run
	n int
	// wrong is why they were not set aside, shown and delivered after all; nil when they were.
	wrong error
}

// cannotStart begins with a process that accepts and starts nothing, spoils some of what it accepted, and then starts one
// that serves all of it.
func cannotStart(name, what string, n int) scenario {
	var s *spoiled
	return scenario{
		name: name, what: what + " that Temporal refuses to start among healthy ones, which are on time; then mended and released", endpoints: []behavior{healthy},
		rate: besidesPerSecond, command: "api", env: []string{"WAYBILL_DISPATCH=false"},
		before: func(ctx context.Context, r *run) (err error) {
			s, err = r.spoil(ctx, n)
			return err
		},
		faults: func(ctx context.Context, r *run) error {
			serve, err := r.startServer(ctx, "serve")
			if err != nil {
				return err
			}
			err = calm(besides)(ctx, r)
			s.wrong = s.release(ctx, serve)
			return err
		},
		also: func(ctx context.Context, r *run, v *verdict) error {
			return errors.Join(r.judgePrompt(v), s.judge(ctx, v))
		},
	}
}

// release waits until each event is named in the log and shown as set aside, mends them all, releases them and waits until
// they are delivered.
func (s *spoiled) release(ctx context.Context, serve *server) error {
	ids := make([]string, s.n)
	for i := range ids {
		ids[i] = s.event(i + 1).id
	}
	if err := until(ctx, setAsideWithin, func() error { return serve.logged(ids...) }); err != nil {
		return fmt.Errorf("not every event is named: %w", err)
	}
	var keys []string
	err := until(ctx, setAsideWithin, func() (err error) {
		if _, err := s.db.ExecContext(ctx, `UPDATE `+s.table("dispatches")+` d SET lease_until = now() FROM `+s.table("events")+` e
			WHERE e.id = d.event_key AND e.tenant_id = $1 AND d.lease_until > now() AND d.lease_until < 'infinity'`, s.tenant); err != nil {
			return err
		}
		keys, err = s.setAside(ctx)
		if err == nil && len(keys) != s.n {
			err = fmt.Errorf("%d of %d events are set aside", len(keys), s.n)
		}
		pause(ctx, time.Second) // the relay looks once a second
		return err
	})
	if err != nil {
		return err
	}
	if err := s.setType(ctx, eventType); err != nil {
		return err
	}
	for _, key := range keys {
		if err := s.call(ctx, "POST", "/v1/dispatches/"+key+"/retry", nil, nil); err != nil {
			return err
		}
	}
	return until(ctx, time.Minute, func() error {
		var delivered int
		err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM `+s.table("deliveries")+` WHERE tenant_id = $1 AND status = 'delivered'`, s.tenant).Scan(&delivered)
		if err == nil && delivered < s.n {
			err = fmt.Errorf("%d of %d released events are delivered", delivered, s.n)
		}
		return err
	})
}

// setAside lists what the API shows as set aside of the tenant's.
func (s *spoiled) setAside(ctx context.Context) ([]string, error) {
	var list struct {
		Data []struct {
			ID     string
			Tenant string
		}
	}
	if err := s.call(ctx, "GET", "/v1/dispatches?limit=100", nil, &list); err != nil {
		return nil, err
	}
	var keys []string
	for _, d := range list.Data {
		if d.Tenant == s.tenant {
			keys = append(keys, d.ID)
		}
	}
	return keys, nil
}

// tooLong is an event type that no publication may have: Temporal refuses a search attribute of more than 2 KiB.
var tooLong = strings.Repeat("x", 3000)

// spoil publishes events of a tenant beside the scenario's own and makes their type, in the database, one that Temporal
// refuses. Nothing may have started them yet.
func (r *run) spoil(ctx context.Context, n int) (*spoiled, error) {
	other, err := r.beside(ctx, "spoiled", healthy)
	if err != nil {
		return nil, err
	}
	s := &spoiled{run: other, n: n}
	if err := s.publishBatch(ctx, 1, n+1); err != nil {
		return nil, err
	}
	return s, s.setType(ctx, tooLong)
}

// setType changes the type of every event of the tenant.
func (s *spoiled) setType(ctx context.Context, eventType string) error {
	for _, table := range []string{"events", "deliveries"} {
		done, err := s.db.ExecContext(ctx, `UPDATE `+s.table(table)+` SET event_type = $1 WHERE tenant_id = $2`, eventType, s.tenant)
		if err != nil {
			return fmt.Errorf("change the type of %s: %w", table, err)
		}
		if rows, err := done.RowsAffected(); err != nil || rows != int64(s.n) {
			return fmt.Errorf("change the type of %s: %d rows in place of %d, %w", table, rows, s.n, err)
		}
	}
	return nil
}

// judge has the oracle judge the events that could not start, unless they never were delivered. Then they are taken away:
// later scenarios have the same database.
func (s *spoiled) judge(ctx context.Context, v *verdict) error {
	if err := s.close(); err != nil {
		return err
	}
	if s.wrong != nil {
		v.wrong("of the events that cannot start: %s", s.wrong)
		return s.remove(ctx)
	}
	own, err := s.run.judge(ctx)
	if err == nil {
		v.add(own)
	}
	return err
}

// remove deletes the tenant's events and deliveries.
func (s *spoiled) remove(ctx context.Context) error {
	for _, query := range []string{
		`DELETE FROM ` + s.table("dispatches") + ` d USING ` + s.table("events") + ` e WHERE e.id = d.event_key AND e.tenant_id = $1`,
		`DELETE FROM ` + s.table("deliveries") + ` WHERE tenant_id = $1`,
		`DELETE FROM ` + s.table("events") + ` WHERE tenant_id = $1`,
	} {
		if _, err := s.db.ExecContext(ctx, query, s.tenant); err != nil {
			return fmt.Errorf("remove the events of %s: %w", s.tenant, err)
		}
	}
	return nil
}
