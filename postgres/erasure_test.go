package postgres_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

// answered publishes an event that says secret, to one endpoint, which answers the same.
func (b *bundle) answered(tenant, id, secret string, status webhook.Status) webhook.DeliveryID {
	b.t.Helper()
	d := b.publish(publication(tenant, id, func(e *webhook.Event) {
		e.Data, _ = json.Marshal(map[string]string{"name": secret})
		e.Attributes, e.Metadata = map[string]string{"who": secret}, map[string]string{"who": secret}
	})).Deliveries[0]
	b.record(answer(tenant, d.ID, 1, secret, status))
	return d.ID
}

func answer(tenant string, d webhook.DeliveryID, number int, secret string, status webhook.Status) *store.Record {
	r := record(tenant, d, number, status)
	r.Attempt.RequestHeaders = map[string]string{"X-Who": secret}
	r.Attempt.ResponseHeaders, r.Attempt.ResponseBody = map[string]string{"X-Who": secret}, []byte(secret)
	return r
}

// holding returns the tables that have a text anywhere, as pg_dump would write it.
func (b *bundle) holding(text string) (tables []string) {
	b.t.Helper()
	var all []string
	require.NoError(b.t, b.db.Select(&all, `SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r' ORDER BY 1`,
		pq.QuoteIdentifier(b.Schema())))
	for _, table := range all {
		row := `t::text`
		// Bytes are written in hexadecimal.
		n := b.count(`SELECT count(*) FROM `+pq.QuoteIdentifier(table)+` AS t WHERE `+row+` LIKE '%' || $1 || '%'
			OR `+row+` LIKE '%' || encode($1::bytea, 'hex') || '%'`, text)
		if n > 0 {
			tables = append(tables, table)
		}
	}
	return tables
}

// Of an erased event nothing is left that it said or that was answered; its ids stay, it is sent to nobody, and its id stays taken.
func TestEraseEvent(t *testing.T) {
	t.Parallel()
	const secret = "Jane Canary"
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	settled := b.answered("acme", "e1", secret, webhook.StatusDelivered)
	open := b.answered("acme", "e2", secret, webhook.StatusRetrying)
	b.answered("acme", "e3", "other", webhook.StatusDelivered)
	require.NotEmpty(t, b.holding(secret))
	for id, canceled := range map[string]int{"e1": 0, "e2": 1} {
		out, err := b.EraseEvent(t.Context(), "acme", id, now())
		require.NoError(t, err)
		require.Equal(t, canceled, out.Canceled)
	}
	_, err := b.EraseEvent(t.Context(), "acme", "none", now())
	requireCode(t, webhook.CodeNotFound, err)
	_, err = b.EraseEvent(t.Context(), "other", "e1", now())
	requireCode(t, webhook.CodeNotFound, err)
	require.Empty(t, b.holding(secret))
	require.NotEmpty(t, b.holding("other"))
	require.Equal(t, webhook.StatusDelivered, b.find(settled).Status)
	require.Equal(t, webhook.StatusCanceled, b.find(open).Status)

	stored, err := b.Event(t.Context(), "acme", "e1")
	require.NoError(t, err)
	require.NotNil(t, stored.ErasedAt)
	require.Empty(t, stored.Data)
	postgres.ForgetBodies(b.Store)
	for _, id := range []webhook.DeliveryID{settled, open} {
		_, err = b.ReopenDelivery(t.Context(), "acme", id, webhook.StatusDelivered, now())
		requireCode(t, webhook.CodeConflict, err)
		_, err = b.Sending(t.Context(), store.Target{Tenant: "acme", DeliveryID: id, EndpointID: e.ID})
		requireCode(t, webhook.CodeNotFound, err)
	}
	_, err = b.Accept(t.Context(), publication("acme", "e1"))
	requireCode(t, webhook.CodeEventIDConflict, err)

	// An attempt that was under way is recorded, and what it says is erased soon.
	b.record(answer("acme", open, 2, secret, webhook.StatusRetrying))
	require.NotEmpty(t, b.holding(secret))
	more, err := b.FinishErasedEvents(t.Context(), time.Hour, 10)
	require.NoError(t, err)
	require.False(t, more)
	require.Empty(t, b.holding(secret))
	require.Equal(t, 2, b.count(`SELECT count(*) FROM erased_events`))
	_, err = b.FinishErasedEvents(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Zero(t, b.count(`SELECT count(*) FROM erased_events`))
}

// What a clock that was set back led astray is erased and canceled like everything else.
func TestEraseEvent_ClockSetBack(t *testing.T) {
	t.Parallel()
	const secret = "Jane Canary"
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	d := b.publishAstray()
	b.record(answer("acme", d.ID, 1, secret, webhook.StatusRetrying))
	require.NotEmpty(t, b.holding(secret))
	out, err := b.EraseEvent(t.Context(), "acme", b.find(d.ID).EventID, now())
	require.NoError(t, err)
	require.Equal(t, 1, out.Canceled)
	require.Empty(t, b.holding(secret))
}

// A recovery sends nothing that was erased.
func TestEraseEvent_Recoveries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	first := b.endpoint("acme")
	b.answered("acme", "e1", "Jane", webhook.StatusExhausted)
	b.answered("acme", "e2", "Jane", webhook.StatusExhausted)
	second := b.endpoint("acme")
	_, err := b.EraseEvent(t.Context(), "acme", "e1", now())
	require.NoError(t, err)
	for _, e := range []*webhook.Endpoint{first, second} {
		n, err := b.CountRecovery(t.Context(), recovery(e.ID, missedToo))
		require.NoError(t, err)
		require.EqualValues(t, 1, n.Matched)
	}
}

