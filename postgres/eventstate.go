package postgres

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

const (
	// selectOwners returns what is held or queued of an event. Its columns are read only for the event's deliveries.
	selectOwners = `
		SELECT id, held_at, queue_due_at IS NOT NULL AS queued FROM ` + storedDeliveries + `
		WHERE stored.key = $1 AND (held_at IS NOT NULL OR queue_due_at IS NOT NULL)`

	selectUnknownEvents = `
		SELECT asked.tenant_id, asked.event_id FROM unnest($1::text[], $2::text[], $3::uuid[]) AS asked (tenant_id, event_id, generated)
		WHERE NOT EXISTS (
				SELECT FROM event_keys k JOIN events e ON e.id = k.event_key WHERE k.tenant_id = asked.tenant_id AND k.event_id = asked.event_id)
			AND NOT EXISTS (
				SELECT FROM events e WHERE e.id = asked.generated AND e.tenant_id || '' = asked.tenant_id AND e.event_id = asked.event_id)`
)

// EventState implements store.Reconciliation.
func (s *Store) EventState(ctx context.Context, key webhook.EventKey) (*store.EventState, error) {
	var out *store.EventState
	err := s.transactHot(ctx, "read the state of an event", append([]string{selectDispatches, selectDispatchDeliveries, selectOwners}, historyQueries...), func(tx hotTx) error {
		keys := []webhook.EventKey{key}
		deliveries, err := readDeliveriesOf(ctx, tx, keys, nil)
		if err != nil {
			return err
		}
		events, err := readDispatches(ctx, tx, keys, deliveries)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return notFound("event", key.String())
		}
		if events[0].Fault != nil {
			return events[0].Fault
		}
		h, err := readHistory(ctx, tx, events[0].TenantID, events[0].EventID)
		if err != nil {
			return err
		}
		var waiting []struct {
			ID     webhook.DeliveryID `db:"id"`
			HeldAt *time.Time         `db:"held_at"`
			Queued bool               `db:"queued"`
		}
		if err := tx.selectHot(ctx, &waiting, selectOwners, key); err != nil {
			return err
		}
		out = &store.EventState{
			Dispatch: events[0], Log: h.Deliveries, HeldAt: map[webhook.DeliveryID]time.Time{}, Queued: map[webhook.DeliveryID]bool{},
		}
		for _, d := range waiting {
			if d.Queued {
				out.Queued[d.ID] = true
			} else {
				out.HeldAt[d.ID] = *d.HeldAt
			}
		}
		return nil
	})
	return out, err
}

// UnknownEvents implements store.Reconciliation.
func (s *Store) UnknownEvents(ctx context.Context, events []store.EventRef) ([]store.EventRef, error) {
	tenants, ids, generated := new(arrayBuilder), new(arrayBuilder), new(arrayBuilder)
	for _, e := range events {
		tenants.addText(cleanText(e.TenantID))
		ids.addText(cleanText(e.EventID))
		if key, ok := generatedKey(e.EventID); ok {
			generated.addID(key)
		} else {
			generated.addNull()
		}
	}
	var unknown []store.EventRef
	err := s.list(ctx, &unknown, selectUnknownEvents, tenants, ids, generated)
	return unknown, failed("find unknown events", err)
}
