package postgres_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

func TestAccept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	retry := &webhook.RetryPolicy{Policy: "table-5"}
	require.NoError(t, b.CreateTenant(t.Context(), &webhook.Tenant{ID: "acme", Name: "a", Dialect: "rheo", Retry: retry, Express: true, CreatedAt: now()}, webhook.Secret{}, nil))
	b.tenant("other")
	one := b.endpoint("acme")
	two := b.endpoint("acme", func(e *webhook.Endpoint) { e.EventTypes = []string{"order.*"}; e.Retry = retry })
	b.endpoint("acme", func(e *webhook.Endpoint) { e.EventTypes = []string{"user.created"} })
	b.endpoint("acme", func(e *webhook.Endpoint) { e.Filter = map[string][]string{"auction_id": {"b"}} })
	matching := b.endpoint("acme", func(e *webhook.Endpoint) { e.Filter = map[string][]string{"auction_id": {"a"}} })
	b.endpoint("other")

	p := publication("acme", "", func(e *webhook.Event) {
		e.Attributes = map[string]string{"auction_id": "a", "odd": "\"\\{},\u0000 NULL é"}
		e.Metadata = map[string]string{"order": "\"\\{},é"}
		e.Data = []byte("{ \"a\" : \"\\\\ é\t{}\" }")
	})
	r := b.publish(p)
	require.Equal(t, p.Event.ID, r.EventID)
	require.False(t, r.Repeated)
	require.Len(t, r.Deliveries, 3)
	require.Equal(t, []webhook.EndpointID{one.ID, two.ID, matching.ID}, endpointsOf(r))
	for i := 1; i < 3; i++ {
		require.Less(t, r.Deliveries[i-1].ID.String(), r.Deliveries[i].ID.String())
	}

	stored, err := b.Event(t.Context(), "acme", r.EventID)
	require.NoError(t, err)
	require.Equal(t, *p.Event, stored.Event)
	require.Equal(t, p.Body, stored.Body)
	require.Equal(t, p.CreatedAt, stored.CreatedAt)
	d, err := b.Delivery(t.Context(), "acme", r.Deliveries[1].ID)
	require.NoError(t, err)
	require.Equal(t, &webhook.Delivery{
		ID: r.Deliveries[1].ID, EventID: r.EventID, EventType: "order.confirmed", EndpointID: two.ID, Status: webhook.StatusPending,
		CreatedAt: p.CreatedAt, UpdatedAt: p.CreatedAt,
	}, d)

	require.Equal(t, []store.Dispatch{{
		EventKey: p.Event.Key, TenantID: "acme", EventID: r.EventID, EventType: "order.confirmed", Dialect: "rheo", Retry: retry, Express: true,
		Deliveries: []store.DispatchDelivery{
			{ID: r.Deliveries[0].ID, EndpointID: one.ID}, {ID: r.Deliveries[1].ID, EndpointID: two.ID, Retry: retry},
			{ID: r.Deliveries[2].ID, EndpointID: matching.ID},
		},
	}}, b.accepted)
}

func endpointsOf(r *webhook.Receipt) []webhook.EndpointID {
	var out []webhook.EndpointID
	for _, d := range r.Deliveries {
		out = append(out, d.EndpointID)
	}
	return out
}

