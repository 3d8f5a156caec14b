package workflows_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
	"waybill/webhook"
	"waybill/workflows"
)

func TestEventDelivery_Lanes(t *testing.T) {
	t.Parallel()
	s := newStory(t, "rheo")
	s.answer = failing(2)
	s.deliver(s.event(1))
	var lanes []activities.Lane
	for _, m := range s.made {
		lanes = append(lanes, m.lane)
	}
	require.Equal(t, []activities.Lane{activities.LaneFast, activities.LaneFast, activities.LaneFast}, lanes, "failing is not slow")
}

func TestEventDelivery_Spilled(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(activities.AttemptInput) (*activities.AttemptResult, error){
		"no room in the fast lane": func(activities.AttemptInput) (*activities.AttemptResult, error) {
			return &activities.AttemptResult{Spilled: true}, nil
		},
		"a fault of ours": func(activities.AttemptInput) (*activities.AttemptResult, error) {
			return nil, errors.New("the database is down")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, "rheo")
			s.refuse = refuse
			s.deliver(s.event(1))
			require.Equal(t, []made{{endpointID(1), 1, activities.LaneIsolated, 0}}, s.made)
		})
	}
}

// What the isolated lane has no place for either is put off, unless somebody asks for it now.
func TestEventDelivery_PutOff(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ask  bool
		made time.Duration
	}{"waits": {false, 10 * time.Second}, "asked for": {true, 3 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, "rheo")
			s.refuse = func(activities.AttemptInput) (*activities.AttemptResult, error) {
				return &activities.AttemptResult{Spilled: true, Delay: 10 * time.Second}, nil
			}
			s.at(3*time.Second, func() {
				require.Equal(t, webhook.StatusPending, s.history().Status)
				if test.ask {
					s.env.SignalWorkflow(workflows.SignalRetryNow, workflows.EndpointSignal{EndpointID: workflows.AllEndpoints})
				}
			})
			s.deliver(s.event(1))
			require.Equal(t, []made{{endpointID(1), 1, activities.LaneIsolated, test.made}}, s.made)
		})
	}
}

// An attempt that takes long leaves the workflow task, and is asked for at the process that makes it.
func TestEventDelivery_Follows(t *testing.T) {
	t.Parallel()
	const queue = "waybill-isolated/p1"
	for name, test := range map[string]struct {
		follow error
		lane   activities.Lane
	}{
		"to its end":             {nil, activities.LaneFast},
		"until the process dies": {errors.New("nobody polls the queue"), activities.LaneIsolated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, "rheo")
			s.refuse = func(activities.AttemptInput) (*activities.AttemptResult, error) {
				return &activities.AttemptResult{FollowOn: queue}, nil
			}
			var a *activities.Activities
			s.env.OnActivity(a.Follow, mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.AttemptInput) (*activities.AttemptResult, error) {
				require.Equal(t, queue, activity.GetInfo(ctx).TaskQueue)
				if test.follow != nil {
					return nil, test.follow
				}
				s.refuse = nil
				return s.attempt(ctx, in)
			}).Once()
			s.deliver(s.event(1))
			require.Equal(t, []made{{endpointID(1), 1, test.lane, 0}}, s.made, "one attempt, number 1")
		})
	}
}

// Express mode made the first attempt before there was a workflow.
func TestEventDelivery_TakesOver(t *testing.T) {
	t.Parallel()
	s := newStory(t, "rheo")
	in := s.event(2)
	in.Deliveries[0] = workflows.DeliveryState{
		ID: deliveryID(1), EndpointID: endpointID(1), Lane: activities.LaneIsolated, Status: webhook.StatusRetrying,
		Delay: 700 * time.Millisecond, Attempts: []webhook.AttemptSummary{{Number: 1, StatusCode: down}},
	}
	in.Deliveries[1].FollowOn = "waybill-isolated/p1"
	var a *activities.Activities
	s.env.OnActivity(a.Follow, mock.Anything, mock.Anything).Return(s.attempt).Once()
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 2}, s.deliver(in))
	require.ElementsMatch(t, []made{
		{endpointID(1), 2, activities.LaneIsolated, 700 * time.Millisecond}, {endpointID(2), 1, activities.LaneFast, 0},
	}, s.made)
	require.Len(t, s.history().Attempts, 2)
}

func TestEventDelivery_Queries(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = failing(1)
	s.at(30*time.Second, func() {
		h := s.history()
		require.Equal(t, webhook.StatusRetrying, h.Status)
		require.Equal(t, began.Add(time.Minute), h.NextAttemptAt.UTC())
		require.Equal(t, []webhook.AttemptSummary{{
			Number: 1, StartedAt: began, DurationMS: 12, StatusCode: down, Outcome: webhook.OutcomeRetryable,
			ErrorClass: webhook.ErrorHTTPStatus, Error: "the receiver answered 503",
		}}, h.Attempts)

		value, err := s.env.QueryWorkflow(workflows.QueryStatus)
		require.NoError(t, err)
		var lines []string
		require.NoError(t, value.Get(&lines))
		require.Equal(t, []string{endpointID(1).String() + " retrying, attempts: 1, last: 503, next at 2026-05-27T14:33:00Z"}, lines)
	})
	s.deliver(s.event(1))
}

