package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/webhook"
	"waybill/workflows"
)

// ours is a fault that time does not cure.
func ours() error { return temporal.NewNonRetryableApplicationError("not stored", "not_found", nil) }

// mayBeGone fails whatever is done to an endpoint, for as long as the result is true.
func (s *story) mayBeGone(endpoint webhook.EndpointID) *bool {
	gone := new(bool)
	s.fault = func(id webhook.EndpointID) error {
		if *gone && id == endpoint {
			return ours()
		}
		return nil
	}
	return gone
}

// A delivery that cannot go on does not keep the others of its event, nor the history, from going on.
func TestEventDelivery_FaultLetsTheEventContinue(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = alwaysDown
	*s.mayBeGone(endpointID(1)) = true
	s.at(30*time.Second, func() { s.env.SetContinueAsNewSuggested(true) })
	s.env.ExecuteWorkflow(workflows.EventDeliveryType, s.event(2))
	var anew *workflow.ContinueAsNewError
	require.ErrorAs(t, s.env.GetWorkflowError(), &anew)
	require.Less(t, s.env.Now().Sub(began), 10*time.Minute)
}

// The command that a fault of ours kept from being obeyed is not forgotten: nobody says again that the endpoint was enabled.
func TestEventDelivery_FaultAfterEnabling(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.disable(endpointID(1), "off")
	faults := 0
	s.at(time.Hour, func() {
		s.enable(endpointID(1))
		s.fault = func(webhook.EndpointID) error {
			if faults++; faults < 6 { // each time in both lanes
				return ours()
			}
			return nil
		}
		s.signal(workflows.SignalEnableEndpoint, endpointID(1), true)
	})
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 1}, s.deliver(s.event(1)))
	require.Less(t, s.env.Now().Sub(began), time.Hour+10*time.Minute, "it does not wait for the end of the hold")
}

// A retry that a person asked for stays one, and a command need not wait for the end of the pause.
func TestEventDelivery_FaultOfManualAttempt(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = failing(2)
	first := s.event(1)
	failingNow := false
	s.fault = func(webhook.EndpointID) error {
		if failingNow {
			return ours()
		}
		return nil
	}
	s.at(10*time.Second, func() {
		failingNow = true
		s.signal(workflows.SignalRetryNow, endpointID(1), false)
	})
	s.at(15*time.Second, func() { failingNow = false })
	s.at(20*time.Second, func() { s.signal(workflows.SignalRetryNow, endpointID(1), false) })
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 1}, s.deliver(first))
	times := s.times(endpointID(1))
	require.Len(t, times, 3)
	require.Equal(t, 20*time.Second, times[1], "at once")
	require.Equal(t, time.Minute, times[2], "the schedule goes on where it was")
	require.True(t, s.history().Attempts[1].Manual)
}

// An endpoint that cannot be disabled does not keep the others of the event from it.
func TestEventDelivery_DisablesEach(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = alwaysDown
	gone := s.mayBeGone(endpointID(1))
	var u *updated
	s.at(10*time.Second, func() {
		*gone = true
		u = s.update(workflows.SignalDisableEndpoint, workflows.AllEndpoints)
	})
	s.at(20*time.Second, func() { *gone = false })
	s.deliver(s.event(3))
	require.Error(t, u.err, "the caller is told")
	require.Len(t, s.enabling, 2)
	require.Equal(t, endpointID(3), s.enabling[1].EndpointID)
}

// A delivery that cannot be canceled does not keep the others of a canceled workflow from it.
func TestEventDelivery_CancelsEach(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = alwaysDown
	gone := s.mayBeGone(endpointID(1))
	s.at(10*time.Second, func() {
		*gone = true
		s.env.CancelWorkflow()
	})
	s.env.ExecuteWorkflow(workflows.EventDeliveryType, s.event(3))
	require.ErrorContains(t, s.env.GetWorkflowError(), "not stored")
	require.Len(t, s.set, 2)
}
