package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"waybill/store"
	"waybill/webhook"
)

// phase is what a recovery does; see the table.
type phase string

const (
	phaseSettled     phase = "settled"
	phaseMissed      phase = "missed"
	phaseDone        phase = "done"
	phaseWithdrawing phase = "withdrawing"
	phaseEnded       phase = "ended"
)

const (
	// recoveryColumns count what became of the deliveries while the recovery is open. Afterwards the counts are stored.
	recoveryColumns = `r.id, r.tenant_id, r.endpoint_id, r.since, r.until, r.statuses, r.event_types, r.missed, r.rate, r.reason, r.status,
		r.matched, r.sent, r.phase, r.position, r.created_at, r.finished_at, coalesce(r.delivered, progress.delivered) AS delivered,
		coalesce(r.failed, progress.failed) AS failed`

	// recoveryProgress finds, with the index deliveries_recovered, what a recovery put into the queue.
	recoveryProgress = `
		CROSS JOIN LATERAL (
			SELECT count(*) FILTER (WHERE d.status = 'delivered') AS delivered,
				count(*) FILTER (WHERE d.status <> 'delivered' AND d.attempts > d.uncounted) AS failed
			FROM deliveries d WHERE d.recovery_id = r.id AND r.phase <> 'ended'
		) AS progress`

	selectRecovery = `SELECT ` + recoveryColumns + ` FROM recoveries r ` + recoveryProgress + ` WHERE r.id = $1 AND r.tenant_id || '' = $2`

	selectRecoveries = `
		SELECT ` + recoveryColumns + ` FROM (
			SELECT * FROM recoveries WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) AND ($3::uuid IS NULL OR endpoint_id = $3)
				AND ($5::uuid[] IS NULL OR endpoint_id = ANY ($5))
			ORDER BY id DESC LIMIT $4
		) AS r ` + recoveryProgress + ` ORDER BY r.id DESC`

	insertRecovery = `
		INSERT INTO recoveries (id, tenant_id, endpoint_id, since, until, statuses, event_types, missed, rate, reason, matched, phase, position,
			page_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, uuid_floor($13::timestamptz), clock_timestamp(), $14)
		ON CONFLICT (endpoint_id) WHERE status = 'running' DO NOTHING`
)

type recoveryRow struct {
	webhook.Recovery
	StatusList pq.StringArray `db:"statuses"`
	Types      pq.StringArray `db:"event_types"`
	RateOrNull *int           `db:"rate"`
	Phase      phase          `db:"phase"`
	// Position is the last delivery, or event, that was looked at.
	Position       webhook.DeliveryID `db:"position"`
	DeliveredCount int64              `db:"delivered"`
	FailedCount    int64              `db:"failed"`
}

func (r *recoveryRow) recovery() *webhook.Recovery {
	out := r.Recovery
	out.Statuses = make([]webhook.Status, len(r.StatusList))
	for i, s := range r.StatusList {
		out.Statuses[i] = webhook.Status(s)
	}
	out.EventTypes, out.Rate, out.Delivered, out.Failed = r.Types, valueOf(r.RateOrNull), r.DeliveredCount, r.FailedCount
	return &out
}

// CreateRecovery implements store.Recoveries. What it counted may have changed when it is stored, so that Matched is what there
// was at the start.
func (s *Store) CreateRecovery(ctx context.Context, r *webhook.Recovery, once *store.Once) error {
	// A repetition gets the first answer whatever there is to be counted now.
	if err := s.LookOnce(ctx, once); err != nil {
		return err
	}
	count, err := s.CountRecovery(ctx, r)
	if err != nil {
		return err
	}
	if count.Matched > webhook.MaxRecovery {
		return webhook.NewInvalid("recovery", webhook.FieldError{Field: "since", Detail: matchesTooMuch(count.Matched)})
	}
	r.Matched, r.Status = count.Matched, webhook.RecoveryRunning
	return s.transactOnce(ctx, "create a recovery", once, func(tx *sqlx.Tx) error {
		e, err := s.findEndpoint(ctx, tx, r.TenantID, r.EndpointID, "FOR SHARE")
		if err != nil {
			return err
		}
		if e.DisabledAt != nil {
			return webhook.Errorf(webhook.CodeConflict, "the endpoint is disabled, so that nothing can be sent to it; enable it first")
		}
		done, err := tx.ExecContext(ctx, insertRecovery, recoveryArgs(r)...)
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		if err != nil {
			return err
		}
		if n == 1 {
			return s.audited(ctx, tx, r.TenantID, "recovery.created", r.ID.String(), nil, recoveryFields(r).all())
		}
		return alreadyRunning(ctx, tx, r.EndpointID)
	})
}

