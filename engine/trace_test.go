package engine_test

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	commonpb "go.temporal.io/api/common/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"waybill/engine"
	"waybill/tracing"
	"waybill/workflows"
)

// Every recorded history replays with traces on, and one that was recorded with traces on replays with them off: no workflow is caught by
// the switch. A replay writes no span.
func TestTrace_Replay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../workflows/testdata/histories/*.json.gz")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			spans := tracetest.NewSpanRecorder()
			var on client.Options
			engine.Trace(&on, tracing.New(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)), 1))
			replayTraced(t, loadHistory(t, file), on)
			traced := loadHistory(t, file)
			addHeaders(t, traced)
			replayTraced(t, traced, on)
			replayTraced(t, traced, client.Options{})
			require.Empty(t, spans.Started())
		})
	}
}

func loadHistory(t *testing.T, file string) *historypb.History {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	history, err := client.HistoryFromJSON(z, client.HistoryJSONOptions{})
	require.NoError(t, err)
	return history
}

// addHeaders writes into a history what traces would have.
func addHeaders(t *testing.T, h *historypb.History) {
	t.Helper()
	payload, err := converter.GetDefaultDataConverter().ToPayload("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	require.NoError(t, err)
	header := &commonpb.Header{Fields: map[string]*commonpb.Payload{"waybill-traceparent": payload}}
	for _, e := range h.GetEvents() {
		if a := e.GetWorkflowExecutionStartedEventAttributes(); a != nil {
			a.Header = header
		}
		if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
			a.Header = header
		}
		if a := e.GetStartChildWorkflowExecutionInitiatedEventAttributes(); a != nil {
			a.Header = header
		}
	}
}

func replayTraced(t *testing.T, history *historypb.History, o client.Options) {
	t.Helper()
	options := worker.WorkflowReplayerOptions{DisableDeadlockDetection: true, ContextPropagators: o.ContextPropagators}
	for _, i := range o.Interceptors {
		options.Interceptors = append(options.Interceptors, i.(interceptor.WorkerInterceptor))
	}
	replayer, err := worker.NewWorkflowReplayerWithOptions(options)
	require.NoError(t, err)
	workflows.Register(replayer)
	id := history.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetWorkflowId()
	require.NoError(t, replayer.ReplayWorkflowHistoryWithOptions(nil, history, worker.ReplayWorkflowHistoryOptions{
		OriginalExecution: workflow.Execution{ID: id},
	}))
}
