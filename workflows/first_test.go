package workflows_test

import (
	"errors"
	"slices"
	"strings"
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
	failsOnce := []webhook.EndpointID{endpointID(failing), endpointID(disabled), endpointID(spilled)}
	var faults atomic.Int64
	s.refuse = func(in activities.AttemptInput) (*activities.AttemptResult, error) {
		switch in.EndpointID {
		case endpointID(spilled):
			if in.Number == 1 {
				return &activities.AttemptResult{Spilled: true}, nil
			}
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
		if slices.Contains(failsOnce, in.EndpointID) && in.Number == 1 {
			return down
		}
		return ok
	}
	require.Equal(t, workflows.EventDeliveryResult{Delivered: wide - 2, Held: 2}, s.deliver(s.event(wide)))
	require.Equal(t, []time.Duration{0, time.Second}, s.times(endpointID(spilled)))
	require.Equal(t, activities.LaneFast, s.inputs[deliveryID(spilled)].Lane, "the next attempt is made in the fast lane again")
	require.Equal(t, []time.Duration{10 * time.Second}, s.times(endpointID(put)))
	require.Equal(t, []time.Duration{0}, s.times(endpointID(faulty)))
	require.Equal(t, []time.Duration{0, time.Second}, s.times(endpointID(failing)))
	require.Empty(t, s.times(endpointID(held)))
	require.Equal(t, []time.Duration{0}, s.times(endpointID(disabled)), "disabled while its first attempt was under way")
	require.Equal(t, int64(1), faults.Load(), "a fault of ours is no attempt, and the isolated lane makes it")
}

// A signal that waits for the first task comes before the first attempts.
func TestEventDelivery_WideSignaledBeforeItBegins(t *testing.T) {
	t.Parallel()
	const retried = 2
	for name, signal := range map[string]func(*story){
		"canceled all": func(s *story) {
			s.env.SignalWorkflow(workflows.SignalCancelDelivery, workflows.EndpointSignal{EndpointID: workflows.AllEndpoints})
		},
		"retried one": func(s *story) { s.signal(workflows.SignalRetryNow, endpointID(retried), false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, "rheo")
			s.answer = failing(1)
			s.at(0, func() { signal(s) })
			result := s.deliver(s.event(wide))
			if name == "canceled all" {
				require.Equal(t, workflows.EventDeliveryResult{Canceled: wide}, result)
				require.Empty(t, s.made)
				return
			}
			require.Equal(t, workflows.EventDeliveryResult{Delivered: wide}, result)
			require.Equal(t, []time.Duration{0, time.Second}, s.times(endpointID(retried)), "the first attempt is due anyway")
			require.False(t, s.inputs[deliveryID(retried)].Manual)
		})
	}
}

// What is asked of a delivery during its first attempt comes after it, however long that takes.
func TestEventDelivery_WideAskedWhileTheFirstAttemptGoesOn(t *testing.T) {
	t.Parallel()
	const followed = 3
	for name, ask := range map[string]string{
		"cancel": workflows.SignalCancelDelivery, "disable": workflows.SignalDisableEndpoint, "retry": workflows.SignalRetryNow,
	} {
		for answer, status := range map[string]webhook.Status{"answered": webhook.StatusDelivered, "failed": webhook.StatusRetrying} {
			t.Run(name+" and "+answer, func(t *testing.T) {
				t.Parallel()
				s := newStory(t, "rheo")
				s.refuse = func(in activities.AttemptInput) (*activities.AttemptResult, error) {
					if in.EndpointID != endpointID(followed) || in.Number > 1 {
						return nil, nil
					}
					s.signal(ask, in.EndpointID, true)
					return &activities.AttemptResult{FollowOn: "waybill-isolated/p1"}, nil
				}
				var a *activities.Activities
				s.env.OnActivity(a.Follow, mock.Anything, mock.Anything).Return(&activities.AttemptResult{
					Status: status, Delay: time.Second, Attempt: &webhook.AttemptSummary{Number: 1, StatusCode: down},
				}, nil).Once()
				result := s.deliver(s.event(wide))
				if status == webhook.StatusRetrying && ask == workflows.SignalCancelDelivery {
					require.Equal(t, workflows.EventDeliveryResult{Delivered: wide - 1, Canceled: 1}, result)
					require.Equal(t, 1, s.set[0].Attempts, "it is canceled after its attempt")
					return
				}
				require.Equal(t, workflows.EventDeliveryResult{Delivered: wide}, result)
				if status == webhook.StatusRetrying && ask == workflows.SignalRetryNow {
					require.True(t, s.inputs[deliveryID(followed)].Manual, "the attempt that is under way does not use it up")
					require.Equal(t, 2, s.inputs[deliveryID(followed)].Number)
				}
			})
		}
	}
}

// A delay begins with the result of the first attempt, whatever the other first attempts do meanwhile.
func TestEventDelivery_WideRetriesDoNotWaitForOthers(t *testing.T) {
	t.Parallel()
	const slow, failed, put = 1, 2, 3
	s := newStory(t, "rheo")
	s.refuse = func(in activities.AttemptInput) (*activities.AttemptResult, error) {
		if in.EndpointID == endpointID(put) {
			return &activities.AttemptResult{Spilled: true, Delay: time.Second}, nil
		}
		return nil, nil
	}
	s.answer = func(in activities.AttemptInput) int {
		if in.EndpointID == endpointID(failed) && in.Number == 1 {
			return down
		}
		return ok
	}
	const late = 2 * time.Second
	answer := make(chan struct{})
	s.before = func(in activities.AttemptInput) {
		if in.EndpointID == endpointID(slow) {
			<-answer
		}
	}
	s.at(late, func() { close(answer) })
	require.Equal(t, workflows.EventDeliveryResult{Delivered: wide}, s.deliver(s.event(wide)))
	require.Less(t, s.times(endpointID(failed))[1], late+time.Second, "its second has passed before the slow one answered")
	require.Less(t, s.times(endpointID(put))[0], late+time.Second)
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
	require.Equal(t, wide, strings.Count(s.details(), "**canceled**, `the workflow was canceled`"))
}
