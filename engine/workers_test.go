package engine_test

import (
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/types/known/timestamppb"

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

// started is a Temporal that remembers on which task queue a workflow was started last.
func started(t *testing.T, queue *string) *mocks.Client {
	t.Helper()
	server := mocks.NewClient(t)
	server.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, nil).Run(func(args mock.Arguments) {
		*queue = args.Get(1).(client.StartWorkflowOptions).TaskQueue
	})
	return server
}

func wideEvent() *workflows.EventDeliveryInput {
	return &workflows.EventDeliveryInput{Tenant: "acme", EventID: "order-1", Deliveries: make([]workflows.DeliveryState, workflows.WideDeliveries+1)}
}

// While Temporal does not say whether a worker takes wide events, it is as it was: they would wait for one that is not there.
func TestStart_WideWorkersUnknown(t *testing.T) {
	t.Parallel()
	unknown := serviceerror.NewPermissionDenied("the key has no right to it", "")
	polled := &workflowservice.DescribeTaskQueueResponse{Pollers: []*taskqueue.PollerInfo{{}}}
	none := &workflowservice.DescribeTaskQueueResponse{}
	for name, test := range map[string]struct {
		before *workflowservice.DescribeTaskQueueResponse
		want   string
	}{
		"nothing was known": {nil, workflows.WideQueue}, "there was one": {polled, workflows.WideQueue}, "there was none": {none, workflows.TaskQueue},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var queue string
				server := started(t, &queue)
				c := engine.NewClient(server, engine.Options{})
				if test.before != nil {
					polled.Pollers[0].LastAccessTime = timestamppb.Now()
					server.On("DescribeTaskQueue", mock.Anything, workflows.WideQueue, enums.TASK_QUEUE_TYPE_WORKFLOW).Return(test.before, nil).Once()
					require.NoError(t, c.Start(t.Context(), wideEvent()))
					require.Equal(t, test.want, queue)
					time.Sleep(time.Minute)
				}
				server.On("DescribeTaskQueue", mock.Anything, workflows.WideQueue, enums.TASK_QUEUE_TYPE_WORKFLOW).Return(nil, unknown).Once()
				require.NoError(t, c.Start(t.Context(), wideEvent()))
				require.Equal(t, test.want, queue)
			})
		})
	}
}

// A process that has just started starts nothing on a queue of which it does not know yet that nobody polls it.
func TestStart_WideWorkersAreLookedForFirst(t *testing.T) {
	t.Parallel()
	queues := make(chan string, 8)
	server := mocks.NewClient(t)
	server.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, nil).Run(func(args mock.Arguments) {
		queues <- args.Get(1).(client.StartWorkflowOptions).TaskQueue
	})
	server.On("DescribeTaskQueue", mock.Anything, workflows.WideQueue, enums.TASK_QUEUE_TYPE_WORKFLOW).Return(&workflowservice.DescribeTaskQueueResponse{}, nil).
		Run(func(mock.Arguments) { time.Sleep(100 * time.Millisecond) }).Once()
	c := engine.NewClient(server, engine.Options{})
	var all sync.WaitGroup
	for range cap(queues) {
		all.Go(func() {
			_ = c.Start(t.Context(), wideEvent())
		})
	}
	all.Wait()
	close(queues)
	require.Len(t, queues, cap(queues))
	for queue := range queues {
		require.Equal(t, workflows.TaskQueue, queue)
	}
}

// A process that takes wide events itself does not look for another: just after a start none has polled yet.
func TestStart_WideWorkerItself(t *testing.T) {
	t.Parallel()
	var queue string
	c := engine.NewClient(started(t, &queue), engine.Options{WorksWide: true})
	require.NoError(t, c.Start(t.Context(), wideEvent()))
	require.Equal(t, workflows.WideQueue, queue)
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
