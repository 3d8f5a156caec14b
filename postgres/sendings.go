package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/lib/pq"

	"waybill/store"
	"waybill/webhook"
)

// selectSendings is the one statement before each POST. It reads the current state and the versions of delivery, endpoint
// and tenant; everything else comes from the caches, under these versions. The deliveries are found first and only by their
// ids, because on a young partition the planner assumes that a tenant has only a few.
const selectSendings = `
	WITH d AS MATERIALIZED (
		SELECT asked.ordinality, asked.tenant_id AS asked_tenant_id, d.id, d.tenant_id, d.event_key, d.event_id, d.event_type, d.endpoint_id,
			d.status, d.attempts, d.next_attempt_at, d.reason, d.created_at, d.updated_at, d.test, d.test_secret, d.queue_due_at IS NOT NULL AS queued
		FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS asked (id, tenant_id, ordinality) JOIN deliveries d ON d.id = asked.id
	)
	SELECT d.ordinality, d.id, d.tenant_id, d.event_key, d.event_id, d.event_type, d.endpoint_id, d.status, d.attempts, d.next_attempt_at,
		d.reason, d.created_at, d.updated_at, d.test, d.test_secret, d.queued, t.version AS tenant_version, e.version AS endpoint_version,
		e.deleted_at IS NOT NULL AS deleted, e.disabled_at, e.disabled_reason
	FROM d JOIN endpoints e ON e.id = d.endpoint_id JOIN tenants t ON t.id = d.tenant_id
	WHERE d.tenant_id = d.asked_tenant_id`

// maxSendingBytes bounds the bodies that one run reads. The last of them may exceed it.
const maxSendingBytes = 4 << 20

// These read what is not in the caches.
const (
	// selectBodies reads bodies until their total reaches $2 bytes. Of the others it returns only that they exist.
	selectBodies = `
		WITH found AS MATERIALIZED (
			SELECT e.id, e.body, e.delivery_id_at, e.data_from, e.data_to, coalesce(e.traceparent, '') AS traceparent,
				sum(octet_length(e.body)) OVER (ORDER BY asked.ordinality) - octet_length(e.body) < $2::bigint AS fits
			FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (id, ordinality) JOIN events e ON e.id = asked.id AND e.erased_at IS NULL
		)
		SELECT id, fits, CASE WHEN fits THEN body END AS body, delivery_id_at, data_from, data_to, traceparent FROM found`

	selectSenders   = `SELECT ` + tenantColumns + `, ` + secretColumns + ` FROM tenants WHERE id = ANY ($1::text[])`
	selectReceivers = `
		SELECT ` + endpointColumns + `, ` + secretColumns + `, deleted_at IS NOT NULL AS deleted FROM endpoints WHERE id = ANY ($1::uuid[])`
)

type sendingRow struct {
	Ordinality int `db:"ordinality"` // position among the requested ones, from 1
	webhook.Delivery
	EventKey        webhook.EventKey `db:"event_key"`
	TenantID        string           `db:"tenant_id"`
	TenantVersion   int64            `db:"tenant_version"`
	EndpointVersion int64            `db:"endpoint_version"`
	Deleted         bool             `db:"deleted"`
	DisabledAt      *time.Time       `db:"disabled_at"`
	DisabledReason  string           `db:"disabled_reason"`
	TestSecret      *string          `db:"test_secret"`
}

// Sending implements store.Attempts. Concurrent calls share the reading.
func (s *Store) Sending(ctx context.Context, in store.Target) (*store.Sending, error) {
	return s.sendings.do(ctx, in)
}

func (s *Store) sendingGroup(ctx context.Context, in []store.Target) ([]result[*store.Sending], error) {
	ids, tenants := new(arrayBuilder), new(arrayBuilder)
	for _, t := range in {
		ids.addID(t.DeliveryID)
		tenants.addText(t.Tenant)
	}
	var rows []sendingRow
	if err := s.selectHot(ctx, &rows, selectSendings, ids, tenants); err != nil {
		return nil, failed("read what to send", err)
	}
	inputs, err := s.inputsOf(ctx, rows)
	if err != nil {
		return nil, failed("read what to send", err)
	}
	results := make([]result[*store.Sending], len(in))
	for i, t := range in {
		results[i].err = notFound("delivery", t.DeliveryID.String())
	}
	for i := range rows {
		r := result[*store.Sending]{again: inputs.later[rows[i].EventKey]}
		if !r.again {
			r.out, r.err = inputs.sending(&rows[i])
		}
		results[rows[i].Ordinality-1] = r
	}
	return results, nil
}

// sendingInputs are the rows that the sendings of one run are made of. A row that cannot be read is an error only for the
// sendings that need it.
type sendingInputs struct {
	bodies map[webhook.EventKey]sentEvent
	// later are the events whose bodies do not fit into this run.
	later     map[webhook.EventKey]bool
	senders   map[string]loaded[*sender]
	receivers map[webhook.EndpointID]loaded[*receiver]
}

type loaded[T any] struct {
	value T
	err   error
}

