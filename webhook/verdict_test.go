package webhook_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// TestDialect_Judge_EveryStatus asks each dialect about each status there is.
func TestDialect_Judge_EveryStatus(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"standard", "rheo", "tradly", "tradevine", "auction-excellence"} {
		d := dialect(t, name)
		p := webhook.RetryPolicy{Schedule: []webhook.Duration{1e9}}
		for status := 100; status <= 599; status++ {
			first := d.Judge(p, webhook.DeliveryID{}, 1, webhook.Reply{StatusCode: status})
			last := d.Judge(p, webhook.DeliveryID{}, 2, webhook.Reply{StatusCode: status})
			switch {
			case status >= 200 && status <= 299:
				require.Equal(t, webhook.Verdict{Outcome: webhook.OutcomeDelivered, Status: webhook.StatusDelivered}, first, "%d", status)
				require.Equal(t, first, last)
				continue
			case status == 410 && name == "standard":
				require.Equal(t, webhook.OutcomeRejected, first.Outcome)
				require.Equal(t, webhook.StatusExhausted, first.Status)
				require.True(t, first.Gone)
				require.Zero(t, first.Delay)
				continue
			}
			require.Equal(t, webhook.OutcomeRetryable, first.Outcome, "%d", status)
			require.Equal(t, webhook.StatusRetrying, first.Status)
			require.Equal(t, time.Second, first.Delay)
			require.Equal(t, webhook.StatusExhausted, last.Status, "no retry is left")
			require.Zero(t, last.Delay)
			require.False(t, first.Gone)
			require.Contains(t, first.Error, fmt.Sprint(status))
			wantClass := webhook.ErrorHTTPStatus
			if status/100 == 3 {
				wantClass = webhook.ErrorRedirect
			}
			require.Equal(t, wantClass, first.ErrorClass, "%d", status)
		}
	}
}

func TestDialect_Judge_NoAnswer(t *testing.T) {
	t.Parallel()
	d := dialect(t, "standard")
	p := webhook.RetryPolicy{Schedule: []webhook.Duration{1e9}, RetryAfterMax: webhook.Duration(time.Hour)}
	for _, class := range webhook.ErrorClasses {
		v := d.Judge(p, webhook.DeliveryID{}, 1, webhook.Reply{ErrorClass: class, Error: "why", RetryAfter: time.Minute})
		require.Equal(t, webhook.Verdict{
			Outcome: webhook.OutcomeRetryable, ErrorClass: class, Error: "why", Status: webhook.StatusRetrying, Delay: time.Second,
		}, v)
	}
	// An answer that began with 200 and broke off is no delivery.
	v := d.Judge(p, webhook.DeliveryID{}, 1, webhook.Reply{StatusCode: 200, ErrorClass: webhook.ErrorTimeout, Error: "why"})
	require.Equal(t, webhook.StatusRetrying, v.Status)
}

func TestDialect_Judge_RetryAfter(t *testing.T) {
	t.Parallel()
	standard, rheo := dialect(t, "standard"), dialect(t, "rheo")
	for _, tc := range []struct {
		dialect  *webhook.Dialect
		n        int
		reply    webhook.Reply
		min, max time.Duration
	}{
		{standard, 1, webhook.Reply{StatusCode: 429, RetryAfter: 10 * time.Minute}, 10 * time.Minute, 10 * time.Minute},
		{standard, 1, webhook.Reply{StatusCode: 503, RetryAfter: 10 * time.Minute}, 10 * time.Minute, 10 * time.Minute},
		{standard, 1, webhook.Reply{StatusCode: 503, RetryAfter: 10 * time.Hour}, time.Hour, time.Hour},
		{standard, 4, webhook.Reply{StatusCode: 503, RetryAfter: time.Second}, 2 * time.Hour, 2*time.Hour + 12*time.Minute},
		{standard, 1, webhook.Reply{StatusCode: 500, RetryAfter: 10 * time.Minute}, 5 * time.Second, 5500 * time.Millisecond},
		{standard, 1, webhook.Reply{StatusCode: 404, RetryAfter: 10 * time.Minute}, 5 * time.Second, 5500 * time.Millisecond},
		{rheo, 1, webhook.Reply{StatusCode: 429, RetryAfter: 10 * time.Minute}, time.Second, time.Second},
	} {
		v := tc.dialect.Judge(tc.dialect.Retry.Resolve(), webhook.DeliveryID{}, tc.n, tc.reply)
		require.GreaterOrEqual(t, v.Delay, tc.min, "%+v", tc.reply)
		require.LessOrEqual(t, v.Delay, tc.max, "%+v", tc.reply)
	}
}

// TestDialect_Judge_WholeStory lets every attempt fail.
func TestDialect_Judge_WholeStory(t *testing.T) {
	t.Parallel()
	d := dialect(t, "rheo")
	p := d.Retry.Resolve()
	var story []string
	for n := 1; ; n++ {
		v := d.Judge(p, webhook.DeliveryID{}, n, webhook.Reply{StatusCode: 500})
		story = append(story, fmt.Sprint(v.Status, " ", v.Delay))
		if v.Status.Settled() {
			break
		}
	}
	require.Equal(t, "retrying 1s, retrying 2s, retrying 4s, retrying 8s, retrying 16s, exhausted 0s", strings.Join(story, ", "))
}

func TestStatus_Settled(t *testing.T) {
	t.Parallel()
	settled := map[webhook.Status]bool{
		webhook.StatusPending: false, webhook.StatusRetrying: false, webhook.StatusHeld: false,
		webhook.StatusDelivered: true, webhook.StatusExhausted: true, webhook.StatusCanceled: true,
	}
	require.Len(t, settled, len(webhook.Statuses))
	for _, s := range webhook.Statuses {
		require.Equal(t, settled[s], s.Settled(), "%s", s)
	}
}
