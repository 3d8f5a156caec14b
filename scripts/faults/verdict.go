package main

import (
	"context"
	"fmt"
	"time"
)

// verdict is what the oracle found: figures, and everything that breaks a promise.
type verdict struct {
	sent, accepted, deliveries int
	// duplicates are arrivals answered 2xx beyond the first of their delivery; unrecorded are arrivals beyond the rows.
	duplicates, unrecorded int
	kills, lost            int
	settled                time.Duration

	faults []string
}

func (v *verdict) wrong(format string, args ...any) {
	v.faults = append(v.faults, fmt.Sprintf(format, args...))
}

// add takes in what was found of a tenant beside the scenario's own.
func (v *verdict) add(own *verdict) {
	v.sent, v.accepted, v.deliveries = v.sent+own.sent, v.accepted+own.accepted, v.deliveries+own.deliveries
	v.lost, v.duplicates, v.unrecorded = v.lost+own.lost, v.duplicates+own.duplicates, v.unrecorded+own.unrecorded
	v.faults = append(v.faults, own.faults...)
}

func (v *verdict) ok() bool { return len(v.faults) == 0 }

// row is one delivery of the log with its attempts.
type row struct {
	event, endpoint, status string
	attempts                int
	made                    []attemptRow
}

type attemptRow struct {
	number, status int
	outcome        string
	started        time.Time
	duration       time.Duration
}

// readLog reads every delivery of the tenant, by event and endpoint name. Two rows of a pair are a fault.
func (r *run) readLog(ctx context.Context, v *verdict) (map[pair]*row, error) {
	names := map[string]string{}
	for name, id := range r.ids {
		names[id] = name
	}
	rows, err := r.db.QueryContext(ctx, `SELECT d.event_id, 'ep_' || replace(d.endpoint_id::text, '-', ''), d.status, d.attempts, a.number, a.status_code, a.outcome, a.started_at, a.duration_ms
		FROM `+r.table("deliveries")+` d LEFT JOIN `+r.table("attempts")+` a ON a.delivery_id = d.id
		WHERE d.tenant_id = $1 ORDER BY d.id, a.number, a.id`, r.tenant)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	defer func() { _ = rows.Close() }()
	log := map[pair]*row{}
	for rows.Next() {
		var d row
		var number, status, duration *int
		var outcome *string
		var started *time.Time
		if err := rows.Scan(&d.event, &d.endpoint, &d.status, &d.attempts, &number, &status, &outcome, &started, &duration); err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		p := pair{d.event, names[d.endpoint]}
		if log[p] == nil {
			log[p] = &d
		}
		if number == nil {
			continue
		}
		log[p].made = append(log[p].made, attemptRow{*number, *status, *outcome, *started, time.Duration(*duration) * time.Millisecond})
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return log, r.checkPairs(ctx, v)
}

// checkPairs makes sure that there is one delivery for each event and endpoint, and one event for each id.
func (r *run) checkPairs(ctx context.Context, v *verdict) error {
	var twice int
	err := r.db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM (SELECT 1 FROM `+r.table("deliveries")+` WHERE tenant_id = $1 GROUP BY event_id, endpoint_id HAVING count(*) > 1) d)
		+ (SELECT count(*) FROM (SELECT 1 FROM `+r.table("events")+` WHERE tenant_id = $1 GROUP BY event_id HAVING count(*) > 1) e)`, r.tenant).Scan(&twice)
	if err != nil {
		return fmt.Errorf("look for twins: %w", err)
	}
	if twice > 0 {
		v.wrong("%d events or deliveries are stored twice", twice)
	}
	return nil
}
