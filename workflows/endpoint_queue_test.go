package workflows_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
	"waybill/webhook"
	"waybill/workflows"
)

// queueStory is one EndpointQueue on virtual time whose drains the test plays.
type queueStory struct {
	t   *testing.T
	env *testsuite.TestWorkflowEnvironment
	// drain answers the n-th drain, from 1. It can run while SetEnabled does.
	drain  func(n int, in activities.DrainInput) (*activities.DrainResult, error)
	mu     sync.Mutex
	inputs []activities.DrainInput
	at     []time.Duration
	timers []time.Duration
	// enabling is what SetEnabled was asked, and enabled is called after it.
	enabling []activities.SetEnabledInput
	enabled  func()
}

func newQueueStory(t *testing.T, drain func(n int, in activities.DrainInput) (*activities.DrainResult, error)) *queueStory {
	t.Helper()
	s := &queueStory{t: t, env: newEnvironment(), drain: drain}
	var a *activities.Activities
	activities.Register(s.env, a)
	s.env.OnActivity(a.Drain, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.DrainInput) (*activities.DrainResult, error) {
			s.mu.Lock()
			s.inputs, s.at = append(s.inputs, in), append(s.at, s.env.Now().Sub(began))
			n := len(s.inputs)
			s.mu.Unlock()
			return s.drain(n, in)
		}).Maybe()
	s.env.OnActivity(activities.NameSetEnabled, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.SetEnabledInput) error {
			s.mu.Lock()
			s.enabling = append(s.enabling, in)
			s.mu.Unlock()
			if s.enabled != nil {
				s.enabled()
			}
			return nil
		}).Maybe()
	s.env.SetOnTimerScheduledListener(func(_ string, duration time.Duration) { s.timers = append(s.timers, duration) })
	return s
}

// switched counts how often SetEnabled was asked so far.
func (s *queueStory) switched() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.enabling)
}

func (s *queueStory) wake(after time.Duration) {
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(workflows.SignalWake, nil) }, after)
}

func (s *queueStory) status() *workflows.QueueStatus {
	s.t.Helper()
	value, err := s.env.QueryWorkflow(workflows.QueryQueueStatus)
	require.NoError(s.t, err)
	var out workflows.QueueStatus
	require.NoError(s.t, value.Get(&out))
	return &out
}

func (s *queueStory) metadata() *sdkpb.WorkflowMetadata {
	s.t.Helper()
	value, err := s.env.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(s.t, err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(s.t, value.Get(&metadata))
	return &metadata
}

func (s *queueStory) run(in *workflows.EndpointQueueInput) {
	s.t.Helper()
	s.env.ExecuteWorkflow(workflows.EndpointQueueType, in)
	require.True(s.t, s.env.IsWorkflowCompleted())
}

func (s *queueStory) result() workflows.EndpointQueueResult {
	s.t.Helper()
	require.NoError(s.t, s.env.GetWorkflowError())
	var out workflows.EndpointQueueResult
	require.NoError(s.t, s.env.GetWorkflowResult(&out))
	return out
}

func queueInput() *workflows.EndpointQueueInput {
	return &workflows.EndpointQueueInput{Tenant: "acme", EndpointID: endpointID(1)}
}

func empty(window int) *activities.DrainResult {
	return &activities.DrainResult{Window: window, End: activities.QueueEmpty}
}

// A queue drains until nothing is due, sleeps until the next is, and ends when nothing waits. The window travels.
func TestEndpointQueue(t *testing.T) {
	t.Parallel()
	s := newQueueStory(t, func(n int, in activities.DrainInput) (*activities.DrainResult, error) {
		require.Equal(t, "acme", in.Tenant)
		require.Equal(t, endpointID(1), in.EndpointID)
		switch n {
		case 1:
			return &activities.DrainResult{Window: 32, Attempts: 1000, Delivered: 990, Waiting: 500}, nil
		case 2:
			return &activities.DrainResult{
				Window: 16, Attempts: 500, Delivered: 495, Waiting: 15, Next: time.Minute, Why: "retries", Host: "hooks.example.com",
			}, nil
		default:
			return empty(32), nil
		}
	})
	s.env.RegisterDelayedCallback(func() {
		next, waiting := began.Add(time.Minute), 15
		require.Equal(t, &workflows.QueueStatus{
			EndpointID: endpointID(1), Window: 16, Waiting: &waiting, Sent: 1500, Delivered: 1485, NextAt: &next, Why: "retries",
		}, s.status())
		m := s.metadata()
		require.Contains(t, m.GetCurrentDetails(), "`hooks.example.com` ("+endpointID(1).String()+"): **sleeping** until 2026-05-27T14:33:00Z: retries; signal wake looks at once")
		require.Contains(t, m.GetCurrentDetails(), "- deliveries that wait: 15\n- attempts of this run: 1500, of which delivered: 1485\n- attempts at a time: up to 16\n")
		var signals []string
		for _, d := range m.GetDefinition().GetSignalDefinitions() {
			require.NotEmpty(t, d.GetDescription())
			signals = append(signals, d.GetName())
		}
		require.ElementsMatch(t, []string{"wake", "disable_endpoint", "enable_endpoint"}, signals)
	}, 10*time.Second)
	s.run(queueInput())
	require.Equal(t, workflows.EndpointQueueResult{Sent: 1500, Delivered: 1485, End: activities.QueueEmpty}, s.result())
	require.Equal(t, []time.Duration{0, 0, time.Minute}, s.at)
	require.Equal(t, []int{0, 32, 16}, []int{s.inputs[0].Window, s.inputs[1].Window, s.inputs[2].Window})
	require.True(t, s.status().Draining, "what was asked last")
}

// A wake ends the sleep, and its timer.
func TestEndpointQueue_Woken(t *testing.T) {
	t.Parallel()
	s := newQueueStory(t, func(n int, _ activities.DrainInput) (*activities.DrainResult, error) {
		if n == 1 {
			return &activities.DrainResult{Window: 4, Waiting: 1, Next: time.Hour, Why: "retries"}, nil
		}
		return empty(4), nil
	})
	canceled := 0
	s.env.SetOnTimerCanceledListener(func(string) { canceled++ })
	s.wake(10 * time.Second)
	s.run(queueInput())
	require.Equal(t, []time.Duration{0, 10 * time.Second}, s.at)
	require.Equal(t, 1, canceled)
}

// A wake that comes during a drain may tell of something that the drain did not see, whatever the drain says.
func TestEndpointQueue_WokenDuringADrain(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]*activities.DrainResult{
		"at its end": empty(4), "before a sleep": {Window: 4, Waiting: 1, Next: time.Hour}, "disabled": {Window: 4, End: activities.QueueDisabled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newQueueStory(t, nil)
			s.drain = func(n int, _ activities.DrainInput) (*activities.DrainResult, error) {
				if n > 1 {
					return empty(4), nil
				}
				for range 3 { // of which one is enough
					s.env.SignalWorkflow(workflows.SignalWake, nil)
				}
				return first, nil
			}
			s.run(queueInput())
			require.Equal(t, []time.Duration{0, 0}, s.at)
			require.Equal(t, activities.QueueEmpty, s.result().End)
		})
	}
}

