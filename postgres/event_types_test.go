package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

func ownType(name string) *webhook.OwnType {
	at := now()
	return &webhook.OwnType{Type: name, Description: "of " + name, CreatedAt: at, UpdatedAt: at}
}

func (b *bundle) putType(tenant string, own *webhook.OwnType) bool {
	b.t.Helper()
	created, err := b.PutOwnType(b.t.Context(), tenant, own)
	require.NoError(b.t, err)
	return created
}

// known returns the event type as a publication of the tenant "acme" finds it now.
func (b *bundle) known(name string) *webhook.OwnType {
	b.t.Helper()
	t, err := b.Tenant(b.t.Context(), "acme")
	require.NoError(b.t, err)
	own, err := b.KnownType(b.t.Context(), t, name)
	require.NoError(b.t, err)
	return own
}

// A database whose texts are in the order of a language neither loses types between pages nor shows any twice.
func TestEventTypes_OrderOfLanguage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.exec(`ALTER TABLE event_types ALTER COLUMN type TYPE text COLLATE "en-x-icu"`)
	want := []string{"Order.sent", "order", "order.a", "order1", "order_b", "orders"}
	for _, name := range want {
		b.putType("acme", ownType(name))
	}
	var got []string
	for after := ""; len(got) < len(want); {
		page, err := b.OwnTypes(t.Context(), "acme", store.Page{After: after, Limit: 1})
		require.NoError(t, err)
		require.Len(t, page, 1, "%v", got)
		after = page[0].Type
		got = append(got, after)
	}
	require.Equal(t, want, got)
}

func TestEventTypes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.tenant("acme")
	b.tenant("other")
	full := ownType("parcel.moved")
	full.Deprecated = true
	full.SetSchema([]byte(`{ "type": "object", "title": "\u0000 \ud800" }`))
	deep := strings.Repeat("[", 9000) + strings.Repeat("]", 9000)
	full.Example = &webhook.Example{Data: []byte(deep), Attributes: map[string]string{"a": "é"}}
	require.True(t, b.putType("acme", full))
	found, err := b.OwnType(ctx, "acme", "parcel.moved")
	require.NoError(t, err)
	require.Equal(t, full, found)

	first := found.CreatedAt
	again := ownType("parcel.moved")
	later := now().Add(time.Hour)
	again.CreatedAt, again.UpdatedAt = later, later
	require.False(t, b.putType("acme", again))
	require.Equal(t, first, again.CreatedAt, "it was created then")
	found, err = b.OwnType(ctx, "acme", "parcel.moved")
	require.NoError(t, err)
	require.Equal(t, again, found, "replaced whole")

	b.putType("acme", ownType("parcel.lost"))
	b.putType("other", ownType("theirs"))
	list, err := b.OwnTypes(ctx, "acme", store.Page{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, "parcel.lost", list[0].Type)
	list, err = b.OwnTypes(ctx, "acme", store.Page{After: "parcel.lost", Limit: 5})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "parcel.moved", list[0].Type)
	names, err := b.OwnTypeNames(ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, []string{"parcel.lost", "parcel.moved"}, names)

	_, err = b.OwnType(ctx, "other", "parcel.moved")
	requireCode(t, webhook.CodeNotFound, err)
	requireCode(t, webhook.CodeNotFound, b.DeleteOwnType(ctx, "other", "parcel.moved"))
	require.NoError(t, b.DeleteOwnType(ctx, "acme", "parcel.moved"))
	requireCode(t, webhook.CodeNotFound, b.DeleteOwnType(ctx, "acme", "parcel.moved"))
	_, err = b.PutOwnType(ctx, "nobody", ownType("a"))
	requireCode(t, webhook.CodeNotFound, err)
}

