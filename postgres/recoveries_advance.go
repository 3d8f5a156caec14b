package postgres

import (
	"context"
	"fmt"
	"time"

	"waybill/webhook"
)

// unsentLook is how many deliveries one statement looks through for those that a recovery wants.
const unsentLook = 5000

const (
	selectHasRecovery = `SELECT count(*) > 0 FROM recoveries WHERE endpoint_id = $1 AND tenant_id || '' = $2 AND phase <> 'ended'`

	lockRecoveries = `
		SELECT r.id, r.tenant_id, r.endpoint_id, r.since, r.until, r.statuses, r.event_types, r.missed, r.rate, r.status, r.matched, r.sent, r.phase,
			r.position, r.created_at, (extract(epoch FROM r.page_at - clock_timestamp()) * 1000000)::bigint AS due_in
		FROM recoveries r WHERE r.endpoint_id = $1 AND r.tenant_id || '' = $2 AND r.phase <> 'ended' ORDER BY r.id FOR UPDATE`

	saveRecovery = `
		UPDATE recoveries SET phase = $2, position = $3, sent = sent + $4, page_at = clock_timestamp() + $5::bigint * interval '1 us' WHERE id = $1`

	// selectUnattempted looks with the index deliveries_queued, in which what was not attempted comes first: it is due since its
	// publication.
	selectUnattempted = `
		SELECT count(*) > 0 FROM (
			SELECT FROM deliveries WHERE endpoint_id = $1 AND queue_due_at IS NOT NULL AND recovery_id::text = $2::text AND attempts = uncounted
			ORDER BY queue_due_at LIMIT 1
		) AS waiting`
)

// advanceUnsent opens the next deliveries again, in the order of their ids. A delivery that changes hands at this moment is locked
// first, and left out if it is not as it was. beyond is the last delivery that was looked through where fewer than $11 were found;
// null: there are no others.
var advanceUnsent = `
	WITH page AS MATERIALIZED (
		SELECT d.id FROM (SELECT * FROM deliveries d WHERE ` + unsentRange + ` ORDER BY d.id LIMIT $12) AS d
		WHERE ` + wantedUnsent + ` AND ` + fmt.Sprintf(wantedType, 8, 9, 10) + ` ORDER BY d.id LIMIT $11
	), locked AS MATERIALIZED (
		SELECT d.id FROM page JOIN deliveries d ON d.id = page.id WHERE d.status || '' = ANY ($6::text[]) AND d.attempts < $7 ORDER BY d.id FOR UPDATE OF d
	), moved AS (
		UPDATE deliveries d SET status = ` + statusOpened + `, indexed_status = ` + statusOpened + `, reason = '', held_at = NULL,
			uncounted = d.attempts, asked = false, queue_due_at = ` + sincePublication + `, queue_lease = NULL, next_attempt_at = clock_timestamp(),
			recovery_id = $13, updated_at = clock_timestamp()
		FROM locked WHERE d.id = locked.id RETURNING d.id
	)
	SELECT (SELECT count(*) FROM moved) AS moved, (SELECT count(*) FROM page) AS found, (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last,
		CASE WHEN (SELECT count(*) FROM page) < $11 THEN (SELECT d.id FROM deliveries d WHERE ` + unsentRange + ` ORDER BY d.id OFFSET $12 - 1 LIMIT 1) END AS beyond`

// recoveryPage is what one step of a recovery did.
type recoveryPage struct {
	sent int
	// last is the last one that was looked at; over says that the phase has nothing more to look at.
	last webhook.DeliveryID
	over bool
}

type openRecovery struct {
	recoveryRow
	// DueIn is in microseconds.
	DueIn int64 `db:"due_in"`
}

