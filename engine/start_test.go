package engine_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/engine"
	"waybill/store"
	"waybill/webhook"
	"waybill/workflows"
)

// eventState is an event with a delivery in each of the statuses, and a dialect that holds for a day.
func eventState(statuses ...webhook.Status) (*store.EventState, *webhook.Dialect) {
	s := &store.EventState{
		Dispatch: store.Dispatch{TenantID: "acme", EventID: "order-1", EventType: "order.confirmed"}, HeldAt: map[webhook.DeliveryID]time.Time{},
	}
	for i, status := range statuses {
		d := store.DispatchDelivery{
			ID: webhook.NewID[webhook.DeliveryID]([16]byte{1: byte(i >> 8), 2: byte(i)}), EndpointID: webhook.NewID[webhook.EndpointID]([16]byte{1: byte(i)}),
		}
		s.Deliveries = append(s.Deliveries, d)
		s.Log = append(s.Log, webhook.DeliveryHistory{ID: d.ID, EndpointID: d.EndpointID, Status: status})
	}
	return s, &webhook.Dialect{Name: "standard", HoldFor: webhook.Duration(24 * time.Hour)}
}

func TestNewRestartInput(t *testing.T) {
	t.Parallel()
	s, d := eventState(webhook.StatusRetrying, webhook.StatusHeld, webhook.StatusPending, webhook.StatusDelivered)
	due, since := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	s.Log[0].NextAttemptAt, s.Log[0].Attempts = &due, []webhook.AttemptSummary{{Number: 1, StatusCode: 500}}
	s.Log[1].Reason, s.HeldAt[s.Log[1].ID] = "off", since
	s.Log[2].NextAttemptAt = &since // found stalled
	s.Log[3].Attempts = []webhook.AttemptSummary{{Number: 1, StatusCode: 200}}

	in := engine.NewRestartInput(s, d)
	for i, d := range in.Deliveries {
		require.Equal(t, s.Log[i].Status, d.Status)
		require.Equal(t, s.Log[i].Attempts, d.Attempts)
	}
	require.Equal(t, due, in.Deliveries[0].NextAttemptAt)
	require.Equal(t, since.Add(24*time.Hour), in.Deliveries[1].NextAttemptAt)
	require.Equal(t, "off", in.Deliveries[1].Reason)
	require.Zero(t, in.Deliveries[2].NextAttemptAt, "at once")

	d.HoldFor = 0
	require.Zero(t, engine.NewRestartInput(s, d).Deliveries[1].NextAttemptAt, "held for good")
}

// What does not fit into an input is left to the log, where the attempts find it.
func TestNewRestartInput_LongLog(t *testing.T) {
	t.Parallel()
	many := make([]webhook.Status, 1000)
	for i := range many {
		many[i] = webhook.StatusRetrying
	}
	s, d := eventState(many...)
	for i := range s.Log {
		for n := range 5 {
			s.Log[i].Attempts = append(s.Log[i].Attempts, webhook.AttemptSummary{Number: n + 1, Error: strings.Repeat("x", 400)})
		}
	}
	in := engine.NewRestartInput(s, d)
	require.Empty(t, in.Deliveries[0].Attempts[0].Error, "the texts of errors are left out first")
	require.Len(t, in.Deliveries[0].Attempts[4].Error, 400, "but for the last")
	require.Equal(t, webhook.StatusRetrying, in.Deliveries[0].Status)
	require.Less(t, size(t, in), 2<<20)

	for i := range s.Log {
		for n := range 25 {
			s.Log[i].Attempts = append(s.Log[i].Attempts, webhook.AttemptSummary{Number: n + 6, Error: strings.Repeat("x", 400)})
		}
	}
	in = engine.NewRestartInput(s, d)
	require.Less(t, size(t, in), 2<<20)
	require.Empty(t, in.Deliveries[0].Attempts, "what does not fit is left to the log")
	require.Empty(t, in.Deliveries[0].Status, "the first attempt finds there that it was made")
}

func size(t *testing.T, in *workflows.EventDeliveryInput) int {
	t.Helper()
	text, err := json.Marshal(in)
	require.NoError(t, err)
	return len(text)
}

// Endpoints may each have a policy of their own that says what the others' say.
func TestNewEventDeliveryInput_PoliciesByValue(t *testing.T) {
	t.Parallel()
	d := &webhook.Dialect{Name: "standard", Retry: webhook.RetryPolicy{Policy: "exponential-5"}}
	own := func(p webhook.RetryPolicy) *webhook.RetryPolicy { return &p }
	second := webhook.Duration(time.Second)
	for name, policies := range map[string][]*webhook.RetryPolicy{
		"the same, however written": {
			nil, own(webhook.RetryPolicy{Policy: "exponential-5"}), own(webhook.RetryPolicy{Policy: "exponential-5"}),
			own(webhook.RetryPolicy{Schedule: []webhook.Duration{second, 2 * second, 4 * second, 8 * second, 16 * second}}),
			own(webhook.RetryPolicy{Exponential: &webhook.Exponential{First: second, Factor: 2, Retries: 5}}),
		},
		"different": {
			nil, own(webhook.RetryPolicy{Policy: "table-5"}), own(webhook.RetryPolicy{Policy: "exponential-5", Jitter: 0.1}),
			own(webhook.RetryPolicy{Policy: "exponential-5", RetryAfterMax: second}), own(webhook.RetryPolicy{Schedule: []webhook.Duration{}}),
		},
	} {
		e := &store.Dispatch{TenantID: "acme", EventID: "order-1"}
		for _, p := range policies {
			e.Deliveries = append(e.Deliveries, store.DispatchDelivery{Retry: p})
		}
		in := engine.NewEventDeliveryInput(e, d)
		want := 1
		if name == "different" {
			want = len(policies)
		}
		require.Len(t, in.Policies, want, name)
		for i, p := range policies {
			require.Equal(t, webhook.RetryPolicyOf(p, nil, d), in.Policies[in.Deliveries[i].Policy], name)
		}
	}
}
