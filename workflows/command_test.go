package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
	"waybill/webhook"
	"waybill/workflows"
)

// A command that reaches a delivery during the attempt that settles it has nothing to do any more, and must not keep
// the workflow from continuing as new.
func TestEventDelivery_CommandDuringTheLastAttempt(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		workflows.SignalRetryNow, workflows.SignalCancelDelivery, workflows.SignalDisableEndpoint, workflows.SignalEnableEndpoint,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, "auction-excellence")
			s.answer = func(in activities.AttemptInput) int {
				if in.EndpointID == endpointID(1) {
					return ok
				}
				return down
			}
			s.before = func(in activities.AttemptInput) {
				if in.EndpointID == endpointID(1) {
					s.signal(name, endpointID(1), true)
				}
			}
			s.at(30*time.Second, func() { s.env.SetContinueAsNewSuggested(true) })
			s.env.ExecuteWorkflow(workflows.EventDeliveryType, s.event(2))
			require.True(t, s.env.IsWorkflowCompleted())
			var anew *workflow.ContinueAsNewError
			require.ErrorAs(t, s.env.GetWorkflowError(), &anew)
			require.Len(t, s.times(endpointID(1)), 1)
		})
	}
}

// Attempts that a person asks for come on top of the retry policy.
func TestEventDelivery_ManualAttempts(t *testing.T) {
	t.Parallel()
	s := newStory(t, "rheo") // five retries, after 1, 2, 4, 8 and 16 s
	s.answer = alwaysDown
	s.at(4*time.Second, func() { s.signal(workflows.SignalRetryNow, endpointID(1), false) })
	s.at(5*time.Second, func() {
		h := s.history()
		require.Equal(t, webhook.StatusRetrying, h.Status)
		require.Equal(t, began.Add(7*time.Second), h.NextAttemptAt.UTC(), "as if nothing had been asked")
		s.signal(workflows.SignalRetryNow, endpointID(1), false)
	})
	require.Equal(t, workflows.EventDeliveryResult{Exhausted: 1}, s.deliver(s.event(1)))
	const sec = time.Second
	require.Equal(t, []time.Duration{0, sec, 3 * sec, 4 * sec, 5 * sec, 7 * sec, 15 * sec, 31 * sec}, s.times(endpointID(1)))
	for i, a := range s.history().Attempts {
		require.Equal(t, i == 3 || i == 4, a.Manual, "attempt %d", a.Number)
	}
}

// A manual attempt that has to wait for a place stays one, and the retry policy goes on when it would have.
func TestEventDelivery_ManualAttemptPutOff(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = failing(2)
	s.at(10*time.Second, func() {
		s.mu.Lock()
		s.refuse = func(activities.AttemptInput) (*activities.AttemptResult, error) {
			return &activities.AttemptResult{Spilled: true, Delay: 5 * time.Second}, nil
		}
		s.mu.Unlock()
		s.signal(workflows.SignalRetryNow, endpointID(1), false)
	})
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 1}, s.deliver(s.event(1)))
	require.Equal(t, []time.Duration{0, 15 * time.Second, time.Minute}, s.times(endpointID(1)))
	require.True(t, s.history().Attempts[1].Manual)
	require.False(t, s.history().Attempts[2].Manual)
}

func TestEventDelivery_ManualAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = alwaysDown
	var u *updated
	for i := range workflows.MaxManualAttempts + 2 {
		s.at(time.Duration(i+1)*time.Second, func() { s.signal(workflows.SignalRetryNow, endpointID(1), false) })
	}
	s.at(50*time.Second, func() {
		require.Len(t, s.times(endpointID(1)), 1+workflows.MaxManualAttempts)
		u = s.update(workflows.SignalRetryNow, endpointID(1).String())
	})
	s.at(51*time.Second, func() { requireRefused(t, u, webhook.CodeConflict, "the most that may be; its schedule goes on") })
	require.Equal(t, workflows.EventDeliveryResult{Exhausted: 1}, s.deliver(s.event(1)))
	require.Len(t, s.times(endpointID(1)), 6+workflows.MaxManualAttempts, "and the retry policy is as long as ever")
}

