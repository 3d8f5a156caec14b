package workflows_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
	"waybill/workflows"
)

// fairness collects the fairness keys with which activities are scheduled, by activity.
type fairness struct {
	interceptor.WorkerInterceptorBase
	mu   sync.Mutex
	keys map[string][]string
}

func (f *fairness) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	in := &fairInbound{f: f}
	in.Next = next
	return in
}

type fairInbound struct {
	interceptor.WorkflowInboundInterceptorBase
	f *fairness
}

func (in *fairInbound) Init(next interceptor.WorkflowOutboundInterceptor) error {
	out := &fairOutbound{f: in.f}
	out.Next = next
	return in.Next.Init(out)
}

type fairOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	f *fairness
}

func (out *fairOutbound) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	out.f.mu.Lock()
	defer out.f.mu.Unlock()
	out.f.keys[name] = append(out.f.keys[name], workflow.GetActivityOptions(ctx).Priority.FairnessKey)
	return out.Next.ExecuteActivity(ctx, name, args...)
}

// Whoever cancels a large event, or disables its endpoints, has thousands of activities scheduled at once. Those of other tenants do not
// wait for them. Temporal would not take the key of a forged tenant that is longer.
func TestEventDelivery_HousekeepingIsFair(t *testing.T) {
	t.Parallel()
	for tenant, key := range map[string]string{"acme": "acme", "x" + strings.Repeat("é", 40): "x" + strings.Repeat("é", 31)} {
		s := newStory(t, "auction-excellence")
		f := &fairness{keys: map[string][]string{}}
		s.env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: patience, Interceptors: []interceptor.WorkerInterceptor{f}})
		s.answer = alwaysDown
		s.at(10*time.Second, func() { s.signal(workflows.SignalDisableEndpoint, endpointID(1), false) })
		s.at(20*time.Second, s.env.CancelWorkflow)
		in := s.event(2)
		in.Tenant = tenant
		s.env.ExecuteWorkflow(workflows.EventDeliveryType, in)
		require.Equal(t, []string{key}, f.keys[activities.NameSetEnabled])
		require.Equal(t, []string{key, key, key}, f.keys[activities.NameSetStatus], "held, and both canceled")
	}
}