// The statuses are shown to operators only when something is wrong, and then to the end: each that occurs, so that a query
// for any of them finds the event.
func TestEventDelivery_StatusAttribute(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		deliveries int
		play       func(s *story)
		want       [][]string
	}{
		"happy path": {2, func(*story) {}, nil},
		"recovers":   {1, func(s *story) { s.answer = failing(1) }, [][]string{{"retrying"}, {"delivered"}}},
		"exhausted":  {1, func(s *story) { s.answer = alwaysDown }, [][]string{{"retrying"}, {"exhausted"}}},
		"exhausted and held": {2, func(s *story) {
			s.answer = alwaysDown
			s.disable(endpointID(2), "for good")
		}, [][]string{{"retrying", "held"}, {"held", "exhausted"}, {"exhausted", "canceled"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, "rheo")
			test.play(s)
			shown := s.shown()
			s.deliver(s.event(test.deliveries))
			if test.deliveries > 1 && test.want != nil {
				*shown = (*shown)[1:] // which of the two was first
			}
			require.Equal(t, test.want, *shown)
		})
	}
}

// shown collects the values of the status attribute.
func (s *story) shown() *[][]string {
	var shown [][]string
	s.env.OnUpsertTypedSearchAttributes(mock.MatchedBy(func(upserted temporal.SearchAttributes) bool {
		if statuses, ok := upserted.GetKeywordList(workflows.AttributeStatus); ok {
			shown = append(shown, statuses)
		}
		return true
	})).Return(nil).Maybe()
	return &shown
}

// Who looks for what still retries does not find a workflow that was canceled.
func TestEventDelivery_CanceledIsShown(t *testing.T) {
	t.Parallel()
	for _, deliveries := range []int{1, 3} {
		s := newStory(t, "auction-excellence")
		s.answer = alwaysDown
		shown := s.shown()
		s.at(10*time.Second, s.env.CancelWorkflow)
		s.env.ExecuteWorkflow(workflows.EventDeliveryType, s.event(deliveries))
		require.Equal(t, []string{"canceled"}, (*shown)[len(*shown)-1])
		require.Equal(t, deliveries, strings.Count(s.details(), "**canceled**, `the workflow was canceled`"))
	}
}

func TestEventDelivery_ContinuesAsNew(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = func(in activities.AttemptInput) int {
		if in.EndpointID == endpointID(1) && in.Number < 3 {
			return down
		}
		return ok
	}
	s.at(30*time.Second, func() { s.env.SetContinueAsNewSuggested(true) })
	s.env.ExecuteWorkflow(workflows.EventDeliveryType, s.event(2))
	var anew *workflow.ContinueAsNewError
	require.ErrorAs(t, s.env.GetWorkflowError(), &anew)
	var next workflows.EventDeliveryInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(anew.Input, &next))
	require.Equal(t, webhook.StatusRetrying, next.Deliveries[0].Status)
	require.Len(t, next.Deliveries[0].Attempts, 2)
	require.Equal(t, webhook.StatusDelivered, next.Deliveries[1].Status)

	again := newStory(t, "auction-excellence")
	again.env.SetStartTime(began.Add(time.Minute))
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 2}, again.deliver(&next))
	require.Equal(t, []made{{endpointID(1), 3, activities.LaneFast, 6 * time.Minute}}, again.made, "on schedule, across the runs")
	require.Len(t, again.history().Attempts, 3)
}

// The most that a run hands to the next fits into what Temporal takes, and loses no count.
func TestEventDelivery_LargestContinuation(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	in := s.event(workflows.MaxDeliveries)
	for i := range in.Deliveries {
		d := &in.Deliveries[i]
		d.Status, d.NextAttemptAt, d.Host = webhook.StatusRetrying, began.Add(time.Minute), strings.Repeat("h", 253)
		for n := range webhook.MaxRetries + workflows.MaxManualAttempts {
			d.Attempts = append(d.Attempts, webhook.AttemptSummary{
				Number: n + 1, Manual: n > 0 && n <= workflows.MaxManualAttempts, StartedAt: began, DurationMS: 30_000, StatusCode: down,
				Outcome: webhook.OutcomeRetryable, ErrorClass: webhook.ErrorHTTPStatus, Error: strings.Repeat("x", 500),
			})
		}
	}
	s.env.SetContinueAsNewSuggested(true)
	s.env.ExecuteWorkflow(workflows.EventDeliveryType, in)
	var anew *workflow.ContinueAsNewError
	require.ErrorAs(t, s.env.GetWorkflowError(), &anew)
	require.Less(t, len(anew.Input.GetPayloads()[0].GetData()), workflows.MaxInputBytes)

	var next workflows.EventDeliveryInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(anew.Input, &next))
	again := newStory(t, "auction-excellence")
	again.before = func(in activities.AttemptInput) {
		require.Equal(t, webhook.MaxRetries+workflows.MaxManualAttempts+1, in.Number)
		require.Equal(t, webhook.MaxRetries, in.Scheduled)
	}
	require.Equal(t, workflows.EventDeliveryResult{Delivered: workflows.MaxDeliveries}, again.deliver(&next))
}

// Inputs travel through Temporal's history, where people read them.
func TestEventDelivery_InputHasNoSecrets(t *testing.T) {
	t.Parallel()
	s := newStory(t, "rheo")
	payload, err := converter.GetDefaultDataConverter().ToPayload(s.event(2))
	require.NoError(t, err)
	for _, word := range []string{"whsec", "http", "body", "secret"} {
		require.NotContains(t, strings.ToLower(string(payload.GetData())), word)
	}
	require.Less(t, len(payload.GetData()), 1024)
}