// What is held waits for its endpoint; an attempt could only be held again, and the hold would begin anew.
func TestEventDelivery_RetryOfAHeldDelivery(t *testing.T) {
	t.Parallel()
	s := newStory(t, "rheo")
	s.disable(endpointID(1), "for good")
	asked := 0
	s.before = func(activities.AttemptInput) { asked++ }
	s.at(time.Hour, func() { s.signal(workflows.SignalRetryNow, endpointID(1), false) })
	require.Equal(t, workflows.EventDeliveryResult{Canceled: 1}, s.deliver(s.event(1)))
	require.Equal(t, 1, asked)
	require.Equal(t, s.dialect.HoldFor.Std(), s.env.Now().Sub(began))
}

// Of two commands that wait for the same attempt to end, the one that sends less is obeyed, in either order.
func TestEventDelivery_OneCommand(t *testing.T) {
	t.Parallel()
	for name, signals := range map[string][]string{
		"retry, then disable": {workflows.SignalRetryNow, workflows.SignalDisableEndpoint},
		"disable, then retry": {workflows.SignalDisableEndpoint, workflows.SignalRetryNow},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, "auction-excellence")
			s.answer = failing(1)
			asked := 0
			s.before = func(activities.AttemptInput) {
				if asked++; asked > 1 {
					return
				}
				for _, signal := range signals {
					s.signal(signal, endpointID(1), true)
				}
				s.at(0, func() { s.disable(endpointID(1), "because") })
			}
			s.at(time.Second, func() {
				require.Equal(t, webhook.StatusHeld, s.history().Status)
				require.Equal(t, 1, asked, "no attempt of a disabled endpoint")
				s.enable(endpointID(1))
				s.signal(workflows.SignalEnableEndpoint, endpointID(1), true)
			})
			require.Equal(t, workflows.EventDeliveryResult{Delivered: 1}, s.deliver(s.event(1)))
		})
	}
	t.Run("cancel outranks all", func(t *testing.T) {
		t.Parallel()
		s := newStory(t, "auction-excellence")
		s.answer = alwaysDown
		s.before = func(activities.AttemptInput) {
			s.signal(workflows.SignalCancelDelivery, endpointID(1), false)
			s.signal(workflows.SignalRetryNow, endpointID(1), false)
			s.signal(workflows.SignalDisableEndpoint, endpointID(1), true)
			s.signal(workflows.SignalEnableEndpoint, endpointID(1), true)
		}
		require.Equal(t, workflows.EventDeliveryResult{Canceled: 1}, s.deliver(s.event(1)))
		require.Len(t, s.times(endpointID(1)), 1)
	})
}

// A timer that a command interrupts is canceled: the Web UI would show it as running until it fires.
func TestEventDelivery_InterruptedTimersAreCanceled(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = failing(1)
	started, ended := 0, 0
	s.env.SetOnTimerScheduledListener(func(string, time.Duration) { started++ })
	s.env.SetOnTimerCanceledListener(func(string) { ended++ })
	s.env.SetOnTimerFiredListener(func(string) { ended++ })
	s.at(10*time.Second, func() {
		s.disable(endpointID(1), "because")
		s.signal(workflows.SignalDisableEndpoint, endpointID(1), true)
	})
	s.at(20*time.Second, func() {
		s.enable(endpointID(1))
		s.signal(workflows.SignalEnableEndpoint, endpointID(1), true)
	})
	s.deliver(s.event(1))
	require.Equal(t, 20*time.Second, s.env.Now().Sub(began))
	require.GreaterOrEqual(t, started, 2, "the wait and the hold")
	require.Equal(t, started, ended)
}