// inputsOf takes what it can from the caches and reads the rest, with at most one query for each kind.
func (s *Store) inputsOf(ctx context.Context, rows []sendingRow) (*sendingInputs, error) {
	p := &sendingInputs{map[webhook.EventKey]sentEvent{}, map[webhook.EventKey]bool{}, map[string]loaded[*sender]{}, map[webhook.EndpointID]loaded[*receiver]{}}
	var bodies []webhook.EventKey
	var senders []string
	var receivers []webhook.EndpointID
	for i := range rows {
		r := &rows[i]
		if body, ok := s.caches.bodies.GetIfPresent(r.EventKey); ok {
			p.bodies[r.EventKey] = body
		} else if !slices.Contains(bodies, r.EventKey) {
			bodies = append(bodies, r.EventKey)
		}
		if known, ok := s.caches.senders.GetIfPresent(r.TenantID); ok && known.tenant.Version == r.TenantVersion {
			p.senders[r.TenantID] = loaded[*sender]{value: known}
		} else {
			senders = append(senders, r.TenantID)
		}
		if known, ok := s.caches.receivers.GetIfPresent(receiverVersion{r.EndpointID, r.EndpointVersion}); ok {
			p.receivers[r.EndpointID] = loaded[*receiver]{value: known}
		} else {
			receivers = append(receivers, r.EndpointID)
		}
	}
	for _, load := range []func() error{
		func() error { return s.loadBodies(ctx, bodies, p) },
		func() error { return s.loadSenders(ctx, senders, p.senders) },
		func() error { return s.loadReceivers(ctx, receivers, p.receivers) },
	} {
		if err := load(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *sendingInputs) sending(row *sendingRow) (*store.Sending, error) {
	body, ok := p.bodies[row.EventKey]
	if !ok {
		return nil, notFound("event", row.EventID)
	}
	from, to := p.senders[row.TenantID], p.receivers[row.EndpointID]
	if (from.err != nil || to.err != nil) && row.Status.Settled() {
		return &store.Sending{Delivery: row.Delivery}, nil // or whoever canceled it because of that would wait for good
	}
	if from.err != nil {
		return nil, from.err
	}
	if to.err != nil {
		return nil, to.err
	}
	out := &store.Sending{Delivery: row.Delivery, Tenant: from.value.tenant, Body: body.body, Traceparent: body.traceparent}
	// The receiver was loaded after the row was read, so it may show that the endpoint was deleted or disabled since.
	if out.Deleted = row.Deleted || to.value.deleted; out.Deleted {
		return out, nil
	}
	out.Endpoint = to.value.endpoint
	if row.DisabledAt != nil && out.Endpoint.DisabledAt == nil && out.Endpoint.Version == row.EndpointVersion {
		// Only a manual statement disables without a new version. It still counts.
		e := *out.Endpoint
		e.DisabledAt, e.DisabledReason = row.DisabledAt, row.DisabledReason
		out.Endpoint = &e
	}
	out.Keys = to.value.signs(from.value)
	if row.TestSecret != nil {
		out.Keys = out.Keys.Only(webhook.SecretChoice(*row.TestSecret))
	}
	return out, nil
}

func (s *Store) loadBodies(ctx context.Context, keys []webhook.EventKey, into *sendingInputs) error {
	if len(keys) == 0 {
		return nil
	}
	var rows []struct {
		bodyRow
		Fits        bool                `db:"fits"`
		Traceparent webhook.Traceparent `db:"traceparent"`
	}
	err := s.selectHot(ctx, &rows, selectBodies, idsOf(keys), maxSendingBytes)
	for i := range rows {
		r := &rows[i]
		if !r.Fits {
			into.later[r.Key] = true
			continue
		}
		into.bodies[r.Key] = sentEvent{r.body(), r.Traceparent}
		s.caches.bodies.Set(r.Key, into.bodies[r.Key])
	}
	return err
}

func (s *Store) loadSenders(ctx context.Context, ids []string, into map[string]loaded[*sender]) error {
	if len(ids) == 0 {
		return nil
	}
	var rows []tenantRow
	err := s.selectHot(ctx, &rows, selectSenders, pq.StringArray(ids))
	for i := range rows {
		from, err := s.readSender(&rows[i])
		into[rows[i].ID] = loaded[*sender]{from, err}
		if err == nil {
			s.caches.senders.Set(rows[i].ID, from)
		}
	}
	return err
}

func (s *Store) readSender(r *tenantRow) (*sender, error) {
	t, err := r.tenant()
	if err != nil {
		return nil, err
	}
	keys, err := s.openKeys(&r.secretsRow, tenantSecrets(t.ID))
	return &sender{t, keys}, err
}

func (s *Store) loadReceivers(ctx context.Context, ids []webhook.EndpointID, into map[webhook.EndpointID]loaded[*receiver]) error {
	if len(ids) == 0 {
		return nil
	}
	var rows []endpointRow
	err := s.selectHot(ctx, &rows, selectReceivers, idsOf(ids))
	for i := range rows {
		to, err := s.readReceiver(&rows[i])
		into[rows[i].ID] = loaded[*receiver]{to, err}
		if err == nil {
			s.caches.receivers.Set(receiverVersion{rows[i].ID, rows[i].Version}, to)
		}
	}
	return err
}

func (s *Store) readReceiver(r *endpointRow) (*receiver, error) {
	e, err := s.readEndpoint(r)
	if err != nil {
		return nil, err
	}
	keys, err := s.openKeys(&r.secretsRow, endpointSecrets(e.ID))
	return &receiver{endpoint: e, deleted: r.Deleted, ownSecret: r.Sealed != nil, keys: keys}, err
}
