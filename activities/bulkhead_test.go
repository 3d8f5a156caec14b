package activities

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

var (
	oneEndpoint   = webhook.NewID[webhook.EndpointID]([16]byte{1})
	otherEndpoint = webhook.NewID[webhook.EndpointID]([16]byte{2})
	quick         = &Response{StatusCode: http.StatusOK, Duration: 10 * time.Millisecond}
)

func TestBulkhead_limitsTheFastLane(t *testing.T) {
	t.Parallel()
	b := newBulkhead(laneLimit{2, 0, 5}, laneLimit{1, 0, 5}, time.Now)
	first := entered(t, b, oneEndpoint, LaneFast)
	second := entered(t, b, oneEndpoint, LaneFast)
	refused(t, b, oneEndpoint)
	entered(t, b, otherEndpoint, LaneFast).leave()
	entered(t, b, oneEndpoint, LaneIsolated).leave()

	first.answered(quick)
	first.leave()
	third := entered(t, b, oneEndpoint, LaneFast)
	refused(t, b, oneEndpoint)
	second.leave()
	third.leave()
	require.Empty(t, b.endpoints, "a healthy, idle endpoint takes no memory")
}

func TestBulkhead_keepsSlowEndpointsOut(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]*Response{
		"a slow answer": {StatusCode: 200, Duration: 600 * time.Millisecond},
		"a timeout":     {ErrorClass: webhook.ErrorTimeout, Duration: time.Millisecond},
		"no connection": {ErrorClass: webhook.ErrorConnect, Duration: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBulkhead(laneLimit{2, 0, 5}, laneLimit{2, 0, 5}, time.Now)
			p := entered(t, b, oneEndpoint, LaneFast)
			p.answered(answer)
			p.leave()
			refused(t, b, oneEndpoint)
			entered(t, b, otherEndpoint, LaneFast).leave()

			p = entered(t, b, oneEndpoint, LaneIsolated)
			p.answered(&Response{StatusCode: 503})
			p.leave()
			entered(t, b, oneEndpoint, LaneFast).leave()
			require.Empty(t, b.endpoints)
		})
	}
}

func TestBulkhead_noticesARequestThatHangs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 27, 0, 0, 0, 0, time.UTC)
	b := newBulkhead(laneLimit{5, 0, 5}, laneLimit{1, 0, 5}, func() time.Time { return now })
	hanging := entered(t, b, oneEndpoint, LaneFast)
	now = now.Add(time.Minute)
	entered(t, b, oneEndpoint, LaneFast).leave() // nothing was sent yet: that is our slowness
	hanging.sending()
	now = now.Add(slowAnswer)
	entered(t, b, oneEndpoint, LaneFast).leave()
	now = now.Add(time.Millisecond)
	refused(t, b, oneEndpoint)
}

// Attempts that find no slot come back when a slot should be free, and not all at the same moment.
func TestBulkhead_booksSlots(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 27, 0, 0, 0, 0, time.UTC)
	b := newBulkhead(laneLimit{1, 0, 5}, laneLimit{2, 0, 0}, func() time.Time { return now })
	retryAfter := func(lane Lane) time.Duration {
		var full *fullError
		_, err := b.enter(t.Context(), oneEndpoint, lane)
		require.ErrorAs(t, err, &full)
		return full.retryAfter
	}
	fast := entered(t, b, oneEndpoint, LaneFast)
	fast.sending()
	now = now.Add(8 * time.Second)
	require.Zero(t, retryAfter(LaneFast), "the isolated lane has slots")
	first, second := entered(t, b, oneEndpoint, LaneIsolated), entered(t, b, oneEndpoint, LaneIsolated)
	require.Equal(t, 4*time.Second, retryAfter(LaneFast), "a request takes 8 s, and there are two slots")
	require.Equal(t, 8*time.Second, retryAfter(LaneIsolated))
	require.Equal(t, 12*time.Second, retryAfter(LaneIsolated))
	now = now.Add(2 * time.Second)
	require.Equal(t, 15*time.Second, retryAfter(LaneIsolated), "and meanwhile ten")
	for range 10 {
		require.LessOrEqual(t, retryAfter(LaneIsolated), maxRetryAfter)
	}
	first.leave()
	require.Zero(t, retryAfter(LaneFast))
	second.leave()
	fast.leave()
}

// An event need not be begun while none of its endpoints has room.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 27, 0, 0, 0, 0, time.UTC)
	a := &Activities{bulkhead: newBulkhead(laneLimit{1, 0, 5}, laneLimit{1, 0, 0}, func() time.Time { return now })}
	retryAfter := func(ids ...webhook.EndpointID) time.Duration { return RetryAfter(a, ids) }
	require.Zero(t, retryAfter(oneEndpoint), "nothing is known")
	fast := entered(t, a.bulkhead, oneEndpoint, LaneFast)
	require.Zero(t, retryAfter(oneEndpoint), "busy, not slow")
	fast.sending()
	now = now.Add(4 * time.Second)
	require.Zero(t, retryAfter(oneEndpoint), "slow, and the isolated lane has room")
	isolated := entered(t, a.bulkhead, oneEndpoint, LaneIsolated)
	require.Equal(t, 4*time.Second, retryAfter(oneEndpoint))
	require.Zero(t, retryAfter(oneEndpoint, otherEndpoint), "the other is ready")
	require.Equal(t, 8*time.Second, retryAfter(oneEndpoint))
	fast.leave()
	isolated.leave()
}

