// Command histories records the workflow histories that the replay test of package workflows runs: one for each state
// that an event can be in, from a real Temporal server with scripted activities. A deliberate change behind
// workflow.GetVersion adds stories under new names. A file that is there stays, because workflows with such histories may be
// running: its story is not recorded again. The files before-... show what signals did before change strict-signals; no code of
// today records them. Those in which a held delivery stays with its event show what activities did before change held-to-queue.
//
// It needs a test stack: make stack, and in another shell: . .waybill/test.env && go run ./scripts/histories
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"waybill/scripts/stack"
	"waybill/workflows"
)

func main() {
	only := flag.String("only", "", "record only stories whose name contains this")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string) error {
	root, err := stack.FindRoot()
	if err != nil {
		return err
	}
	address := os.Getenv("WAYBILL_TEST_TEMPORAL_ADDRESS")
	if address == "" {
		return errors.New("WAYBILL_TEST_TEMPORAL_ADDRESS is not set: run make stack, then . .waybill/test.env")
	}
	c, err := client.Dial(client.Options{HostPort: address, Namespace: os.Getenv("WAYBILL_TEST_TEMPORAL_NAMESPACE"), Identity: "histories"})
	if err != nil {
		return fmt.Errorf("connect to Temporal: %w", err)
	}
	defer c.Close()
	for _, s := range stories() {
		if !strings.Contains(s.name, only) {
			continue
		}
		path := filepath.Join(root, "workflows", "testdata", "histories", s.name+".json.gz")
		if _, err := os.Stat(path); err == nil {
			continue
		}
		fmt.Println("recording", s.name)
		if err := record(ctx, c, path, s); err != nil {
			return fmt.Errorf("record %s: %w", s.name, err)
		}
	}
	return nil
}

// record runs one story to the state it is about and keeps the history.
func record(ctx context.Context, c client.Client, path string, s *story) error {
	fast := worker.New(c, workflows.TaskQueue, worker.Options{LocalActivityWorkerOnly: true})
	isolated := worker.New(c, workflows.IsolatedQueue, worker.Options{DisableWorkflowWorker: true})
	workflows.Register(fast)
	s.register(fast)
	s.register(isolated)
	workers := []worker.Worker{fast, isolated}
	if s.mail != nil {
		workers = append(workers, s.mailWorker(c))
	}
	for _, w := range workers {
		if err := w.Start(); err != nil {
			return fmt.Errorf("start a worker: %w", err)
		}
		defer w.Stop()
	}
	id := fmt.Sprintf("history-%s-%d", s.name, time.Now().UnixNano())
	execution, err := s.start(ctx, c, id)
	if err != nil {
		return err
	}
	if s.then != nil {
		if err := s.then(ctx, &running{client: c, id: id}); err != nil {
			return err
		}
	}
	if !s.open {
		// How the workflow ends is part of the story, failure included. Follow no further than this run.
		_ = execution.GetWithOptions(ctx, nil, client.WorkflowRunGetOptions{DisableFollowingRuns: true})
	}
	history, err := fetch(ctx, c, id, execution.GetRunID())
	if err != nil {
		return err
	}
	last := history.Events[len(history.Events)-1].GetEventType()
	if s.continues != (last == enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW) {
		return fmt.Errorf("the history ends with %s", last)
	}
	if s.open || s.continues {
		_ = c.TerminateWorkflow(ctx, id, "", "the history is recorded")
	}
	return write(path, history)
}

func fetch(ctx context.Context, c client.Client, id, run string) (*historypb.History, error) {
	events := c.GetWorkflowHistory(ctx, id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	h := &historypb.History{}
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return nil, fmt.Errorf("read the history: %w", err)
		}
		h.Events = append(h.Events, e)
	}
	return h, nil
}

func write(path string, h *historypb.History) error {
	text, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(h)
	if err != nil {
		return fmt.Errorf("encode the history: %w", err)
	}
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // fails for an unknown level only
	if _, err := z.Write(text); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	fmt.Printf("  %d events, %d bytes\n", len(h.Events), packed.Len())
	return os.WriteFile(path, packed.Bytes(), 0o644)
}
