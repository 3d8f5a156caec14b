package postgres_test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

func TestRecordAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	id := b.delivery().ID
	failed := record("acme", id, 1, webhook.StatusRetrying)
	failed.Attempt.RequestHeaders = map[string]string{"X-A": "[redacted]"}
	failed.Attempt.ResponseHeaders = map[string]string{"Odd": "\"\\ \u0000 \xff{}"}
	failed.Attempt.ResponseBody, failed.Attempt.ResponseTruncated = []byte{0, 255, '"', '\\', '\''}, true
	failed.Attempt.SignedWith = []string{"0123abcd", "89efcdab"}
	failed.Attempt.Error = "it said \x00 and \xff"
	d := b.record(failed)
	require.Equal(t, webhook.StatusRetrying, d.Status)
	require.Equal(t, 1, d.Attempts)
	require.Equal(t, failed.NextAttemptAt, d.NextAttemptAt)
	require.Equal(t, failed.At, d.UpdatedAt)
	require.Equal(t, e.ID, d.EndpointID)
	same, err := b.Delivery(t.Context(), "acme", id)
	require.NoError(t, err)
	require.Equal(t, same, d)

	manual := record("acme", id, 2, webhook.StatusDelivered)
	manual.Attempt.Manual = true
	d = b.record(manual)
	require.Equal(t, webhook.StatusDelivered, d.Status)
	require.Equal(t, 2, d.Attempts)
	require.Nil(t, d.NextAttemptAt)

	a, err := b.Attempt(t.Context(), "acme", failed.Attempt.ID)
	require.NoError(t, err)
	want := failed.Attempt
	want.Error = "it said \uFFFD and \uFFFD"
	want.ResponseHeaders = map[string]string{"Odd": "\"\\ \u0000 \uFFFD{}"}
	require.Equal(t, want, a.Attempt)
	made, err := b.RecordedAttempts(t.Context(), id, 1)
	require.NoError(t, err)
	require.Len(t, made, 2)
	require.Equal(t, want.AttemptSummary, made[0])
	made, err = b.RecordedAttempts(t.Context(), id, 2)
	require.NoError(t, err)
	require.Len(t, made, 1)
	require.True(t, made[0].Manual)
	made, err = b.RecordedAttempts(t.Context(), id, 3)
	require.NoError(t, err)
	require.Empty(t, made)
	h, err := b.History(t.Context(), "acme", d.EventID)
	require.NoError(t, err)
	require.True(t, h.Deliveries[0].Attempts[1].Manual)
}