// People send whatever they like along with a wake.
func TestEndpointQueue_StrangeWakes(t *testing.T) {
	t.Parallel()
	s := newQueueStory(t, func(n int, _ activities.DrainInput) (*activities.DrainResult, error) {
		if n == 3 {
			return empty(4), nil
		}
		return &activities.DrainResult{Window: 4, Waiting: 1, Next: time.Hour}, nil
	})
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(workflows.SignalWake, "now!") }, time.Second)
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(workflows.SignalWake, map[string]any{"endpoint_id": 7}) }, 2*time.Second)
	s.run(queueInput())
	require.Equal(t, []time.Duration{0, time.Second, 2 * time.Second}, s.at)
}

// The queue takes the signals that disable and enable its endpoint, because what is held leaves no event's workflow to signal.
func TestEndpointQueue_Switches(t *testing.T) {
	t.Parallel()
	s := newQueueStory(t, nil)
	s.drain = func(int, activities.DrainInput) (*activities.DrainResult, error) {
		switch s.switched() {
		case 0:
			return &activities.DrainResult{Window: 4, Waiting: 1, Next: time.Hour}, nil
		case 1:
			s.env.SignalWorkflow(workflows.SignalEnableEndpoint, workflows.EndpointSignal{EndpointID: workflows.AllEndpoints})
			return &activities.DrainResult{Window: 4, Waiting: 1, End: activities.QueueDisabled}, nil
		default:
			return empty(4), nil
		}
	}
	s.env.RegisterDelayedCallback(func() {
		for _, input := range []any{"x", nil, workflows.EndpointSignal{EndpointID: endpointID(2).String()}, map[string]string{"endpoint": "ep_1"}} {
			s.env.SignalWorkflow(workflows.SignalEnableEndpoint, input)
		}
		s.env.SignalWorkflow(workflows.SignalDisableEndpoint, workflows.EndpointSignal{EndpointID: endpointID(1).String(), Informed: true})
		s.env.SignalWorkflow(workflows.SignalDisableEndpoint, workflows.EndpointSignal{EndpointID: endpointID(1).String(), Reason: "be\x1bcause"})
	}, time.Second)
	s.run(queueInput())
	require.Equal(t, time.Second, s.at[len(s.at)-1])
	require.Equal(t, []activities.SetEnabledInput{
		{Tenant: "acme", EndpointID: endpointID(1), Reason: "be cause"}, {Tenant: "acme", EndpointID: endpointID(1), Enabled: true},
	}, s.enabling)
	require.Equal(t, activities.QueueEmpty, s.result().End)
}

