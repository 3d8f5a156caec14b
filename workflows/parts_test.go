package workflows_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
	"waybill/webhook"
	"waybill/workflows"
)

// toldParts counts the signals that a workflow sends, by the workflow that it tells.
type toldParts struct {
	interceptor.WorkerInterceptorBase
	signals map[string]int
}

func (told *toldParts) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &inbound{interceptor.WorkflowInboundInterceptorBase{Next: next}, told}
}

type inbound struct {
	interceptor.WorkflowInboundInterceptorBase
	told *toldParts
}

func (i *inbound) Init(next interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&outbound{interceptor.WorkflowOutboundInterceptorBase{Next: next}, i.told})
}

type outbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	told *toldParts
}

func (o *outbound) SignalExternalWorkflow(ctx workflow.Context, id, run, name string, arg any) workflow.Future {
	o.told.signals[id]++
	return o.Next.SignalExternalWorkflow(ctx, id, run, name, arg)
}

// A signal for one endpoint reaches the part that has it, and no other: a large event gets one for each endpoint that is enabled
// or deleted, and its own workflow never continues as new.
func TestEventDelivery_SignalsToOnePart(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = func(in activities.AttemptInput) int {
		if in.Number == 1 && (in.EndpointID == endpointID(321) || in.EndpointID == endpointID(1)) {
			return down
		}
		return ok
	}
	told := &toldParts{signals: map[string]int{}}
	s.env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{told}, DeadlockDetectionTimeout: patience})
	const id = "default-test-workflow-id"
	s.at(5*time.Second, func() { s.signal(workflows.SignalRetryNow, endpointID(321), false) })
	s.at(10*time.Second, func() { s.signal(workflows.SignalRetryNow, endpointID(999), false) })
	s.at(15*time.Second, func() {
		require.Equal(t, map[string]int{id + "/part/2": 1}, told.signals)
		s.env.SignalWorkflow(workflows.SignalRetryNow, workflows.EndpointSignal{EndpointID: workflows.AllEndpoints})
	})
	s.deliver(s.event(450))
	require.Equal(t, map[string]int{id + "/part/1": 1, id + "/part/2": 2, id + "/part/3": 1}, told.signals)
}

// While the parts of a large event start in waves, its workflow already names them all, and answers updates.
func TestEventDelivery_PartsAreKnownFromTheBeginning(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	var asked *updated
	parts := 0
	s.env.SetOnChildWorkflowStartedListener(func(*workflow.Info, workflow.Context, converter.EncodedValues) {
		if asked != nil {
			return
		}
		value, err := s.env.QueryWorkflow(workflows.QueryHistory)
		require.NoError(t, err)
		var h workflows.HistoryAnswer
		require.NoError(t, value.Get(&h))
		parts = len(h.Parts)
		asked = s.update(workflows.SignalRetryNow, endpointID(8*workflows.MaxDeliveries+1).String())
	})
	in := s.event(8*workflows.MaxDeliveries + 1)
	for i := range in.Deliveries {
		in.Deliveries[i].Status = webhook.StatusDelivered // the test environment stops at more than a thousand results at a time
	}
	s.deliver(in)
	require.Equal(t, 9, parts)
	part, ok := workflows.InPart(asked.err)
	require.True(t, ok)
	require.Equal(t, "default-test-workflow-id/part/9", part)
}

// Whoever cancels a large event before its parts have started cancels every delivery all the same: the reconciler would otherwise
// begin the event anew, and send what was canceled.
func TestEventDelivery_CanceledBeforeItsParts(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.at(0, s.env.CancelWorkflow)
	s.env.ExecuteWorkflow(workflows.EventDeliveryType, s.event(workflows.MaxDeliveries+1))
	var canceled *temporal.CanceledError
	require.ErrorAs(t, s.env.GetWorkflowError(), &canceled)
	require.Empty(t, s.made)
	require.Len(t, s.set, workflows.MaxDeliveries+1)
}

// Those parts that have started are canceled; the others, in later waves, are started to cancel their deliveries.
func TestEventDelivery_CanceledBetweenWaves(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	var once atomic.Bool
	s.env.SetOnChildWorkflowStartedListener(func(*workflow.Info, workflow.Context, converter.EncodedValues) {
		if once.CompareAndSwap(false, true) {
			s.env.CancelWorkflow()
		}
	})
	in := s.event(8*workflows.MaxDeliveries + 1)
	for i := range in.Deliveries[:8*workflows.MaxDeliveries] {
		in.Deliveries[i].Status = webhook.StatusDelivered // the test environment stops at more than a thousand results at a time
	}
	s.env.ExecuteWorkflow(workflows.EventDeliveryType, in)
	require.ErrorAs(t, s.env.GetWorkflowError(), new(*temporal.CanceledError))
	require.Empty(t, s.made)
	require.Len(t, s.set, 1)
}