func TestRecordAttempt_IsRecordedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	id := b.delivery().ID
	first := record("acme", id, 1, webhook.StatusRetrying)
	b.record(first)
	again := record("acme", id, 1, webhook.StatusDelivered)
	d := b.record(again)
	require.Equal(t, webhook.StatusRetrying, d.Status, "what was recorded first counts")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := b.RecordAttempt(t.Context(), record("acme", id, 2, webhook.StatusDelivered)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 2, b.count(`SELECT count(*) FROM attempts`))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM attempts WHERE number = 1 AND id = $1`, first.Attempt.ID))
}

func TestRecordAttempt_FirstFailureIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	id := b.delivery().ID
	require.Equal(t, 1, b.count(`SELECT count(*) FROM deliveries WHERE failed_at IS NULL`))
	first := record("acme", id, 1, webhook.StatusRetrying)
	b.record(first)
	last := record("acme", id, 2, webhook.StatusExhausted)
	last.At = last.At.Add(time.Hour)
	require.Equal(t, webhook.StatusExhausted, b.record(last).Status)
	require.Equal(t, 1, b.count(`SELECT count(*) FROM deliveries WHERE failed_at = $1`, first.At))

	// A person asks for more: the same delivery goes on.
	require.Equal(t, webhook.StatusDelivered, b.record(record("acme", id, 3, webhook.StatusDelivered)).Status)
}

func TestRecordAttempt_CanceledStaysCanceledUnlessDelivered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	id := b.delivery().ID
	_, err := b.CancelDelivery(t.Context(), "acme", id, "enough", now())
	require.NoError(t, err)
	d := b.record(record("acme", id, 1, webhook.StatusRetrying))
	require.Equal(t, webhook.StatusCanceled, d.Status)
	require.Equal(t, "enough", d.Reason)
	require.Equal(t, 1, d.Attempts, "it was made")
	require.Nil(t, d.NextAttemptAt)
	d = b.record(record("acme", id, 2, webhook.StatusExhausted))
	require.Equal(t, webhook.StatusCanceled, d.Status)
	d = b.record(record("acme", id, 3, webhook.StatusDelivered))
	require.Equal(t, webhook.StatusDelivered, d.Status)
	require.Empty(t, d.Reason)
}

// What a process of an earlier version held, and its event's workflow attempted, is held no more.
func TestRecordAttempt_EndsTheHolding(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	d := b.held(e.ID)
	b.exec(`UPDATE deliveries SET queue_due_at = NULL`)
	require.Len(t, b.heldOf(e.ID), 1)
	require.Equal(t, webhook.StatusRetrying, b.record(record("acme", d.ID, 1, webhook.StatusRetrying)).Status)
	require.Empty(t, b.heldOf(e.ID))
}

func TestRecordAttempt_OfAnotherTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	b.endpoint("acme")
	id := b.delivery().ID
	_, err := b.RecordAttempt(t.Context(), record("other", id, 1, webhook.StatusDelivered))
	requireCode(t, webhook.CodeNotFound, err)
	require.Zero(t, b.count(`SELECT count(*) FROM attempts`))
}

func TestRecordAttempt_CrowdSharesTransactionsAndPoisonFailsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	b.endpoint("acme")
	rs := make([]*store.Record, 40)
	for i := range rs {
		rs[i] = record("acme", b.delivery().ID, 1, webhook.StatusDelivered)
	}
	rs[7].Attempt.ErrorClass = "not\x00storable"
	rs[8].TenantID = "other"
	early := []webhook.DeliveryID{b.delivery().ID, b.delivery().ID}
	lock := b.beginBlocking(`LOCK TABLE attempts IN ACCESS EXCLUSIVE MODE`)
	var wg sync.WaitGroup
	for i, id := range early {
		wg.Go(func() { _, _ = b.RecordAttempt(t.Context(), record("acme", id, 1, webhook.StatusDelivered)) })
		b.waitBlocked(i + 1)
	}
	deliveries, errs := make([]*store.Recorded, len(rs)), make([]error, len(rs))
	for i, r := range rs {
		wg.Go(func() { deliveries[i], errs[i] = b.RecordAttempt(t.Context(), r) })
	}
	postgres.WaitRecording(t, b.Store, len(rs))
	require.NoError(t, lock.Rollback())
	wg.Wait()
	for i, err := range errs {
		switch i {
		case 7:
			requireCode(t, webhook.CodeInvalid, err)
		case 8:
			requireCode(t, webhook.CodeNotFound, err)
		default:
			require.NoError(t, err)
			require.Equal(t, rs[i].Attempt.DeliveryID, deliveries[i].ID)
			require.Equal(t, webhook.StatusDelivered, deliveries[i].Status)
		}
	}
	require.Equal(t, 2+38, b.count(`SELECT count(*) FROM attempts`))
}

func TestRecordAttempt_SeveralOfOneDeliveryInOneGroup(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	early := []webhook.DeliveryID{b.delivery().ID, b.delivery().ID}
	id := b.delivery().ID
	lock := b.beginBlocking(`LOCK TABLE attempts IN ACCESS EXCLUSIVE MODE`)
	var wg sync.WaitGroup
	for i, early := range early {
		wg.Go(func() { _, _ = b.RecordAttempt(t.Context(), record("acme", early, 1, webhook.StatusDelivered)) })
		b.waitBlocked(i + 1)
	}
	for n := range 5 {
		wg.Go(func() {
			if _, err := b.RecordAttempt(t.Context(), record("acme", id, 5-n, webhook.StatusRetrying)); err != nil {
				t.Error(err)
			}
		})
	}
	postgres.WaitRecording(t, b.Store, 5)
	require.NoError(t, lock.Rollback())
	wg.Wait()
	found, err := b.Attempts(t.Context(), "acme", id, store.Page{Limit: 10})
	require.NoError(t, err)
	require.Len(t, found, 5, "in the order of their numbers, none is too late")
}

func TestAttempts_Pages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	b.endpoint("acme")
	id := b.delivery().ID
	for n := 1; n <= 5; n++ {
		b.record(record("acme", id, n, webhook.StatusRetrying))
	}
	var got []int
	page := store.Page{Limit: 2}
	for {
		found, err := b.Attempts(t.Context(), "acme", id, page)
		require.NoError(t, err)
		for _, a := range found {
			got = append(got, a.Number)
		}
		if len(found) < 2 {
			break
		}
		page.After = found[1].ID.String()
	}
	require.Equal(t, []int{1, 2, 3, 4, 5}, got)

	_, err := b.Attempts(t.Context(), "other", id, store.Page{Limit: 2})
	requireCode(t, webhook.CodeNotFound, err)
	_, err = b.Attempts(t.Context(), "acme", id, store.Page{After: "x", Limit: 2})
	requireCode(t, webhook.CodeInvalid, err)
	all, err := b.Attempts(t.Context(), "acme", id, store.Page{Limit: 10})
	require.NoError(t, err)
	_, err = b.Attempt(t.Context(), "other", all[0].ID)
	requireCode(t, webhook.CodeNotFound, err)
	_, err = b.Attempt(t.Context(), "acme", newAttemptID())
	requireCode(t, webhook.CodeNotFound, err)
}

// A delivery that is delivered at once changes no column that an index contains or has in its condition. Otherwise its update is not
// heap-only, and it writes an entry into each index of the table again.
func TestRecordAttempt_DeliveredAtOnceChangesNoIndex(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	d := b.delivery()
	row := func() (columns map[string]string) {
		var text string
		require.NoError(t, b.db.Get(&text, `SELECT json_object_agg(key, coalesce(value, ''))::text
			FROM deliveries d, jsonb_each_text(to_jsonb(d)) WHERE d.id = $1`, d.ID))
		require.NoError(t, json.Unmarshal([]byte(text), &columns))
		return columns
	}
	before := row()
	b.record(record("acme", d.ID, 1, webhook.StatusDelivered))
	after := row()
	require.Equal(t, "delivered", after["status"])
	var indexed []string
	require.NoError(t, b.db.Select(&indexed, `
		SELECT DISTINCT a.attname FROM pg_index i JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
			JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
		WHERE i.indrelid = 'deliveries'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid`))
	require.Contains(t, indexed, "indexed_status")
	for _, column := range indexed {
		require.Equal(t, before[column], after[column], column)
	}
}