// A whole tenant goes, in pages, and another with the same things stays. Nothing of it is left but that it was erased.
func TestEraseTenant(t *testing.T) {
	t.Parallel()
	const secret = "janecanary"
	b := setup(t, func(o *postgres.Options) { o.OperatorTenant = "ops" })
	for _, id := range []string{"ops", "other", secret} {
		b.tenant(id)
	}
	b.endpoint("ops")
	ends := map[string]*webhook.Endpoint{}
	for _, id := range []string{"other", secret} {
		ends[id] = b.everything(id)
	}
	b.drain()
	for id := range ends {
		b.exec(`SELECT publish($1::text, 'a.b', to_json($1::text))`, id)
	}
	require.Greater(t, len(b.holding(secret)), 14)
	before := b.rowsOf("other")

	_, err := b.BeginErasure(t.Context(), "nobody", now())
	requireCode(t, webhook.CodeNotFound, err)
	_, err = b.EraseTenantStep(t.Context(), "other", 1)
	requireCode(t, webhook.CodeNotFound, err)
	began, err := b.BeginErasure(t.Context(), secret, now().Add(time.Hour)) // the clock of the process is wrong
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), began.StartedAt, time.Minute)
	require.Nil(t, began.FinishedAt)
	b.isUnknown(secret, ends[secret])
	again, err := b.BeginErasure(t.Context(), secret, now())
	require.NoError(t, err)
	require.Equal(t, began.StartedAt, again.StartedAt)
	open, err := b.OpenErasures(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []string{secret}, open)

	steps, deleted := 0, int64(0)
	for {
		step, err := b.EraseTenantStep(t.Context(), secret, 2)
		require.NoError(t, err)
		deleted += step.Deleted
		if step.Wait > 0 {
			require.Less(t, step.Wait, 3*time.Minute)
			b.exec(`UPDATE tenants SET erased_at = erased_at - interval '3 minutes' WHERE id = $1`, secret)
		}
		if steps++; step.Done {
			break
		}
	}
	require.Greater(t, steps, 10)
	done, err := b.TenantErasure(t.Context(), secret)
	require.NoError(t, err)
	require.NotNil(t, done.FinishedAt)
	require.Positive(t, done.Rows)
	require.Positive(t, deleted)
	require.Equal(t, []string{"audit", "erasures"}, b.holding(secret), "that it was erased stays, and nothing else")
	require.Equal(t, 1, b.count(`SELECT count(*) FROM audit WHERE tenant_id = $1`, secret))
	require.Equal(t, before, b.rowsOf("other"))
	_, err = b.EraseTenantStep(t.Context(), secret, 2)
	requireCode(t, webhook.CodeNotFound, err)

	b.tenant(secret) // the id is free again
	_, err = b.BeginErasure(t.Context(), secret, now())
	require.NoError(t, err)
	done, err = b.TenantErasure(t.Context(), secret)
	require.NoError(t, err)
	require.Nil(t, done.FinishedAt)
}

// isUnknown checks that nobody can use a tenant that is being erased.
func (b *bundle) isUnknown(id string, e *webhook.Endpoint) {
	b.t.Helper()
	_, err := b.Tenant(b.t.Context(), id)
	requireCode(b.t.(*testing.T), webhook.CodeNotFound, err)
	_, err = b.Accept(b.t.Context(), publication(id, ""))
	requireCode(b.t.(*testing.T), webhook.CodeNotFound, err)
	_, err = b.Endpoint(b.t.Context(), id, e.ID)
	requireCode(b.t.(*testing.T), webhook.CodeNotFound, err)
	require.Error(b.t, b.CreateEndpoint(b.t.Context(), &webhook.Endpoint{ID: newEndpointID(), TenantID: id, CreatedAt: now(), UpdatedAt: now()}, webhook.Secret{}, 0, nil))
	require.Zero(b.t, b.count(`SELECT count(*) FROM api_keys WHERE tenant_id = $1`, id))
}

