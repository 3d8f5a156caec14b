package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lib/pq"
)

// The log that is written past Waybill. Half of it is the first tenant's, the others share the rest. An event has four
// deliveries; one in twenty is exhausted after six attempts, or canceled after them, the others took one. One in five of those got
// no answer. One event in a thousand is a test.
const (
	logTenants   = 20
	logEndpoints = 10 // of each tenant
	logFanOut    = 4
	// attemptsOfFive is how many attempts five events have: twenty deliveries, five attempts more for one of them.
	attemptsOfFive = 25
	// insertStep is how many deliveries one statement inserts.
	insertStep = 100_000
)

// The event types of the log: three in ten are of the second, one in a thousand is rare, the others are as everywhere. One event in
// a thousand has the rare region as an attribute, the others have nz.
const (
	secondType = "bench.changed"
	rareType   = "bench.rare"
	rareRegion = "aq"
)

// storedLog is what was written: endpoints are those of the tenant of the same place.
type storedLog struct {
	tenants   []string
	endpoints [][]string
	attempts  int
	// crowded says that the first tenant has its crowd of endpoints.
	crowded bool
}

// The log's rows: e counts the events and gives each its moment, within this month and those before, and with that its
// id, a UUIDv7. A hash spreads them over tenants, endpoints and types. n counts the deliveries.
// $1: how many events in all, $2 and $3: the first and last of this statement, $4: tenants, $5 and $6: the log's first and
// last moment, $7: the endpoints of the tenants in turn. %s is what comes before the table's name; see months.
const (
	logEvents = `
		WITH span AS (
			SELECT since, $6::timestamptz - since AS long
			FROM (SELECT $5::timestamptz AS since) AS s
		), numbered AS (
			SELECT e, since + long * (e::float8 / $1) AS at, hashint8(e) & 2147483647 AS h
			FROM span, generate_series($2::bigint, $3::bigint) AS e
		), spread AS (
			SELECT *, lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(e & 4095), 3, '0') AS head,
				CASE WHEN h %% 2 = 0 THEN 1 ELSE 2 + h / 2 %% (cardinality($4::text[]) - 1) END AS tenant,
				CASE WHEN h / 64 %% 1000 = 0 THEN 'bench.rare'
					WHEN h / 64 %% 1000 < 300 THEN 'bench.changed' ELSE 'bench.happened' END AS type, e %% 1000 = 7 AS test,
				CASE WHEN e %% 1000 = 500 THEN 'aq' ELSE 'nz' END AS region
			FROM numbered
		), events_of_log AS (
			SELECT *, (head || '8' || lpad(to_hex(e), 15, '0'))::uuid AS id FROM spread
		)`
	insertEvents = logEvents + `
		INSERT INTO %sevents (id, tenant_id, event_id, event_type, occurred_at, created_at, attributes, metadata, test, body, delivery_id_at,
			data_from, data_to)
		SELECT id, ($4::text[])[tenant], 'evt_' || replace(id::text, '-', ''), type, at, at,
			json_build_object('region', region, 'shop', e %% 50 || ''), json_build_object('order', e || ''), test,
			convert_to('{"data":{"text":"' || repeat('x', 500) || '"}}', 'UTF8'), -1, 8, 519
		FROM events_of_log`
	logDeliveries = logEvents + `, rows AS (
			SELECT (head || '8' || lpad(to_hex(e * 4 + k), 15, '0'))::uuid AS id, id AS event_key, head, at, type, tenant, test,
				($7::uuid[])[(tenant - 1) * 10 + 1 + (h / 8 + k) %% 10] AS endpoint, e * 4 + k AS n, (e * 4 + k) %% 20 = 0 AS failed,
				(e * 4 + k) %% 100 = 0 AS unanswered, (e * 4 + k) %% 400 = 20 AS canceled
			FROM events_of_log, generate_series(0, 3) AS k
		)`
	insertDeliveries = logDeliveries + `
		INSERT INTO %sdeliveries (id, tenant_id, event_key, event_id, event_type, endpoint_id,
			status, attempts, failed_at, created_at, updated_at, test, last_attempt_at, last_duration_ms, last_status_code, last_error_class,
			last_error, indexed_status, failed_code)
		SELECT id, ($4::text[])[tenant], event_key, 'evt_' || replace(event_key::text, '-', ''), type, endpoint,
			CASE WHEN canceled THEN 'canceled' WHEN failed THEN 'exhausted' ELSE 'delivered' END, CASE WHEN failed THEN 6 ELSE 1 END,
			CASE WHEN failed THEN at END, at, CASE WHEN failed THEN at + interval '31 s' ELSE at END, test,
			CASE WHEN failed THEN at + interval '31 s' ELSE at END, 12, ` + logCode + `, nullif(` + logErrorClass + `, ''), ` + logError + `,
			CASE WHEN canceled THEN 'canceled' WHEN failed THEN 'exhausted' END, CASE WHEN failed THEN ` + logCode + ` END
		FROM rows`
	logCode        = `CASE WHEN unanswered THEN 0 WHEN failed THEN 500 ELSE 200 END`
	logErrorClass  = `CASE WHEN unanswered THEN 'timeout' WHEN failed THEN 'http_status' ELSE '' END`
	logError       = `CASE WHEN unanswered THEN 'no answer within 20s' WHEN failed THEN 'the receiver answered 500' ELSE '' END`
	insertAttempts = logDeliveries + `
		INSERT INTO %sattempts (id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_class, error,
			url, request_headers, response_headers, response_body, response_truncated)
		SELECT (head || '9' || lpad(to_hex(n * 8 + number), 15, '0'))::uuid, id, number, at + (2 ^ (number - 1) - 1) * interval '1 s', 12,
			` + logCode + `, CASE WHEN failed THEN 'retryable' ELSE 'delivered' END, ` + logErrorClass + `, ` + logError + `,
			'https://receiver.example/hooks/of/the/shop',
			json_build_object('Content-Type', 'application/json', 'User-Agent', 'Waybill/1.0',
				'webhook-id', 'evt_' || replace(event_key::text, '-', ''),
				'webhook-timestamp', floor(extract(epoch FROM at))::text, 'webhook-signature',
				'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4='),
			'{"Content-Length":"0"}', '', false
		FROM rows, generate_series(1, CASE WHEN failed THEN 6 ELSE 1 END) AS number`
)