// AdvanceRecovery implements store.Recoveries. A step is one transaction, so that a crash leaves it done or not done.
func (s *Store) AdvanceRecovery(ctx context.Context, tenant string, endpoint webhook.EndpointID, limit int) (sent int, next time.Duration, err error) {
	var has []bool
	if err := s.selectHot(ctx, &has, selectHasRecovery, endpoint, tenant); err != nil {
		return 0, 0, failed("look for a recovery", err)
	}
	if !has[len(has)-1] || limit <= 0 {
		return 0, -1, nil
	}
	err = s.transactHot(ctx, "advance a recovery", []string{advanceUnsent, lockRecoveries, saveRecovery, selectUnattempted}, func(tx hotTx) error {
		// The endpoint first, as everywhere. Disabling waits for this page.
		e, err := s.findEndpoint(ctx, tx.Tx, tenant, endpoint, "FOR SHARE")
		if err != nil && webhook.ErrorCode(err) != webhook.CodeNotFound {
			return err
		}
		var open []openRecovery
		if err := tx.selectHot(ctx, &open, lockRecoveries, endpoint, tenant); err != nil {
			return err
		}
		next = -1
		for i := range open {
			var n int
			if n, next, err = s.advance(ctx, tx, &open[i], e, limit); err != nil || n > 0 || next == 0 {
				sent = n
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	return sent, next, nil
}

// advance makes one step of a recovery. A nil endpoint was deleted.
func (s *Store) advance(ctx context.Context, tx hotTx, r *openRecovery, e *webhook.Endpoint, limit int) (sent int, next time.Duration, err error) {
	switch {
	case r.Phase == phaseWithdrawing:
		return 0, 0, s.withdraw(ctx, tx.Tx, &r.recoveryRow)
	case e == nil: // its deliveries are canceled with it
		return 0, -1, s.endRecovery(ctx, tx.Tx, &r.recoveryRow, webhook.RecoveryCanceled)
	case e.DisabledAt != nil: // goes on once it is enabled
		return 0, -1, nil
	case r.Phase == phaseDone:
		return 0, -1, s.completeRecovery(ctx, tx, &r.recoveryRow)
	case r.DueIn > 0:
		return 0, time.Duration(r.DueIn) * time.Microsecond, nil
	}
	rate := valueOf(r.RateOrNull)
	if rate > 0 {
		limit = min(limit, rate)
	}
	page, err := s.advancePage(ctx, tx, r, e, limit)
	if err != nil {
		return 0, 0, err
	}
	to, position := r.Phase, page.last
	if page.over {
		to, position = r.after(), idFloor(firstPosition(phaseMissed, r.Since))
	}
	if rate > 0 {
		next = time.Duration(page.sent) * time.Second / time.Duration(rate)
	}
	if err := tx.execHot(ctx, saveRecovery, r.ID, to, position, page.sent, next.Microseconds()); err != nil {
		return 0, 0, err
	}
	if to == phaseDone && page.sent > 0 {
		next = -1
	}
	return page.sent, next, nil
}

// after returns the phase that follows.
func (r *openRecovery) after() phase {
	if r.Phase == phaseSettled && r.Missed {
		return phaseMissed
	}
	return phaseDone
}

// advancePage puts at most limit deliveries into the queue. What has become due while the recovery runs does not make it larger than
// a recovery may be.
func (s *Store) advancePage(ctx context.Context, tx hotTx, r *openRecovery, e *webhook.Endpoint, limit int) (*recoveryPage, error) {
	limit = min(limit, int(webhook.MaxRecovery-r.Sent))
	switch {
	case limit <= 0:
		return &recoveryPage{over: true}, nil
	case r.Phase == phaseMissed:
		return s.advanceMissed(ctx, tx.Tx, &r.recoveryRow, e, limit)
	}
	var rows []struct {
		Moved  int                 `db:"moved"`
		Found  int                 `db:"found"`
		Last   *webhook.DeliveryID `db:"last"`
		Beyond *webhook.DeliveryID `db:"beyond"`
	}
	args := append(unsentArgs(r.recovery(), r.Position), limit, unsentLook, r.ID)
	if err := tx.selectHot(ctx, &rows, advanceUnsent, args...); err != nil {
		return nil, err
	}
	row := rows[0]
	page := &recoveryPage{sent: row.Moved, last: valueOf(row.Last)}
	if row.Found < limit {
		page.last, page.over = valueOf(row.Beyond), row.Beyond == nil
	}
	return page, nil
}

// completeRecovery ends a recovery once everything that it sent was attempted.
func (s *Store) completeRecovery(ctx context.Context, tx hotTx, r *recoveryRow) error {
	var waits []bool
	if err := tx.selectHot(ctx, &waits, selectUnattempted, r.EndpointID, r.ID); err != nil || waits[0] {
		return err
	}
	return s.endRecovery(ctx, tx.Tx, r, webhook.RecoveryCompleted)
}
