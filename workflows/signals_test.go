package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
	"waybill/workflows"
)

func TestEventDelivery_DisabledWhileWaiting(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = failing(1)
	s.at(30*time.Second, func() {
		s.disable(endpointID(1), "because")
		s.signal(workflows.SignalDisableEndpoint, endpointID(1), true)
	})
	s.at(31*time.Second, func() {
		h := s.history()
		require.Equal(t, webhook.StatusHeld, h.Status, "at once, not when the retry is due")
		require.Equal(t, "because", h.Reason)
		require.Nil(t, h.NextAttemptAt)
	})
	s.at(2*time.Hour, func() { require.Len(t, s.times(endpointID(1)), 1, "nothing is sent while disabled") })
	s.at(3*time.Hour, func() {
		s.enable(endpointID(1))
		s.signal(workflows.SignalEnableEndpoint, endpointID(1), true)
	})
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 1}, s.deliver(s.event(1)))
	require.Equal(t, sums(3*time.Hour), s.times(endpointID(1)), "goes on at once when enabled")
	require.Empty(t, s.enabling, "the database knew")
}

func TestEventDelivery_DisabledWithoutSignal(t *testing.T) {
	t.Parallel()
	s := newStory(t, "rheo")
	s.answer = failing(1)
	s.at(500*time.Millisecond, func() { s.disable(endpointID(1), "receiver asked") })
	s.at(time.Hour, func() {
		require.Equal(t, webhook.StatusHeld, s.history().Status)
		require.Equal(t, "receiver asked", s.history().Reason)
		s.enable(endpointID(1))
		s.signal(workflows.SignalEnableEndpoint, endpointID(1), true)
	})
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 1}, s.deliver(s.event(1)))
	require.Equal(t, sums(time.Hour), s.times(endpointID(1)))
}

// A signal may overtake what it is about: the endpoint is enabled while an attempt that read it as disabled is on its
// way back.
func TestEventDelivery_EnabledDuringAttempt(t *testing.T) {
	t.Parallel()
	s := newStory(t, "rheo")
	s.disable(endpointID(1), "a moment ago")
	reads := 0
	s.before = func(activities.AttemptInput) {
		if reads++; reads == 1 {
			s.signal(workflows.SignalEnableEndpoint, endpointID(1), true)
			return
		}
		s.enable(endpointID(1))
	}
	s.deliver(s.event(1))
	require.Equal(t, sums(), s.times(endpointID(1)), "goes on at once")
}

// Being enabled must not cut a retry's delay short.
func TestEventDelivery_EnabledWhileRetrying(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = failing(1)
	s.at(10*time.Second, func() { s.signal(workflows.SignalEnableEndpoint, endpointID(1), true) })
	s.deliver(s.event(1))
	require.Equal(t, sums(time.Minute), s.times(endpointID(1)))
}

func TestEventDelivery_HeldTooLong(t *testing.T) {
	t.Parallel()
	s := newStory(t, "rheo")
	s.disable(endpointID(1), "for good")
	require.Equal(t, workflows.EventDeliveryResult{Canceled: 1}, s.deliver(s.event(1)))
	require.Equal(t, s.dialect.HoldFor.Std(), s.env.Now().Sub(began))
	require.Contains(t, s.history().Reason, "held for longer than")
	require.Equal(t, webhook.StatusCanceled, s.set[len(s.set)-1].Status, "the log says so too")
}

func TestEventDelivery_RetryNow(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = failing(2)
	s.at(10*time.Second, func() { s.signal(workflows.SignalRetryNow, endpointID(1), false) })
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 1}, s.deliver(s.event(1)))
	require.Equal(t, sums(10*time.Second, 50*time.Second), s.times(endpointID(1)), "the schedule goes on as if nothing had been asked")
}

func TestEventDelivery_CancelDelivery(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = alwaysDown
	s.at(10*time.Second, func() { s.signal(workflows.SignalCancelDelivery, endpointID(1), false) })
	require.Equal(t, workflows.EventDeliveryResult{Canceled: 1, Exhausted: 1}, s.deliver(s.event(2)))
	require.Len(t, s.times(endpointID(1)), 1)
	require.Len(t, s.times(endpointID(2)), 6, "the other goes on")
	require.Equal(t, []activities.SetStatusInput{{Tenant: "acme", DeliveryID: deliveryID(1), Status: webhook.StatusCanceled, Reason: "because", Attempts: 1}}, s.set)
}

func TestEventDelivery_CanceledInTheDatabase(t *testing.T) {
	t.Parallel()
	s := newStory(t, "rheo")
	s.answer = alwaysDown
	s.at(500*time.Millisecond, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.canceled[deliveryID(1)] = "through the API"
	})
	require.Equal(t, workflows.EventDeliveryResult{Canceled: 1}, s.deliver(s.event(1)))
	require.Equal(t, "through the API", s.history().Reason)
}