// everything gives a tenant a row in every table.
func (b *bundle) everything(id string) *webhook.Endpoint {
	b.t.Helper()
	e := b.endpoint(id, func(e *webhook.Endpoint) {
		e.Description, e.Metadata, e.URL = id, map[string]string{"who": id}, "https://"+id+".example/hook"
	})
	for _, status := range []webhook.Status{webhook.StatusDelivered, webhook.StatusExhausted, webhook.StatusRetrying} {
		b.answered(id, "event-"+string(status), id, status)
	}
	require.NoError(b.t, b.CreateAPIKey(b.t.Context(), &webhook.APIKey{
		ID: webhook.NewID[webhook.KeyID](uuid.Must(uuid.NewV7())), TenantID: id, Name: id, Scopes: webhook.Scopes, CreatedAt: now(),
	}, []byte(id), 0, nil))
	b.exec(`INSERT INTO event_types (tenant_id, type, description, created_at, updated_at) VALUES ($1::text, 'a.b', $1::text, now(), now())`, id)
	b.exec(`INSERT INTO outbox_quarantine (position, event_key, tenant_id, data, bytes, created_at, code, reason, quarantined_at)
		SELECT coalesce(max(position), 0) + 1000, gen_random_uuid(), $1::text, to_json($1::text), 1, now(), 'invalid', $1::text, now() FROM outbox_quarantine`, id)
	b.exec(`INSERT INTO tenant_stats (tenant_id, at, hours, status_code, duration, attempts, delivered, exhausted, canceled) VALUES ($1, now(), true, 200, 1, 1, 1, 0, 0)`, id)
	b.exec(`INSERT INTO idempotency_keys (scope, hash, digest, created_at) VALUES ($1::text, convert_to($1::text, 'UTF8'), '\x00', now())`, id)
	b.exec(`INSERT INTO portal_links (id, hash, tenant_id, scopes, created_at, expires_at)
		VALUES (gen_random_uuid(), convert_to($1::text, 'UTF8'), $1::text, '{read}', now(), now() + interval '1 hour')`, id)
	b.exec(`INSERT INTO sessions (id, hash, tenant_id, scopes, created_at, expires_at)
		VALUES (gen_random_uuid(), convert_to($1::text, 'UTF8'), $1::text, '{read}', now(), now() + interval '1 hour')`, id)
	b.exec(`INSERT INTO publishers (role, tenant_id) VALUES ('someone', $1)`, id)
	b.exec(`INSERT INTO body_retention (tenant_id, position, began_at) VALUES ($1, gen_random_uuid(), now())`, id)
	b.exec(`INSERT INTO audit (id, tenant_id, at, actor, address, request_id, action, target, after)
		VALUES (gen_random_uuid(), $1::text, now(), 'admin', '', '', 'tenant.created', $1::text, to_json($1::text))`, id)
	r := recovery(e.ID)
	r.TenantID, r.Reason = id, id
	require.NoError(b.t, b.CreateRecovery(b.t.Context(), r, nil))
	_, _, err := b.DisableEndpoint(b.t.Context(), id, e.ID, webhook.Change{By: "a person", Reason: id, At: now()})
	require.NoError(b.t, err)
	return e
}

// rowsOf counts the rows of every table that name a tenant.
func (b *bundle) rowsOf(id string) map[string]int {
	b.t.Helper()
	n := map[string]int{}
	for _, table := range b.holding(id) {
		n[table] = b.count(`SELECT count(*) FROM `+pq.QuoteIdentifier(table)+` AS t WHERE t::text LIKE '%' || $1 || '%'`, id)
	}
	return n
}

// The role that the processes log in with owns nothing, and erases a tenant and what has expired all the same.
func TestEraseTenant_RoleWithoutRights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.everything("acme")
	name := "app_" + b.Schema()
	b.exec(`CREATE ROLE ` + pq.QuoteIdentifier(name) + ` LOGIN PASSWORD 'app'`)
	t.Cleanup(func() {
		_, _ = b.db.Exec(`DROP OWNED BY ` + pq.QuoteIdentifier(name))
		_, _ = b.db.Exec(`DROP ROLE ` + pq.QuoteIdentifier(name))
	})
	require.NoError(t, postgres.Grant(t.Context(), b.opts.URL, b.Schema(), name))
	o := b.opts
	o.URL = postgrestest.URLAs(t, name, "app", b.Schema())
	app := postgrestest.Open(t, o)
	_, err := app.Retain(t.Context(), kept)
	require.NoError(t, err)
	_, err = app.BeginErasure(t.Context(), "acme", now())
	require.NoError(t, err)
	b.exec(`UPDATE tenants SET erased_at = erased_at - interval '3 minutes'`)
	for done := false; !done; {
		step, err := app.EraseTenantStep(t.Context(), "acme", 100)
		require.NoError(t, err)
		done = step.Done
	}
	require.Zero(t, b.count(`SELECT count(*) FROM publishers WHERE tenant_id = 'acme'`))
	require.Zero(t, b.count(`SELECT count(*) FROM tenants`))
}
