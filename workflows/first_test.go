package workflows_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"waybill/activities"
	"waybill/webhook"
	"waybill/workflows"
)

const wide = workflows.WideDeliveries + 1

// The first attempts of a wide event are made together, and whatever becomes of one is what would become of it in a smaller event.
func TestEventDelivery_WideFirstAttempts(t *testing.T) {
	t.Parallel()
	const spilled, put, followed, faulty, failing, held, disabled = 1, 2, 3, 4, 5, 6, 7
	s := newStory(t, "rheo")
	s.queues = true
	s.disable(endpointID(held), "off")
	var faults atomic.Int64
	s.refuse = func(in activities.AttemptInput) (*activities.AttemptResult, error) {
		switch in.EndpointID {
		case endpointID(spilled):
			return &activities.AttemptResult{Spilled: true}, nil
		case endpointID(put):
			return &activities.AttemptResult{Spilled: true, Delay: 10 * time.Second}, nil
		case endpointID(followed):
			return &activities.AttemptResult{FollowOn: "waybill-isolated/p1"}, nil
		case endpointID(faulty):
			if faults.Add(1) == 1 {
				return nil, errors.New("the database is down")
			}
		}
		return nil, nil
	}
	var a *activities.Activities
	s.env.OnActivity(a.Follow, mock.Anything, mock.Anything).Return(&activities.AttemptResult{
		Status: webhook.StatusDelivered, Attempt: &webhook.AttemptSummary{Number: 1, StatusCode: ok},
	}, nil).Once()
	s.before = func(in activities.AttemptInput) {
		require.Equal(t, in.Lane == activities.LaneFast, in.Wide)
		if in.EndpointID == endpointID(disabled) {
			s.signal(workflows.SignalDisableEndpoint, in.EndpointID, false)
		}
	}
	s.answer = func(in activities.AttemptInput) int {
		if (in.EndpointID == endpointID(failing) || in.EndpointID == endpointID(disabled)) && in.Number == 1 {
			return down
		}
		return ok
	}
	require.Equal(t, workflows.EventDeliveryResult{Delivered: wide - 2, Held: 2}, s.deliver(s.event(wide)))
	require.Equal(t, []time.Duration{0}, s.times(endpointID(spilled)))
	require.Equal(t, []time.Duration{10 * time.Second}, s.times(endpointID(put)))
	require.Equal(t, []time.Duration{0}, s.times(endpointID(faulty)))
	require.Equal(t, []time.Duration{0, time.Second}, s.times(endpointID(failing)))
	require.Empty(t, s.times(endpointID(held)))
	require.Equal(t, []time.Duration{0}, s.times(endpointID(disabled)), "disabled while its first attempt was under way")
	require.Equal(t, int64(2), faults.Load(), "a fault of ours is no attempt, and the fast lane is tried again")
}

// A workflow that is canceled during its first attempts cancels what they did not settle.
func TestEventDelivery_WideCanceled(t *testing.T) {
	t.Parallel()
	s := newStory(t, "rheo")
	s.answer = alwaysDown
	var once atomic.Bool
	s.before = func(activities.AttemptInput) {
		if once.CompareAndSwap(false, true) {
			s.env.CancelWorkflow()
		}
	}
	s.env.ExecuteWorkflow(workflows.EventDeliveryType, s.event(wide))
	var canceled *temporal.CanceledError
	require.ErrorAs(t, s.env.GetWorkflowError(), &canceled)
	require.Len(t, s.set, wide)
	for _, set := range s.set {
		require.Equal(t, webhook.StatusCanceled, set.Status)
	}
}
