package workflows_test

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"waybill/workflows"
)

// recorded are the states that must each have a history; scripts/histories records them. More files may be there:
// histories from before a change stay.
var recorded = []string{
	"canceled-delivery", "canceled-workflow", "continued-as-new", "delivered", "delivered-after-retries", "delivered-to-ten",
	"disabled-while-waiting", "exhausted", "fault-of-ours", "followed", "held", "held-then-enabled", "held-too-long", "in-parts",
	"recovery", "retry-now", "retrying", "spilled", "switched-by-a-person",
}

func TestReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/histories/*.json.gz")
	require.NoError(t, err)
	var names []string
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json.gz")
		names = append(names, name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replay(t, file)
		})
	}
	require.Subset(t, names, recorded, "a state has no recorded history")
}

func replay(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	history, err := client.HistoryFromJSON(z, client.HistoryJSONOptions{})
	require.NoError(t, err)
	replayer := worker.NewWorkflowReplayer()
	workflows.Register(replayer)
	// The ids of children are made of the parent's.
	id := history.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetWorkflowId()
	require.NoError(t, replayer.ReplayWorkflowHistoryWithOptions(nil, history, worker.ReplayWorkflowHistoryOptions{
		OriginalExecution: workflow.Execution{ID: id},
	}))
}
