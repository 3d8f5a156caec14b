package postgres

import (
	"cmp"
	"context"
	"slices"

	"waybill/store"
	"waybill/webhook"
)

// ofDeletedEndpoint is evaluated for failed attempts only, so the happy path does not pay for it. An attempt that was in
// flight when its endpoint was deleted is followed by no other attempt.
const ofDeletedEndpoint = `r.status = 'retrying' AND EXISTS (SELECT FROM endpoints e WHERE e.id = d.endpoint_id AND e.deleted_at IS NOT NULL)`

// recordAttempts updates each delivery and inserts the attempts of those that were updated, so that no attempt is recorded
// twice.
const recordAttempts = `
	WITH r AS (
		SELECT * FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::uuid[],
			$8::timestamptz[], $9::bigint[], $10::integer[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
			$16::bytea[], $17::boolean[], $18::boolean[])
			AS r (delivery_id, tenant_id, number, status, next_attempt_at, at, id, started_at, duration_ms, status_code, outcome,
				error_class, error, request_headers, response_headers, response_body, response_truncated, manual)
	), moved AS (
		UPDATE deliveries d SET
			attempts = r.number,
			status = CASE WHEN d.status = 'canceled' AND r.status <> 'delivered' THEN d.status
				WHEN ` + ofDeletedEndpoint + ` THEN 'canceled' ELSE r.status END,
			reason = CASE WHEN d.status = 'canceled' AND r.status <> 'delivered' THEN d.reason
				WHEN ` + ofDeletedEndpoint + ` THEN 'the endpoint was deleted' ELSE '' END,
			next_attempt_at = CASE WHEN d.status <> 'canceled' AND r.status = 'retrying' AND NOT (` + ofDeletedEndpoint + `) THEN r.next_attempt_at END,
			held_at = NULL,
			failed_at = CASE WHEN r.status <> 'delivered' THEN coalesce(d.failed_at, r.at) ELSE d.failed_at END,
			last_attempt_at = r.started_at, last_duration_ms = r.duration_ms, last_status_code = r.status_code,
			last_error_class = r.error_class, last_error = r.error,
			updated_at = r.at
		FROM r WHERE d.id = r.delivery_id AND d.tenant_id || '' = r.tenant_id AND d.attempts < r.number
		RETURNING d.id, d.event_id, d.event_type, d.endpoint_id, d.status, d.attempts, d.next_attempt_at, d.reason, d.created_at,
			d.updated_at, d.test, d.held_at, d.queue_due_at, d.last_attempt_at, d.last_duration_ms, d.last_status_code, d.last_error_class,
			d.last_error, r.id AS attempt_id, r.started_at, r.duration_ms, r.status_code, r.outcome, r.error_class, r.error,
			r.request_headers, r.response_headers, r.response_body, r.response_truncated, r.manual
	), inserted AS (
		INSERT INTO attempts (id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_class, error,
			request_headers, response_headers, response_body, response_truncated, manual)
		SELECT attempt_id, id, attempts, started_at, duration_ms, status_code, outcome, error_class, error,
			coalesce(request_headers, '{}')::json, coalesce(response_headers, '{}')::json, response_body, response_truncated, manual
		FROM moved
	)
	SELECT ` + deliveryColumns + ` FROM moved`

// RecordAttempt implements store.Attempts. Concurrent calls share a transaction.
func (s *Store) RecordAttempt(ctx context.Context, r *store.Record) (*store.Recorded, error) {
	return s.records.do(ctx, r)
}

func (s *Store) recordGroup(ctx context.Context, in []*store.Record) ([]result[*store.Recorded], error) {
	results := make([]result[*store.Recorded], len(in))
	indexes := oncePerDelivery(in, results)
	var rows newAttempts
	for _, i := range indexes {
		rows.add(in[i])
	}
	// The statement is its own transaction, which saves two round trips. When its answer is lost and it runs again, it
	// finds the deliveries already updated.
	var moved []deliveryRow
	if err := s.selectHot(ctx, &moved, recordAttempts, rows.args()...); err != nil {
		return nil, failed("record attempts", err)
	}
	byID := make(map[webhook.DeliveryID]*store.Recorded, len(moved))
	for i := range moved {
		byID[moved[i].ID] = &store.Recorded{Delivery: *moved[i].delivery()}
	}
	for _, i := range indexes {
		r := in[i]
		if results[i].out = byID[r.Attempt.DeliveryID]; results[i].out != nil {
			continue
		}
		d, err := s.Delivery(ctx, r.TenantID, r.Attempt.DeliveryID)
		if results[i].err = err; err == nil {
			results[i].out = &store.Recorded{Delivery: *d}
		}
	}
	return results, nil
}

// oncePerDelivery returns the indexes of the records to write now, one of each delivery, in the order in which every
// transaction locks deliveries. The other records go into the next run.
func oncePerDelivery(in []*store.Record, results []result[*store.Recorded]) []int {
	indexes := make([]int, len(in))
	for i := range in {
		indexes[i] = i
	}
	slices.SortStableFunc(indexes, func(x, y int) int {
		a, b := in[x].Attempt, in[y].Attempt
		return cmp.Or(cmp.Compare(a.DeliveryID.UUID(), b.DeliveryID.UUID()), cmp.Compare(a.Number, b.Number))
	})
	first := indexes[:0]
	for _, i := range indexes {
		if len(first) > 0 && in[first[len(first)-1]].Attempt.DeliveryID == in[i].Attempt.DeliveryID {
			results[i].again = true
			continue
		}
		first = append(first, i)
	}
	return first
}

type newAttempts struct {
	delivery, tenant, number, status, nextAttempt, at, id, started, duration, statusCode, outcome, errorClass, errorText,
	requestHeaders, responseHeaders, responseBody, truncated, manual arrayBuilder
}

func (c *newAttempts) add(r *store.Record) {
	a := &r.Attempt
	c.delivery.addID(a.DeliveryID)
	c.tenant.addText(r.TenantID)
	c.number.addInt(int64(a.Number))
	c.status.addText(string(r.Status))
	c.nextAttempt.addOptionalTime(r.NextAttemptAt)
	c.at.addTime(r.At)
	c.id.addID(a.ID)
	c.started.addTime(a.StartedAt)
	c.duration.addInt(a.DurationMS)
	c.statusCode.addInt(int64(a.StatusCode))
	c.outcome.addText(string(a.Outcome))
	c.errorClass.addText(string(a.ErrorClass))
	c.errorText.addText(cleanText(a.Error)) // it may quote bytes that a receiver sent
	c.requestHeaders.addStrings(a.RequestHeaders)
	c.responseHeaders.addStrings(a.ResponseHeaders)
	c.responseBody.addBytes(a.ResponseBody)
	c.truncated.addBool(a.ResponseTruncated)
	c.manual.addBool(a.Manual)
}

func (c *newAttempts) args() []any {
	return []any{
		&c.delivery, &c.tenant, &c.number, &c.status, &c.nextAttempt, &c.at, &c.id, &c.started, &c.duration, &c.statusCode, &c.outcome,
		&c.errorClass, &c.errorText, &c.requestHeaders, &c.responseHeaders, &c.responseBody, &c.truncated, &c.manual,
	}
}
