package engine_test

import (
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"waybill/engine"
	"waybill/webhook"
	"waybill/workflows"
)

// dial connects to the tests' Temporal server.
func dial(t *testing.T) (c client.Client, namespace string) {
	t.Helper()
	address, namespace := os.Getenv("WAYBILL_TEST_TEMPORAL_ADDRESS"), os.Getenv("WAYBILL_TEST_TEMPORAL_NAMESPACE")
	require.NotEmpty(t, address, "WAYBILL_TEST_TEMPORAL_ADDRESS is not set: run the tests with make test")
	c, err := client.Dial(client.Options{HostPort: address, Namespace: namespace})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, namespace
}

// work starts a worker of workflows on a task queue, and returns once the engine knows of it.
func work(t *testing.T, c client.Client, e *engine.Client, queue string) {
	t.Helper()
	// On a busy machine the race detector may need more than the SDK's second to decode the largest input. The SDK then abandons the
	// workflow's goroutine and reads what that still writes.
	w := worker.New(c, queue, worker.Options{LocalActivityWorkerOnly: true, DeadlockDetectionTimeout: time.Hour})
	workflows.Register(w)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	require.Eventually(t, func() bool { return !slices.Contains(unattended(t, e), queue) }, time.Minute, 20*time.Millisecond)
}

func unattended(t *testing.T, e *engine.Client) []string {
	t.Helper()
	names, of, err := e.Unattended(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, of, len(names))
	return names
}

// Workers of a version from before wide events had a queue take them too, and those that know the queue as soon as they are there.
func TestStart_WideEventsNeedAWorker(t *testing.T) {
	t.Parallel()
	c, namespace := dial(t)
	usual := "usual-" + uuid.NewString()
	wide := "wide-" + usual
	e := engine.NewClient(c, engine.Options{Namespace: namespace, TaskQueue: usual, WideQueue: wide, Logger: slog.New(slog.DiscardHandler)})
	require.Subset(t, unattended(t, e), []string{usual, wide})
	work(t, c, e, usual)
	require.Equal(t, usual, deliver(t, c, e))

	work(t, c, e, wide)
	require.NotContains(t, unattended(t, e), usual)
	require.Eventually(t, func() bool { return deliver(t, c, e) == wide }, time.Minute, 100*time.Millisecond)
}

// deliver starts a wide event and returns the task queue on which it was delivered.
func deliver(t *testing.T, c client.Client, e *engine.Client) string {
	t.Helper()
	in := engine.NewEventDeliveryInput(largestEvent(workflows.WideDeliveries+1, 1), &webhook.Dialect{Name: "standard", Retry: webhook.RetryPolicy{Policy: "exponential-5"}})
	for i := range in.Deliveries {
		in.Deliveries[i].Status = webhook.StatusDelivered
	}
	require.NoError(t, e.Start(t.Context(), in))
	id := workflows.EventDeliveryID(in.Tenant, in.EventID)
	require.NoError(t, c.GetWorkflow(t.Context(), id, "").Get(t.Context(), nil))
	described, err := c.DescribeWorkflowExecution(t.Context(), id, "")
	require.NoError(t, err)
	return described.GetWorkflowExecutionInfo().GetTaskQueue()
}
