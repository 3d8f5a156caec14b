package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/engine"
	"waybill/store"
	"waybill/webhook"
	"waybill/workflows"
)

// sums turns gaps into the moments of attempts 1, 2, ... after the start.
func sums(gaps ...time.Duration) []time.Duration {
	out := []time.Duration{0}
	for _, gap := range gaps {
		out = append(out, out[len(out)-1]+gap)
	}
	return out
}

func TestEventDelivery_Policies(t *testing.T) {
	t.Parallel()
	const s, m, h = time.Second, time.Minute, time.Hour
	for name, test := range map[string]struct {
		dialect string
		retry   *webhook.RetryPolicy
		want    []time.Duration
	}{
		"Rheo: 1, 2, 4, 8, 16 s":                      {"rheo", nil, sums(s, 2*s, 4*s, 8*s, 16*s)},
		"Tradly: as Rheo":                             {"tradly", nil, sums(s, 2*s, 4*s, 8*s, 16*s)},
		"Tradevine: growing":                          {"tradevine", nil, sums(10*s, m, 5*m, 30*m, 2*h, 12*h)},
		"Auction Excellence: 1m, 5m, 30m, 2h, 12h":    {"auction-excellence", nil, sums(m, 5*m, 30*m, 2*h, 12*h)},
		"an endpoint's own list":                      {"rheo", &webhook.RetryPolicy{Schedule: []webhook.Duration{webhook.Duration(3 * s), webhook.Duration(s)}}, sums(3*s, s)},
		"none at all":                                 {"rheo", &webhook.RetryPolicy{Schedule: []webhook.Duration{}}, sums()},
		"Rheo's text read as 5 attempts":              {"rheo", &webhook.RetryPolicy{Exponential: &webhook.Exponential{First: webhook.Duration(s), Factor: 2, Retries: 4}}, sums(s, 2*s, 4*s, 8*s)},
		"exponential with a cap":                      {"rheo", &webhook.RetryPolicy{Exponential: &webhook.Exponential{First: webhook.Duration(m), Factor: 10, Retries: 3, Cap: webhook.Duration(h)}}, sums(m, 10*m, h)},
		"a well-known policy, whatever the dialect's": {"tradevine", &webhook.RetryPolicy{Policy: "table-5"}, sums(m, 5*m, 30*m, 2*h, 12*h)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story := newStory(t, test.dialect)
			story.answer = alwaysDown
			e := &store.Dispatch{
				TenantID: "acme", EventID: "evt_1", EventType: "item.sold",
				Deliveries: []store.DispatchDelivery{{ID: deliveryID(1), EndpointID: endpointID(1), Retry: test.retry}},
			}
			result := story.deliver(engine.NewEventDeliveryInput(e, story.dialect))
			require.Equal(t, workflows.EventDeliveryResult{Exhausted: 1}, result)
			require.Equal(t, test.want, story.times(endpointID(1)))
			require.Equal(t, webhook.StatusExhausted, story.history().Status)
		})
	}
}

func TestEventDelivery_TableTakes14h36m(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = failing(5)
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 1}, s.deliver(s.event(1)))
	require.Equal(t, 14*time.Hour+36*time.Minute, s.env.Now().Sub(began))
}

func TestEventDelivery_StandardHasJitter(t *testing.T) {
	t.Parallel()
	s := newStory(t, "standard")
	s.answer = alwaysDown
	s.deliver(s.event(1))
	times := s.times(endpointID(1))
	require.Len(t, times, 8)
	for i, base := range []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour} {
		gap := times[i+1] - times[i]
		require.GreaterOrEqual(t, gap, base)
		require.LessOrEqual(t, gap, base+base/10)
	}
}

func TestEventDelivery_SuccessOnNth(t *testing.T) {
	t.Parallel()
	for n := range 6 {
		s := newStory(t, "rheo")
		s.answer = failing(n)
		require.Equal(t, workflows.EventDeliveryResult{Delivered: 1}, s.deliver(s.event(1)))
		require.Len(t, s.times(endpointID(1)), n+1)
		h := s.history()
		require.Equal(t, webhook.StatusDelivered, h.Status)
		require.Len(t, h.Attempts, n+1)
		require.Nil(t, h.NextAttemptAt)
		for i, a := range h.Attempts[:n] {
			require.Equal(t, i+1, a.Number)
			require.Equal(t, down, a.StatusCode)
			require.Equal(t, webhook.OutcomeRetryable, a.Outcome)
		}
	}
}

func TestEventDelivery_OneFailingDelaysNoOther(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = func(in activities.AttemptInput) int {
		switch {
		case in.EndpointID == endpointID(1):
			return down
		case in.EndpointID == endpointID(2) && in.Number == 1:
			return down
		default:
			return ok
		}
	}
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 2, Exhausted: 1}, s.deliver(s.event(3)))
	require.Len(t, s.times(endpointID(1)), 6)
	require.Equal(t, sums(time.Minute), s.times(endpointID(2)))
	require.Equal(t, sums(), s.times(endpointID(3)))
}

func TestEventDelivery_450Endpoints(t *testing.T) {
	t.Parallel()
	s := newStory(t, "rheo")
	s.answer = func(in activities.AttemptInput) int {
		if in.EndpointID == endpointID(321) {
			return down
		}
		return ok
	}
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 449, Exhausted: 1}, s.deliver(s.event(450)))
	for n := 1; n <= 450; n++ {
		want := 1
		if n == 321 {
			want = 6
		}
		require.Len(t, s.times(endpointID(n)), want, "endpoint %d", n)
	}
	value, err := s.env.QueryWorkflow(workflows.QueryHistory)
	require.NoError(t, err)
	var h workflows.HistoryAnswer
	require.NoError(t, value.Get(&h))
	require.Empty(t, h.Deliveries)
	require.Len(t, h.Parts, 3, "in parts of at most 200")
}
