package postgres

import (
	"context"
	"slices"
	"time"

	"waybill/store"
	"waybill/webhook"
)

const (
	newEventRows = `
		INSERT INTO events (id, tenant_id, event_id, event_type, occurred_at, created_at, attributes, metadata, test, body,
			delivery_id_at, data_from, data_to, traceparent)
		SELECT id, tenant_id, event_id, event_type, occurred_at, created_at, attributes::json, metadata::json, test, body,
			delivery_id_at, data_from, data_to, traceparent
		FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::text[], $8::text[],
			$9::boolean[], $10::bytea[], $11::integer[], $12::integer[], $13::integer[], $14::text[])
			AS e (id, tenant_id, event_id, event_type, occurred_at, created_at, attributes, metadata, test, body, delivery_id_at, data_from,
				data_to, traceparent)`

	newDeliveryRows = `
		INSERT INTO deliveries (id, tenant_id, event_key, event_id, event_type, endpoint_id, created_at, updated_at, test)
		SELECT id, tenant_id, event_key, event_id, event_type, endpoint_id, created_at, created_at, test
		FROM unnest($15::uuid[], $16::text[], $17::uuid[], $18::text[], $19::text[], $20::uuid[], $21::timestamptz[], $22::boolean[])
			AS d (id, tenant_id, event_key, event_id, event_type, endpoint_id, created_at, test)`

	newDispatchRows = `
		INSERT INTO dispatches (event_key, tenant_id, lease_until)
		SELECT event_key, tenant_id, clock_timestamp() + lease * interval '1 millisecond'
		FROM unnest($23::uuid[], $24::text[], $25::bigint[]) AS s (event_key, tenant_id, lease)`

	// insertEvents stores events, deliveries and dispatches in one round trip.
	insertEvents = `
		WITH stored_events AS (` + newEventRows + `), stored_deliveries AS (` + newDeliveryRows + `)` + newDispatchRows

	// insertEventsAtOnce does the same where the tenants $26 have the versions $27, and tells whether they have.
	insertEventsAtOnce = `
		WITH current AS MATERIALIZED (
			SELECT count(*) = cardinality($26::text[]) AS all_of_them FROM unnest($26::text[], $27::bigint[]) AS known (id, version)
			JOIN tenants t ON t.id = known.id AND t.version = known.version AND t.erased_at IS NULL
		),
		stored_events AS (` + newEventRows + ifCurrent + `), stored_deliveries AS (` + newDeliveryRows + ifCurrent + `),
		stored_dispatches AS (` + newDispatchRows + ifCurrent + `)
		SELECT all_of_them FROM current`

	ifCurrent = ` WHERE (SELECT all_of_them FROM current)`
)

// write stores the publications whose ids are free.
func (a *acceptance) write(ctx context.Context) error {
	if len(a.stored) == 0 {
		return nil
	}
	if err := a.tx.execHot(ctx, insertEvents, a.rows()...); err != nil {
		return err
	}
	return a.writeTests(ctx)
}

// rows returns the rows of the publications that are stored, and fills in their receipts. An event without recipients needs no workflow.
func (a *acceptance) rows() []any {
	var events newEvents
	var deliveries newDeliveries
	var starts newDispatches
	for _, i := range a.stored {
		p := a.in[i]
		events.add(p)
		dispatch, others := a.dispatch(p)
		deliveries.add(p, dispatch.Deliveries)
		a.results[i].out = receiptOf(dispatch, others)
		if len(dispatch.Deliveries) == 0 {
			continue
		}
		lease := a.store.opts.Lease
		if a.store.opts.Leave(&dispatch) {
			lease = 0
		} else {
			a.dispatches = append(a.dispatches, dispatch)
		}
		starts.add(&dispatch, lease)
	}
	return slices.Concat(events.args(), deliveries.args(), starts.args())
}

const setTestSecret = `UPDATE deliveries d SET test_secret = $2 FROM (SELECT id FROM ` + storedDeliveries + ` WHERE stored.key = $1) AS made WHERE d.id = made.id`

// writeTests stores what only tests have, with statements of their own: which secret signs, and who asked.
func (a *acceptance) writeTests(ctx context.Context) error {
	for _, i := range a.stored {
		p := a.in[i]
		if p.TestSecret != "" {
			if _, err := a.tx.ExecContext(ctx, setTestSecret, p.Event.Key, string(p.TestSecret)); err != nil {
				return err
			}
		}
		if p.Audit != nil {
			if err := a.store.writeAudit(ctx, a.tx.Tx, p.Audit); err != nil {
				return err
			}
		}
	}
	return nil
}

