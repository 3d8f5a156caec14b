package activities_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/store"
	"waybill/webhook"
)

func TestActivities_Attempt_sendsNothing(t *testing.T) {
	t.Parallel()
	disabledAt := time.Now()
	// The clock of the process that recorded it was hours ahead.
	ahead := time.Now().Add(5 * time.Hour).UTC().Round(0)
	summary := &webhook.AttemptSummary{Number: 1, StartedAt: ahead.Add(-time.Hour), StatusCode: 500, Outcome: webhook.OutcomeRetryable, ErrorClass: webhook.ErrorHTTPStatus}
	// The delay of 30 s is over since a second ago.
	soon := time.Now().UTC().Round(0).Add(-time.Second)
	recent := &webhook.AttemptSummary{Number: 1, StartedAt: soon.Add(-30 * time.Second), StatusCode: 500, Outcome: webhook.OutcomeRetryable, ErrorClass: webhook.ErrorHTTPStatus}
	second := &webhook.AttemptSummary{Number: 2, StartedAt: soon.Add(-time.Second), StatusCode: 500, Outcome: webhook.OutcomeRetryable, ErrorClass: webhook.ErrorHTTPStatus}
	held := webhook.Delivery{ID: deliveryID, Status: webhook.StatusHeld, Reason: "disabled by hand"}
	canceled := webhook.Delivery{ID: deliveryID, Status: webhook.StatusCanceled, Reason: "a person gave up"}
	disabled := func(s *fakeStore) { s.sending.Endpoint.DisabledAt = &disabledAt }
	for name, c := range map[string]struct {
		prepare func(s *fakeStore)
		want    activities.AttemptResult
		delay   time.Duration
	}{
		"the event is gone": {
			prepare: func(s *fakeStore) { s.onSending = func() (*store.Sending, error) { return nil, errMissing } },
			want:    activities.AttemptResult{Status: webhook.StatusCanceled, Reason: "the event is no longer stored"},
		},
		"the delivery is settled": {
			prepare: func(s *fakeStore) { s.sending.Delivery = canceled },
			want:    activities.AttemptResult{Status: webhook.StatusCanceled, Reason: "a person gave up"},
		},
		"an earlier run recorded the attempt": {
			prepare: func(s *fakeStore) {
				s.sending.Delivery.Attempts, s.sending.Delivery.Status, s.sending.Delivery.NextAttemptAt = 1, webhook.StatusRetrying, &ahead
				s.onRecorded = recorded(summary)
			},
			want: activities.AttemptResult{Status: webhook.StatusRetrying, Attempt: summary}, delay: time.Hour,
		},
		"an earlier run recorded the attempt a moment ago": {
			prepare: func(s *fakeStore) {
				s.sending.Delivery.Attempts, s.sending.Delivery.Status, s.sending.Delivery.NextAttemptAt = 1, webhook.StatusRetrying, &soon
				s.onRecorded = recorded(recent)
			},
			want: activities.AttemptResult{Status: webhook.StatusRetrying, Attempt: recent},
		},
		"an earlier run recorded the attempt and the next": {
			prepare: func(s *fakeStore) {
				s.sending.Delivery.Attempts, s.sending.Delivery.Status, s.sending.Delivery.NextAttemptAt = 2, webhook.StatusRetrying, &soon
				s.onRecorded = recorded(summary, second)
			},
			want: activities.AttemptResult{Status: webhook.StatusRetrying, Attempt: summary, Missing: []webhook.AttemptSummary{*second}},
		},
		// Two runs of one attempt: the other was answered 410, which disabled the endpoint before this one looked.
		"another run recorded the attempt while this one found the endpoint disabled": {
			prepare: func(s *fakeStore) {
				disabled(s)
				s.onHold = func() (*webhook.Delivery, error) {
					return &webhook.Delivery{ID: deliveryID, Status: webhook.StatusExhausted, Attempts: 1}, nil
				}
				s.onRecorded = recorded(summary)
			},
			want: activities.AttemptResult{Status: webhook.StatusExhausted, Attempt: summary},
		},
		"another run recorded the attempt while this one found the endpoint deleted": {
			prepare: func(s *fakeStore) {
				s.sending.Deleted, s.sending.Endpoint = true, nil
				s.onCancel = func(string) (*webhook.Delivery, error) { return nil, webhook.Errorf(webhook.CodeConflict, "settled") }
				s.onDelivery = func() (*webhook.Delivery, error) {
					return &webhook.Delivery{Status: webhook.StatusDelivered, Attempts: 1}, nil
				}
				s.onRecorded = recorded(summary)
			},
			want: activities.AttemptResult{Status: webhook.StatusDelivered, Attempt: summary},
		},
		"an earlier run recorded the last attempt": {
			prepare: func(s *fakeStore) {
				s.sending.Delivery.Attempts, s.sending.Delivery.Status = 1, webhook.StatusExhausted
				s.onRecorded = recorded(summary)
			},
			want: activities.AttemptResult{Status: webhook.StatusExhausted, Attempt: summary},
		},
		"the endpoint is deleted": {
			prepare: func(s *fakeStore) {
				s.sending.Deleted, s.sending.Endpoint = true, nil
				s.onCancel = func(reason string) (*webhook.Delivery, error) {
					return &webhook.Delivery{Status: webhook.StatusCanceled, Reason: reason}, nil
				}
			},
			want: activities.AttemptResult{Status: webhook.StatusCanceled, Reason: "the endpoint was deleted"},
		},
		"the endpoint is deleted, the delivery settled meanwhile": {
			prepare: func(s *fakeStore) {
				s.sending.Deleted, s.sending.Endpoint = true, nil
				s.onCancel = func(string) (*webhook.Delivery, error) { return nil, webhook.Errorf(webhook.CodeConflict, "settled") }
				s.onDelivery = func() (*webhook.Delivery, error) { return &webhook.Delivery{Status: webhook.StatusDelivered}, nil }
			},
			want: activities.AttemptResult{Status: webhook.StatusDelivered},
		},
		"the endpoint is disabled": {
			prepare: func(s *fakeStore) {
				disabled(s)
				s.onHold = func() (*webhook.Delivery, error) { return &held, nil }
			},
			want: activities.AttemptResult{Status: webhook.StatusHeld, Reason: "disabled by hand"},
		},
		"the endpoint is disabled, the delivery canceled meanwhile": {
			prepare: func(s *fakeStore) {
				disabled(s)
				s.onHold = func() (*webhook.Delivery, error) { return &canceled, nil }
			},
			want: activities.AttemptResult{Status: webhook.StatusCanceled, Reason: "a person gave up"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, unreachable(t))
			c.prepare(b.store)
			for _, lane := range []activities.Lane{activities.LaneFast, activities.LaneIsolated} {
				in := input()
				in.Lane = lane
				out, err := b.attempt(t, in)
				require.NoError(t, err)
				require.InDelta(t, c.delay, out.Delay, float64(time.Minute))
				out.Delay, out.Host = 0, ""
				require.Equal(t, c.want, *out)
			}
			require.Empty(t, b.store.recorded)
		})
	}
}

// recorded answers for the attempts from 1 on, and refuses any other question.
func recorded(made ...*webhook.AttemptSummary) func(int) ([]webhook.AttemptSummary, error) {
	return func(from int) ([]webhook.AttemptSummary, error) {
		if from != 1 {
			return nil, fmt.Errorf("asked for attempts from %d, not 1", from)
		}
		var out []webhook.AttemptSummary
		for _, a := range made {
			out = append(out, *a)
		}
		return out, nil
	}
}
