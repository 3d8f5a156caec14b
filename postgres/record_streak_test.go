package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

var tenInARow = &webhook.AutoDisable{Failures: 10}

// attempts makes records of first attempts of e, a second apart: + is delivered, - retrying, x exhausted.
func (b *bundle) attempts(e *webhook.Endpoint, from time.Time, outcomes string) []*store.Record {
	b.t.Helper()
	var out []*store.Record
	for i, o := range outcomes {
		p := publication(e.TenantID, "")
		p.Only = e.ID
		r := record(e.TenantID, b.publish(p).Deliveries[0].ID, 1, map[rune]webhook.Status{
			'+': webhook.StatusDelivered, '-': webhook.StatusRetrying, 'x': webhook.StatusExhausted,
		}[o])
		r.At, r.AutoDisable = from.Add(time.Duration(i)*time.Second), tenInARow
		out = append(out, r)
	}
	return out
}

func (b *bundle) streakOf(e *webhook.Endpoint) webhook.Streak {
	b.t.Helper()
	found, err := b.Endpoint(b.t.Context(), e.TenantID, e.ID)
	require.NoError(b.t, err)
	return found.Streak
}

// Attempts of one group count in the order in which they ended, whatever the order of the deliveries.
func TestRecordAttempt_streak(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e, other := b.endpoint("acme"), b.endpoint("acme")
	at := now()
	run := func(records ...*store.Record) []*store.Recorded { return postgres.RecordRun(t, b.Store, records) }

	got := run(b.attempts(e, at, "++")...)
	require.Nil(t, got[0].Streak)
	require.Zero(t, b.count(`SELECT count(*) FROM endpoint_streaks`), "the happy path writes none")

	first := b.attempts(e, at.Add(time.Minute), "--x")
	got = run(append(b.attempts(other, at, "-"), first...)...)
	since, last := first[0].At, first[2].At
	require.Equal(t, webhook.Streak{Failures: 3, Since: &since, LastFailureAt: &last}, *got[1].Streak)
	require.Equal(t, 1, got[0].Streak.Failures)
	require.Equal(t, webhook.Streak{Failures: 3, Since: &since, LastFailureAt: &last}, b.streakOf(e))

	got = run(b.attempts(e, at.Add(2*time.Minute), "-")...)
	require.Equal(t, 4, got[0].Streak.Failures)
	require.Equal(t, &since, got[0].Streak.Since)

	mixed := b.attempts(e, at.Add(3*time.Minute), "-+--")
	mixed[0], mixed[3] = mixed[3], mixed[0] // a success ends what failed before it, and what fails after it counts
	got = run(mixed...)
	require.Equal(t, 2, got[0].Streak.Failures)
	require.Equal(t, mixed[2].At, *got[0].Streak.Since)
	require.Nil(t, got[1].Streak)

	success := b.attempts(e, at.Add(4*time.Minute), "+")
	run(success...)
	require.Zero(t, b.streakOf(e).Failures)
	require.Nil(t, b.streakOf(e).Since)
	found, err := b.Endpoint(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.Equal(t, &success[0].At, found.LastSuccessAt)
	require.Equal(t, &mixed[0].At, found.LastFailureAt)
	require.Equal(t, 1, b.streakOf(other).Failures)

	run(b.attempts(e, at.Add(5*time.Minute), "--")...)
	got = run(append(b.attempts(e, at.Add(6*time.Minute), "+"), b.attempts(other, at.Add(6*time.Minute), "-")...)...)
	require.Equal(t, 2, got[1].Streak.Failures)
	require.Zero(t, b.streakOf(e).Failures, "a success ends it in a group where others failed, too")
}

func TestRecordAttempt_streakCountsOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	records := b.attempts(e, now(), "-x")
	for range 3 {
		postgres.RecordRun(t, b.Store, records) // as if the answer had been lost
	}
	require.Equal(t, 2, b.streakOf(e).Failures)
	require.Equal(t, 2, b.count(`SELECT sum(attempts) FROM delivery_stats`))
	require.Equal(t, 1, b.count(`SELECT sum(exhausted) FROM delivery_stats`))
	require.Equal(t, 1, b.count(`SELECT exhausted FROM endpoint_notices`))
	delivered := b.attempts(e, now(), "+")
	for range 3 {
		postgres.RecordRun(t, b.Store, delivered)
	}
	require.Equal(t, 1, b.count(`SELECT sum(delivered) FROM delivery_stats`))
}

// An endpoint that works, or worked until the outage of now, says when it did.
func TestEndpoint_lastSuccess(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	last := func() *time.Time {
		found, err := b.Endpoint(t.Context(), "acme", e.ID)
		require.NoError(t, err)
		page, err := b.Endpoints(t.Context(), "acme", store.EndpointFilter{Page: store.Page{Limit: 10}})
		require.NoError(t, err)
		require.Equal(t, found.LastSuccessAt, page.Items[0].LastSuccessAt)
		return found.LastSuccessAt
	}
	require.Nil(t, last())
	at := now().Add(-time.Hour)
	b.exec(`UPDATE endpoints SET created_at = $1`, at.Add(-time.Hour))
	records := b.attempts(e, at, "++")
	postgres.RecordRun(t, b.Store, records)
	want := records[1].Attempt.StartedAt.Add(12 * time.Millisecond)
	require.Equal(t, &want, last())
	postgres.RecordRun(t, b.Store, b.attempts(e, at.Add(time.Minute), "-------------------------"))
	want = records[1].At.Truncate(5 * time.Minute)
	require.Equal(t, &want, last())
	want = want.Add(time.Minute)
	b.exec(`UPDATE endpoints SET created_at = $1`, want)
	require.Equal(t, &want, last(), "not before it was made")
}