// dispatch gives the publication a delivery for each recipient, and counts the other endpoints. The deliveries' ids
// increase in the order of the recipients.
func (a *acceptance) dispatch(p *webhook.Publication) (store.Dispatch, webhook.RuledOut) {
	t := a.tenants[p.Event.TenantID]
	d := store.Dispatch{
		EventKey: p.Event.Key, TenantID: p.Event.TenantID, EventID: p.Event.ID, EventType: p.Event.Type,
		Dialect: t.tenant.Dialect, Retry: t.tenant.Retry, Express: t.tenant.Express, Traceparent: p.Traceparent,
	}
	recipients, others := p.Recipients(t.endpoints)
	for _, to := range recipients {
		d.Deliveries = append(d.Deliveries, store.DispatchDelivery{
			ID: webhook.NewID[webhook.DeliveryID](a.store.opts.NewUUID()), EndpointID: to, Retry: t.retries[to],
		})
	}
	return d, others
}

func receiptOf(d store.Dispatch, others webhook.RuledOut) *webhook.Receipt {
	var deliveries []webhook.ReceiptDelivery
	for _, delivery := range d.Deliveries {
		deliveries = append(deliveries, webhook.ReceiptDelivery{ID: delivery.ID, EndpointID: delivery.EndpointID})
	}
	return webhook.NewReceipt(d.EventID, deliveries, others)
}

type newEvents struct {
	id, tenant, eventID, eventType, occurred, created, attributes, metadata, test, body, deliveryIDAt, dataFrom, dataTo, traceparent arrayBuilder
}

func (c *newEvents) add(p *webhook.Publication) {
	c.id.addID(p.Event.Key)
	c.tenant.addText(p.Event.TenantID)
	c.eventID.addText(p.Event.ID)
	c.eventType.addText(p.Event.Type)
	c.occurred.addTime(p.Event.OccurredAt)
	c.created.addTime(p.CreatedAt)
	c.attributes.addStrings(p.Event.Attributes)
	c.metadata.addStrings(p.Event.Metadata)
	c.test.addBool(p.Event.Test)
	c.body.addBytes(p.Body.Bytes)
	c.deliveryIDAt.addInt(int64(p.Body.DeliveryIDAt))
	c.dataFrom.addInt(int64(p.Body.DataFrom))
	c.dataTo.addInt(int64(p.Body.DataTo))
	if p.Traceparent == "" {
		c.traceparent.addNull()
	} else {
		c.traceparent.addText(string(p.Traceparent))
	}
}

func (c *newEvents) args() []any {
	return []any{
		&c.id, &c.tenant, &c.eventID, &c.eventType, &c.occurred, &c.created, &c.attributes, &c.metadata, &c.test, &c.body,
		&c.deliveryIDAt, &c.dataFrom, &c.dataTo, &c.traceparent,
	}
}

type newDeliveries struct {
	id, tenant, eventKey, eventID, eventType, endpoint, created, test arrayBuilder
}

func (c *newDeliveries) add(p *webhook.Publication, deliveries []store.DispatchDelivery) {
	for _, d := range deliveries {
		c.id.addID(d.ID)
		c.tenant.addText(p.Event.TenantID)
		c.eventKey.addID(p.Event.Key)
		c.eventID.addText(p.Event.ID)
		c.eventType.addText(p.Event.Type)
		c.endpoint.addID(d.EndpointID)
		c.created.addTime(p.CreatedAt)
		c.test.addBool(p.Event.Test)
	}
}

func (c *newDeliveries) args() []any {
	return []any{&c.id, &c.tenant, &c.eventKey, &c.eventID, &c.eventType, &c.endpoint, &c.created, &c.test}
}

type newDispatches struct{ eventKey, tenant, lease arrayBuilder }

func (c *newDispatches) add(d *store.Dispatch, lease time.Duration) {
	c.eventKey.addID(d.EventKey)
	c.tenant.addText(d.TenantID)
	c.lease.addInt(lease.Milliseconds())
}

func (c *newDispatches) args() []any { return []any{&c.eventKey, &c.tenant, &c.lease} }
