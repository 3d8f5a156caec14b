package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"waybill/scripts/receiver"
)

const (
	// batchSize is the most that a batch may have.
	batchSize = 500
	// stalled is how long nothing more may come to wait, or be delivered, before that counts as failed. There is no other
	// limit: how long thousands of workflows take to start depends on the machine.
	stalled = time.Minute
	// retriedMost is how many of those that wait are retried in the end. The others go on waiting.
	retriedMost = 500
	// asked is how many of the others are queried for their state.
	asked = 20
	// retriers ask at the same time, beside the load.
	retriers = 2
)

// waiting is a tenant beside the scenario's own, whose endpoint is dead until it recovers.
type waiting struct {
	*run
	events    int
	recovered atomic.Bool
	retried   map[string]bool // by event
}

// haveWaiting publishes the events that are to wait and returns once all of them do.
func (r *run) haveWaiting(ctx context.Context) (*waiting, error) {
	w := &waiting{events: r.backlog, retried: map[string]bool{}}
	dead := behavior{
		name: "waited-for", schedule: []string{"6h", "12h"}, settles: []string{"delivered", "retrying"},
		answer: func(string, int) receiver.Behavior {
			if w.recovered.Load() {
				return receiver.Accept
			}
			return receiver.Status(http.StatusServiceUnavailable)
		},
	}
	var err error
	if w.run, err = r.beside(ctx, "waiting", dead); err != nil {
		return nil, err
	}
	for n := 1; n <= w.events; n += batchSize {
		if err := w.publishBatch(ctx, n, min(n+batchSize, w.events+1)); err != nil {
			return nil, err
		}
	}
	return w, w.reach(ctx, "retrying", w.events)
}

// beside makes a tenant with one endpoint, a receiver and ledgers of its own, on the servers of this run.
func (r *run) beside(ctx context.Context, name string, b behavior) (_ *run, err error) {
	other := &run{
		world: r.world, scenario: &scenario{name: r.scenario.name, endpoints: []behavior{b}}, rnd: r.rnd,
		tenant: r.tenant + "-" + name, dir: filepath.Join(r.dir, name), ids: map[string]string{}, http: r.http, server: r.server,
	}
	if err := os.Mkdir(other.dir, 0o700); err != nil {
		return nil, err
	}
	if err := other.openLedgers(ctx); err != nil {
		return nil, err
	}
	return other, other.subscribe(ctx)
}

// publishBatch publishes the events from one number to before another. All must be accepted.
func (r *run) publishBatch(ctx context.Context, from, to int) error {
	ids, events := make([]string, to-from), make([][]byte, to-from)
	var writing errgroup.Group // at once, so that they share an fsync
	for i := range events {
		writing.Go(func() error {
			e, err := r.begin(from + i)
			ids[i], events[i] = e.id, e.body()
			return err
		})
	}
	if err := writing.Wait(); err != nil {
		return err
	}
	// The body is concatenated, because json.Marshal would change the bytes of the data.
	body := slices.Concat([]byte(`{"events":[`), bytes.Join(events, []byte(",")), []byte(`]}`))
	var out struct{ Results []struct{ Status int } }
	if err := r.call(ctx, "POST", "/v1/tenants/"+r.tenant+"/events/batch", body, &out); err != nil {
		return err
	}
	for i, id := range ids {
		if len(out.Results) != len(ids) || out.Results[i].Status != http.StatusAccepted {
			return fmt.Errorf("the event %s of a batch was not accepted: %v", id, out.Results)
		}
		writing.Go(func() error { return r.answers.append(answered{id, http.StatusAccepted, time.Now()}) })
	}
	return writing.Wait()
}

