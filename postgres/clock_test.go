package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// When the queue makes its next attempt depends on the database's clock alone: those of the processes that open a delivery again,
// record its attempts and accepted its event may be an hour wrong.
func TestQueue_clocksDisagree(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.tenant("acme")
			e := b.endpoint("acme")
			id := b.delivery().ID
			b.record(record("acme", id, 1, webhook.StatusExhausted))
			requireDue := func(want time.Duration) {
				t.Helper()
				require.InDelta(t, want, *b.state(e.ID).DueIn, float64(30*time.Second))
			}
			reopen := func(skew time.Duration) {
				t.Helper()
				_, err := b.ReopenDelivery(t.Context(), "acme", id, webhook.StatusDelivered, now().Add(skew))
				require.NoError(t, err)
				require.Len(t, b.claimQueue(e.ID, 10), 1)
			}
			reopen(skew)
			r := queued(id, 2, webhook.StatusRetrying)
			next := now().Add(skew + 10*time.Minute)
			r.At, r.NextAttemptAt = now().Add(skew), &next
			b.record(r)
			requireDue(10 * time.Minute)

			reopen(-skew)
			r = queued(id, 3, webhook.StatusRetrying)
			r.At, r.Uncounted, r.Attempt.Manual = now().Add(-skew), true, true
			r.NextAttemptAt = &r.At
			b.record(r)
			requireDue(10 * time.Minute)

			b.exec(`UPDATE deliveries SET created_at = created_at + $1::bigint * interval '1 us'`, skew.Microseconds())
			b.disable(e.ID, "out of order")
			_, err := b.HoldQueued(t.Context(), "acme", e.ID, now(), 10)
			require.NoError(t, err)
			b.enable(e.ID)
			require.Len(t, b.claimQueue(e.ID, 10), 1, "it is due since its publication")
		})
	}
}
