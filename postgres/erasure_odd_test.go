package postgres_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

// erase erases a tenant to the end, as if nothing could be under way any more.
func (b *bundle) erase(id string) {
	b.t.Helper()
	_, err := b.BeginErasure(b.t.Context(), id, now())
	require.NoError(b.t, err)
	b.exec(`UPDATE tenants SET erased_at = erased_at - interval '3 minutes' WHERE id = $1`, id)
	for done := false; !done; {
		step, err := b.EraseTenantStep(b.t.Context(), id, 100)
		require.NoError(b.t, err)
		done = step.Done
	}
}

// A row that somebody has locked is waited for: the erasure does not end without it.
func TestEraseTenant_LockedRows(t *testing.T) {
	t.Parallel()
	const secret = "janecanary"
	for _, table := range []string{"idempotency_keys", "event_types", "outbox_quarantine", "audit"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.tenant(secret)
			b.everything(secret)
			tx, err := b.db.BeginTxx(t.Context(), nil)
			require.NoError(t, err)
			defer tx.Rollback()
			_, err = tx.ExecContext(t.Context(), `SELECT FROM `+table+` FOR UPDATE`)
			require.NoError(t, err)
			released := make(chan error, 1)
			go func() { // once the erasure waits for it
				for {
					var waits bool
					err := b.db.Get(&waits, `SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted
						AND a.query LIKE 'DELETE FROM ' || $1 || ' %' AND a.pid <> pg_backend_pid())`, table)
					if waits || err != nil || t.Context().Err() != nil {
						released <- errors.Join(err, tx.Rollback())
						return
					}
				}
			}()
			b.erase(secret)
			require.NoError(t, <-released)
			require.Equal(t, []string{"audit", "erasures"}, b.holding(secret))
		})
	}
}

// What an application publishes with SQL in a transaction that is older than the erasure comes when nothing is left of the tenant, and is
// not kept for people. Rows of a tenant that never was are.
func TestEraseTenant_LateOutbox(t *testing.T) {
	t.Parallel()
	const secret = "janecanary"
	b := setup(t)
	b.tenant(secret)
	b.everything(secret)
	tx, err := b.db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	_, err = tx.ExecContext(t.Context(), `SELECT publish($1::text, 'a.b', to_json($1::text))`, secret)
	require.NoError(t, err)
	b.erase(secret)
	require.NoError(t, tx.Commit())
	require.Contains(t, b.holding(secret), "outbox")
	b.call(`'nobody', 'a.b', '1'`)
	b.drain()
	require.Equal(t, []string{"audit", "erasures"}, b.holding(secret))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM outbox_quarantine`))

	b.tenant(secret) // and of one that came after it, too
	b.call(`'` + secret + `', 'no type', '1'`)
	b.drain()
	require.Equal(t, 2, b.count(`SELECT count(*) FROM outbox_quarantine`))
}

// Of the operator's events only the operational ones tell of other tenants, and one that the database cannot unescape stops no erasure.
func TestEraseTenant_OperatorsEvents(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.OperatorTenant = "ops" })
	b.tenant("ops")
	b.tenant("acme")
	for id, e := range map[string]struct{ eventType, data string }{
		"odd":     {webhook.TypeEndpointDisabled, `{"tenant":"other","note":"\u0000 \ud800"}`},
		"scalar":  {webhook.TypeEndpointDisabled, `["acme"]`},
		"number":  {webhook.TypeEndpointDisabled, `{"tenant":7,"note":"acme"}`},
		"own":     {"order.confirmed", `{"tenant":"acme"}`},
		"another": {webhook.TypeEndpointDisabled, `{"tenant":"acmes"}`},
		"told":    {webhook.TypeEndpointDisabled, `{"tenant":"acme","note":"\u0000"}`},
	} {
		b.publish(publication("ops", id, func(p *webhook.Event) { p.Type, p.Data = e.eventType, json.RawMessage(e.data) }))
	}
	b.erase("acme")
	var erased []string
	require.NoError(t, b.db.Select(&erased, `SELECT event_id FROM events WHERE erased_at IS NOT NULL`))
	require.Equal(t, []string{"told"}, erased)
}

// A tenant whose bodies cannot be erased now keeps nobody else's.
func TestRetain_BodiesOfOthers(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.Timeout = time.Second })
	hour := webhook.Duration(time.Hour)
	for _, id := range []string{"acme", "best"} {
		b.tenant(id)
		_, err := b.UpdateTenant(t.Context(), id, func(t *webhook.Tenant) error { t.Retention = &hour; return nil })
		require.NoError(t, err)
		b.exec(`INSERT INTO events (id, tenant_id, event_id, event_type, occurred_at, created_at, body, delivery_id_at, data_from, data_to, test)
			SELECT uuid_floor(now() - interval '2 hours'), $1, 'e', 'a.b', now(), now(), 'body', -1, 0, 0, false`, id)
	}
	tx, err := b.db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	_, err = tx.ExecContext(t.Context(), `SELECT FROM events WHERE tenant_id = 'acme' FOR UPDATE`)
	require.NoError(t, err)
	_, err = b.Retain(t.Context(), store.RetentionRule{Keep: 2400 * time.Hour, Audit: 2400 * time.Hour})
	require.ErrorContains(t, err, "acme")
	require.Equal(t, 1, b.count(`SELECT count(*) FROM events WHERE tenant_id = 'best' AND erased_at IS NOT NULL`))
	require.Zero(t, b.count(`SELECT count(*) FROM events WHERE tenant_id = 'acme' AND erased_at IS NOT NULL`))
}
