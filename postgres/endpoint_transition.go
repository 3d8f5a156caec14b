package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/webhook"
)

// An endpoint is enabled and disabled under the lock of its row. Locks are taken in this order: tenant, endpoint, streak, notices. A
// record takes the last two in the same order, and never waits for the first.

const (
	// updateEnabled wakes the queue, which drains or holds what waits.
	updateEnabled = `
		UPDATE endpoints SET disabled_at = $2, disabled_reason = $3, wake_due = true, updated_at = $4,
			version = $5, disabled_by = $6
		WHERE id = $1`

	resetStreak = `UPDATE endpoint_streaks SET failures = 0, since = NULL WHERE endpoint_id = $1`

	noticeDisabled = `
		INSERT INTO endpoint_notices AS n (endpoint_id, tenant_id, due, since, disabled_at, disabled_reason)
		VALUES ($1, $2, true, $3, $3, $4)
		ON CONFLICT (endpoint_id) DO UPDATE SET due = true, since = coalesce(n.since, excluded.since), disabled_at = excluded.disabled_at,
			disabled_reason = excluded.disabled_reason, working_at = NULL`

	// forgetStreak deletes what is known of the trouble of an endpoint that is deleted. The notices go last, as everywhere.
	forgetStreak = `
		WITH streak AS (DELETE FROM endpoint_streaks WHERE endpoint_id = $1 RETURNING 1)
		DELETE FROM endpoint_notices WHERE endpoint_id = $1 AND (SELECT count(*) FROM streak) >= 0`
)

// endpointDisabled and endpointEnabled are the data of the operational events.
type endpointDisabled struct {
	Tenant     string             `json:"tenant"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	Host       string             `json:"host"`
	By         string             `json:"by"`
	Reason     string             `json:"reason"`
	Failures   int                `json:"failures,omitempty"`
	Since      string             `json:"since,omitempty"`
}

type endpointEnabled struct {
	Tenant     string             `json:"tenant"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	Host       string             `json:"host"`
	By         string             `json:"by"`
}

// storeDisabled stores that the endpoint is disabled, and tells those who are to know. streak is what disabled it, if that did.
func (s *Store) storeDisabled(ctx context.Context, tx *sqlx.Tx, e *webhook.Endpoint, streak *webhook.Streak) error {
	if err := storeTransition(ctx, tx, e); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, noticeDisabled, e.ID, e.TenantID, e.DisabledAt, e.DisabledReason); err != nil {
		return err
	}
	data := endpointDisabled{Tenant: e.TenantID, EndpointID: e.ID, Host: e.Host(), By: e.DisabledBy, Reason: e.DisabledReason}
	if streak != nil {
		data.Failures, data.Since = streak.Failures, streak.Since.UTC().Format(time.RFC3339)
	}
	after := map[string]string{"status": "disabled", "by": e.DisabledBy, "reason": e.DisabledReason}
	if err := s.audited(ctx, tx, e.TenantID, "endpoint.disabled", e.ID.String(), nil, after); err != nil {
		return err
	}
	return s.tellOperator(ctx, tx, e.TenantID, "endpoint.disabled", data)
}

// storeEnabled stores that the endpoint is enabled. What failed before does not count any more.
func (s *Store) storeEnabled(ctx context.Context, tx *sqlx.Tx, e *webhook.Endpoint, by string) error {
	if err := storeTransition(ctx, tx, e); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, resetStreak, e.ID); err != nil {
		return err
	}
	if err := s.audited(ctx, tx, e.TenantID, "endpoint.enabled", e.ID.String(), nil, map[string]string{"status": "enabled", "by": by}); err != nil {
		return err
	}
	return s.tellOperator(ctx, tx, e.TenantID, "endpoint.enabled", endpointEnabled{e.TenantID, e.ID, e.Host(), by})
}

func storeTransition(ctx context.Context, tx *sqlx.Tx, e *webhook.Endpoint) error {
	e.Version = nextVersion(e.Version)
	_, err := tx.ExecContext(ctx, updateEnabled, e.ID, e.DisabledAt, e.DisabledReason, e.UpdatedAt, e.Version, e.DisabledBy)
	return err
}
