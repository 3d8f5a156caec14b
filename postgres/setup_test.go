package postgres_test

import (
	"crypto/sha256"
	"database/sql"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

// bundle is a store with a schema of its own, and a second way into it.
type bundle struct {
	*postgres.Store
	t    testing.TB
	opts postgres.Options
	db   *sqlx.DB

	mu       sync.Mutex
	accepted []store.Dispatch
}

func setup(t testing.TB, change ...func(*postgres.Options)) *bundle {
	t.Helper()
	b := &bundle{t: t}
	change = append([]func(*postgres.Options){func(o *postgres.Options) {
		o.OnAccepted = func(d []store.Dispatch) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.accepted = append(b.accepted, d...)
		}
	}}, change...)
	change = append(change, func(o *postgres.Options) { b.opts = *o })
	b.Store = postgrestest.New(t, change...)
	b.db = rawDB(t, b.Schema())
	t.Cleanup(b.indexedColumnsAreRight)
	return b
}

// indexedColumnsAreRight checks, after each test, the columns of deliveries that are only there for indexes.
func (b *bundle) indexedColumnsAreRight() {
	var wrong []string
	require.NoError(b.t, b.db.Select(&wrong, `
		SELECT format('%s: %s, last attempt %s %L', id, status, last_status_code, last_error_class)
			|| format('; indexed_status %L, failed_code %L', indexed_status, failed_code) FROM deliveries
		WHERE indexed_status IS DISTINCT FROM nullif(status, 'delivered') AND NOT (status = 'pending' AND indexed_status IS NULL)
			OR failed_code IS DISTINCT FROM CASE WHEN last_error_class <> '' THEN last_status_code END LIMIT 10`))
	require.Empty(b.t, wrong)
}

func rawDB(t testing.TB, schema string) *sqlx.DB {
	t.Helper()
	u, err := url.Parse(postgrestest.URL(t))
	require.NoError(t, err)
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	db, err := sqlx.Open("postgres", u.String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// now is a moment that the database can hold exactly.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func (b *bundle) tenant(id string) *webhook.Tenant {
	b.t.Helper()
	t := &webhook.Tenant{ID: id, Name: id, Dialect: "standard", CreatedAt: now()}
	require.NoError(b.t, b.CreateTenant(b.t.Context(), t, webhook.Secret{}, nil))
	return t
}

// endpoint creates an endpoint that wants all events, unless change says otherwise.
func (b *bundle) endpoint(tenant string, change ...func(*webhook.Endpoint)) *webhook.Endpoint {
	b.t.Helper()
	at := now()
	e := &webhook.Endpoint{
		ID: newEndpointID(), TenantID: tenant, URL: "https://receiver.example/hook", EventTypes: []string{"*"}, CreatedAt: at, UpdatedAt: at,
	}
	for _, c := range change {
		c(e)
	}
	require.NoError(b.t, b.CreateEndpoint(b.t.Context(), e, webhook.NewSecret([]byte(e.ID.String())), 0, nil))
	return e
}

func newEndpointID() webhook.EndpointID {
	return webhook.NewID[webhook.EndpointID](uuid.Must(uuid.NewV7()))
}

func newAttemptID() webhook.AttemptID {
	return webhook.NewID[webhook.AttemptID](uuid.Must(uuid.NewV7()))
}

// publication returns an event of the type "order.confirmed"; id "" lets Waybill choose one.
func publication(tenant, id string, change ...func(*webhook.Event)) *webhook.Publication {
	at := now()
	e := &webhook.Event{
		Key: webhook.NewID[webhook.EventKey](uuid.Must(uuid.NewV7())), TenantID: tenant, ID: id, Type: "order.confirmed", OccurredAt: at,
		Data: []byte(`{"n":1}`),
	}
	if id == "" {
		e.ID = e.Key.String()
	}
	for _, c := range change {
		c(e)
	}
	body := append(append([]byte(`{"data":`), e.Data...), '}')
	return &webhook.Publication{
		Event: e, Body: webhook.Body{Bytes: body, DeliveryIDAt: -1, DataFrom: 8, DataTo: len(body) - 1}, CallerID: id != "",
		Digest: sha256.Sum256(e.Data), CreatedAt: at,
	}
}

func (b *bundle) publish(p *webhook.Publication) *webhook.Receipt {
	b.t.Helper()
	r, err := b.Accept(b.t.Context(), p)
	require.NoError(b.t, err)
	return r
}

// delivery publishes an event of the tenant "acme" and returns its only delivery.
func (b *bundle) delivery() webhook.ReceiptDelivery {
	b.t.Helper()
	r := b.publish(publication("acme", ""))
	require.Len(b.t, r.Deliveries, 1)
	return r.Deliveries[0]
}

func record(tenant string, id webhook.DeliveryID, number int, status webhook.Status) *store.Record {
	at := now()
	r := &store.Record{TenantID: tenant, Status: status, At: at, Attempt: webhook.Attempt{
		ID: newAttemptID(), DeliveryID: id,
		AttemptSummary: webhook.AttemptSummary{Number: number, StartedAt: at, DurationMS: 12, StatusCode: 200, Outcome: webhook.OutcomeDelivered},
	}}
	if status != webhook.StatusDelivered {
		r.Attempt.StatusCode, r.Attempt.Outcome = 500, webhook.OutcomeRetryable
		r.Attempt.ErrorClass, r.Attempt.Error = webhook.ErrorHTTPStatus, "the receiver answered 500"
	}
	if status == webhook.StatusRetrying {
		next := at.Add(time.Minute)
		r.NextAttemptAt = &next
	}
	return r
}

func (b *bundle) record(r *store.Record) *webhook.Delivery {
	b.t.Helper()
	d, err := b.RecordAttempt(b.t.Context(), r)
	require.NoError(b.t, err)
	return &d.Delivery
}

func (b *bundle) count(query string, args ...any) int {
	b.t.Helper()
	var n int
	require.NoError(b.t, b.db.GetContext(b.t.Context(), &n, query, args...))
	return n
}

func requireCode(t *testing.T, code webhook.Code, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, webhook.ErrorCode(err), "%v", err)
}

func target(tenant string, d webhook.ReceiptDelivery) store.Target {
	return store.Target{Tenant: tenant, DeliveryID: d.ID, EndpointID: d.EndpointID}
}

// beginBlocking starts a transaction that holds back whatever query locks.
func (b *bundle) beginBlocking(query string) *sql.Tx {
	b.t.Helper()
	tx, err := b.db.BeginTx(b.t.Context(), nil)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = tx.Rollback() })
	_, err = tx.Exec(query)
	require.NoError(b.t, err)
	return tx
}

// waitBlocked returns the process ids of n connections of the store that wait for a lock.
func (b *bundle) waitBlocked(n int) []int {
	b.t.Helper()
	var pids []int
	require.Eventually(b.t, func() bool {
		pids = nil
		err := b.db.Select(&pids, `SELECT DISTINCT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
			WHERE NOT l.granted AND a.application_name = $1`, b.Schema())
		return err == nil && len(pids) >= n
	}, 20*time.Second, 5*time.Millisecond)
	return pids
}
