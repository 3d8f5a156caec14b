package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/lib/pq"
)

// The log that is written past Waybill. Half of it is the first tenant's, the others share the rest. An event has four
// deliveries; one in twenty is exhausted after six attempts, the others took one.
const (
	logTenants   = 20
	logEndpoints = 10 // of each tenant
	logFanOut    = 4
	// attemptsOfFive is how many attempts five events have: twenty deliveries, five attempts more for one of them.
	attemptsOfFive = 25
	// insertStep is how many deliveries one statement inserts.
	insertStep = 100_000
)

// The event types of the log: three in ten are of the second, one in a thousand is rare, the others are as everywhere.
const (
	secondType = "bench.changed"
	rareType   = "bench.rare"
)

// storedLog is what was written: endpoints are those of the tenant of the same place.
type storedLog struct {
	tenants   []string
	endpoints [][]string
	attempts  int
}

// createMonths makes the partitions that Waybill would have made in the two months before this one.
const createMonths = `
	DO $$
	DECLARE
		month  timestamp;
		parent text;
	BEGIN
		FOR ago IN 1..2 LOOP
			month := date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => ago);
			FOREACH parent IN ARRAY ARRAY['events', 'deliveries', 'attempts'] LOOP
				EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)%s',
					parent || to_char(month, '_YYYY_MM'), parent, uuid_floor(month AT TIME ZONE 'UTC'),
					uuid_floor((month + interval '1 month') AT TIME ZONE 'UTC'),
					CASE parent WHEN 'deliveries' THEN ' WITH (fillfactor = 80)' ELSE '' END);
			END LOOP;
		END LOOP;
	END
	$$`

// The log's rows: e counts the events and gives each its moment, within this month and the two before, and with that its
// id, a UUIDv7. A hash spreads them over tenants, endpoints and types. n counts the deliveries.
// $1: how many events in all, $2 and $3: the first and last of this statement, $4: tenants, $5: their endpoints in turn.
const (
	logEvents = `
		WITH span AS (
			SELECT since, now() - interval '1 minute' - since AS long
			FROM (SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '2 months') AT TIME ZONE 'UTC' AS since) AS s
		), numbered AS (
			SELECT e, since + long * (e::float8 / $1) AS at, hashint8(e) & 2147483647 AS h
			FROM span, generate_series($2::bigint, $3::bigint) AS e
		), spread AS (
			SELECT *, lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(e & 4095), 3, '0') AS head,
				CASE WHEN h % 2 = 0 THEN 1 ELSE 2 + h / 2 % (cardinality($4::text[]) - 1) END AS tenant,
				CASE WHEN h / 64 % 1000 = 0 THEN 'bench.rare'
					WHEN h / 64 % 1000 < 300 THEN 'bench.changed' ELSE 'bench.happened' END AS type
			FROM numbered
		), events_of_log AS (
			SELECT *, (head || '8' || lpad(to_hex(e), 15, '0'))::uuid AS id FROM spread
		)`
	insertEvents = logEvents + `
		INSERT INTO events (id, tenant_id, event_id, event_type, occurred_at, created_at, body, delivery_id_at, data_from, data_to)
		SELECT id, ($4::text[])[tenant], 'evt_' || replace(id::text, '-', ''), type, at, at,
			convert_to('{"data":{"text":"' || repeat('x', 500) || '"}}', 'UTF8'), -1, 8, 520
		FROM events_of_log`
	logDeliveries = logEvents + `, rows AS (
			SELECT (head || '8' || lpad(to_hex(e * 4 + k), 15, '0'))::uuid AS id, id AS event_key, head, at, type, tenant,
				($5::uuid[])[(tenant - 1) * 10 + 1 + (h / 8 + k) % 10] AS endpoint, e * 4 + k AS n, (e * 4 + k) % 20 = 0 AS failed
			FROM events_of_log, generate_series(0, 3) AS k
		)`
	insertDeliveries = logDeliveries + `
		INSERT INTO deliveries (id, tenant_id, event_key, event_id, event_type, endpoint_id,
			status, attempts, failed_at, created_at, updated_at)
		SELECT id, ($4::text[])[tenant], event_key, 'evt_' || replace(event_key::text, '-', ''), type, endpoint,
			CASE WHEN failed THEN 'exhausted' ELSE 'delivered' END, CASE WHEN failed THEN 6 ELSE 1 END, CASE WHEN failed THEN at END, at,
			CASE WHEN failed THEN at + interval '31 s' ELSE at END
		FROM rows`
	insertAttempts = logDeliveries + `
		INSERT INTO attempts (id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_class, error,
			request_headers, response_headers, response_body, response_truncated)
		SELECT (head || '9' || lpad(to_hex(n * 8 + number), 15, '0'))::uuid, id, number, at + (2 ^ (number - 1) - 1) * interval '1 s', 12,
			CASE WHEN failed THEN 500 ELSE 200 END, CASE WHEN failed THEN 'retryable' ELSE 'delivered' END,
			CASE WHEN failed THEN 'http_status' ELSE '' END, CASE WHEN failed THEN 'the receiver answered 500' ELSE '' END,
			json_build_object('Content-Type', 'application/json', 'User-Agent', 'Waybill/1.0',
				'webhook-id', 'evt_' || replace(event_key::text, '-', ''),
				'webhook-timestamp', floor(extract(epoch FROM at))::text, 'webhook-signature', '[redacted]'),
			'{"Content-Length":"0"}', '', false
		FROM rows, generate_series(1, CASE WHEN failed THEN 6 ELSE 1 END) AS number`
)

