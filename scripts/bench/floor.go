package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"waybill/scripts/stack"
)

// The floor is bare Temporal at its cheapest: a workflow, started eagerly, that makes its POSTs as local activities and
// knows no database. Whatever Waybill does for an event comes on top of that.
const (
	floorQueue    = "bench-floor"
	floorWorkflow = "BenchFloor"
	floorActivity = "Post"
)

// floorInput is what the floor's workflow delivers, and where.
type floorInput struct {
	Event string   `json:"event"`
	URLs  []string `json:"urls"`
}

// runFloor is the floor's workflow.
func runFloor(ctx workflow.Context, in floorInput) error {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: 30 * time.Second})
	posts := make([]workflow.Future, len(in.URLs))
	for i, url := range in.URLs {
		posts[i] = workflow.ExecuteLocalActivity(ctx, floorActivity, in.Event, url)
	}
	for _, post := range posts {
		if err := post.Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// floor runs workflows without Waybill.
type floor struct {
	temporal client.Client
	worker   worker.Worker
	http     *http.Client
	body     []byte
}

func startFloor(ctx context.Context, address, namespace string) (*floor, error) {
	logger := log.NewStructuredLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	c, err := client.DialContext(ctx, client.Options{
		HostPort: address, Namespace: namespace, Logger: logger,
		ConnectionOptions: client.ConnectionOptions{GrpcCompression: &client.GrpcCompressionNone{}}, // as Waybill has it
	})
	if err != nil {
		return nil, fmt.Errorf("connect to Temporal: %w", err)
	}
	f := &floor{temporal: c, http: newHTTPClient(30 * time.Second), body: []byte(strings.Repeat("x", dataSize))}
	f.worker = worker.New(c, floorQueue, worker.Options{
		LocalActivityWorkerOnly: true, MaxConcurrentWorkflowTaskExecutionSize: 256, MaxConcurrentLocalActivityExecutionSize: 1024,
		MaxConcurrentWorkflowTaskPollers: 4,
	})
	f.worker.RegisterWorkflowWithOptions(runFloor, workflow.RegisterOptions{Name: floorWorkflow})
	f.worker.RegisterActivityWithOptions(f.post, activity.RegisterOptions{Name: floorActivity})
	if err := f.worker.Start(); err != nil {
		c.Close()
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	return f, nil
}

func (f *floor) stop() {
	f.worker.Stop()
	f.temporal.Close()
	f.http.CloseIdleConnections()
}

// post is the floor's only activity.
func (f *floor) post(ctx context.Context, event, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(f.body))
	if err != nil {
		return err
	}
	req.Header["webhook-id"] = []string{event}
	res, err := f.http.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, res.Status)
	}
	return nil
}

// starter returns a call that starts one workflow.
func (f *floor) starter(sinks []*sink) publish {
	urls := make([]string, len(sinks))
	for i, s := range sinks {
		urls[i] = s.url
	}
	return func(ctx context.Context) ([]eventID, int, error) {
		id := eventID(uuid.Must(uuid.NewV7()))
		_, err := f.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
			ID: "bench/" + id.String(), TaskQueue: floorQueue, EnableEagerStart: true,
		}, floorWorkflow, floorInput{Event: id.String(), URLs: urls})
		if err != nil {
			return nil, 1, err
		}
		return []eventID{id}, 0, nil
	}
}

// The numbers of starts in flight that are tried; the best is taken.
func floorStarts() []int { return []int{2, 4, 8, 16, 32} }

// measureFrozenFloor measures on a stack of its own, which is gone before the one for Waybill is brought up.
func measureFrozenFloor(ctx context.Context, o *options, mode string, rep *report, out *stack.Printer) (err error) {
	e, err := openFloor(ctx, o, out)
	if err != nil {
		return fmt.Errorf("bring up a stack: %w", err)
	}
	r := &rig{opts: o, mode: mode, out: out, report: rep, engine: e, sinks: newSinks()}
	defer func() { err = errors.Join(err, r.close()) }()
	ctx, cancel := context.WithCancel(e.watch(ctx))
	defer cancel()
	if r.parts, err = e.up(ctx); err != nil {
		return fmt.Errorf("bring up a stack: %w", err)
	}
	if r.counter, err = e.openCounter(ctx); err != nil {
		return err
	}
	return r.measureFloor(ctx)
}

// measureFloor measures before Waybill runs, so that it has the machine for itself: one POST always, and the rest where
// a case is to be compared with it.
func (r *rig) measureFloor(ctx context.Context) error {
	f, err := startFloor(ctx, r.engine.frontend(), r.engine.namespace)
	if err != nil {
		return err
	}
	defer f.stop()
	starts, err := r.tuneFloor(ctx, f)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		row       row
		wanted    bool
		endpoints int
		traffic   traffic
	}{
		{
			row{Key: floorOne, Title: fmt.Sprintf("floor: one POST, %d starts in flight", starts)}, true,
			1, traffic{calls: 4000, concurrency: starts}, // enough for the server's memory to fill, so that it collects garbage as it will
		},
		{row{Key: floorTen, Title: "floor: ten POSTs"}, r.wants(rowTen), 10, traffic{calls: 500, concurrency: starts}},
		{row{Key: floorRate, Title: "floor: 20 workflows/s"}, r.wants(rowRate), 1, traffic{calls: 200, perSecond: 20}},
	} {
		if !c.wanted {
			continue
		}
		err := r.series(ctx, c.row, func(ctx context.Context, share float64) (figures, error) {
			return r.runFloor(ctx, f, c.endpoints, c.traffic, share)
		})
		if err != nil {
			return err
		}
	}
	if r.wants(caseRetention) {
		return r.floorRetention(ctx, starts)
	}
	return nil
}

func (r *rig) tuneFloor(ctx context.Context, f *floor) (best int, err error) {
	var most float64
	if _, err := r.runFloor(ctx, f, 1, traffic{calls: 200, concurrency: 8}, 1); err != nil {
		return 0, fmt.Errorf("warm up: %w", err)
	}
	for _, starts := range floorStarts() {
		got, err := r.runFloor(ctx, f, 1, traffic{calls: 400, concurrency: starts}, 1)
		if err != nil {
			return 0, err
		}
		r.out.Say("%s: floor with %d starts in flight: %.0f workflows/s", r.mode, starts, got[delivered])
		if got[delivered] > most {
			best, most = starts, got[delivered]
		}
	}
	return best, nil
}

func (r *rig) runFloor(ctx context.Context, f *floor, endpoints int, t traffic, share float64) (figures, error) {
	sinks := make([]*sink, endpoints)
	for i := range sinks {
		var err error
		if sinks[i], err = r.sinks.add(ctx, accepts); err != nil {
			return nil, err
		}
	}
	t.calls = r.opts.scaled(t.calls, share)
	got, _, err := r.deliver(ctx, t, f.starter(sinks), sinks)
	return got, err
}