// logRows is what the rows of a log are made of; the endpoints are those of the tenants in turn.
type logRows struct {
	tenants, endpoints any
	span               logSpan
}

// logSpan is the time that a log covers.
type logSpan struct{ since, until time.Time }

// spanOf begins with a month and ends a minute ago.
func spanOf(months int) logSpan {
	now := time.Now().UTC()
	return logSpan{time.Date(now.Year(), now.Month()-time.Month(months-1), 1, 0, 0, 0, 0, time.UTC), now.Add(-time.Minute)}
}

// before returns how many of n events, spread evenly, come before a moment.
func (s logSpan) before(at time.Time, n int) int {
	return int(float64(n) * float64(at.Sub(s.since)) / float64(s.until.Sub(s.since)))
}

// fillLog writes a log of n attempts, of tenants that publish nothing else.
func (r *rig) fillLog(ctx context.Context, n int) (*storedLog, error) {
	s, err := r.newLog(ctx)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, endpoints := range s.endpoints {
		for _, id := range endpoints {
			keys = append(keys, strings.TrimPrefix(id, "ep_"))
		}
	}
	r.out.Say("%s: writing a log of %d attempts in %d months", r.mode, n, r.opts.logMonths)
	events, span := max(1, n*5/attemptsOfFive), spanOf(r.opts.logMonths)
	rows := &logRows{pq.Array(s.tenants), pq.Array(keys), span}
	// Nobody may wait for the partitions that are attached.
	if err := r.stopServer(); err != nil {
		return nil, err
	}
	if err := r.createMonths(ctx); err != nil {
		return nil, err
	}
	thisMonth := time.Date(span.until.Year(), span.until.Month(), 1, 0, 0, 0, 0, time.UTC)
	step, said := insertStep/logFanOut, time.Now()
	for from, until := 1, 0; from <= events; from = until + 1 {
		until = min(events, from+step-1)
		prefix := ""
		if early := span.before(thisMonth, events); from <= early {
			prefix, until = filledPrefix, min(until, early)
		}
		n, err := r.insertLog(ctx, rows, prefix, events, from, until)
		if err != nil {
			return nil, err
		}
		if s.attempts += n; time.Since(said) > sayEvery {
			said = time.Now()
			r.out.Say("%s: %d attempts", r.mode, s.attempts)
		}
	}
	if err := r.attachMonths(ctx); err != nil {
		return nil, err
	}
	if err := r.fillStats(ctx, s.tenants, keys); err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	if err := r.settleLog(ctx); err != nil {
		return nil, err
	}
	return s, r.serve(ctx)
}

// settleLog leaves a log as it is that has grown in its own time: vacuumed, analyzed and seen by the reconciler.
func (r *rig) settleLog(ctx context.Context) error {
	for _, table := range []string{"events", "deliveries", "attempts", "delivery_stats", "tenant_stats"} {
		if _, err := r.db.ExecContext(ctx, "VACUUM ANALYZE "+table); err != nil {
			return err
		}
	}
	_, err := r.db.ExecContext(ctx, `UPDATE reconciler_sweeps SET position = greatest(position, uuid_floor(now() - interval '2 minutes'))`)
	return err
}

// insertLog inserts some of the events with all that belongs to them, and returns how many attempts that are.
func (r *rig) insertLog(ctx context.Context, l *logRows, prefix string, events, from, until int) (attempts int, err error) {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	args := []any{events, from, until, l.tenants, l.span.since, l.span.until}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(insertEvents, prefix), args...); err != nil {
		return 0, fmt.Errorf("events: %w", err)
	}
	args = append(args, l.endpoints)
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(insertDeliveries, prefix), args...); err != nil {
		return 0, fmt.Errorf("deliveries: %w", err)
	}
	inserted, err := tx.ExecContext(ctx, fmt.Sprintf(insertAttempts, prefix), args...)
	if err != nil {
		return 0, fmt.Errorf("attempts: %w", err)
	}
	rows, _ := inserted.RowsAffected() // Postgres always tells
	return int(rows), tx.Commit()
}

// newLog creates the tenants and endpoints of a log.
func (r *rig) newLog(ctx context.Context) (*storedLog, error) {
	sink, err := r.sinks.add(ctx, accepts) // nothing is ever sent there
	if err != nil {
		return nil, err
	}
	s := new(storedLog)
	for range logTenants {
		tenant, err := r.newTenant(ctx)
		if err != nil {
			return nil, err
		}
		endpoints := make([]string, logEndpoints)
		for i := range endpoints {
			if endpoints[i], err = r.api.createEndpoint(ctx, tenant, sink.url); err != nil {
				return nil, err
			}
		}
		s.tenants, s.endpoints = append(s.tenants, tenant), append(s.endpoints, endpoints)
	}
	return s, nil
}