// A tenant has at most 1,000, however many are added at once; those that it has can still be replaced.
func TestEventTypes_Limit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.exec(`INSERT INTO event_types (tenant_id, type, description, created_at, updated_at)
		SELECT 'acme', 't' || n, 'd', now(), now() FROM generate_series(1, $1) AS n`, webhook.MaxOwnTypes-2)
	var wg sync.WaitGroup
	var created, refused atomic.Int32
	for i := range 6 {
		wg.Go(func() {
			switch _, err := b.PutOwnType(t.Context(), "acme", ownType(fmt.Sprintf("new.%d", i))); webhook.ErrorCode(err) {
			case "":
				created.Add(1)
			case webhook.CodeConflict:
				refused.Add(1)
			default:
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 2, created.Load())
	require.EqualValues(t, 4, refused.Load())
	require.False(t, b.putType("acme", ownType("t1")))
	require.Equal(t, webhook.MaxOwnTypes, b.count(`SELECT count(*) FROM event_types`))
}

// What a publication knows follows every change, in the process that made it and in others, and comes from memory in between.
func TestKnownType(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	elsewhere := &bundle{t: t, Store: postgrestest.Open(t, b.opts)}
	for _, process := range []*bundle{b, elsewhere} {
		require.Nil(t, process.known("parcel.moved"))
	}
	one := ownType("parcel.moved")
	one.SetSchema([]byte(`{"type":"object"}`))
	b.putType("acme", one)
	for _, process := range []*bundle{b, elsewhere} {
		known := process.known("parcel.moved")
		require.Equal(t, one.SchemaSum, known.SchemaSum)
		require.Same(t, known, process.known("parcel.moved"), "not read again")
		require.Nil(t, process.known("parcel.unknown"))
	}
	two := ownType("parcel.moved")
	two.SetSchema([]byte(`{"type":"array"}`))
	b.putType("acme", two)
	for _, process := range []*bundle{b, elsewhere} {
		require.Equal(t, two.SchemaSum, process.known("parcel.moved").SchemaSum)
	}
	require.NoError(t, b.DeleteOwnType(t.Context(), "acme", "parcel.moved"))
	for _, process := range []*bundle{b, elsewhere} {
		require.Nil(t, process.known("parcel.moved"))
	}
}

// A change of a tenant or of its endpoints does not make its event types be read again.
func TestKnownType_StaysWhileTheTenantChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.putType("acme", ownType("parcel.moved"))
	known := b.known("parcel.moved")
	b.endpoint("acme")
	require.Same(t, known, b.known("parcel.moved"))
}

// Rows of the outbox are checked against the tenant's own types as they are when they are ingested.
func TestIngest_OwnTypes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tenant := &webhook.Tenant{ID: "acme", Name: "a", Dialect: "rheo", CreatedAt: now()} // it has a catalogue
	require.NoError(t, b.CreateTenant(t.Context(), tenant, webhook.Secret{}, nil))
	b.tenant("plain")
	b.endpoint("acme")
	b.call(`'acme', 'parcel.moved', '{"n":1}'`)
	require.Equal(t, store.Ingested{Quarantined: 1}, b.drain())
	require.Equal(t, webhook.CodeUnknownEventType, b.quarantine()[0].Code)

	own := ownType("parcel.moved")
	own.SetSchema([]byte(`{}`))
	b.putType("acme", own)
	b.call(`'acme', 'parcel.moved', '{"n":1}'`)
	b.call(`'acme', 'parcel.moved', '{"m":1}'`)
	b.call(`'acme', 'parcel.lost', '{"n":1}'`)
	b.call(`'plain', 'parcel.moved', '{"m":1}'`)
	require.Equal(t, store.Ingested{Published: 2, Quarantined: 2}, b.drain())
	require.Equal(t, 1, b.count(`SELECT count(*) FROM deliveries WHERE event_type = 'parcel.moved'`))
	var codes []webhook.Code
	for _, q := range b.quarantine() {
		codes = append(codes, q.Code)
	}
	require.ElementsMatch(t, []webhook.Code{webhook.CodeUnknownEventType, webhook.CodeUnknownEventType, webhook.CodeSchemaViolation}, codes)

	b.putType("acme", ownType("parcel.moved"))
	b.call(`'acme', 'parcel.moved', '{"m":1}'`)
	require.Equal(t, store.Ingested{Published: 1}, b.drain())
}
