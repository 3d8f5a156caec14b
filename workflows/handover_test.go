package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
	"waybill/workflows"
)

// queueing is a story in which endpoint 1 is disabled, and what is held belongs to its queue.
func queueing(t *testing.T) *story {
	t.Helper()
	s := newStory(t, "auction-excellence")
	s.queues, s.host = true, "hooks.example.com"
	s.disable(endpointID(1), "it moves house")
	return s
}

// An event whose deliveries are held needs its workflow no longer: it does not wait for the endpoint.
func TestEventDelivery_HeldIsHandedOver(t *testing.T) {
	t.Parallel()
	s := queueing(t)
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 1, Held: 1}, s.deliver(s.event(2)))
	require.Zero(t, s.env.Now().Sub(began), "without waiting for the end of the hold")
	h := s.history()
	require.Equal(t, webhook.StatusHeld, h.Status)
	require.Equal(t, "it moves house", h.Reason)
	details := s.details()
	require.Contains(t, details, "**held**, `it moves house`")
	require.Contains(t, details, "enable the endpoint, and its queue, the workflow acme/queue/"+endpointID(1).String()+", sends what is held")
}

// Only an exhausted delivery fails an event.
func TestEventDelivery_HandedOverAndExhausted(t *testing.T) {
	t.Parallel()
	s := queueing(t)
	s.answer = alwaysDown
	require.Equal(t, workflows.EventDeliveryResult{Exhausted: 1, Held: 1}, s.deliver(s.event(2)))
}

// An endpoint that is disabled between two attempts takes over what waits for the second, and a restart or a reset finds that it did.
func TestEventDelivery_HandedOverWhileRetrying(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.queues, s.answer = true, alwaysDown
	s.at(10*time.Second, func() {
		s.disable(endpointID(1), "it moves house")
		s.signal(workflows.SignalDisableEndpoint, endpointID(1), true)
	})
	require.Equal(t, workflows.EventDeliveryResult{Held: 1}, s.deliver(s.event(1)))
	require.Equal(t, 10*time.Second, s.env.Now().Sub(began))
	require.Len(t, s.times(endpointID(1)), 1)
	require.Len(t, s.history().Attempts, 1)
}

// What the queue has opened again, or not yet attempted again, is neither attempted nor waited for.
func TestEventDelivery_FindsTheQueueAtWork(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.refuse = func(activities.AttemptInput) (*activities.AttemptResult, error) {
		return &activities.AttemptResult{Status: webhook.StatusRetrying, Queued: true, Delay: time.Hour}, nil
	}
	require.Equal(t, workflows.EventDeliveryResult{Held: 1}, s.deliver(s.event(1)))
	require.Zero(t, s.env.Now().Sub(began))
	require.Nil(t, s.history().NextAttemptAt, "the log knows")
	require.Contains(t, s.details(), "POST /v1/tenants/acme/deliveries/"+deliveryID(1).String()+"/retry asks for one at once")
}

func TestEventDelivery_CommandsToWhatWasHandedOver(t *testing.T) {
	t.Parallel()
	s := queueing(t)
	s.answer = func(in activities.AttemptInput) int { return down }
	var retried, disabled, enabled, canceled, again *updated
	s.at(time.Second, func() {
		retried = s.update(workflows.SignalRetryNow, endpointID(1).String())
		disabled = s.update(workflows.SignalDisableEndpoint, endpointID(1).String())
		enabled = s.update(workflows.SignalEnableEndpoint, endpointID(1).String())
	})
	s.at(2*time.Second, func() {
		requireRefused(t, retried, webhook.CodeConflict, "enable the endpoint, and its queue")
		require.NoError(t, disabled.err)
		require.NoError(t, enabled.err)
		require.Len(t, s.enabling, 2, "for every event")
		canceled = s.update(workflows.SignalCancelDelivery, endpointID(1).String())
	})
	s.at(3*time.Second, func() {
		require.NoError(t, canceled.err)
		require.Equal(t, webhook.StatusCanceled, canceled.answer.Deliveries[0].Status)
		again = s.update(workflows.SignalCancelDelivery, endpointID(1).String())
	})
	s.at(4*time.Second, func() { requireRefused(t, again, webhook.CodeConflict, "to send it again") })
	require.Equal(t, workflows.EventDeliveryResult{Exhausted: 1, Canceled: 1}, s.deliver(s.event(2)))
}

// Signals do what updates do.
func TestEventDelivery_SignalsToWhatWasHandedOver(t *testing.T) {
	t.Parallel()
	s := queueing(t)
	s.answer = alwaysDown
	s.at(time.Second, func() {
		s.signal(workflows.SignalRetryNow, endpointID(1), false)
		s.env.SignalWorkflow(workflows.SignalCancelDelivery, workflows.EndpointSignal{EndpointID: workflows.AllEndpoints, Reason: "because"})
	})
	require.Equal(t, workflows.EventDeliveryResult{Canceled: 2}, s.deliver(s.event(2)))
	require.Len(t, s.times(endpointID(2)), 1)
}

// A cancel that comes while the attempt is under way that finds the endpoint disabled is obeyed all the same.
func TestEventDelivery_CanceledWhileHandedOver(t *testing.T) {
	t.Parallel()
	s := queueing(t)
	var u *updated
	s.before = func(activities.AttemptInput) { u = s.update(workflows.SignalCancelDelivery, endpointID(1).String()) }
	require.Equal(t, workflows.EventDeliveryResult{Canceled: 1}, s.deliver(s.event(1)))
	require.True(t, u.done)
	require.NoError(t, u.err)
}

// A delivery that is canceled in the database while its attempt is under way, and that a person then opens again, stays open: the
// workflow is told of the cancel alone, and late.
func TestEventDelivery_CanceledAndOpenedAgain(t *testing.T) {
	t.Parallel()
	for name, tell := range map[string]func(*story){
		"signal": func(s *story) { s.signal(workflows.SignalCancelDelivery, endpointID(1), true) },
		"update": func(s *story) {
			s.updateWith(workflows.SignalCancelDelivery, workflows.EndpointSignal{EndpointID: endpointID(1).String(), Informed: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, "auction-excellence")
			s.answer, s.adopted = alwaysDown, true
			s.at(10*time.Second, func() { tell(s) })
			require.Equal(t, workflows.EventDeliveryResult{Held: 1}, s.deliver(s.event(1)))
			require.Len(t, s.set, 1)
			require.True(t, s.set[0].UnlessQueued)
		})
	}
}

// An event that waits for a retry goes on in a new run without what was handed over.
func TestEventDelivery_ContinuesWithoutWhatWasHandedOver(t *testing.T) {
	t.Parallel()
	s := queueing(t)
	in := s.event(2)
	in.Deliveries[0].Status, in.Deliveries[0].Reason, in.Deliveries[0].Queued = webhook.StatusHeld, "it moves house", true
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 1, Held: 1}, s.deliver(in))
	require.Empty(t, s.times(endpointID(1)))
}

// The hold of a delivery that an earlier version held ends in the database, where its queue may have it by then.
func TestEventDelivery_HoldEndsAfterAdoption(t *testing.T) {
	t.Parallel()
	s := newStory(t, "rheo")
	s.disable(endpointID(1), "for good")
	s.at(time.Hour, func() { s.adopted = true })
	require.Equal(t, workflows.EventDeliveryResult{Held: 1}, s.deliver(s.event(1)))
	require.Equal(t, s.dialect.HoldFor.Std(), s.env.Now().Sub(began))
}
