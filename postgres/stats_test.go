package postgres_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

// fillStats writes cells of a tenant's endpoints, as records wrote them: two codes of two durations, by two writers, from a moment
// on for so many five minutes.
func (b *bundle) fillStats(tenant string, endpoints []webhook.EndpointID, from time.Time, spans int) {
	b.t.Helper()
	for _, e := range endpoints {
		b.exec(`
			INSERT INTO delivery_stats (endpoint_id, at, writer, status_code, duration, tenant_id, attempts, delivered, exhausted, canceled)
			SELECT $1, date_bin('5 minutes', $2::timestamptz, 'epoch') + n * interval '5 minutes', writer, code, duration, $3, 4 + n % 3,
				CASE code WHEN 200 THEN 4 + n % 3 ELSE 0 END, CASE code WHEN 503 THEN 1 ELSE 0 END, 0
			FROM generate_series(0, $4 - 1) AS n, generate_series(7, 8) AS writer, unnest(ARRAY[200, 503]) AS code, unnest(ARRAY[6, 8]) AS duration
			ON CONFLICT DO NOTHING`, e, from, tenant, spans)
		b.exec(`
			INSERT INTO delivery_stats (endpoint_id, at, writer, status_code, duration, tenant_id, attempts, delivered, exhausted, canceled)
			SELECT $1, date_bin('5 minutes', $2::timestamptz, 'epoch') + n * interval '5 minutes', 7, 0, -1, $3, 0, 0, 0, 1
			FROM generate_series(0, $4 - 1) AS n ON CONFLICT DO NOTHING`, e, from, tenant, spans)
	}
}

func (b *bundle) compact(limit int) (rounds int) {
	b.t.Helper()
	for more := true; more; rounds++ {
		var err error
		more, err = b.CompactStats(b.t.Context(), 8*24*time.Hour, limit)
		require.NoError(b.t, err)
	}
	return rounds
}

// stats returns what the windows show at a moment, of the endpoint or the tenant.
func (b *bundle) stats(at time.Time, tenant string, endpoint webhook.EndpointID) map[string][]store.StatsCell {
	b.t.Helper()
	out := map[string][]store.StatsCell{}
	for _, w := range webhook.StatsWindows {
		cells, err := b.Stats(b.t.Context(), store.StatsOf{TenantID: tenant, EndpointID: endpoint}, w.Since(at), w.Span)
		require.NoError(b.t, err)
		out[w.Name] = cells
	}
	return out
}

// Adding up loses nothing and counts nothing twice, however small the steps, and after it there are few cells.
func TestCompactStats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	at := now()
	one, two, theirs := b.endpoint("acme").ID, b.endpoint("acme").ID, b.endpoint("other").ID
	b.fillStats("acme", []webhook.EndpointID{one, two}, now().Add(-30*time.Hour), 30*12+1)
	b.fillStats("other", []webhook.EndpointID{theirs}, now().Add(-9*24*time.Hour), 12)
	b.fillStats("other", []webhook.EndpointID{theirs}, now().Add(-time.Hour), 12)

	var none webhook.EndpointID
	before := map[webhook.EndpointID]map[string][]store.StatsCell{one: b.stats(at, "acme", one), none: b.stats(at, "acme", none)}
	require.Greater(t, b.compact(100), 10)
	require.Equal(t, before[one], b.stats(at, "acme", one))
	require.Equal(t, before[none], b.stats(at, "acme", none))
	require.Equal(t, 1, b.compact(5000), "there is nothing left to do")

	require.LessOrEqual(t, b.count(`SELECT count(*) FROM delivery_stats WHERE endpoint_id = $1 AND writer > 0`, one), 2*9, "five minutes that are not over")
	require.LessOrEqual(t, b.count(`SELECT count(*) FROM delivery_stats WHERE endpoint_id = $1 AND writer = -1`, one), 36*5, "up to three hours")
	require.LessOrEqual(t, b.count(`SELECT count(*) FROM delivery_stats WHERE endpoint_id = $1 AND writer = 0`, one), 29*5)
	require.LessOrEqual(t, b.count(`SELECT count(*) FROM tenant_stats WHERE tenant_id = 'acme'`), (36+29)*5)
	require.Zero(t, b.count(`SELECT count(*) FROM delivery_stats WHERE at < now() - interval '8 days'`), "what no window shows is forgotten")
	require.Zero(t, b.count(`SELECT count(*) FROM tenant_stats WHERE at < now() - interval '8 days'`))
	require.NotEmpty(t, b.stats(at, "other", theirs)["1h"])
	require.Equal(t, b.stats(at, "other", theirs), b.stats(at, "other", none))
	for _, cells := range b.stats(at, "other", one) {
		require.Empty(t, cells, "another tenant's endpoint")
	}
}

