package activities_test

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/store"
	"waybill/webhook"
)

// memQueue is a database with the queue of one endpoint.
type memQueue struct {
	*fakeStore
	mu       sync.Mutex
	rows     map[webhook.DeliveryID]*memRow
	endpoint webhook.Endpoint
	body     webhook.Body
	disabled bool
	deleted  bool
	version  int64
	woken    []int64
	// claimedThen is how many rows were claimed when QueueWoken was last called.
	claimedThen int
	records     []*store.Record
	// canceled are the pages that a deleted endpoint's cancel finds; just says that a record may still come.
	canceled [][]store.HeldDelivery
	just     int
	// bad fails the reading of what to send; nil: it panics.
	bad       map[webhook.DeliveryID]error
	postponed []webhook.DeliveryID
	down      bool
	claimed   []webhook.DeliveryID
	renewed   int
	most      int // leased at a time
	// pages are what a recovery moves, one at a time.
	pages [][]*memRow
}

type memRow struct {
	id                  webhook.DeliveryID
	status              webhook.Status
	attempts, uncounted int
	asked               bool
	due                 time.Time
	next                *time.Time
	holder              string
}

func (q *memQueue) add(rows ...*memRow) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range rows {
		q.rows[r.id] = r
	}
}

// queued returns rows that are due, from the one that waits longest.
func queued(n int) []*memRow {
	rows := make([]*memRow, n)
	for i := range rows {
		rows[i] = &memRow{id: queuedID(i + 1), status: webhook.StatusHeld, due: time.Now().Add(time.Duration(i-n) * time.Second)}
	}
	return rows
}

func queuedID(n int) webhook.DeliveryID {
	return webhook.NewID[webhook.DeliveryID]([16]byte{0xd, 14: byte(n >> 8), 15: byte(n)})
}

func (q *memQueue) waiting() []*memRow {
	var rows []*memRow
	for _, r := range q.rows {
		if !r.status.Settled() {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(x, y *memRow) int { return cmp.Or(x.due.Compare(y.due), cmp.Compare(x.id.String(), y.id.String())) })
	return rows
}

func (q *memQueue) ClaimQueued(_ context.Context, _ string, _ webhook.EndpointID, holder string, lease time.Duration, limit int) ([]store.Queued, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down {
		return nil, errDown
	}
	var out []store.Queued
	for _, r := range q.waiting() {
		if q.disabled || q.deleted || r.due.After(time.Now()) || len(out) == limit {
			break
		}
		if r.status == webhook.StatusHeld {
			r.status = webhook.StatusPending
		}
		r.holder, r.due = holder, time.Now().Add(lease)
		q.claimed = append(q.claimed, r.id)
		out = append(out, store.Queued{ID: r.id, EventID: "evt_1", Attempts: r.attempts, Uncounted: r.uncounted, Asked: r.asked})
	}
	leased := 0
	for _, r := range q.rows {
		if r.holder != "" {
			leased++
		}
	}
	q.most = max(q.most, leased)
	return out, nil
}

func (q *memQueue) end(holder string, ids []webhook.DeliveryID, due time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		if r := q.rows[id]; r.holder == holder {
			r.holder, r.due = "", due
		}
	}
}

func (q *memQueue) RenewQueued(_ context.Context, holder string, ids []webhook.DeliveryID, lease time.Duration) error {
	q.end(holder, ids, time.Now().Add(lease))
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		q.rows[id].holder = holder
		q.renewed++
	}
	return nil
}

func (q *memQueue) ReleaseQueued(_ context.Context, holder string, ids []webhook.DeliveryID) error {
	q.end(holder, ids, time.Now())
	return nil
}

func (q *memQueue) PostponeQueued(_ context.Context, holder string, ids []webhook.DeliveryID, least, _ time.Duration) error {
	q.end(holder, ids, time.Now().Add(least))
	q.postponed = append(q.postponed, ids...)
	return nil
}

func (q *memQueue) QueueState(_ context.Context, _ string, _ webhook.EndpointID, most int) (*store.QueueState, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := &store.QueueState{Deleted: q.deleted, Disabled: q.disabled, Version: q.version, Recovering: len(q.pages) > 0}
	for _, r := range q.waiting() {
		if s.Waiting = min(s.Waiting+1, most); s.DueIn == nil {
			due := max(time.Until(r.due), 0)
			s.DueIn = &due
		}
		s.Leased = s.Leased || r.holder != ""
	}
	return s, nil
}

