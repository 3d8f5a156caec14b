package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// groupEvent is the id of the nth event of a group.
func (r *run) groupEvent(group string, n int) string {
	return fmt.Sprintf("%s.%s.%d", r.tenant, group, n)
}

// publishGroup publishes the events of a group, each of which must be accepted.
func (r *run) publishGroup(ctx context.Context, group string) error {
	for n := range restoreEach {
		e := &event{id: r.groupEvent(group, n), data: `{"n":1}`}
		status, answer, err := r.ask(ctx, "http://"+r.address(0), "POST", "/v1/tenants/"+r.tenant+"/events", e.body())
		if err != nil || status != http.StatusAccepted {
			return fmt.Errorf("publish %s: %d %s, error: %w", e.id, status, answer, err)
		}
	}
	return nil
}

// reaches waits until every delivery of some groups has been attempted and has a status.
func (r *run) reaches(ctx context.Context, statuses map[string]string) error {
	return until(ctx, time.Minute, func() error {
		log, err := r.statuses(ctx)
		if err != nil {
			return err
		}
		for group, want := range statuses {
			for n := range restoreEach {
				if got := log[r.groupEvent(group, n)]; got != want {
					return fmt.Errorf("%s is %q, not %s", r.groupEvent(group, n), got, want)
				}
			}
		}
		return nil
	})
}

// waitsLong waits until a group's next attempt is half a minute away, so that its workflows still wait once everything was restored.
func (r *run) waitsLong(ctx context.Context, group string) error {
	return until(ctx, 2*time.Minute, func() error {
		var soon int
		err := r.db.QueryRowContext(ctx, `SELECT count(*) FROM `+r.table("deliveries")+` WHERE tenant_id = $1 AND event_id LIKE $2
			AND (next_attempt_at IS NULL OR next_attempt_at < now() + interval '25 seconds')`, r.tenant, r.tenant+"."+group+".%").Scan(&soon)
		if err == nil && soon > 0 {
			err = fmt.Errorf("%d of %s are attempted soon", soon, group)
		}
		return err
	})
}

// statuses are those of the log, by event.
func (r *run) statuses(ctx context.Context) (map[string]string, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT event_id, status FROM `+r.table("deliveries")+` WHERE tenant_id = $1`, r.tenant)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	defer func() { _ = rows.Close() }()
	log := map[string]string{}
	for rows.Next() {
		var event, status string
		if err := rows.Scan(&event, &status); err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		log[event] = status
	}
	return log, rows.Err()
}

// restoreSettles is how long it may take after a restore until all is as it must be, and stays is for how long it must stay so: by then the
// reconciler has looked several times.
const (
	restoreSettles = 3 * time.Minute
	stays          = 20 * time.Second
)

// judge waits until each group is as it must be, and makes sure that it stays so.
func (w *restore) judge(ctx context.Context, r *run, v *verdict, want map[string]outcome) {
	now := func() error { return r.compareGroups(ctx, v, want) }
	if err := until(ctx, restoreSettles, now); err != nil {
		v.wrong("%s", err)
		return
	}
	pause(ctx, stays)
	if err := now(); err != nil {
		v.wrong("it did not stay so: %s", err)
	}
}

// compareGroups says what is not as it must be, and puts the numbers of this moment into the verdict.
func (r *run) compareGroups(ctx context.Context, v *verdict, want map[string]outcome) error {
	log, err := r.statuses(ctx)
	if err != nil {
		return err
	}
	all, err := readLedger[arrival](r.path("arrivals"))
	if err != nil {
		return err
	}
	accepted := map[string]int{}
	for _, a := range all {
		if a.Status/100 == 2 {
			accepted[a.Event]++
		}
	}
	v.sent, v.deliveries, v.duplicates, v.lost = 5*restoreEach, len(log), 0, 0
	v.accepted = v.sent
	for _, n := range accepted {
		v.duplicates += max(0, n-1)
	}
	v.lost = v.sent - len(accepted)
	var wrong []error
	for group, o := range want {
		for n := range restoreEach {
			event := r.groupEvent(group, n)
			if got := (outcome{accepted[event], log[event]}); got != o {
				wrong = append(wrong, fmt.Errorf("%s was accepted %d times and is %q, not %d times and %q", event, got.accepted, got.status, o.accepted, o.status))
			}
		}
	}
	return errors.Join(wrong...)
}

// metric reads a gauge or a counter without labels.
func (r *run) metric(ctx context.Context, name string) (float64, error) {
	status, page, err := r.ask(ctx, "http://"+r.address(0), "GET", "/metrics", nil)
	if err != nil || status != http.StatusOK {
		return 0, fmt.Errorf("read the metrics: %d, error: %w", status, err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(page)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}