func recoveryArgs(r *webhook.Recovery) []any {
	first, statuses := phaseSettled, make(pq.StringArray, len(r.Statuses))
	for i, status := range r.Statuses {
		statuses[i] = string(status)
	}
	if len(statuses) == 0 {
		first = phaseMissed
	}
	var rate any
	if r.Rate > 0 {
		rate = r.Rate
	}
	types := append(pq.StringArray{}, r.EventTypes...)
	return []any{
		r.ID, r.TenantID, r.EndpointID, r.Since, r.Until, statuses, types, r.Missed, rate, cleanText(r.Reason), r.Matched, first,
		firstPosition(first, r.Since), r.CreatedAt,
	}
}

// firstPosition is the moment of the id that a phase begins after. The id of an event is the moment of its publication; the id of a
// delivery may be a little earlier or later.
func firstPosition(p phase, since time.Time) time.Time {
	if p == phaseMissed {
		return clampTime(since)
	}
	return clampTime(since.Add(-idSlack))
}

func alreadyRunning(ctx context.Context, tx *sqlx.Tx, endpoint webhook.EndpointID) error {
	var id webhook.RecoveryID
	err := tx.GetContext(ctx, &id, `SELECT id FROM recoveries WHERE endpoint_id = $1 AND status = 'running'`, endpoint)
	if missing(err) { // it has just ended
		return webhook.Errorf(webhook.CodeUnavailable, "another recovery of the endpoint has just ended; try again")
	}
	if err != nil {
		return err
	}
	return webhook.Errorf(webhook.CodeConflict, "the recovery %s of the endpoint is running; wait for its end, or cancel it", id)
}

// Recovery implements store.Recoveries.
func (s *Store) Recovery(ctx context.Context, tenant string, id webhook.RecoveryID) (*webhook.Recovery, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	r, err := findRecovery(ctx, s.db, tenant, id)
	return r, failed("find a recovery", err)
}

func findRecovery(ctx context.Context, q sqlx.QueryerContext, tenant string, id webhook.RecoveryID) (*webhook.Recovery, error) {
	var row recoveryRow
	if err := sqlx.GetContext(ctx, q, &row, selectRecovery, id, tenant); err != nil {
		return nil, orNotFound(err, "recovery", id.String())
	}
	return row.recovery(), nil
}

// Recoveries implements store.Recoveries.
func (s *Store) Recoveries(ctx context.Context, tenant string, f store.RecoveryFilter) ([]webhook.Recovery, error) {
	after, err := pageAfter[webhook.RecoveryID](f.Page)
	if err != nil {
		return nil, err
	}
	var among []webhook.EndpointID
	if f.Within != nil {
		if among, err = s.EndpointsWithin(ctx, tenant, f.Within); err != nil {
			return nil, err
		}
	}
	var before, of any
	if !after.IsZero() {
		before = after
	}
	if !f.EndpointID.IsZero() {
		of = f.EndpointID
	}
	var rows []recoveryRow
	if err := s.list(ctx, &rows, selectRecoveries, tenant, before, of, f.Page.Limit, optionalIDs(among)); err != nil {
		return nil, failed("list recoveries", err)
	}
	out := make([]webhook.Recovery, len(rows))
	for i := range rows {
		out[i] = *rows[i].recovery()
	}
	return out, nil
}
