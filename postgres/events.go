package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

const selectEventDeliveries = `SELECT ` + deliveryColumns + ` FROM ` + storedDeliveries + ` WHERE stored.key = $1 AND tenant_id || '' = $2 ORDER BY id`

const selectProgress = `
	SELECT id, status, attempts, queue_due_at IS NOT NULL AS queued FROM ` + storedDeliveries + ` WHERE stored.key = $1 AND tenant_id || '' = $2`

const selectAttemptsOf = `
	SELECT delivery_id, ` + summaryColumns + ` FROM unnest($1::uuid[]) AS asked (id) JOIN deliveries d ON d.id = asked.id` + attemptsOfDeliveries + `
	ORDER BY delivery_id, number`

type bodyRow struct {
	Key          webhook.EventKey `db:"id"`
	Bytes        []byte           `db:"body"`
	DeliveryIDAt int              `db:"delivery_id_at"`
	DataFrom     int              `db:"data_from"`
	DataTo       int              `db:"data_to"`
}

func (r *bodyRow) body() webhook.Body {
	return webhook.Body{Bytes: r.Bytes, DeliveryIDAt: r.DeliveryIDAt, DataFrom: r.DataFrom, DataTo: r.DataTo}
}

// Event implements store.Events.
func (s *Store) Event(ctx context.Context, tenant, eventID string) (*store.StoredEvent, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	e, err := findEvent(ctx, s.db, tenant, eventID)
	return e, failed("find an event", err)
}

func findEvent(ctx context.Context, q sqlx.QueryerContext, tenant, eventID string) (*store.StoredEvent, error) {
	key, err := findEventKey(ctx, q, tenant, eventID)
	if err != nil {
		return nil, err
	}
	var row eventRow
	err = sqlx.GetContext(ctx, q, &row, `
		SELECT `+eventColumns+`, body, delivery_id_at, data_from, data_to
		FROM events WHERE id = $1 AND tenant_id = $2 AND event_id = $3`, key, tenant, eventID)
	if err != nil {
		return nil, orNotFound(err, "event", eventID)
	}
	return row.event()
}

const eventColumns = `id, tenant_id, event_id, event_type, occurred_at, created_at, attributes, metadata, test, erased_at`

type eventRow struct {
	bodyRow
	TenantID   string     `db:"tenant_id"`
	EventID    string     `db:"event_id"`
	EventType  string     `db:"event_type"`
	OccurredAt time.Time  `db:"occurred_at"`
	CreatedAt  time.Time  `db:"created_at"`
	Attributes []byte     `db:"attributes"`
	Metadata   []byte     `db:"metadata"`
	Test       bool       `db:"test"`
	ErasedAt   *time.Time `db:"erased_at"`
}

// event returns the row's event, without data where its body was not read.
func (r *eventRow) event() (e *store.StoredEvent, err error) {
	e = &store.StoredEvent{Body: r.body(), CreatedAt: r.CreatedAt, ErasedAt: r.ErasedAt}
	e.Event = webhook.Event{
		Key: r.Key, TenantID: r.TenantID, ID: r.EventID, Type: r.EventType, OccurredAt: r.OccurredAt, Test: r.Test, Data: e.Body.Data(),
	}
	if e.Attributes, err = readStrings(r.Attributes); err != nil {
		return nil, fmt.Errorf("read the attributes of %s: %w", r.Key, err)
	}
	if e.Metadata, err = readStrings(r.Metadata); err != nil {
		return nil, fmt.Errorf("read the metadata of %s: %w", r.Key, err)
	}
	return e, nil
}

// readStrings reads what arrayBuilder.addStrings wrote.
func readStrings(stored []byte) (values map[string]string, err error) {
	if stored != nil {
		err = json.Unmarshal(stored, &values)
	}
	return values, err
}

// findEventKey returns where the event with this id is stored, if it is. Ids that callers chose are looked up first,
// because they may look like generated ones.
func findEventKey(ctx context.Context, q sqlx.QueryerContext, tenant, eventID string) (webhook.EventKey, error) {
	var key webhook.EventKey
	err := sqlx.GetContext(ctx, q, &key, `SELECT event_key FROM event_keys WHERE tenant_id = $1 AND event_id = $2`, tenant, eventID)
	if generated, ok := generatedKey(eventID); ok && missing(err) {
		return generated, nil
	}
	return key, orNotFound(err, "event", eventID)
}

// Progress implements store.Events.
func (s *Store) Progress(ctx context.Context, tenant, eventID string) ([]store.Progress, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	key, err := findEventKey(ctx, s.db, tenant, eventID)
	if err != nil {
		return nil, failed("find an event", err)
	}
	out, err := hotRows[store.Progress](ctx, s, selectProgress, key, tenant)
	return out, failed("read the progress of an event", err)
}

// History implements store.Events.
func (s *Store) History(ctx context.Context, tenant, eventID string) (*webhook.History, error) {
	var h *webhook.History
	err := s.transactHot(ctx, "read a history", historyQueries, func(tx hotTx) (err error) {
		h, err = readHistory(ctx, tx, tenant, eventID)
		return err
	})
	return h, err
}

// historyQueries are those of readHistory.
var historyQueries = []string{selectEventDeliveries, selectAttemptsOf}

func readHistory(ctx context.Context, tx hotTx, tenant, eventID string) (*webhook.History, error) {
	e, err := findEvent(ctx, tx, tenant, eventID)
	if err != nil {
		return nil, err
	}
	var deliveries []deliveryRow
	err = tx.selectHot(ctx, &deliveries, selectEventDeliveries, e.Key, tenant)
	if err != nil {
		return nil, err
	}
	h := &webhook.History{EventID: eventID}
	ids := make([]webhook.DeliveryID, len(deliveries))
	at := make(map[webhook.DeliveryID]int, len(deliveries))
	for i, d := range deliveries {
		ids[i], at[d.ID] = d.ID, i
		h.Deliveries = append(h.Deliveries, webhook.DeliveryHistory{
			ID: d.ID, EndpointID: d.EndpointID, Status: d.Status, Reason: d.Reason, NextAttemptAt: d.NextAttemptAt,
		})
	}
	var attempts []struct {
		DeliveryID webhook.DeliveryID `db:"delivery_id"`
		webhook.AttemptSummary
	}
	err = tx.selectHot(ctx, &attempts, selectAttemptsOf, idsOf(ids))
	if err != nil {
		return nil, err
	}
	for _, a := range attempts {
		d := &h.Deliveries[at[a.DeliveryID]]
		d.Attempts = append(d.Attempts, a.AttemptSummary)
	}
	return h, nil
}