func TestBulkhead_forgetsInTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 27, 0, 0, 0, 0, time.UTC)
	b := newBulkhead(laneLimit{5, 0, 5}, laneLimit{1, 0, 5}, func() time.Time { return now })
	for i := range byte(100) {
		p := entered(t, b, webhook.NewID[webhook.EndpointID]([16]byte{3, i}), LaneFast)
		p.answered(&Response{ErrorClass: webhook.ErrorTimeout})
		p.leave()
	}
	require.Len(t, b.endpoints, 100)
	now = now.Add(slowMemory)
	entered(t, b, oneEndpoint, LaneFast).leave()
	require.Empty(t, b.endpoints)
}

func TestBulkhead_waitsForASlot(t *testing.T) {
	t.Parallel()
	for _, lane := range []Lane{LaneFast, LaneIsolated} {
		t.Run(string(lane), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { waitForSlot(t, lane) })
		})
	}
}

func waitForSlot(t *testing.T, lane Lane) {
	t.Helper()
	b := newBulkhead(laneLimit{1, 2 * time.Second, 5}, laneLimit{1, 2 * time.Second, 5}, time.Now)
	holder := entered(t, b, oneEndpoint, lane)
	began := time.Now()
	_, err := b.enter(t.Context(), oneEndpoint, lane)
	require.ErrorIs(t, err, errFull)
	require.Equal(t, 2*time.Second, time.Since(began))

	got := make(chan *slot)
	for range 2 {
		go func() {
			p, _ := b.enter(t.Context(), oneEndpoint, lane)
			got <- p
		}()
	}
	synctest.Wait()
	holder.leave() // hands the slot to one of them, which hands it to the other
	for range 2 {
		p := <-got
		require.NotNil(t, p)
		p.leave()
	}
	require.Empty(t, b.endpoints)

	holder = entered(t, b, oneEndpoint, lane)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.enter(ctx, oneEndpoint, lane)
	require.ErrorIs(t, err, context.Canceled)
	holder.leave()
	require.Empty(t, b.endpoints)
}

func entered(t *testing.T, b *bulkhead, id webhook.EndpointID, lane Lane) *slot {
	t.Helper()
	p, err := b.enter(t.Context(), id, lane)
	require.NoError(t, err)
	return p
}

func refused(t *testing.T, b *bulkhead, id webhook.EndpointID) {
	t.Helper()
	_, err := b.enter(t.Context(), id, LaneFast)
	require.ErrorIs(t, err, errFull)
}

// An endpoint has little room until it answers, and as little after a timeout.
func TestRoom(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 27, 0, 0, 0, 0, time.UTC)
	b := newBulkhead(laneLimit{12, 0, 5}, laneLimit{4, 0, 5}, func() time.Time { return now })
	a := &Activities{bulkhead: b}
	require.Equal(t, 8, Room(a, oneEndpoint))
	var slots []*slot
	for range 8 {
		slots = append(slots, entered(t, b, oneEndpoint, LaneFast))
	}
	require.Zero(t, Room(a, oneEndpoint))
	require.Equal(t, 8, Room(a, otherEndpoint))
	slots[0].answered(quick)
	require.Equal(t, 1, Room(a, oneEndpoint), "the answer makes room")
	slots[0].leave()
	require.Equal(t, 2, Room(a, oneEndpoint))
	for range 20 {
		slots[1].answered(quick)
	}
	require.Equal(t, 12-7, Room(a, oneEndpoint), "for as many as there are slots")
	slots[2].answered(&Response{ErrorClass: webhook.ErrorTimeout})
	require.Equal(t, 8-7, Room(a, oneEndpoint))

	require.Zero(t, RetryAfter(a, []webhook.EndpointID{oneEndpoint}), "it is slow and has room")
	isolated := entered(t, b, oneEndpoint, LaneIsolated)
	require.Positive(t, RetryAfter(a, []webhook.EndpointID{oneEndpoint}), "it has slots, and no room")
	slots[3].answered(quick)
	require.Equal(t, 9-7, Room(a, oneEndpoint), "it answers again, whatever else hangs")
	isolated.leave()
	for _, s := range slots[1:] {
		s.answered(quick)
		s.leave()
	}
	require.Equal(t, 12, Room(a, oneEndpoint), "what it has gained stays while it is asked for")
	now = now.Add(2 * sweepInterval)
	entered(t, b, otherEndpoint, LaneFast).leave()
	require.Empty(t, b.endpoints)
	require.Equal(t, 8, Room(a, oneEndpoint), "what is healthy and idle begins anew")
}

// Endpoints whose events are started take no memory for long, even where nobody makes their attempts.
func TestRoom_forgets(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 27, 0, 0, 0, 0, time.UTC)
	b := newBulkhead(laneLimit{12, 0, 5}, laneLimit{4, 0, 5}, func() time.Time { return now })
	for i := range byte(100) {
		Room(&Activities{bulkhead: b}, webhook.NewID[webhook.EndpointID]([16]byte{3, i}))
	}
	now = now.Add(2 * sweepInterval)
	Room(&Activities{bulkhead: b}, oneEndpoint)
	require.Len(t, b.endpoints, 1)
}