// reach waits until so many deliveries have the status, and reports how many there are in the meantime.
func (w *waiting) reach(ctx context.Context, status string, wanted int) error {
	query := `SELECT count(*) FROM ` + w.table("deliveries") + ` WHERE tenant_id = $1 AND status = $2`
	said := time.Now()
	for there := 0; there < wanted; {
		before := there
		err := until(ctx, stalled, func() error {
			if err := w.db.QueryRowContext(ctx, query, w.tenant, status).Scan(&there); err != nil {
				return err
			}
			if there <= before {
				return fmt.Errorf("no more than %d of %d deliveries are %s", there, wanted, status)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if time.Since(said) > 10*time.Second {
			said = time.Now()
			w.say("%s: %d of %d are %s", w.scenario.name, there, wanted, status)
		}
		pause(ctx, time.Second)
	}
	return nil
}

// recover heals the endpoint, asks for the next attempt of some deliveries, chosen at random, until they are delivered, and
// looks at some of the others.
func (w *waiting) recover(ctx context.Context) error {
	deliveries, events, err := w.list(ctx)
	if err != nil {
		return err
	}
	w.recovered.Store(true)
	order := w.rnd.Perm(len(deliveries))
	some := min(retriedMost, len(order)/2)
	var asking errgroup.Group
	asking.SetLimit(retriers)
	for _, i := range order[:some] {
		w.retried[events[i]] = true
		asking.Go(func() error { return w.retry(ctx, deliveries[i]) })
	}
	for _, i := range order[some:min(some+asked, len(order))] {
		asking.Go(func() error { return w.mustWait(ctx, events[i]) })
	}
	if err := asking.Wait(); err != nil {
		return err
	}
	return w.reach(ctx, "delivered", some)
}

// retry asks for a delivery's next attempt until that is promised. A 503 may have been heeded all the same, and then a
// delivery has ended when it is asked for again: 409.
func (w *waiting) retry(ctx context.Context, delivery string) error {
	path := "/v1/tenants/" + w.tenant + "/deliveries/" + delivery + "/retry"
	return until(ctx, stalled, func() error {
		status, answer, err := w.ask(ctx, "http://"+w.address(0), "POST", path, nil)
		if err == nil && status != http.StatusAccepted && status != http.StatusConflict {
			err = fmt.Errorf("POST %s answered %d: %s", path, status, answer)
		}
		return err
	})
}

// mustWait queries the state of an event, which its workflow answers.
func (w *waiting) mustWait(ctx context.Context, event string) error {
	var history struct {
		Deliveries []struct {
			Status        string
			NextAttemptAt time.Time `json:"next_attempt_at"`
		}
	}
	if err := w.call(ctx, "GET", "/v1/tenants/"+w.tenant+"/events/"+event+"/history", nil, &history); err != nil {
		return err
	}
	if d := history.Deliveries; len(d) != 1 || d[0].Status != "retrying" || time.Until(d[0].NextAttemptAt) < time.Hour {
		return fmt.Errorf("%s does not wait for its retry: %+v", event, d)
	}
	return nil
}

// list returns the deliveries and their events, in order.
func (w *waiting) list(ctx context.Context) (deliveries, events []string, err error) {
	rows, err := w.db.QueryContext(ctx, `SELECT 'dlv_' || replace(id::text, '-', ''), event_id FROM `+w.table("deliveries")+` WHERE tenant_id = $1 ORDER BY id`, w.tenant)
	if err != nil {
		return nil, nil, fmt.Errorf("list what waits: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var delivery, event string
		if err := rows.Scan(&delivery, &event); err != nil {
			return nil, nil, fmt.Errorf("list what waits: %w", err)
		}
		deliveries, events = append(deliveries, delivery), append(events, event)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, fmt.Errorf("list what waits: %w", err)
	}
	return deliveries, events, nil
}

// judge has the oracle judge those that waited, and makes sure that those were delivered that were retried, and no others.
func (w *waiting) judge(ctx context.Context, v *verdict) error {
	if err := w.close(); err != nil {
		return err
	}
	w.scenario.endpoints[0].schedule = []string{"0s", "0s"} // a person asked for the retries
	own, err := w.run.judge(ctx)
	if err != nil {
		return err
	}
	log, err := w.readLog(ctx, own)
	if err != nil {
		return err
	}
	for p, d := range log {
		switch retried := w.retried[p.event]; {
		case retried && d.status != "delivered", !retried && (d.status != "retrying" || d.attempts != 1):
			own.wrong("%v, retried: %t, stands as %s after %d attempts", p, retried, d.status, d.attempts)
		}
	}
	if len(log) != w.events {
		own.wrong("%d deliveries are not %d", len(log), w.events)
	}
	v.add(own)
	return nil
}
