package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

const (
	eraseEvent = `UPDATE events SET ` + setErased + ` WHERE id = $1 AND tenant_id = $2 AND event_id = $3 RETURNING id`

	// forgetDigest keeps the id taken: what is published under it again is another event, which is refused.
	forgetDigest = `UPDATE event_keys SET digest = '' WHERE tenant_id = $1 AND event_id = $2`

	// cancelErased cancels what is unsettled of an event, in the order of the ids, as everybody locks them. Like eraseAnswers it looks into
	// every month, so that it misses nothing whatever a clock said.
	cancelErased = `
		WITH locked AS MATERIALIZED (
			SELECT id FROM deliveries WHERE event_key = $2 AND status || '' IN ('pending', 'retrying', 'held') ORDER BY id FOR UPDATE
		), canceled AS (
			UPDATE deliveries d SET status = 'canceled', indexed_status = 'canceled', reason = 'the event was erased', held_at = NULL,
				next_attempt_at = NULL, queue_due_at = NULL, queue_lease = NULL, asked = false, updated_at = $3
			FROM locked WHERE d.id = locked.id RETURNING d.*
		), counted AS (` + countCanceled + `)
		SELECT count(*) FROM canceled`

	rememberErased = `
		INSERT INTO erased_events (event_key, erased_at) VALUES ($1, clock_timestamp())
		ON CONFLICT (event_key) DO UPDATE SET erased_at = excluded.erased_at`

	// eraseAnswers erases what was sent and answered in $2 of an event's attempts.
	eraseAnswers = `
		WITH page AS MATERIALIZED (
			SELECT a.id FROM deliveries d JOIN attempts a ON a.delivery_id = d.id
			WHERE d.event_key = $1 AND (a.response_body <> '' OR a.request_headers::text <> '{}' OR a.response_headers::text <> '{}') LIMIT $2
		), erased AS (
			UPDATE attempts a SET ` + setUnanswered + ` FROM page WHERE a.id = page.id RETURNING 1
		)
		SELECT count(*) FROM erased`

	selectErasedEvents = `
		SELECT event_key, erased_at < clock_timestamp() - $1::bigint * interval '1 millisecond' AS old FROM erased_events ORDER BY erased_at LIMIT $2`
)

// EraseEvent implements store.Erasures. The first transaction erases the event; what was answered goes in pages, and the upkeep goes
// on with them where this call cannot.
func (s *Store) EraseEvent(ctx context.Context, tenant, eventID string, at time.Time) (*store.ErasedEvent, error) {
	var key webhook.EventKey
	out := new(store.ErasedEvent)
	err := s.writers.use(func(writer int) error {
		return s.transact(ctx, "erase an event", func(tx *sqlx.Tx) (err error) {
			if key, err = findEventKey(ctx, tx, tenant, eventID); err != nil {
				return err
			}
			if err := s.eraseStored(ctx, tx, writer, tenant, eventID, key, at, out); err != nil {
				return err
			}
			return s.audited(ctx, tx, tenant, "event.erased", eventID, nil, map[string]int{"canceled": out.Canceled})
		})
	})
	if err != nil {
		return nil, err
	}
	s.caches.bodies.Invalidate(key)
	if err := s.eraseAnswers(ctx, key); err != nil && !unavailable(err) {
		return nil, failed("erase an event's answers", err)
	}
	return out, nil
}

func (s *Store) eraseStored(ctx context.Context, tx *sqlx.Tx, writer int, tenant, eventID string, key webhook.EventKey, at time.Time, out *store.ErasedEvent) error {
	var erased webhook.EventKey
	if err := tx.GetContext(ctx, &erased, eraseEvent, key, tenant, eventID); err != nil {
		return orNotFound(err, "event", eventID)
	}
	if _, err := tx.ExecContext(ctx, forgetDigest, tenant, eventID); err != nil {
		return err
	}
	if err := tx.GetContext(ctx, &out.Canceled, cancelErased, writer, key, at); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, rememberErased, key)
	return err
}

// eraseAnswers erases what was sent and answered in an event's attempts.
func (s *Store) eraseAnswers(ctx context.Context, key webhook.EventKey) error {
	for {
		var erased int
		if err := s.get(ctx, &erased, eraseAnswers, key, retainPage); err != nil || erased < retainPage {
			return err
		}
	}
}

// FinishErasedEvents implements store.Erasures.
func (s *Store) FinishErasedEvents(ctx context.Context, after time.Duration, limit int) (more bool, err error) {
	var events []struct {
		Key webhook.EventKey `db:"event_key"`
		Old bool             `db:"old"`
	}
	if err := s.list(ctx, &events, selectErasedEvents, after.Milliseconds(), limit); err != nil {
		return false, failed("list erased events", err)
	}
	var forget []webhook.EventKey
	for _, e := range events {
		if err := s.eraseAnswers(ctx, e.Key); err != nil {
			return false, failed("erase an event's answers", err)
		}
		if e.Old {
			forget = append(forget, e.Key)
		}
	}
	if len(forget) > 0 {
		err = s.exec(ctx, `DELETE FROM erased_events WHERE event_key = ANY ($1::uuid[])`, idsOf(forget))
	}
	return len(forget) == limit, failed("forget erased events", err)
}