// A test of an endpoint says nothing about how its deliveries fare.
func TestRecordAttempt_testsCountNowhere(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.OperatorTenant = "ops" })
	b.tenant("acme")
	e := b.endpoint("acme")
	records := b.attempts(e, now(), "x+")
	b.exec(`UPDATE deliveries SET test = true`)
	got := postgres.RecordRun(t, b.Store, records[:1])
	require.Nil(t, got[0].Streak)
	postgres.RecordRun(t, b.Store, records[1:])
	failing := b.attempts(e, now(), "-")
	postgres.RecordRun(t, b.Store, failing)
	test := b.attempts(e, now(), "+")
	b.exec(`UPDATE deliveries SET test = true WHERE id = $1`, test[0].Attempt.DeliveryID)
	postgres.RecordRun(t, b.Store, test)
	require.Equal(t, 1, b.streakOf(e).Failures, "a test ends no streak")
	require.Equal(t, 1, b.count(`SELECT sum(attempts) FROM delivery_stats`))
	require.Zero(t, b.count(`SELECT count(*) FROM endpoint_notices`))
	require.Zero(t, b.count(`SELECT count(*) FROM outbox`))
}

func TestRecordAttempt_ofADeletedEndpointHasNoStreak(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.OperatorTenant = "ops" })
	b.tenant("acme")
	e := b.endpoint("acme")
	postgres.RecordRun(t, b.Store, b.attempts(e, now(), "-x"))
	late := b.attempts(e, now(), "-x")
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	b.exec(`DELETE FROM outbox`)
	require.Zero(t, b.count(`SELECT count(*) FROM endpoint_streaks`))
	require.Zero(t, b.count(`SELECT count(*) FROM endpoint_notices`))
	got := postgres.RecordRun(t, b.Store, late)
	require.Equal(t, webhook.StatusCanceled, got[0].Status)
	require.Nil(t, got[1].Streak)
	require.Zero(t, b.count(`SELECT count(*) FROM endpoint_streaks`))
	require.Zero(t, b.count(`SELECT count(*) FROM endpoint_notices`))
	require.Zero(t, b.count(`SELECT count(*) FROM outbox`))
	require.Equal(t, 1, b.count(`SELECT sum(canceled) FROM delivery_stats`))
}

// However many processes record at the same time, each failure counts.
func TestRecordAttempt_streakOfManyProcesses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	endpoints := []*webhook.Endpoint{b.endpoint("acme"), b.endpoint("acme"), b.endpoint("acme")}
	stores := []*postgres.Store{b.Store, postgrestest.Open(t, b.opts), postgrestest.Open(t, b.opts)}
	const each = 20
	var wg sync.WaitGroup
	for n, e := range endpoints {
		for i, r := range b.attempts(e, now(), "--------------------") {
			wg.Go(func() {
				if _, err := stores[(i+n)%len(stores)].RecordAttempt(t.Context(), r); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for _, e := range endpoints {
		require.Equal(t, each, b.streakOf(e).Failures)
	}
	require.Equal(t, len(endpoints)*each, b.count(`SELECT sum(attempts) FROM delivery_stats`))
}

func TestRecordAttempt_statistics(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	at := now().Truncate(5 * time.Minute)
	records := append(b.attempts(e, at.Add(5*time.Minute-time.Microsecond), "+"), b.attempts(e, at.Add(5*time.Minute), "++-x")...)
	records[1].Attempt.DurationMS, records[3].Attempt.StatusCode = 900, 0
	postgres.RecordRun(t, b.Store, records)
	cells, err := b.Stats(t.Context(), store.StatsOf{TenantID: "acme", EndpointID: e.ID}, at, 5*time.Minute)
	require.NoError(t, err)
	second := at.Add(5 * time.Minute)
	short, long := webhook.DurationBucket(12), webhook.DurationBucket(900)
	require.ElementsMatch(t, []store.StatsCell{
		{At: at, StatusCode: 200, Duration: short, Attempts: 1, Delivered: 1},
		{At: second, StatusCode: 200, Duration: long, Attempts: 1, Delivered: 1},
		{At: second, StatusCode: 200, Duration: short, Attempts: 1, Delivered: 1},
		{At: second, StatusCode: 0, Duration: short, Attempts: 1},
		{At: second, StatusCode: 500, Duration: short, Attempts: 1, Exhausted: 1},
	}, cells)
}

func TestRecordAttempt_notice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	at := now()
	records := b.attempts(e, at, "x-x")
	records[2].Attempt.Error = "the receiver answered 503"
	postgres.RecordRun(t, b.Store, records)
	notice, err := b.Notice(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.True(t, notice.Due)
	require.EqualValues(t, 2, notice.Exhausted)
	require.Equal(t, &records[0].At, notice.Since)
	require.Equal(t, &records[2].At, notice.LastAt)
	require.Equal(t, "the receiver answered 503", notice.LastError)
	b.exec(`UPDATE endpoint_notices SET working_at = now()`)
	postgres.RecordRun(t, b.Store, b.attempts(e, at.Add(time.Minute), "x"))
	notice, err = b.Notice(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.EqualValues(t, 3, notice.Exhausted)
	require.Equal(t, &records[0].At, notice.Since)
	require.Nil(t, notice.WorkingAt, "it does not work after all")
}
