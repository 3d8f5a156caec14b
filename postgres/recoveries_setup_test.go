package postgres_test

import (
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// recovery returns one of the last hour of the tenant acme, as the API would store it.
func recovery(endpoint webhook.EndpointID, change ...func(*webhook.Recovery)) *webhook.Recovery {
	at := now()
	r := &webhook.Recovery{
		ID: webhook.NewID[webhook.RecoveryID](uuid.Must(uuid.NewV7())), TenantID: "acme", EndpointID: endpoint, Since: at.Add(-time.Hour),
		CreatedAt: at,
	}
	for _, c := range change {
		c(r)
	}
	r.SetDefaults(at, webhook.DefaultRetention)
	return r
}

func missedToo(r *webhook.Recovery) { r.Missed = true }

// unsent publishes an event to an endpoint and settles its delivery with a status, after an attempt unless it is canceled.
func (b *bundle) unsent(endpoint webhook.EndpointID, status webhook.Status, change ...func(*webhook.Event)) webhook.DeliveryID {
	b.t.Helper()
	p := publication("acme", "", change...)
	p.Only = endpoint
	d := b.publish(p).Deliveries[0]
	if status == webhook.StatusCanceled {
		_, err := b.CancelDelivery(b.t.Context(), "acme", d.ID, "given up", now())
		require.NoError(b.t, err)
		return d.ID
	}
	b.record(record("acme", d.ID, 1, status))
	return d.ID
}

func ofType(eventType string) func(*webhook.Event) {
	return func(e *webhook.Event) { e.Type = eventType }
}

// start creates a recovery and returns it.
func (b *bundle) start(r *webhook.Recovery) *webhook.Recovery {
	b.t.Helper()
	require.NoError(b.t, b.CreateRecovery(b.t.Context(), r, nil))
	return r
}

// advance makes steps until the recovery has put everything into the queue, or limit once.
func (b *bundle) advance(endpoint webhook.EndpointID, limit int) (sent int) {
	b.t.Helper()
	for {
		n, next, err := b.AdvanceRecovery(b.t.Context(), "acme", endpoint, limit)
		require.NoError(b.t, err)
		if sent += n; next != 0 {
			return sent
		}
	}
}

func (b *bundle) find(id webhook.DeliveryID) *webhook.Delivery {
	b.t.Helper()
	d, err := b.Delivery(b.t.Context(), "acme", id)
	require.NoError(b.t, err)
	return d
}

func (b *bundle) findRecovery(id webhook.RecoveryID) *webhook.Recovery {
	b.t.Helper()
	r, err := b.Recovery(b.t.Context(), "acme", id)
	require.NoError(b.t, err)
	return r
}

// queued returns the deliveries in the queue of an endpoint in the order in which they are due.
func (b *bundle) queued(endpoint webhook.EndpointID) (ids []webhook.DeliveryID) {
	b.t.Helper()
	require.NoError(b.t, b.db.Select(&ids, `SELECT id FROM deliveries WHERE endpoint_id = $1 AND queue_due_at IS NOT NULL ORDER BY queue_due_at, id`, endpoint))
	return ids
}

// attempted records an attempt that the queue made.
func (b *bundle) attempted(id webhook.DeliveryID, status webhook.Status) {
	b.t.Helper()
	r := record("acme", id, b.find(id).Attempts+1, status)
	r.Queued = true
	require.Equal(b.t, status, b.record(r).Status)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// fillUnsent gives the tenant acme n events of the last minutes with a delivery each to an endpoint; status is SQL over n.
func (b *bundle) fillUnsent(endpoint webhook.EndpointID, n int, status string) {
	b.t.Helper()
	b.exec(`
		WITH made AS (
			SELECT n, now() - n * interval '1 ms' AS at,
				(left(uuid_floor(now() - n * interval '1 ms')::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid AS id
			FROM generate_series(1, $2) AS n
		), stored AS (
			INSERT INTO events (id, tenant_id, event_id, event_type, occurred_at, created_at, body, delivery_id_at, data_from, data_to)
			SELECT id, 'acme', id::text, 'order.confirmed', at, at, '{}', -1, 0, 2 FROM made
		)
		INSERT INTO deliveries (id, tenant_id, event_key, event_id, event_type, endpoint_id, attempts, created_at, updated_at, status,
			indexed_status)
		SELECT id, 'acme', id, id::text, CASE n % 3 WHEN 0 THEN 'item.sold' ELSE 'order.confirmed' END, $1, 1, at, at, `+status+`,
			nullif(`+status+`, 'delivered') FROM made`, endpoint, n)
}