// fillLog writes a log of n attempts, of tenants that publish nothing else.
func (r *rig) fillLog(ctx context.Context, n int) (*storedLog, error) {
	s, err := r.newLog(ctx)
	if err != nil {
		return nil, err
	}
	events := max(1, n*5/attemptsOfFive)
	var keys []string
	for _, endpoints := range s.endpoints {
		for _, id := range endpoints {
			keys = append(keys, strings.TrimPrefix(id, "ep_"))
		}
	}
	if _, err := r.db.ExecContext(ctx, createMonths); err != nil {
		return nil, err
	}
	r.out.Say("%s: writing a log of %d attempts", r.mode, n)
	tenants, endpoints := pq.Array(s.tenants), pq.Array(keys)
	for from := 1; from <= events; from += insertStep / logFanOut {
		until := min(events, from+insertStep/logFanOut-1)
		if _, err := r.db.ExecContext(ctx, insertEvents, events, from, until, tenants); err != nil {
			return nil, fmt.Errorf("events: %w", err)
		}
		if _, err := r.db.ExecContext(ctx, insertDeliveries, events, from, until, tenants, endpoints); err != nil {
			return nil, fmt.Errorf("deliveries: %w", err)
		}
		inserted, err := r.db.ExecContext(ctx, insertAttempts, events, from, until, tenants, endpoints)
		if err != nil {
			return nil, fmt.Errorf("attempts: %w", err)
		}
		rows, _ := inserted.RowsAffected() // Postgres always tells
		s.attempts += int(rows)
	}
	for _, table := range []string{"events", "deliveries", "attempts"} {
		// What autovacuum would have done long ago for a log that grew in its own time.
		if _, err := r.db.ExecContext(ctx, "VACUUM ANALYZE "+table); err != nil {
			return nil, err
		}
	}
	return s, nil
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

// forgetLog empties the tables and removes the months that nobody else has.
func (r *rig) forgetLog(ctx context.Context) error {
	if err := r.forgetEvents(ctx); err != nil {
		return err
	}
	_, err := r.db.ExecContext(ctx, `
		DO $$
		DECLARE
			month text;
		BEGIN
			FOR ago IN 1..2 LOOP
				month := to_char(date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => ago), '_YYYY_MM');
				EXECUTE format('DROP TABLE IF EXISTS %I, %I, %I', 'events' || month, 'deliveries' || month, 'attempts' || month);
			END LOOP;
		END
		$$`)
	if err != nil {
		return fmt.Errorf("remove the log: %w", err)
	}
	return nil
}
