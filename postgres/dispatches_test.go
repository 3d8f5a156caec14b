package postgres_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

// shortLease makes accepted events claimable at once.
func shortLease(o *postgres.Options) { o.Lease = time.Nanosecond }

func (b *bundle) claim(limit int) []store.Dispatch {
	b.t.Helper()
	d, _, err := b.ClaimDispatches(b.t.Context(), store.DispatchClaim{Limit: limit, Lease: time.Hour})
	require.NoError(b.t, err)
	return d
}

func keysOf(dispatches []store.Dispatch) []webhook.EventKey {
	var keys []webhook.EventKey
	for _, d := range dispatches {
		keys = append(keys, d.EventKey)
	}
	return keys
}

func TestClaimDispatches(t *testing.T) {
	t.Parallel()
	b := setup(t, shortLease)
	retry := &webhook.RetryPolicy{Policy: "table-5"}
	require.NoError(t, b.CreateTenant(t.Context(), &webhook.Tenant{ID: "acme", Name: "a", Dialect: "rheo", Retry: retry, Express: true, CreatedAt: now()}, webhook.Secret{}, nil))
	b.endpoint("acme")
	b.endpoint("acme", func(e *webhook.Endpoint) { e.Retry = &webhook.RetryPolicy{Schedule: []webhook.Duration{1}} })
	for range 3 {
		b.publish(publication("acme", ""))
	}
	first := b.claim(2)
	require.Equal(t, b.accepted[:2], first, "the oldest, and as OnAccepted gets them")
	require.Equal(t, b.accepted[2:], b.claim(2))
	require.Empty(t, b.claim(2), "all are leased")
	require.Empty(t, b.claim(0))

	require.NoError(t, b.ReleaseDispatches(t.Context(), []store.Release{{EventKey: first[0].EventKey, After: time.Hour}, {EventKey: first[1].EventKey}}))
	require.Equal(t, first[1:], b.claim(10), "the other one is nobody's for an hour")
	require.NoError(t, b.DeleteDispatches(t.Context(), keysOf(b.accepted)))
	require.Zero(t, b.count(`SELECT count(*) FROM dispatches`))
	require.NoError(t, b.DeleteDispatches(t.Context(), keysOf(b.accepted)))
	require.NoError(t, b.DeleteDispatches(t.Context(), nil))
	require.NoError(t, b.ReleaseDispatches(t.Context(), nil))
}

func TestCountDispatches(t *testing.T) {
	t.Parallel()
	b := setup(t)
	count := func(most int) int {
		n, err := b.CountDispatches(t.Context(), most)
		require.NoError(t, err)
		require.Equal(t, n.All, n.Of["acme"])
		return n.All
	}
	b.tenant("acme")
	b.publish(publication("acme", "")) // to nobody
	require.Zero(t, count(10))
	b.endpoint("acme")
	for range 3 {
		b.publish(publication("acme", ""))
	}
	require.Equal(t, 3, count(10), "leased or not")
	require.Equal(t, 2, count(2))
	require.NoError(t, b.DeleteDispatches(t.Context(), keysOf(b.accepted[:1])))
	require.Equal(t, 2, count(10))
}

