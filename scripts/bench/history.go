package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	historyProbe = 1000
	// storedAttempts is how long the log is.
	storedAttempts = 1_000_000
	// logQueries is how often each kind of query is asked.
	logQueries = 100
	// insertStep is how many rows one statement inserts.
	insertStep = 100_000

	// logP95 is over all queries of the delivery log; logP95Of is of one kind.
	logP95 metric = "log_p95_ms"
)

func logP95Of(kind string) metric { return logP95 + metric("_"+kind) }

// historyCase compares the throughput with an empty log and with a long one, and asks the long one.
func historyCase(ctx context.Context, r *rig) error {
	if err := r.forgetEvents(ctx); err != nil {
		return err
	}
	probe := scenario{events: historyProbe, endpoints: 1}
	if err := r.scenario(ctx, row{Key: rowLogEmpty, Title: "one endpoint, empty log", Floor: floorOne}, probe); err != nil {
		return err
	}
	stored, err := r.fillLog(ctx, r.opts.scaled(storedAttempts, 1))
	if err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	info := row{Key: rowLogFull, Title: fmt.Sprintf("one endpoint, %d attempts stored", stored.attempts), Floor: floorOne}
	err = r.series(ctx, info, func(ctx context.Context, share float64) (figures, error) {
		f, err := r.play(ctx, probe, share)
		if err != nil {
			return nil, err
		}
		return f, r.askLog(ctx, f, stored, share)
	})
	if err != nil {
		return err
	}
	return r.forgetEvents(ctx)
}

// storedLog is a log that was written past Waybill.
type storedLog struct {
	tenant, endpoint string
	attempts         int
}

// The log's rows: n counts them, and gives each its moment and with that its id, a UUIDv7. They are spread over the
// month so far. Each delivery has one attempt, and one in twenty failed.
const (
	logRows = `
		WITH span AS (
			SELECT date_trunc('month', now()) AS since, now() - date_trunc('month', now()) AS long
		), numbered AS (
			SELECT n, since + long * (n::float8 / $1) AS at, n % 20 = 0 AS failed FROM span, generate_series($2::bigint, $3::bigint) AS n
		), dated AS (
			SELECT *, lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n & 4095), 3, '0') AS head
			FROM numbered
		), rows AS (
			SELECT *, (head || '8' || lpad(to_hex(n), 15, '0'))::uuid AS id FROM dated
		)`
	insertDeliveries = logRows + `
		INSERT INTO deliveries (id, tenant_id, event_key, event_id, event_type, endpoint_id, status, attempts, failed_at, created_at, updated_at)
		SELECT id, $4, id, 'evt_' || replace(id::text, '-', ''), $5, $6::uuid, CASE WHEN failed THEN 'exhausted' ELSE 'delivered' END, 1,
			CASE WHEN failed THEN at END, at, at
		FROM rows`
	insertAttempts = logRows + `
		INSERT INTO attempts (id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_class, error,
			request_headers, response_headers, response_body, response_truncated)
		SELECT id, id, 1, at, 12, CASE WHEN failed THEN 500 ELSE 200 END, CASE WHEN failed THEN 'retryable' ELSE 'delivered' END,
			CASE WHEN failed THEN 'http_status' ELSE '' END, CASE WHEN failed THEN 'the receiver answered 500' ELSE '' END,
			json_build_object('Content-Type', 'application/json', 'User-Agent', 'Waybill/1.0', 'webhook-id', 'evt_' || replace(id::text, '-', ''),
				'webhook-timestamp', floor(extract(epoch FROM at))::text, 'webhook-signature', '[redacted]'),
			'{"Content-Length":"0"}', '', false
		FROM rows`
)

// fillLog writes n deliveries with an attempt each, of an endpoint that is sent nothing else.
func (r *rig) fillLog(ctx context.Context, n int) (*storedLog, error) {
	tenant, err := r.newTenant(ctx)
	if err != nil {
		return nil, err
	}
	s, err := r.receiver.add(ctx, accepts)
	if err != nil {
		return nil, err
	}
	endpoint, err := r.api.createEndpoint(ctx, tenant, s.url)
	if err != nil {
		return nil, err
	}
	uuid := strings.TrimPrefix(endpoint, "ep_")
	r.out.Say("%s: writing a log of %d attempts", r.mode, n)
	for from := 1; from <= n; from += insertStep {
		until := min(n, from+insertStep-1)
		if _, err := r.db.ExecContext(ctx, insertDeliveries, n, from, until, tenant, eventType, uuid); err != nil {
			return nil, err
		}
		if _, err := r.db.ExecContext(ctx, insertAttempts, n, from, until); err != nil {
			return nil, err
		}
	}
	for _, table := range []string{"deliveries", "attempts"} {
		// What autovacuum would have done long ago for a log that grew in its own time.
		if _, err := r.db.ExecContext(ctx, "VACUUM ANALYZE "+table); err != nil {
			return nil, err
		}
	}
	return &storedLog{tenant: tenant, endpoint: endpoint, attempts: n}, nil
}

// logKinds are the queries that are asked. Of the retrying there are none, which takes the longest to find out.
func logKinds() []string {
	return []string{"newest", "page", "endpoint", "exhausted", "retrying", "type", "hour", "attempts"}
}

// askLog adds how long queries of the log take, one after the other.
func (r *rig) askLog(ctx context.Context, f figures, s *storedLog, share float64) error {
	deliveries := "/v1/tenants/" + s.tenant + "/deliveries"
	var page struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
		Next string `json:"next_cursor"`
	}
	if err := r.api.call(ctx, http.MethodGet, deliveries, nil, &page); err != nil {
		return err
	}
	if len(page.Data) == 0 {
		return fmt.Errorf("the log of %d attempts is empty", s.attempts)
	}
	now := time.Now().UTC()
	moment := func(ago time.Duration) string { return url.QueryEscape(now.Add(-ago).Format(time.RFC3339)) }
	queries := map[string]string{
		"newest": "", "page": "?cursor=" + url.QueryEscape(page.Next), "endpoint": "?endpoint=" + s.endpoint,
		"exhausted": "?status=exhausted", "retrying": "?status=retrying", "type": "?event_type=" + eventType,
		"hour": "?since=" + moment(2*time.Hour) + "&until=" + moment(time.Hour), "attempts": "/" + page.Data[0].ID + "/attempts",
	}
	var all []time.Duration
	for _, kind := range logKinds() {
		took, err := r.ask(ctx, deliveries+queries[kind], max(1, int(logQueries*share)))
		if err != nil {
			return err
		}
		all = append(all, took...)
		slices.Sort(took)
		f[logP95Of(kind)] = milliseconds(percentile(took, 95))
	}
	slices.Sort(all)
	f[logP95] = milliseconds(percentile(all, 95))
	return nil
}

func (r *rig) ask(ctx context.Context, path string, times int) ([]time.Duration, error) {
	took := make([]time.Duration, times)
	for i := range took {
		began := time.Now()
		if _, err := r.api.send(ctx, http.MethodGet, path, nil); err != nil {
			return nil, err
		}
		took[i] = time.Since(began)
	}
	return took, nil
}
