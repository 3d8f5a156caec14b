package workflows_test

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"waybill/workflows"
)

// recorded are the states that must each have a history; scripts/histories records them. More files may be there:
// histories from before a change stay.
var recorded = []string{
	"canceled-delivery", "canceled-workflow", "continued-as-new", "delivered", "delivered-after-retries", "delivered-to-ten",
	"disabled-while-waiting", "exhausted", "fault-of-ours", "followed", "held", "held-then-enabled", "held-too-long", "in-parts",
	"retry-now", "retrying", "spilled", "switched-by-a-person",

	"before-hold-and-retry", "before-retry-of-held", "before-signal-to-all", "before-silenced",
	"canceled-updated", "disabled-updated", "exhausted-failed", "forged-input", "held-not-retried", "in-waves", "held-rather-than-retried",
	"retry-now-manual", "retry-now-updated", "several-statuses", "strange-signal", "timer-canceled", "signals-to-part", "fault-waited", "disabled-each", "first-together", "retried-within-task",
	"signaled-before-first", "canceled-together", "put-off-first", "canceled-shown", "canceled-in-parts",

	"notices-fault", "notices-gathering", "notices-nothing", "notices-refused", "notices-sent", "notices-waited", "notices-woken",
	"held-to-queue", "held-to-queue-and-exhausted", "held-to-queue-canceled", "held-to-queue-while-retrying",
	"queue-continued", "queue-deleted", "queue-disabled", "queue-draining", "queue-emptied", "queue-of-nobody", "queue-sleeping", "queue-slept",
	"queue-switched", "queue-woken",

	"erasure-completed", "erasure-fault", "erasure-waiting",
	"challenge-answered", "challenge-fault",
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

// Each change has a history that was recorded after it: one that has its version.
func TestChanges_AreRecorded(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/histories/*.json.gz")
	require.NoError(t, err)
	recorded := map[string]bool{}
	for _, file := range files {
		for _, e := range load(t, file).GetEvents() {
			marker := e.GetMarkerRecordedEventAttributes()
			if marker.GetMarkerName() != "Version" {
				continue
			}
			var id string
			require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(marker.GetDetails()["change-id"], &id))
			recorded[id] = true
		}
	}
	ids := map[string]bool{}
	for _, c := range workflows.Changes() {
		require.True(t, recorded[c.ID], "no history was recorded after change %s", c.ID)
		require.NotEmpty(t, c.Reason)
		require.False(t, ids[c.ID], "change %s is listed twice", c.ID)
		ids[c.ID] = true
	}
	for id := range recorded {
		require.True(t, ids[id], "change %s is recorded and not listed", id)
	}
}

func load(t *testing.T, file string) *historypb.History {
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

func replay(t *testing.T, file string) {
	t.Helper()
	history := load(t, file)
	// A busy machine with the race detector may need more than the second that the SDK allows a workflow. It then abandons the
	// goroutine and reads what it still writes.
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{DisableDeadlockDetection: true})
	require.NoError(t, err)
	workflows.Register(replayer)
	// The ids of children are made of the parent's.
	id := history.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetWorkflowId()
	require.NoError(t, replayer.ReplayWorkflowHistoryWithOptions(nil, history, worker.ReplayWorkflowHistoryOptions{
		OriginalExecution: workflow.Execution{ID: id},
	}))
}