// A drain takes up to a minute. Whoever disables the endpoint by a signal does not wait for it.
func TestEndpointQueue_SwitchedWhileDraining(t *testing.T) {
	t.Parallel()
	s := newQueueStory(t, nil)
	disabled := make(chan struct{})
	s.drain = func(n int, _ activities.DrainInput) (*activities.DrainResult, error) {
		if n > 1 { // the drain may have ended for another reason, so the queue looks once more
			return &activities.DrainResult{Window: 4, Waiting: 1, End: activities.QueueDisabled}, nil
		}
		s.env.SignalWorkflow(workflows.SignalDisableEndpoint, workflows.EndpointSignal{EndpointID: endpointID(1).String(), Reason: "enough"})
		select {
		case <-disabled:
		case <-time.After(20 * time.Second):
			t.Error("the endpoint is not disabled while the drain is under way")
		}
		require.Equal(t, &workflows.QueueStatus{EndpointID: endpointID(1), Draining: true}, s.status(), "nothing is counted yet")
		require.Contains(t, s.metadata().GetCurrentDetails(), "- deliveries that wait: not counted before the first drain ends\n")
		return &activities.DrainResult{Window: 4, Waiting: 1, End: activities.QueueDisabled}, nil
	}
	s.enabled = func() { close(disabled) }
	s.run(queueInput())
	require.Equal(t, []activities.SetEnabledInput{{Tenant: "acme", EndpointID: endpointID(1), Reason: "enough"}}, s.enabling)
	require.Equal(t, activities.QueueDisabled, s.result().End)
}

func TestEndpointQueue_Ends(t *testing.T) {
	t.Parallel()
	for _, end := range []activities.QueueEnd{activities.QueueEmpty, activities.QueueDisabled, activities.QueueDeleted} {
		s := newQueueStory(t, func(int, activities.DrainInput) (*activities.DrainResult, error) {
			return &activities.DrainResult{Window: 4, Waiting: 7, End: end}, nil
		})
		s.run(queueInput())
		require.Equal(t, end, s.result().End)
		require.Empty(t, s.timers)
	}
}

func TestEndpointQueue_ContinuesAsNew(t *testing.T) {
	t.Parallel()
	s := newQueueStory(t, nil)
	s.drain = func(int, activities.DrainInput) (*activities.DrainResult, error) {
		s.env.SetContinueAsNewSuggested(true)
		return &activities.DrainResult{Window: 8, Waiting: 7, Next: time.Hour}, nil
	}
	s.run(queueInput())
	var anew *workflow.ContinueAsNewError
	require.ErrorAs(t, s.env.GetWorkflowError(), &anew)
	var next workflows.EndpointQueueInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(anew.Input, &next))
	require.Equal(t, workflows.EndpointQueueInput{Tenant: "acme", EndpointID: endpointID(1), Window: 8}, next)
}

// A fault of ours is not the end of what waits; an endpoint that never was is.
func TestEndpointQueue_Faults(t *testing.T) {
	t.Parallel()
	s := newQueueStory(t, func(n int, in activities.DrainInput) (*activities.DrainResult, error) {
		if n == 1 {
			return nil, temporal.NewNonRetryableApplicationError("x", string(webhook.CodeConflict), nil)
		}
		require.Equal(t, 9, in.Window)
		return empty(4), nil
	})
	in := queueInput()
	in.Window = 9
	s.run(in)
	require.Equal(t, []time.Duration{0, time.Minute}, s.at)

	s = newQueueStory(t, func(int, activities.DrainInput) (*activities.DrainResult, error) {
		return nil, temporal.NewNonRetryableApplicationError("x", string(webhook.CodeNotFound), nil)
	})
	s.run(queueInput())
	var failed *temporal.ApplicationError
	require.ErrorAs(t, s.env.GetWorkflowError(), &failed)
	require.Equal(t, string(webhook.CodeNotFound), failed.Type())
}

func TestEndpointQueue_Canceled(t *testing.T) {
	t.Parallel()
	s := newQueueStory(t, func(int, activities.DrainInput) (*activities.DrainResult, error) {
		return &activities.DrainResult{Window: 4, Waiting: 1, Next: time.Hour}, nil
	})
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Second)
	s.run(queueInput())
	var canceled *temporal.CanceledError
	require.ErrorAs(t, s.env.GetWorkflowError(), &canceled)
}

// A process that dies during a drain is noticed by its heartbeats.
func TestEndpointQueue_Activity(t *testing.T) {
	t.Parallel()
	s := newQueueStory(t, func(int, activities.DrainInput) (*activities.DrainResult, error) { return empty(4), nil })
	var info *activity.Info
	s.env.SetOnActivityStartedListener(func(i *activity.Info, _ context.Context, _ converter.EncodedValues) { info = i })
	s.run(queueInput())
	require.Equal(t, workflows.IsolatedQueue, info.TaskQueue)
	require.Positive(t, info.HeartbeatTimeout)
}
