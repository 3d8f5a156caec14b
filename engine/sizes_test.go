package engine_test

import (
	"encoding/binary"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/engine"
	"waybill/store"
	"waybill/webhook"
	"waybill/workflows"
)

// The largest event there can be, on a real server: as many recipients as an event may have, and as many policies of their own as
// a tenant's endpoints may have, each as long as a policy can be.
func TestStart_LargestEvent(t *testing.T) {
	t.Parallel()
	c, namespace := dial(t)
	const recipients, distinct = 10_000, 1000
	e := largestEvent(recipients, distinct)
	in := engine.NewEventDeliveryInput(e, &webhook.Dialect{Name: "standard", Retry: webhook.RetryPolicy{Policy: "exponential-5"}})
	require.Len(t, in.Policies, distinct)
	require.Less(t, size(t, in), workflows.MaxInputBytes)
	for i := range in.Deliveries {
		in.Deliveries[i].Status = webhook.StatusDelivered // what is looked at is what travels, and not ten thousand attempts
	}

	// A task queue of the test's own: the shared one has other tests' workers.
	queue := "largest-" + e.EventID
	engineClient := engine.NewClient(c, engine.Options{Namespace: namespace, TaskQueue: "nobody-" + queue, WideQueue: queue, Logger: slog.New(slog.DiscardHandler)})
	work(t, c, engineClient, queue)
	require.NoError(t, engineClient.Start(t.Context(), in))
	var result workflows.EventDeliveryResult
	require.NoError(t, c.GetWorkflow(t.Context(), workflows.EventDeliveryID(e.TenantID, e.EventID), "").Get(t.Context(), &result))
	require.Equal(t, workflows.EventDeliveryResult{Delivered: recipients}, result)

	part, err := c.DescribeWorkflowExecution(t.Context(), workflows.EventDeliveryID(e.TenantID, e.EventID)+"/part/1", "")
	require.NoError(t, err)
	require.Equal(t, queue, part.GetWorkflowExecutionInfo().GetTaskQueue())
	require.Equal(t, e.TenantID, part.GetWorkflowExecutionInfo().GetPriority().GetFairnessKey())
}

func largestEvent(recipients, distinct int) *store.Dispatch {
	e := &store.Dispatch{TenantID: "acme", EventID: uuid.NewString(), EventType: "order.confirmed"}
	for n := range recipients {
		schedule := make([]webhook.Duration, webhook.MaxRetries)
		for i := range schedule {
			schedule[i] = webhook.Duration(webhook.MaxRetryDelay - time.Duration(1+n%distinct)*time.Second)
		}
		var id [16]byte
		binary.BigEndian.PutUint32(id[:], uint32(n+1))
		e.Deliveries = append(e.Deliveries, store.DispatchDelivery{
			ID: webhook.NewID[webhook.DeliveryID](id), EndpointID: webhook.NewID[webhook.EndpointID](id),
			Retry: &webhook.RetryPolicy{Schedule: schedule, Jitter: 0.123, RetryAfterMax: webhook.Duration(time.Hour)},
		})
	}
	return e
}
