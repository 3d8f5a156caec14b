package postgres_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/webhook"
)

// lastStatement is what the only connection of a store ran last.
func (b *bundle) lastStatement() (text string) {
	b.t.Helper()
	require.NoError(b.t, b.db.Get(&text, `SELECT query FROM pg_stat_activity WHERE application_name = $1`, b.Schema()))
	return text
}

func TestAcceptAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.MaxConns = 1 })
	b.tenant("acme")
	e := b.endpoint("acme")
	require.Equal(t, []webhook.EndpointID{e.ID}, endpointsOf(b.publish(publication("acme", ""))))
	require.Equal(t, "COMMIT", b.lastStatement(), "the tenant had to be read")

	r := b.publish(publication("acme", ""))
	last := b.lastStatement() // its beginning
	require.NotEmpty(t, last)
	require.True(t, strings.HasPrefix(postgres.HotStatements["insert at once"], last), "one round trip, not %s", last)
	require.Equal(t, []webhook.EndpointID{e.ID}, endpointsOf(r))
	require.Equal(t, 2, b.count(`SELECT count(*) FROM events`))
	require.Equal(t, 2, b.count(`SELECT count(*) FROM deliveries`))
	require.Equal(t, 2, b.count(`SELECT count(*) FROM dispatches WHERE lease_until > now()`))
	require.Len(t, b.accepted, 2)

	b.publish(publication("acme", "mine"))
	require.Equal(t, "COMMIT", b.lastStatement(), "an id that the caller chose is claimed first")
}

// A tenant that changed since it was read keeps nobody's event from its recipients.
func TestAcceptAtOnce_OneOfTheTenantsChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	elsewhere := postgrestest.Open(t, b.opts) // another process, with caches of its own
	b.tenant("acme")
	b.tenant("other")
	first, others := b.endpoint("acme"), b.endpoint("other")
	for _, tenant := range []string{"acme", "other"} {
		_, err := elsewhere.Accept(t.Context(), publication(tenant, ""))
		require.NoError(t, err)
	}
	second := b.endpoint("acme")

	receipts, errs := b.crowdOf(elsewhere, "other", []*webhook.Publication{publication("acme", ""), publication("other", "")})
	require.Equal(t, []error{nil, nil}, errs)
	require.Equal(t, []webhook.EndpointID{first.ID, second.ID}, endpointsOf(receipts[0]))
	require.Equal(t, []webhook.EndpointID{others.ID}, endpointsOf(receipts[1]))
	require.Equal(t, 6, b.count(`SELECT count(*) FROM events`), "nothing was stored twice")
	require.Equal(t, 7, b.count(`SELECT count(*) FROM deliveries`))
}

// The driver may run a statement again whose connection broke before the answer came. The caller must not hear that nothing was stored.
func TestAcceptAtOnce_StoredBefore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	p := publication("acme", "")
	b.publish(p)
	for _, s := range []*postgres.Store{b.Store, postgrestest.Open(t, b.opts)} { // at once, and in steps
		again := *p
		_, err := s.Accept(t.Context(), &again)
		requireCode(t, webhook.CodeUnavailable, err)
	}
	require.Equal(t, 1, b.count(`SELECT count(*) FROM events`))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM deliveries`))
	require.Len(t, b.accepted, 1)
}

func TestAcceptAtOnce_PoisonousPublicationFailsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	b.publish(publication("acme", ""))
	bad := publication("acme", "", func(e *webhook.Event) { e.Type = "not\x00storable" })
	receipts, errs := b.crowd([]*webhook.Publication{bad, publication("acme", "")})
	requireCode(t, webhook.CodeInvalid, errs[0])
	require.NoError(t, errs[1])
	require.Len(t, receipts[1].Deliveries, 1)
	require.Equal(t, 4, b.count(`SELECT count(*) FROM events`))
}