func TestEventDelivery_WorkflowCanceled(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = alwaysDown
	s.at(10*time.Second, func() { s.env.CancelWorkflow() })
	s.env.ExecuteWorkflow(workflows.EventDeliveryType, s.event(1))
	require.ErrorContains(t, s.env.GetWorkflowError(), "canceled")
	require.Len(t, s.set, 1)
	require.Equal(t, webhook.StatusCanceled, s.set[0].Status, "the log says what became of the delivery")
}

// A person's signal, without "informed", switches the endpoint for every event.
func TestEventDelivery_SwitchedByAPerson(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = failing(1)
	s.at(10*time.Second, func() { s.signal(workflows.SignalDisableEndpoint, endpointID(1), false) })
	s.at(11*time.Second, func() { require.Equal(t, webhook.StatusHeld, s.history().Status) })
	s.at(time.Hour, func() { s.signal(workflows.SignalEnableEndpoint, endpointID(1), false) })
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 1}, s.deliver(s.event(1)))
	require.Equal(t, []activities.SetEnabledInput{
		{Tenant: "acme", EndpointID: endpointID(1), Reason: "because"},
		{Tenant: "acme", EndpointID: endpointID(1), Enabled: true, Reason: "because"},
	}, s.enabling)
	require.Equal(t, sums(time.Hour), s.times(endpointID(1)))
}

// notSignals are inputs that ask nothing of anybody.
func notSignals() map[string]any {
	id := endpointID(1).String()
	return map[string]any{
		"a string":              "not an object",
		"an object in a string": `{"endpoint_id":"` + id + `"}`,
		"null":                  nil,
		"a list":                []string{id},
		"no endpoint_id":        map[string]string{},
		"another name":          map[string]string{"endpoint": id},
		"one field too many":    map[string]string{"endpoint_id": id, "endpont": "x"},
		"an empty endpoint_id":  map[string]string{"endpoint_id": ""},
		"no id":                 map[string]string{"endpoint_id": "acme"},
		"bytes":                 []byte(`{"endpoint_id":"` + id + `"}`),
	}
}

// A signal that cannot be read applies to no endpoint, and later signals still work.
func TestEventDelivery_StrangeSignals(t *testing.T) {
	t.Parallel()
	for name, input := range notSignals() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, "auction-excellence")
			s.answer = failing(2)
			s.at(time.Second, func() {
				for _, signal := range []string{
					workflows.SignalDisableEndpoint, workflows.SignalEnableEndpoint, workflows.SignalRetryNow, workflows.SignalCancelDelivery,
				} {
					s.env.SignalWorkflow(signal, input)
				}
			})
			s.at(30*time.Second, func() {
				require.Equal(t, webhook.StatusRetrying, s.history().Status)
				s.signal(workflows.SignalRetryNow, endpointID(1), false)
			})
			require.Equal(t, workflows.EventDeliveryResult{Delivered: 1}, s.deliver(s.event(1)))
			require.Equal(t, sums(30*time.Second, 30*time.Second), s.times(endpointID(1)), "a signal after it is heard")
			require.Empty(t, s.enabling)
			require.Empty(t, s.set)
		})
	}
}

func TestEventDelivery_SignalsThatDoNothing(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = failing(1)
	s.at(time.Second, func() {
		s.env.SignalWorkflow("no_such_signal", 1)
		s.signal(workflows.SignalRetryNow, endpointID(99), false)
		s.signal(workflows.SignalDisableEndpoint, endpointID(1), true) // the database disagrees, and is right
	})
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 1}, s.deliver(s.event(1)))
	require.Equal(t, sums(time.Minute), s.times(endpointID(1)))
	require.Empty(t, s.enabling)
}

// "*" means every endpoint of the event, and a reason is stored as one line of bounded length.
func TestEventDelivery_SignalForAll(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = alwaysDown
	s.at(time.Second, func() {
		s.env.SignalWorkflow(workflows.SignalCancelDelivery, workflows.EndpointSignal{
			EndpointID: workflows.AllEndpoints, Reason: "\x1b[31mred\n" + strings.Repeat("x", 3000),
		})
	})
	require.Equal(t, workflows.EventDeliveryResult{Canceled: 3}, s.deliver(s.event(3)))
	require.Len(t, s.set, 3)
	for _, in := range s.set {
		require.Len(t, in.Reason, 500)
		require.True(t, strings.HasPrefix(in.Reason, " [31mred xx"))
	}
}

func TestEventDelivery_SignalReachesItsPart(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = func(in activities.AttemptInput) int {
		if in.EndpointID == endpointID(250) && in.Number == 1 {
			return down
		}
		return ok
	}
	s.at(10*time.Second, func() { s.signal(workflows.SignalRetryNow, endpointID(250), false) })
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 250}, s.deliver(s.event(250)))
	require.Equal(t, sums(10*time.Second), s.times(endpointID(250)))
}
