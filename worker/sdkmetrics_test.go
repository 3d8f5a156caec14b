package worker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"waybill/worker"
	"waybill/workflows"
)

// Whatever the SDK sends, and however many task queues processes make, the series are those of the start.
func TestSDKMetrics(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	h := worker.NewSDKMetrics(r).Handler()
	before, err := testutil.GatherAndCount(r)
	require.NoError(t, err)
	require.Less(t, before, 40, "histograms count once")

	h = h.WithTags(map[string]string{"namespace": "n", "client_name": "temporal_go", "task_queue": "none"})
	for _, operation := range []string{"StartWorkflowExecution", "DescribeNamespace", "ListClusters"} {
		call := h.WithTags(map[string]string{"operation": operation})
		call.Counter("temporal_request").Inc(1)
		call.Counter("temporal_request_failure").Inc(1)
		call.Timer("temporal_request_latency").Record(time.Millisecond)
	}
	worked := h.WithTags(map[string]string{"task_queue": workflows.TaskQueue}).WithTags(map[string]string{"worker_type": "LocalActivityWorker"})
	worked.Gauge("temporal_worker_task_slots_available").Update(7)
	h.WithTags(map[string]string{"task_queue": workflows.WideQueue}).Timer("temporal_workflow_task_schedule_to_start_latency").Record(time.Second)
	own := h.WithTags(map[string]string{"task_queue": workflows.ProcessQueue("some-uuid"), "activity_type": "Follow"})
	own.Timer("temporal_activity_schedule_to_start_latency").Record(time.Second)
	own.WithTags(map[string]string{"worker_type": "ActivityWorker"}).Gauge("temporal_worker_task_slots_available").Update(3)
	h.WithTags(map[string]string{"failure_reason": "NonDeterminismError"}).Counter("temporal_workflow_task_execution_failed").Inc(2)

	after, err := testutil.GatherAndCount(r)
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.NoError(t, testutil.GatherAndCompare(r, strings.NewReader(`
# HELP temporal_request_failure_total Calls to Temporal that failed, by operation.
# TYPE temporal_request_failure_total counter
temporal_request_failure_total{operation="RespondActivityTaskCompleted"} 0
temporal_request_failure_total{operation="RespondWorkflowTaskCompleted"} 0
temporal_request_failure_total{operation="StartWorkflowExecution"} 1
temporal_request_failure_total{operation="other"} 2
# HELP temporal_workflow_task_execution_failed_total Workflow tasks that failed, by reason. NonDeterminismError: this version cannot go on with a workflow.
# TYPE temporal_workflow_task_execution_failed_total counter
temporal_workflow_task_execution_failed_total{failure_reason="NonDeterminismError"} 2
temporal_workflow_task_execution_failed_total{failure_reason="WorkflowError"} 0
temporal_workflow_task_execution_failed_total{failure_reason="other"} 0
# HELP temporal_worker_task_slots_available Free slots of this process, by task queue and type of worker.
# TYPE temporal_worker_task_slots_available gauge
temporal_worker_task_slots_available{task_queue="waybill",worker_type="LocalActivityWorker"} 7
temporal_worker_task_slots_available{task_queue="waybill",worker_type="WorkflowWorker"} 0
temporal_worker_task_slots_available{task_queue="waybill-endpoints",worker_type="WorkflowWorker"} 0
temporal_worker_task_slots_available{task_queue="waybill-isolated",worker_type="ActivityWorker"} 0
temporal_worker_task_slots_available{task_queue="waybill-mail",worker_type="ActivityWorker"} 0
temporal_worker_task_slots_available{task_queue="waybill-wide",worker_type="LocalActivityWorker"} 0
temporal_worker_task_slots_available{task_queue="waybill-wide",worker_type="WorkflowWorker"} 0
`), "temporal_request_failure_total", "temporal_workflow_task_execution_failed_total", "temporal_worker_task_slots_available"))
	problems, err := testutil.GatherAndLint(r)
	require.NoError(t, err)
	require.Empty(t, problems)
}

// BenchmarkSDKMetrics is what the SDK does for a call: tags, a counter and a timer.
func BenchmarkSDKMetrics(b *testing.B) {
	h := worker.NewSDKMetrics(prometheus.NewRegistry()).Handler()
	b.ReportAllocs()
	for b.Loop() {
		call := h.WithTags(map[string]string{"operation": "StartWorkflowExecution", "namespace": "n"})
		call.Counter("temporal_request").Inc(1)
		call.Timer("temporal_request_latency").Record(time.Millisecond)
	}
}