// Cells are added up while attempts are recorded, a late one after its five minutes were added up included.
func TestCompactStats_BesideWriters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme").ID
	var writers sync.WaitGroup
	stop := make(chan struct{})
	for writer := range 3 {
		writers.Go(func() {
			for n := range 200 {
				_, err := b.db.Exec(`
					INSERT INTO delivery_stats AS s (endpoint_id, at, writer, status_code, duration, tenant_id, attempts, delivered, exhausted, canceled)
					VALUES ($1, date_bin('5 minutes', now() - $2 * interval '20 minutes', 'epoch'), $3, 200, 6, 'acme', 1, 1, 0, 0)
					ON CONFLICT (endpoint_id, at, writer, status_code, duration) DO UPDATE SET attempts = s.attempts + 1, delivered = s.delivered + 1`,
					e, n%10, writer+1)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	var compacting sync.WaitGroup
	for range 2 {
		compacting.Go(func() {
			for {
				if _, err := b.CompactStats(t.Context(), 8*24*time.Hour, 5); err != nil {
					t.Error(err)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	compacting.Wait()
	b.compact(1000)
	at := now()
	for _, of := range []webhook.EndpointID{e, {}} {
		var attempts int64
		for _, cell := range b.stats(at, "acme", of)["24h"] {
			attempts += cell.Attempts
		}
		require.Equal(t, int64(600), attempts)
	}
}

// A tenant's statistics are read from its own sums, and not from those of its endpoints: 500 of them over a week have 30 pages for
// each of its own.
func TestStats_DoNotGrowWithEndpoints(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`
		INSERT INTO delivery_stats (endpoint_id, at, writer, status_code, duration, tenant_id, attempts, delivered, exhausted, canceled)
		SELECT md5(e::text)::uuid, date_bin('1 hour', now(), 'epoch') - h * interval '1 hour', 0, 200, d, 'acme', 1, 1, 0, 0
		FROM generate_series(1, 500) AS e, generate_series(3, 170) AS h, generate_series(6, 8) AS d`)
	b.exec(`
		INSERT INTO tenant_stats (tenant_id, at, hours, status_code, duration, attempts, delivered, exhausted, canceled)
		SELECT tenant_id, at, true, status_code, duration, sum(attempts), sum(delivered), 0, 0 FROM delivery_stats GROUP BY 1, 2, 4, 5`)
	query, args := postgres.StatsQuery(webhook.EndpointID{}, now().Add(-7*24*time.Hour))
	plan := postgres.ExplainGeneric(t, b.Store, query)
	require.NotContains(t, plan, "Seq Scan", plan)
	require.Less(t, postgres.Buffers(t, b.Store, query, args), 600, plan)
	cells, err := b.Stats(t.Context(), store.StatsOf{TenantID: "acme"}, now().Truncate(6*time.Hour).Add(-27*6*time.Hour), 6*time.Hour)
	require.NoError(t, err)
	require.LessOrEqual(t, len(cells), 28*3)

	var id webhook.EndpointID
	require.NoError(t, b.db.Get(&id, `SELECT md5('7')::uuid`))
	query, args = postgres.StatsQuery(id, now().Add(-7*24*time.Hour))
	require.Less(t, postgres.Buffers(t, b.Store, query, args), 600)
	for name, query := range postgres.StatsStatements {
		plan := postgres.ExplainGeneric(t, b.Store, query)
		require.NotContains(t, plan, "Seq Scan", "%s: %s", name, plan)
	}
}

// The statistics of a page of endpoints are those that each has alone, and of the tenant's own endpoints.
func TestEndpointStats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	one, two, quiet, theirs := b.endpoint("acme").ID, b.endpoint("acme").ID, b.endpoint("acme").ID, b.endpoint("other").ID
	b.fillStats("acme", []webhook.EndpointID{one}, now().Add(-30*time.Hour), 30*12+1)
	b.fillStats("acme", []webhook.EndpointID{two}, now().Add(-3*time.Hour), 12)
	b.fillStats("other", []webhook.EndpointID{theirs}, now().Add(-time.Hour), 12)
	b.exec(`INSERT INTO delivery_stats (endpoint_id, at, writer, status_code, duration, tenant_id, attempts, delivered, exhausted, canceled)
		VALUES ($1, date_bin('5 minutes', now(), 'epoch'), 3, 0, 30, 'acme', 7, 0, 0, 0)`, two) // no answer, so no duration
	b.compact(1000)
	at := now()
	for _, w := range webhook.StatsWindows {
		got, err := b.EndpointStats(t.Context(), "acme", []webhook.EndpointID{two, one, quiet, theirs}, w.Since(at), w.Span)
		require.NoError(t, err)
		require.NotContains(t, got, quiet)
		require.NotContains(t, got, theirs)
		for _, id := range []webhook.EndpointID{one, two} {
			cells, err := b.Stats(t.Context(), store.StatsOf{TenantID: "acme", EndpointID: id}, w.Since(at), w.Span)
			require.NoError(t, err)
			var want store.EndpointStats
			for _, cell := range cells {
				if cell.Duration < 0 {
					continue
				}
				if n := len(want.Spans); n == 0 || !want.Spans[n-1].At.Equal(cell.At) {
					want.Spans = append(want.Spans, store.StatsSpan{At: cell.At})
				}
				last := &want.Spans[len(want.Spans)-1]
				last.Attempts += cell.Attempts
				last.Delivered += cell.Delivered
				if cell.StatusCode != 0 {
					want.Durations[cell.Duration] += cell.Attempts
				}
			}
			require.NotEmpty(t, want.Spans, w.Name)
			require.Equal(t, &want, got[id], w.Name)
		}
	}
	none, err := b.EndpointStats(t.Context(), "acme", nil, at, time.Hour)
	require.NoError(t, err)
	require.Empty(t, none)
}

// A page of 200 endpoints, each of which was busy all day, among 10,000 of a tenant, costs its own cells.
func TestEndpointStats_ReadsAPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`
		INSERT INTO delivery_stats (endpoint_id, at, writer, status_code, duration, tenant_id, attempts, delivered, exhausted, canceled)
		SELECT md5(e::text)::uuid, date_bin('1 hour', now(), 'epoch') - h * interval '1 hour', 0, 200, 6, 'acme', 1, 1, 0, 0
		FROM generate_series(1, 10000) AS e, generate_series(3, 23) AS h`)
	b.exec(`ANALYZE delivery_stats`)
	var ids []webhook.EndpointID
	require.NoError(t, b.db.Select(&ids, `SELECT md5(e::text)::uuid FROM generate_series(1, 200) AS e`))
	query, args := postgres.EndpointStatsQuery(ids, now().Add(-24*time.Hour))
	plan := postgres.ExplainGeneric(t, b.Store, query)
	require.NotContains(t, plan, "Seq Scan", plan)
	require.Less(t, postgres.Buffers(t, b.Store, query, args), 6000, "about one for each of their cells, which lie apart: %s", plan)
	found, err := b.EndpointStats(t.Context(), "acme", ids, now().Add(-24*time.Hour), time.Hour)
	require.NoError(t, err)
	require.Len(t, found, 200)
}

// What waits in the queue of an endpoint, which may take days, is counted and listed wherever the sweep is.
func TestCountUnsettled_queued(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	one := b.endpoint("acme")
	for range 3 {
		id := b.publish(publication("acme", "")).Deliveries[0].ID
		queued, err := b.QueueDelivery(t.Context(), "acme", id, time.Hour)
		require.NoError(t, err)
		require.True(t, queued)
	}
	b.publish(publication("acme", ""))
	b.exec(`UPDATE deliveries SET next_attempt_at = now() WHERE id = (SELECT min(id::text)::uuid FROM deliveries)`) // as a claim does
	for _, sweep := range []func(){func() {}, func() {
		more, err := b.SweepDeliveries(t.Context(), -2*time.Hour, 100) // as if it was hours later
		require.NoError(t, err)
		require.False(t, more)
	}} {
		sweep()
		for _, endpoint := range []webhook.EndpointID{{}, one.ID} {
			got, err := b.CountUnsettled(t.Context(), store.StatsOf{TenantID: "acme", EndpointID: endpoint})
			require.NoError(t, err)
			require.Equal(t, store.Unsettled{Pending: 4}, got, endpoint)
			list, err := b.Deliveries(t.Context(), "acme", store.DeliveryFilter{EndpointID: endpoint, Statuses: []webhook.Status{webhook.StatusPending}, Page: store.Page{Limit: 10}})
			require.NoError(t, err)
			require.Len(t, list.Items, 4, endpoint)
		}
	}
}

func TestCountUnsettled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	one, two := b.endpoint("acme"), b.endpoint("acme")
	b.endpoint("other")
	b.publish(publication("other", ""))
	var of [2][]webhook.DeliveryID
	for range 5 {
		for i, d := range b.publish(publication("acme", "")).Deliveries {
			of[i] = append(of[i], d.ID)
		}
	}
	b.record(record("acme", of[0][0], 1, webhook.StatusDelivered))
	b.record(record("acme", of[0][1], 1, webhook.StatusRetrying))
	b.record(record("acme", of[1][0], 1, webhook.StatusExhausted))
	b.exec(`UPDATE deliveries SET next_attempt_at = now() WHERE id = $1`, of[0][2]) // opened again before an attempt
	_, _, err := b.DisableEndpoint(t.Context(), "acme", two.ID, webhook.Change{Reason: "x", At: now()})
	require.NoError(t, err)
	_, err = b.HoldDelivery(t.Context(), "acme", of[1][1], now())
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		tenant   string
		endpoint webhook.EndpointID
		want     store.Unsettled
	}{
		"tenant":             {"acme", webhook.EndpointID{}, store.Unsettled{Pending: 6, Retrying: 1, Held: 1}},
		"one":                {"acme", one.ID, store.Unsettled{Pending: 3, Retrying: 1}},
		"two":                {"acme", two.ID, store.Unsettled{Pending: 3, Held: 1}},
		"another's endpoint": {"other", two.ID, store.Unsettled{}},
	} {
		got, err := b.CountUnsettled(t.Context(), store.StatsOf{TenantID: tc.tenant, EndpointID: tc.endpoint})
		require.NoError(t, err)
		require.Equal(t, tc.want, got, name)
	}

	b.fill(one.ID, 30_000)
	for _, endpoint := range []webhook.EndpointID{{}, one.ID} {
		query, args := postgres.UnsettledQuery(endpoint)
		require.Less(t, postgres.Buffers(t, b.Store, query, args), 2*mostPages, "of what is delivered it reads the newest 10,000\n%s", fmt.Sprint(query))
	}
	b.exec(`UPDATE reconciler_sweeps SET position = (SELECT id FROM deliveries ORDER BY id DESC LIMIT 1)`)
	for _, endpoint := range []webhook.EndpointID{{}, one.ID} {
		query, args := postgres.UnsettledQuery(endpoint)
		require.Less(t, postgres.Buffers(t, b.Store, query, args), mostPages/4, "and only as far as the sweep has not come\n%s", fmt.Sprint(query))
	}
	b.exec(`UPDATE deliveries SET status = 'held', indexed_status = 'held', held_at = now() WHERE id IN (SELECT id FROM deliveries WHERE status = 'delivered' AND endpoint_id = $1 LIMIT 10001)`, one.ID)
	got, err := b.CountUnsettled(t.Context(), store.StatsOf{TenantID: "acme", EndpointID: one.ID})
	require.NoError(t, err)
	require.Equal(t, 10_000, got.Held, "counted up to that")
}
