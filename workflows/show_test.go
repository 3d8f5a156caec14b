package workflows_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"

	"waybill/activities"
	"waybill/webhook"
	"waybill/workflows"
)

// details are what the Web UI shows under Current Details.
func (s *story) details() string {
	s.t.Helper()
	value, err := s.env.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(s.t, err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(s.t, value.Get(&metadata))
	return metadata.GetCurrentDetails()
}

// Whoever looks at an event sees for each delivery that is not delivered who it is to, what went wrong and what to do.
func TestEventDelivery_Details(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.host = "hooks.example.com"
	s.answer = func(in activities.AttemptInput) int {
		if in.EndpointID == endpointID(1) {
			return ok
		}
		return down
	}
	s.disable(endpointID(3), "broken `since` Monday")
	s.at(30*time.Second, func() {
		require.Equal(t, strings.Join([]string{
			"- `hooks.example.com` (" + endpointID(2).String() + "): **retrying**, attempt 1 failed: `the receiver answered 503`; " +
				"next attempt at 2026-05-27T14:33:00Z; update retry_now makes one at once, cancel_delivery gives up",
			"- `hooks.example.com` (" + endpointID(3).String() + "): **held**, `broken 'since' Monday`; " +
				"canceled at 2026-05-30T14:32:00Z unless the endpoint is enabled: mend the receiver, then update enable_endpoint",
			"", "1 of 3 delivered",
		}, "\n"), s.details())
	})
	s.deliver(s.event(3))
	require.Contains(t, s.details(), "**exhausted**, attempt 6 failed: `the receiver answered 503`; no attempt follows")
	require.Contains(t, s.details(), "**canceled**, `held for longer than 72h`")
}

func TestEventDelivery_DetailsAreBounded(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = failing(1)
	s.at(30*time.Second, func() {
		require.Equal(t, 50, strings.Count(s.details(), "**retrying**"))
		require.Contains(t, s.details(), "and 150 more: see query delivery_status")
		require.Less(t, len(s.details()), 50*500)
	})
	s.deliver(s.event(workflows.MaxDeliveries))
}

// A workflow that somebody reset takes over the attempts in the log and sends nothing twice.
func TestEventDelivery_TakesOverTheLog(t *testing.T) {
	t.Parallel()
	failed := func(n int) webhook.AttemptSummary {
		return webhook.AttemptSummary{Number: n, StartedAt: began, StatusCode: down, Outcome: webhook.OutcomeRetryable, Error: fmt.Sprintf("no %d", n)}
	}
	for name, test := range map[string]struct {
		status webhook.Status
		result workflows.EventDeliveryResult
		made   []time.Duration
	}{
		"settled":  {webhook.StatusDelivered, workflows.EventDeliveryResult{Delivered: 1}, nil},
		"retrying": {webhook.StatusRetrying, workflows.EventDeliveryResult{Delivered: 1}, []time.Duration{20 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, "auction-excellence")
			first := failed(1)
			s.refuse = func(activities.AttemptInput) (*activities.AttemptResult, error) {
				s.refuse = nil
				return &activities.AttemptResult{
					Status: test.status, Delay: 20 * time.Second, Attempt: &first, Missing: []webhook.AttemptSummary{failed(2), failed(3)},
				}, nil
			}
			require.Equal(t, test.result, s.deliver(s.event(1)))
			h := s.history()
			require.Len(t, h.Attempts, 3+len(test.made))
			for i, a := range h.Attempts {
				require.Equal(t, i+1, a.Number)
			}
			for i, m := range s.made {
				require.Equal(t, 4, m.number)
				require.Equal(t, test.made[i], m.after)
			}
		})
	}
}