func TestClaimDispatches_LeavesFreshEventsToTheirProcess(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	b.publish(publication("acme", ""))
	require.Empty(t, b.claim(10))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM dispatches WHERE lease_until BETWEEN now() + interval '5 s' AND now() + interval '10 s'`))
}

func TestClaimDispatches_LeaseEnds(t *testing.T) {
	t.Parallel()
	b := setup(t, shortLease)
	b.tenant("acme")
	b.endpoint("acme")
	b.publish(publication("acme", ""))
	got, _, err := b.ClaimDispatches(t.Context(), store.DispatchClaim{Limit: 10, Lease: time.Millisecond})
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Eventually(t, func() bool { return len(b.claim(10)) == 1 }, 10*time.Second, time.Millisecond)
}

func TestClaimDispatches_ForgetsWhatRetentionRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t, shortLease)
	b.tenant("acme")
	b.endpoint("acme")
	b.publish(publication("acme", ""))
	_, err := b.db.Exec(`DELETE FROM events`)
	require.NoError(t, err)
	require.Empty(t, b.claim(10))
	require.Zero(t, b.count(`SELECT count(*) FROM dispatches`))
}

func TestClaimDispatches_NeverOverlap(t *testing.T) {
	t.Parallel()
	b := setup(t, shortLease)
	b.tenant("acme")
	b.endpoint("acme")
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if _, err := b.Accept(t.Context(), publication("acme", "")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var mu sync.Mutex
	var got []webhook.EventKey
	for i := range 6 {
		s := b.Store
		if i%2 == 1 {
			s = postgrestest.Open(t, b.opts)
		}
		all.Go(func() {
			for empty := 0; empty < 3; { // another claimer may hold the rest at this moment
				claimed, _, err := s.ClaimDispatches(t.Context(), store.DispatchClaim{Limit: 7, Lease: time.Hour})
				if err != nil {
					t.Error(err)
					return
				}
				if len(claimed) == 0 {
					empty++
				}
				mu.Lock()
				got = append(got, keysOf(claimed)...)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	got = append(got, keysOf(b.claim(200))...)
	require.Len(t, got, 200)
	slices.SortFunc(got, func(x, y webhook.EventKey) int { return slices.Compare([]byte(x.String()), []byte(y.String())) })
	require.Len(t, slices.Compact(got), 200)
}

// The tries of an event that cannot be dispatched are counted, and once it is set aside it is not claimed until a retry is
// requested.
func TestSetAside(t *testing.T) {
	t.Parallel()
	b := setup(t, shortLease)
	b.tenant("acme")
	b.endpoint("acme")
	for range 4 {
		b.publish(publication("acme", ""))
	}
	claimed := b.claim(10)
	require.Len(t, claimed, 4)
	require.NoError(t, b.ReleaseDispatches(t.Context(), []store.Release{
		{EventKey: claimed[0].EventKey, Error: "refused"},
		{EventKey: claimed[1].EventKey, Error: "refused too", SetAside: true},
		{EventKey: claimed[2].EventKey},
		{EventKey: claimed[3].EventKey, Error: "and\x00this", SetAside: true},
	}))
	again := b.claim(10)
	require.ElementsMatch(t, []webhook.EventKey{claimed[0].EventKey, claimed[2].EventKey}, keysOf(again))
	for _, d := range again {
		require.Equal(t, d.EventKey == claimed[0].EventKey, d.Tries == 1, "only a fault of the event's own counts")
	}
	count := func() int {
		n, err := b.CountSetAside(t.Context(), 10)
		require.NoError(t, err)
		return n
	}
	require.Equal(t, 2, count())
	n, err := b.CountDispatches(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, 4, n.All, "they count for the backlog, because nothing else bounds them")

	first, err := b.SetAsideDispatches(t.Context(), store.Page{Limit: 1})
	require.NoError(t, err)
	require.Len(t, first, 1)
	require.WithinDuration(t, time.Now(), *first[0].At, time.Minute)
	first[0].At = nil
	e := claimed[1]
	require.Equal(t, store.SetAside{EventKey: e.EventKey, TenantID: "acme", EventID: e.EventID, EventType: e.EventType, Tries: 1, Error: "refused too"}, first[0])
	rest, err := b.SetAsideDispatches(t.Context(), store.Page{After: e.EventKey.String(), Limit: 10})
	require.NoError(t, err)
	require.Len(t, rest, 1)
	require.Equal(t, "and\uFFFDthis", rest[0].Error)

	released, err := b.RetryDispatch(t.Context(), e.EventKey)
	require.NoError(t, err)
	first[0].Tries = 0
	require.Equal(t, first[0], *released)
	require.Equal(t, 1, count())
	require.Equal(t, []webhook.EventKey{e.EventKey}, keysOf(b.claim(10)))
	for _, key := range []webhook.EventKey{e.EventKey, {}} {
		_, err = b.RetryDispatch(t.Context(), key)
		require.Equal(t, webhook.CodeNotFound, webhook.ErrorCode(err), "it is not set aside")
	}
}

// An event that retention removed is neither shown nor retried.
func TestForgetLostDispatches(t *testing.T) {
	t.Parallel()
	b := setup(t, shortLease)
	b.tenant("acme")
	b.endpoint("acme")
	b.publish(publication("acme", ""))
	b.publish(publication("acme", ""))
	claimed := b.claim(10)
	require.NoError(t, b.ReleaseDispatches(t.Context(), []store.Release{
		{EventKey: claimed[0].EventKey, Error: "no", SetAside: true}, {EventKey: claimed[1].EventKey, Error: "no", SetAside: true},
	}))
	_, err := b.db.Exec(`DELETE FROM events WHERE id = $1`, claimed[0].EventKey)
	require.NoError(t, err)
	require.NoError(t, b.ForgetLostDispatches(t.Context()))
	list, err := b.SetAsideDispatches(t.Context(), store.Page{Limit: 10})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, 1, b.count(`SELECT count(*) FROM dispatches`))
}

// One event with a retry policy that cannot be read must not keep the others from being claimed.
func TestClaimDispatches_Unreadable(t *testing.T) {
	t.Parallel()
	b := setup(t, shortLease)
	b.tenant("acme")
	b.tenant("other")
	bad := b.endpoint("acme")
	b.endpoint("other")
	b.publish(publication("acme", ""))
	b.publish(publication("other", ""))
	_, err := b.db.Exec(`UPDATE endpoints SET retry = '"never"' WHERE id = $1`, bad.ID)
	require.NoError(t, err)
	claimed := b.claim(10)
	require.Len(t, claimed, 2)
	for _, d := range claimed {
		require.Equal(t, d.TenantID == "acme", d.Fault != nil, d.TenantID)
	}
}

// Tenants take turns, whoever has waited longest, and a claim goes on after the tenant whose turn was last.
func TestClaimDispatches_TenantsTakeTurns(t *testing.T) {
	t.Parallel()
	b := setup(t, shortLease)
	for _, tenant := range []string{"a", "b", "c"} {
		b.tenant(tenant)
		b.endpoint(tenant)
	}
	for _, tenant := range []string{"a", "a", "a", "a", "c", "b"} {
		b.publish(publication(tenant, ""))
	}
	claim := store.DispatchClaim{Limit: 3, Lease: time.Hour}
	next := func() (tenants []string) {
		claimed, last, err := b.ClaimDispatches(t.Context(), claim)
		require.NoError(t, err)
		claim.After = last
		for _, d := range claimed {
			tenants = append(tenants, d.TenantID)
		}
		return tenants
	}
	require.Equal(t, []string{"a", "a", "a"}, next())
	require.Equal(t, "a", claim.After)
	require.ElementsMatch(t, []string{"b", "c"}, next(), "the next tenants before the rest of the first")
	require.Empty(t, claim.After, "the round is over")
	claim.Without = []string{"a"}
	require.Empty(t, next())
	claim.Without = nil
	require.Equal(t, []string{"a"}, next())
}

// Of more tenants than a claim looks at, each has its turn.
func TestClaimDispatches_ManyTenants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.db.Exec(`INSERT INTO dispatches (event_key, tenant_id, lease_until)
		SELECT gen_random_uuid(), 't' || n, 'infinity' FROM generate_series(1, 300) AS n`)
	require.NoError(t, err)
	b.tenant("zz-last")
	b.endpoint("zz-last")
	b.publish(publication("zz-last", ""))
	_, err = b.db.Exec(`UPDATE dispatches SET lease_until = now() WHERE tenant_id = 'zz-last'`)
	require.NoError(t, err)
	claim := store.DispatchClaim{Limit: 10, Lease: time.Hour}
	rounds, found := 0, 0
	for rounds == 0 || claim.After != "" {
		claimed, last, err := b.ClaimDispatches(t.Context(), claim)
		require.NoError(t, err)
		found += len(claimed)
		claim.After = last
		rounds++
	}
	require.Equal(t, 3, rounds)
	require.Equal(t, 1, found)

	counted, err := b.CountDispatches(t.Context(), 1000)
	require.NoError(t, err)
	require.Equal(t, 301, counted.All)
	require.Len(t, counted.Of, 301)
}

// Of who has very many no more are counted than is asked for, and all of the others'.
func TestCountDispatches_OneHasMany(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.db.Exec(`INSERT INTO dispatches (event_key, tenant_id, lease_until)
		SELECT gen_random_uuid(), 'noisy', now() FROM generate_series(1, 50)
		UNION ALL SELECT gen_random_uuid(), 'quiet', now() FROM generate_series(1, 3)`)
	require.NoError(t, err)
	counted, err := b.CountDispatches(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, &store.Backlog{All: 13, Of: map[string]int{"noisy": 10, "quiet": 3}}, counted)
}

// No more tenants are told of than Backlog.Of may have: those that have most.
func TestCountDispatches_TenantsThatHaveMost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.db.Exec(`INSERT INTO dispatches (event_key, tenant_id, lease_until)
		SELECT gen_random_uuid(), 't' || n, now() FROM generate_series(1, $1 + 5) AS n
		UNION ALL SELECT gen_random_uuid(), 'noisy', now() FROM generate_series(1, 7)`, store.MaxCountedTenants)
	require.NoError(t, err)
	counted, err := b.CountDispatches(t.Context(), 10_000)
	require.NoError(t, err)
	require.Equal(t, store.MaxCountedTenants+12, counted.All)
	require.Len(t, counted.Of, store.MaxCountedTenants)
	require.Equal(t, 7, counted.Of["noisy"])
}

// A claim takes no more than it can read in time: of events with very many deliveries it keeps some, and gives the others back as they were.
func TestClaimDispatches_ManyDeliveries(t *testing.T) {
	t.Parallel()
	b := setup(t, shortLease, func(o *postgres.Options) { o.MaxDeliveries = 10 })
	for _, tenant := range []string{"a", "b", "c"} {
		b.tenant(tenant)
		b.endpoint(tenant)
	}
	for range 3 {
		b.endpoint("b")
	}
	for _, tenant := range []string{"a", "b", "b", "b", "b", "b", "c"} {
		b.publish(publication(tenant, ""))
	}
	var all []webhook.EventKey
	claim := store.DispatchClaim{Limit: 100, Lease: time.Hour}
	next := func(deliveries int) (tenants []string) {
		claimed, last, err := b.ClaimDispatches(t.Context(), claim)
		require.NoError(t, err)
		claim.After = last
		for _, d := range claimed {
			tenants = append(tenants, d.TenantID)
			deliveries -= len(d.Deliveries)
		}
		require.Zero(t, deliveries)
		all = append(all, keysOf(claimed)...)
		return tenants
	}
	require.Equal(t, []string{"a", "b", "b", "b"}, next(13))
	require.Equal(t, "b", claim.After)
	require.Equal(t, []string{"c"}, next(1), "who is not to blame has its turn")
	require.Empty(t, claim.After)
	require.Equal(t, []string{"b", "b"}, next(8))
	require.Empty(t, next(0))
	require.ElementsMatch(t, keysOf(b.accepted), all)
	require.Equal(t, keysOf(b.accepted)[:4], all[:4], "the oldest first")
}

// With ExpressOnly, tenants without the setting have no turn.
func TestClaimDispatches_ExpressOnly(t *testing.T) {
	t.Parallel()
	b := setup(t, shortLease)
	require.NoError(t, b.CreateTenant(t.Context(), &webhook.Tenant{ID: "fast", Name: "f", Dialect: "standard", Express: true, CreatedAt: now()}, webhook.Secret{}, nil))
	b.tenant("acme")
	for _, tenant := range []string{"acme", "fast"} {
		b.endpoint(tenant)
		b.publish(publication(tenant, ""))
	}
	claimed, _, err := b.ClaimDispatches(t.Context(), store.DispatchClaim{Limit: 10, Lease: time.Hour, ExpressOnly: true})
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	require.Equal(t, "fast", claimed[0].TenantID)
	require.Equal(t, "acme", b.claim(10)[0].TenantID)
}
