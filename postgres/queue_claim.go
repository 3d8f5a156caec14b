package postgres

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

const (
	// claimQueued locks the endpoint, so that nothing is claimed after a disabling has been committed. next_attempt_at remembers
	// since when a delivery is due, for its release. What a process of an earlier version settled without telling the queue is
	// taken out of it.
	claimQueued = `
		WITH enabled AS MATERIALIZED (
			SELECT id FROM endpoints WHERE id = $1 AND tenant_id || '' = $2 AND disabled_at IS NULL AND deleted_at IS NULL FOR SHARE
		), due AS MATERIALIZED (
			SELECT d.id, d.queue_due_at, d.status = 'held' AS held, d.status NOT IN ('pending', 'retrying', 'held') AS settled FROM enabled CROSS JOIN LATERAL (
				SELECT id, queue_due_at, status FROM deliveries
				WHERE endpoint_id = enabled.id AND queue_due_at <= now()
				ORDER BY queue_due_at, id LIMIT $5 FOR UPDATE SKIP LOCKED
			) AS d
		), claimed AS (
			UPDATE deliveries d SET
				queue_due_at = CASE WHEN NOT due.settled THEN now() + $4::bigint * interval '1 millisecond' END,
				queue_lease = CASE WHEN NOT due.settled THEN $3::uuid END,
				status = CASE d.status WHEN 'held' THEN ` + statusOpened + ` ELSE d.status END,
				indexed_status = CASE d.status WHEN 'held' THEN ` + statusOpened + ` ELSE nullif(d.status, 'delivered') END,
				reason = CASE WHEN due.settled THEN d.reason ELSE '' END,
				held_at = NULL,
				next_attempt_at = CASE WHEN NOT due.settled THEN coalesce(d.next_attempt_at, due.queue_due_at) END
			FROM due WHERE d.id = due.id
			RETURNING d.id, d.event_key, d.event_id, d.event_type, d.attempts, d.uncounted, d.asked, due.settled, due.queue_due_at AS due_at,
				NOT due.held AND NOT d.asked AND d.recovery_id IS NULL AND (d.attempts = 0 OR d.attempts > d.uncounted) AS scheduled
		)
		SELECT id, event_key, event_id, event_type, attempts, uncounted, asked, scheduled FROM claimed WHERE NOT settled ORDER BY due_at, id`

	renewQueued = `
		WITH locked AS MATERIALIZED (
			SELECT d.id FROM unnest($2::uuid[]) AS renewed (id) JOIN deliveries d ON d.id = renewed.id
			WHERE d.queue_lease = $1::uuid ORDER BY d.id FOR UPDATE OF d
		)
		UPDATE deliveries d SET queue_due_at = now() + $3::bigint * interval '1 millisecond' FROM locked WHERE d.id = locked.id`

	// releaseQueued gives the deliveries back their place in the order.
	releaseQueued = `
		WITH locked AS MATERIALIZED (
			SELECT d.id FROM unnest($2::uuid[]) AS released (id) JOIN deliveries d ON d.id = released.id
			WHERE d.queue_lease = $1::uuid ORDER BY d.id FOR UPDATE OF d
		)
		UPDATE deliveries d SET queue_lease = NULL, queue_due_at = coalesce(least(d.next_attempt_at, now()), now())
		FROM locked WHERE d.id = locked.id`

	// postponeQueued doubles the time since the delivery's last change, which neither a claim nor this changes.
	postponeQueued = `
		WITH locked AS MATERIALIZED (
			SELECT d.id FROM unnest($2::uuid[]) AS postponed (id) JOIN deliveries d ON d.id = postponed.id
			WHERE d.queue_lease = $1::uuid ORDER BY d.id FOR UPDATE OF d
		)
		UPDATE deliveries d SET queue_lease = NULL, queue_due_at = now() + least(greatest(now() - d.updated_at,
			$3::bigint * interval '1 millisecond'), $4::bigint * interval '1 millisecond')
		FROM locked WHERE d.id = locked.id`
)

// ClaimQueued implements store.Queues. A claim whose answer is lost is due again when its lease ends.
func (s *Store) ClaimQueued(ctx context.Context, tenant string, endpoint webhook.EndpointID, holder string, lease time.Duration, limit int) ([]store.Queued, error) {
	var claimed []store.Queued
	err := s.selectHot(ctx, &claimed, claimQueued, endpoint, tenant, holder, lease.Milliseconds(), limit)
	return claimed, failed("claim what is queued", err)
}

// RenewQueued implements store.Queues.
func (s *Store) RenewQueued(ctx context.Context, holder string, ids []webhook.DeliveryID, lease time.Duration) error {
	if len(ids) == 0 {
		return nil
	}
	return failed("renew what was claimed", s.execHot(ctx, renewQueued, holder, idsOf(ids), lease.Milliseconds()))
}

// ReleaseQueued implements store.Queues.
func (s *Store) ReleaseQueued(ctx context.Context, holder string, ids []webhook.DeliveryID) error {
	if len(ids) == 0 {
		return nil
	}
	return failed("release what was claimed", s.execHot(ctx, releaseQueued, holder, idsOf(ids)))
}

// PostponeQueued implements store.Queues.
func (s *Store) PostponeQueued(ctx context.Context, holder string, ids []webhook.DeliveryID, least, most time.Duration) error {
	if len(ids) == 0 {
		return nil
	}
	return failed("postpone what was claimed", s.execHot(ctx, postponeQueued, holder, idsOf(ids), least.Milliseconds(), most.Milliseconds()))
}
