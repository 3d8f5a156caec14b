package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"waybill/store"
	"waybill/webhook"
)

const (
	summaryColumns = `number, started_at, duration_ms, status_code, outcome, error_class, error, manual`
	attemptColumns = `a.id, a.delivery_id, a.number, a.started_at, a.duration_ms, a.status_code, a.outcome, a.error_class, a.error, a.manual,
		a.url, a.request_headers, a.response_headers, a.response_body, a.response_truncated, coalesce(a.signed_with, '') AS signed_with`

	selectAttempts = `
		SELECT ` + attemptColumns + ` FROM deliveries d CROSS JOIN LATERAL (
			SELECT * FROM attempts a
			WHERE ` + ofDelivery + ` AND a.number > coalesce((SELECT b.number FROM attempts b WHERE b.id = $2 AND b.delivery_id = $1), 0)
			ORDER BY a.number LIMIT $3
		) AS a WHERE d.id = $1 ORDER BY a.number`

	selectAttempt = `
		SELECT ` + attemptColumns + `, e.body, e.delivery_id_at
		FROM attempts a JOIN deliveries d ON d.id = a.delivery_id LEFT JOIN events e ON e.id = d.event_key AND e.erased_at IS NULL
		WHERE a.id = $1 AND d.tenant_id || '' = $2`

	selectRecordedAttempts = `
		SELECT ` + summaryColumns + ` FROM deliveries d` + attemptsOfDeliveries + ` WHERE d.id = $1 AND number >= $2 ORDER BY number`
)

type attemptRow struct {
	webhook.Attempt
	RequestJSON  []byte `db:"request_headers"`
	ResponseJSON []byte `db:"response_headers"`
	SignedWith   string `db:"signed_with"`
}

func (r *attemptRow) attempt() (*webhook.Attempt, error) {
	a := r.Attempt
	err := errors.Join(json.Unmarshal(r.RequestJSON, &a.RequestHeaders), json.Unmarshal(r.ResponseJSON, &a.ResponseHeaders))
	if err != nil {
		return nil, fmt.Errorf("read the headers of the attempt %s: %w", a.ID, err)
	}
	if r.SignedWith != "" {
		a.SignedWith = strings.Fields(r.SignedWith)
	}
	return &a, nil
}

// Attempts implements store.Deliveries.
func (s *Store) Attempts(ctx context.Context, tenant string, delivery webhook.DeliveryID, page store.Page) ([]webhook.Attempt, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	after, err := pageAfter[webhook.AttemptID](page)
	if err != nil {
		return nil, err
	}
	if _, err := s.Delivery(ctx, tenant, delivery); err != nil {
		return nil, err
	}
	rows, err := hotRows[attemptRow](ctx, s, selectAttempts, delivery, after, page.Limit)
	if err != nil {
		return nil, failed("list attempts", err)
	}
	return readAll(rows, (*attemptRow).attempt)
}

// Attempt implements store.Deliveries.
func (s *Store) Attempt(ctx context.Context, tenant string, id webhook.AttemptID) (*store.SentAttempt, error) {
	type sentRow struct {
		attemptRow
		Body         []byte `db:"body"`
		DeliveryIDAt *int   `db:"delivery_id_at"`
	}
	rows, err := hotRows[sentRow](ctx, s, selectAttempt, id, tenant)
	if err != nil {
		return nil, failed("find an attempt", err)
	}
	if len(rows) == 0 {
		return nil, notFound("attempt", id.String())
	}
	row := &rows[0]
	a, err := row.attempt()
	if err != nil {
		return nil, err
	}
	out := &store.SentAttempt{Attempt: *a}
	if row.DeliveryIDAt != nil {
		out.RequestBody = webhook.Body{Bytes: row.Body, DeliveryIDAt: *row.DeliveryIDAt}.For(a.DeliveryID)
	}
	return out, nil
}

// RecordedAttempts implements store.Attempts.
func (s *Store) RecordedAttempts(ctx context.Context, delivery webhook.DeliveryID, from int) ([]webhook.AttemptSummary, error) {
	made, err := hotRows[webhook.AttemptSummary](ctx, s, selectRecordedAttempts, delivery, from)
	if err != nil || len(made) == 0 {
		return nil, failed("list recorded attempts", err)
	}
	return made, s.confirm(ctx) // the caller goes on as if it had made them
}
