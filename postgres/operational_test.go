package postgres_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/schemas"
	"waybill/webhook"
)

// What is published of an endpoint's story fits the schemas that the operator's receivers are told.
func TestOperationalEvents_FitTheirSchemas(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.OperatorTenant = "ops" })
	b.tenant("ops")
	b.tenant("acme")
	e := b.endpoint("acme", func(e *webhook.Endpoint) { e.URL = "https://user@receiver.example:8443/path/secret?token=x#y" })
	rule := &webhook.AutoDisable{Failures: 4}
	for i := range 4 {
		r := record("acme", b.delivery().ID, 1, webhook.StatusExhausted)
		r.AutoDisable = rule
		if i == 3 { // no answer
			r.Attempt.StatusCode, r.Attempt.ErrorClass, r.Attempt.Error = 0, webhook.ErrorConnect, "connection refused"
		}
		b.record(r)
	}
	_, changed, err := b.DisableFailing(t.Context(), "acme", e.ID, rule, now())
	require.NoError(t, err)
	require.True(t, changed)
	enable := func() {
		_, changed, err := b.EnableEndpoint(t.Context(), "acme", e.ID, webhook.Change{By: "admin", At: now()})
		require.NoError(t, err)
		require.True(t, changed)
	}
	enable()
	_, _, err = b.DisableEndpoint(t.Context(), "acme", e.ID, webhook.Change{By: "key_0197122f3c4b7d1e8f00112233445566", Reason: "it moves", At: now()})
	require.NoError(t, err)
	enable()
	b.start(recovery(e.ID))
	b.advance(e.ID, 100)
	for _, id := range b.queued(e.ID) {
		b.attempted(id, webhook.StatusDelivered)
	}
	b.advance(e.ID, 100)

	require.Equal(t, map[string]int{
		"endpoint.failing": 1, "endpoint.disabled": 2, "endpoint.enabled": 2, "delivery.exhausted": 4, "recovery.completed": 1,
	}, b.fitting())
	require.Zero(t, b.count(`SELECT count(*) FROM outbox WHERE data::text ~ 'secret|token|user@' OR tenant_id <> 'ops'`))
}

// fitting counts the events in the outbox by type, once each fits its schema.
func (b *bundle) fitting() map[string]int {
	b.t.Helper()
	var types []webhook.EventType
	require.NoError(b.t, json.Unmarshal(schemas.Operational, &types))
	checks := map[string]*schemas.Schema{}
	for _, known := range types {
		checks[known.Type] = must(schemas.Compile(known.Type, known.Schema))
	}
	var rows []struct {
		Type string `db:"event_type"`
		Data []byte `db:"data"`
	}
	require.NoError(b.t, b.db.Select(&rows, `SELECT event_type, data FROM outbox ORDER BY position`))
	count := map[string]int{}
	for _, row := range rows {
		require.Contains(b.t, checks, row.Type)
		require.Empty(b.t, checks[row.Type].Check(row.Data), "%s %s", row.Type, row.Data)
		var about struct{ Since *time.Time }
		require.NoError(b.t, json.Unmarshal(row.Data, &about))
		count[row.Type]++
	}
	return count
}
