package postgres

import (
	"strings"

	"waybill/store"
	"waybill/webhook"
)

const (
	// recordedArgs are the columns that both statements of the record take: $1 to $20. Then $21 is the writer of the statistics.
	recordedArgs = `$1::uuid[], $2::text[], $3::integer[], $4::timestamptz[], $5::uuid[], $6::timestamptz[], $7::bigint[], $8::integer[],
		$9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bytea[], $15::boolean[], $16::boolean[], $17::text[],
		$18::boolean[], $19::smallint[], $20::text[]`

	recordedNames = `delivery_id, tenant_id, number, at, attempt_id, started_at, duration_ms, status_code, outcome, error_class, error,
		request_headers, response_headers, response_body, response_truncated, manual, url, uncounted, bucket, signed_with`

	// setLastAttempt is what a line of the log tells of the latest attempt.
	setLastAttempt = `last_attempt_at = r.started_at, last_duration_ms = r.duration_ms, last_status_code = r.status_code,
		last_error_class = nullif(r.error_class, ''), last_error = r.error,
		failed_code = CASE WHEN r.error_class <> '' THEN r.status_code END, updated_at = r.at`

	// movedColumns is what the rest of the statement needs of a delivery that was updated with the record r.
	movedColumns = `d.id, d.tenant_id, d.event_id, d.event_type, d.endpoint_id, d.status, d.attempts, d.next_attempt_at, d.reason, d.created_at,
		d.updated_at, d.test, d.held_at, d.queue_due_at, d.last_attempt_at, d.last_duration_ms, d.last_status_code, d.last_error_class,
		d.last_error, r.attempt_id, r.outcome, r.request_headers, r.response_headers, r.response_body, r.response_truncated, r.manual, r.url, r.bucket,
		r.signed_with`

	// insertMoved inserts the attempts of the deliveries that were updated, so that no attempt is recorded twice.
	insertMoved = `
		INSERT INTO attempts (id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_class, error,
			request_headers, response_headers, response_body, response_truncated, manual, url, signed_with)
		SELECT attempt_id, id, attempts, last_attempt_at, last_duration_ms, last_status_code, outcome, coalesce(last_error_class, ''), last_error,
			coalesce(request_headers, '{}')::json, coalesce(response_headers, '{}')::json, response_body, response_truncated, manual, url, signed_with
		FROM moved`
)

// newAttempts gathers the columns of a group of records.
type newAttempts struct {
	delivery, tenant, number, at, id, started, duration, statusCode, outcome, errorClass, errorText, requestHeaders, responseHeaders,
	responseBody, truncated, manual, url, uncounted, bucket, signedWith arrayBuilder
	// Of failed attempts only.
	status, nextAttempt, queued, maxFailures, maxSpan, holder arrayBuilder
}

func (c *newAttempts) add(r *store.Record) {
	a := &r.Attempt
	c.delivery.addID(a.DeliveryID)
	c.tenant.addText(r.TenantID)
	c.number.addInt(int64(a.Number))
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
	c.url.addText(cleanText(a.URL))
	c.uncounted.addBool(r.Uncounted)
	c.bucket.addInt(int64(webhook.DurationBucket(a.DurationMS)))
	c.signedWith.addText(strings.Join(a.SignedWith, " "))
}

// addOutcome adds what only the statement for any outcome takes.
func (c *newAttempts) addOutcome(r *store.Record) {
	c.status.addText(string(r.Status))
	c.nextAttempt.addOptionalTime(r.NextAttemptAt)
	c.queued.addBool(r.Queued)
	if r.Holder == "" {
		c.holder.addNull()
	} else {
		c.holder.addText(r.Holder)
	}
	if r.AutoDisable == nil || r.AutoDisable.Off {
		c.maxFailures.addNull()
		c.maxSpan.addNull()
		return
	}
	c.maxFailures.addInt(int64(r.AutoDisable.Failures))
	c.maxSpan.addInt(r.AutoDisable.Span.Std().Milliseconds())
}

func (c *newAttempts) args(writer int) []any {
	return []any{
		&c.delivery, &c.tenant, &c.number, &c.at, &c.id, &c.started, &c.duration, &c.statusCode, &c.outcome, &c.errorClass, &c.errorText,
		&c.requestHeaders, &c.responseHeaders, &c.responseBody, &c.truncated, &c.manual, &c.url, &c.uncounted, &c.bucket, &c.signedWith, writer,
	}
}

func (c *newAttempts) outcomeArgs() []any {
	return []any{&c.status, &c.nextAttempt, &c.queued, &c.maxFailures, &c.maxSpan, &c.holder}
}