func (q *memQueue) HoldQueued(_ context.Context, _ string, _ webhook.EndpointID, _ time.Time, limit int) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, r := range q.waiting() {
		if r.holder == "" && r.status != webhook.StatusHeld && n < limit {
			r.status = webhook.StatusHeld
			n++
		}
	}
	return n == limit, nil
}

func (q *memQueue) QueueWoken(_ context.Context, _ string, _ webhook.EndpointID, version int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.woken, q.claimedThen = append(q.woken, version), len(q.claimed)
	return nil
}

func (q *memQueue) AdvanceRecovery(context.Context, string, webhook.EndpointID, int) (int, time.Duration, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pages) == 0 {
		return 0, -1, nil
	}
	page := q.pages[0]
	q.pages = q.pages[1:]
	for _, r := range page {
		q.rows[r.id] = r
	}
	return len(page), 5 * time.Millisecond, nil
}

func (q *memQueue) CancelDeliveriesOfDeleted(context.Context, string, webhook.EndpointID, string, time.Time, int) ([]store.HeldDelivery, bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.canceled) == 0 {
		q.just--
		return nil, q.just >= 0, nil
	}
	page := q.canceled[0]
	q.canceled = q.canceled[1:]
	return page, true, nil
}

func (q *memQueue) Sending(_ context.Context, in store.Target) (*store.Sending, error) {
	if q.whileReading != nil {
		q.whileReading()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err, is := q.bad[in.DeliveryID]; is {
		if err == nil {
			panic("a bad row")
		}
		return nil, err
	}
	r := q.rows[in.DeliveryID]
	if r == nil {
		return nil, errMissing
	}
	e := q.endpoint
	if q.disabled {
		e.DisabledAt = &e.CreatedAt
	}
	return &store.Sending{
		Delivery: webhook.Delivery{
			ID: r.id, EventID: "evt_1", EventType: "order.confirmed", EndpointID: endpointID, Status: r.status, Attempts: r.attempts,
			NextAttemptAt: r.next, Queued: true,
		},
		Endpoint: &e, Tenant: &webhook.Tenant{ID: "acme", Dialect: "plain"}, Keys: webhook.SigningKeys{Current: webhook.SecretFromText(secretText)}, Body: q.body,
	}, nil
}

func (q *memQueue) RecordAttempt(_ context.Context, in *store.Record) (*store.Recorded, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down {
		return nil, errDown
	}
	q.records = append(q.records, in)
	r := q.rows[in.Attempt.DeliveryID]
	r.attempts, r.status, r.next, r.holder, r.asked = in.Attempt.Number, in.Status, in.NextAttemptAt, "", false
	if in.Uncounted {
		r.uncounted++
	}
	if in.NextAttemptAt != nil {
		r.due = *in.NextAttemptAt
	}
	return &store.Recorded{Delivery: webhook.Delivery{ID: r.id, Status: r.status, Attempts: r.attempts, NextAttemptAt: r.next, Queued: !r.status.Settled()}}, nil
}

// setupQueue returns activities with a queue whose receiver has the given behavior, and which retries once, soon.
func setupQueue(t *testing.T, receive http.HandlerFunc, adjust ...func(*activities.Options)) (*bundle, *memQueue) {
	t.Helper()
	q := &memQueue{rows: map[webhook.DeliveryID]*memRow{}, version: 7, bad: map[webhook.DeliveryID]error{}}
	b := setup(t, receive, append([]func(*activities.Options){func(o *activities.Options) {
		q.fakeStore, _ = o.Store.(*fakeStore)
		o.Store, o.Queues, o.Recoveries = q, q, q
		o.DrainTime, o.DrainPoll, o.IsolatedWait = time.Minute, 20*time.Millisecond, bounded
	}}, adjust...)...)
	q.endpoint, q.body = *q.sending.Endpoint, q.sending.Body
	q.endpoint.Retry = &webhook.RetryPolicy{Schedule: []webhook.Duration{webhook.Duration(10 * time.Millisecond)}}
	return b, q
}

func drain(t *testing.T, b *bundle, window int) *activities.DrainResult {
	t.Helper()
	value, err := b.env.ExecuteActivity(b.acts.Drain, activities.DrainInput{Tenant: "acme", EndpointID: endpointID, Window: window})
	require.NoError(t, err)
	var out activities.DrainResult
	require.NoError(t, value.Get(&out))
	return &out
}

// requireNoLeases checks that a drain left nothing leased.
func (q *memQueue) requireNoLeases(t *testing.T) {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.rows {
		require.Empty(t, r.holder)
	}
}