func TestAccept_NobodySubscribes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme", func(e *webhook.Endpoint) { e.EventTypes = []string{"user.*"} })
	b.endpoint("acme", func(e *webhook.Endpoint) { e.Filter = map[string][]string{"region": {"nz"}} })
	r := b.publish(publication("acme", "mine"))
	require.Equal(t, &webhook.Receipt{EventID: "mine", RuledOut: &webhook.RuledOut{ByType: 1, ByFilter: 1}}, r)
	require.Empty(t, b.accepted)
	require.Zero(t, b.count(`SELECT count(*) FROM dispatches`))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM events`))
	require.Equal(t, &webhook.Receipt{EventID: "mine", Repeated: true}, b.publish(publication("acme", "mine")))
}

// TestAccept_RecipientLimit publishes at the limit and above it. What was stored below it is repeated above it.
func TestAccept_RecipientLimit(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.MaxRecipients = 3 })
	b.tenant("acme")
	for range 3 {
		b.endpoint("acme")
	}
	first := b.publish(publication("acme", "order-1"))
	require.Len(t, first.Deliveries, 3, "at the limit")
	b.endpoint("acme", func(e *webhook.Endpoint) { e.EventTypes = []string{"user.*"} })
	require.Len(t, b.publish(publication("acme", "")).Deliveries, 3, "recipients count, not endpoints")

	b.endpoint("acme")
	for _, id := range []string{"", "order-2"} {
		_, err := b.Accept(t.Context(), publication("acme", id))
		requireCode(t, webhook.CodeRecipientLimit, err)
		require.ErrorContains(t, err, "the event would go to 4 endpoints; one event can go to at most 3")
	}
	again := b.publish(publication("acme", "order-1"))
	require.True(t, again.Repeated)
	require.Equal(t, first.Deliveries, again.Deliveries)
	_, err := b.Accept(t.Context(), publication("acme", "order-1", func(e *webhook.Event) { e.Data = []byte(`{"n":2}`) }))
	requireCode(t, webhook.CodeEventIDConflict, err)
	require.Equal(t, 2, b.count(`SELECT count(*) FROM events`))

	user := func(e *webhook.Event) { e.Type = "user.created" }
	_, err = b.UpdateEndpoint(t.Context(), "acme", first.Deliveries[0].EndpointID, func(e *webhook.Endpoint) error {
		e.EventTypes = []string{"order.*"}
		return nil
	})
	require.NoError(t, err)
	_, err = b.Accept(t.Context(), publication("acme", "order-2", user))
	requireCode(t, webhook.CodeRecipientLimit, err)
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", first.Deliveries[1].EndpointID, now()))
	require.False(t, b.publish(publication("acme", "order-2", user)).Repeated, "the refused id is still free")
}

func TestAccept_OnlyOneEndpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	only := b.endpoint("acme", func(e *webhook.Endpoint) { e.EventTypes = []string{"user.created"} })
	p := publication("acme", "")
	p.Only = only.ID
	require.Equal(t, []webhook.EndpointID{only.ID}, endpointsOf(b.publish(p)))
}

func TestAccept_UnknownTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.Accept(t.Context(), publication("nobody", ""))
	requireCode(t, webhook.CodeNotFound, err)
}

func TestAccept_SeesEveryChangeOfEndpointsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	elsewhere := postgrestest.Open(t, b.opts) // another process, with caches of its own
	publish := func() []webhook.EndpointID {
		r, err := elsewhere.Accept(t.Context(), publication("acme", ""))
		require.NoError(t, err)
		return endpointsOf(r)
	}
	require.Empty(t, publish())
	first := b.endpoint("acme")
	require.Equal(t, []webhook.EndpointID{first.ID}, publish())
	second := b.endpoint("acme")
	require.Equal(t, []webhook.EndpointID{first.ID, second.ID}, publish())
	_, err := b.UpdateEndpoint(t.Context(), "acme", first.ID, func(e *webhook.Endpoint) error { e.EventTypes = []string{"user.*"}; return nil })
	require.NoError(t, err)
	require.Equal(t, []webhook.EndpointID{second.ID}, publish())
	_, _, err = b.DisableEndpoint(t.Context(), "acme", second.ID, webhook.Change{Reason: "x", At: now()})
	require.NoError(t, err)
	require.Equal(t, []webhook.EndpointID{second.ID}, publish(), "deliveries of a disabled endpoint are held, not dropped")
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", second.ID, now()))
	require.Empty(t, publish())
}

func TestAccept_RepeatsTheFirstReceipt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	for range 3 {
		b.endpoint("acme")
	}
	first := b.publish(publication("acme", "order-1"))
	b.endpoint("acme") // later subscribers get nothing of it
	again := b.publish(publication("acme", "order-1"))
	require.True(t, again.Repeated)
	require.Equal(t, first.Deliveries, again.Deliveries)
	require.Equal(t, "order-1", again.EventID)
	require.Len(t, b.accepted, 1)
	require.Equal(t, 1, b.count(`SELECT count(*) FROM dispatches`))

	require.False(t, b.publish(publication("other", "order-1")).Repeated, "another tenant's ids are its own")
	_, err := b.Accept(t.Context(), publication("acme", "order-1", func(e *webhook.Event) { e.Data = []byte(`{"n":2}`) }))
	requireCode(t, webhook.CodeEventIDConflict, err)
	require.Equal(t, 2, b.count(`SELECT count(*) FROM events`))
}

func TestAccept_IDsOfGeneratedForm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	generated := b.publish(publication("acme", ""))
	_, err := b.Accept(t.Context(), publication("acme", generated.EventID))
	requireCode(t, webhook.CodeEventIDConflict, err)
	require.False(t, b.publish(publication("other", generated.EventID)).Repeated)

	// A caller chose the form; the event is stored under another key.
	chosen := webhook.NewID[webhook.EventKey](uuid.Must(uuid.NewV7())).String()
	p := publication("acme", chosen)
	require.False(t, b.publish(p).Repeated)
	require.True(t, b.publish(publication("acme", chosen)).Repeated)
	e, err := b.Event(t.Context(), "acme", chosen)
	require.NoError(t, err)
	require.Equal(t, p.Event.Key, e.Key)
	derived := webhook.IDFromIdempotencyKey("retry me")
	require.False(t, b.publish(publication("acme", derived)).Repeated)
	require.True(t, b.publish(publication("acme", derived)).Repeated)
}

func TestAccept_ConcurrentDuplicatesAreOneEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	elsewhere := postgrestest.Open(t, b.opts)
	receipts := make([]*webhook.Receipt, 100)
	var wg sync.WaitGroup
	for i := range receipts {
		wg.Go(func() {
			s := b.Store
			if i%2 == 1 {
				s = elsewhere
			}
			var err error
			if receipts[i], err = s.Accept(t.Context(), publication("acme", fmt.Sprintf("order-%d", i%4/2))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	fresh := 0
	for i, r := range receipts {
		require.NotNil(t, r)
		require.Equal(t, receipts[i%4/2*2].Deliveries, r.Deliveries)
		if !r.Repeated {
			fresh++
		}
	}
	require.Equal(t, 2, fresh)
	require.Equal(t, 2, b.count(`SELECT count(*) FROM events`))
	require.Equal(t, 2, b.count(`SELECT count(*) FROM deliveries`))
	require.Equal(t, 2, b.count(`SELECT count(*) FROM dispatches`))
	require.Len(t, b.accepted, 2)
}

// crowd accepts the publications at the same time, held back until all have arrived, and returns what became of each.
func (b *bundle) crowd(ps []*webhook.Publication) ([]*webhook.Receipt, []error) {
	b.t.Helper()
	return b.crowdOf(b.Store, "acme", ps)
}

// crowdOf is crowd at a store, which two events of the tenant hold back.
func (b *bundle) crowdOf(s *postgres.Store, tenant string, ps []*webhook.Publication) ([]*webhook.Receipt, []error) {
	b.t.Helper()
	// The two runs that may be under way at once wait for this lock.
	lock := b.beginBlocking(`LOCK TABLE events IN ACCESS EXCLUSIVE MODE`)
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() { _, _ = s.Accept(b.t.Context(), publication(tenant, "")) })
		b.waitBlocked(i + 1)
	}
	receipts, errs := make([]*webhook.Receipt, len(ps)), make([]error, len(ps))
	for i, p := range ps {
		wg.Go(func() { receipts[i], errs[i] = s.Accept(b.t.Context(), p) })
	}
	postgres.WaitAccepting(b.t, s, len(ps))
	require.NoError(b.t, lock.Rollback())
	wg.Wait()
	return receipts, errs
}

// transactions counts how many transactions wrote the rows.
func (b *bundle) transactions() int {
	return b.count(`SELECT count(DISTINCT xmin::text) FROM events`)
}

func TestAccept_CrowdSharesTransactions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	ps := make([]*webhook.Publication, 100)
	for i := range ps {
		ps[i] = publication("acme", "")
	}
	receipts, errs := b.crowd(ps)
	for i := range ps {
		require.NoError(t, errs[i])
		require.Equal(t, ps[i].Event.ID, receipts[i].EventID)
	}
	require.Equal(t, 102, b.count(`SELECT count(*) FROM events`))
	require.LessOrEqual(t, b.transactions(), 4, "two that held the crowd back, and it in one, or in two")
	require.Len(t, b.accepted, 102)
}

func TestAccept_PoisonousPublicationFailsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	ps := make([]*webhook.Publication, 10)
	for i := range ps {
		ps[i] = publication("acme", fmt.Sprintf("id-%d", i))
	}
	ps[3].Event.Type = "not\x00storable"
	ps[5].Event.TenantID = "nobody"
	receipts, errs := b.crowd(ps)
	for i, err := range errs {
		switch i {
		case 3:
			requireCode(t, webhook.CodeInvalid, err)
		case 5:
			requireCode(t, webhook.CodeNotFound, err)
		default:
			require.NoError(t, err)
			require.Len(t, receipts[i].Deliveries, 1)
		}
	}
	require.Equal(t, 8+2, b.count(`SELECT count(*) FROM events`))
	require.False(t, b.publish(publication("acme", "id-3")).Repeated, "its id is still free")
}

func TestAccept_TheSameIDTwiceInOneGroup(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	same := []*webhook.Publication{publication("acme", "one"), publication("acme", "one"), publication("acme", "two")}
	receipts, errs := b.crowd(same)
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.NotEqual(t, receipts[0].Repeated, receipts[1].Repeated)
	require.Equal(t, receipts[0].Deliveries, receipts[1].Deliveries)
	require.False(t, receipts[2].Repeated)
}

func TestAccept_PanicOfOnAcceptedCostsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.OnAccepted = func([]store.Dispatch) { panic("no") } })
	b.tenant("acme")
	b.endpoint("acme")
	b.publish(publication("acme", ""))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM events`))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM dispatches`), "the relay finds it")
}

// The first of two equal requests was stored by a version that digested it in another way.
func TestAccept_RepeatsWhatAnEarlierVersionStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	first := publication("acme", "mine")
	b.publish(first)
	again := publication("acme", "mine", func(e *webhook.Event) { e.Data = []byte(`{"n":2}`) })
	_, err := b.Accept(t.Context(), again)
	requireCode(t, webhook.CodeEventIDConflict, err)
	again.Earlier = first.Digest
	require.True(t, b.publish(again).Repeated)
}

func TestAccept_Test(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	for _, test := range []bool{true, false} {
		r := b.publish(publication("acme", "", func(e *webhook.Event) { e.Test = test }))
		e, err := b.Event(t.Context(), "acme", r.EventID)
		require.NoError(t, err)
		require.Equal(t, test, e.Test)
		d, err := b.Delivery(t.Context(), "acme", r.Deliveries[0].ID)
		require.NoError(t, err)
		require.Equal(t, test, d.Test)
	}
}
