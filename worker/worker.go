package worker

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"

	"waybill/activities"
	"waybill/workflows"
)

// Options are the dependencies and the settings of a Worker.
type Options struct {
	Client     client.Client
	Activities *activities.Activities
	// Queue is the task queue of this process alone; see activities.Options.
	Queue string
	// Notices sends mail; nil: this process leaves that to others.
	Notices *activities.Notices
	// FastLaneOnly leaves the isolated lane and wide events to other processes: the worker beside an API that starts workflows.
	FastLaneOnly bool
	// Check returns why workflows could not run, such as a namespace that lacks something. The worker starts once Check
	// returns nil. A nil Check checks nothing.
	Check func(ctx context.Context) error
	// StopTimeout is how long attempts under way may take when the worker stops.
	StopTimeout time.Duration
	// Registerer registers the metric; nil: it is not exported.
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// Sizes of a worker. A workflow task lasts as long as its attempts in the fast lane, so there is a slot for each attempt
// that may be in flight, and for each short delay. Isolated attempts mostly wait for a receiver.
const (
	workflowTasks    = 256 + activities.DefaultShortDelays
	fastAttempts     = 1024
	isolatedAttempts = 1024
	mailsAtOnce      = 4
	workflowPollers  = 4
	isolatedPollers  = 4
	// endpointTasks and endpointPollers are for workflows whose tasks are short: activities do their work.
	endpointTasks   = 64
	endpointPollers = 2
	// wideTasks is low, because all attempts of a task are in memory, and wide events have many.
	wideTasks    = 8
	wideAttempts = 128
	widePollers  = 2

	retryStart = time.Second
	// cachedWorkflows bounds the memory of waiting workflows, which take about 25 KiB for each delivery. A workflow that is
	// not cached is replayed when its timer fires.
	cachedWorkflows = 500
)

// Worker runs the workflows of events and the fast lane on one task queue, those of wide events on another, the isolated lane and
// housekeeping on a third, and the workflows of endpoints on a fourth.
type Worker struct {
	opts Options
	up   prometheus.Gauge
}

// New returns a Worker that does nothing before Run.
func New(o Options) *Worker {
	sdkworker.SetStickyWorkflowCacheSize(cachedWorkflows)
	w := &Worker{opts: o, up: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "waybill_worker_up", Help: "1 while this process takes tasks from Temporal.",
	})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(w.up)
	}
	return w
}

// Run works until the context is done, and then lets attempts in flight finish. While Temporal is down, at the start or
// later, it keeps trying.
func (w *Worker) Run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		err := w.runOnce(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if !failing {
			w.opts.Logger.Warn("the worker does not run; still trying", "error", err)
		}
		failing = true
		select {
		case <-time.After(retryStart):
		case <-ctx.Done():
		}
	}
}

// runOnce runs a set of workers. Each try makes new ones, because a worker cannot be started twice.
func (w *Worker) runOnce(ctx context.Context) error {
	if w.opts.Check != nil {
		if err := w.opts.Check(ctx); err != nil {
			return err
		}
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	lanes := []sdkworker.Worker{w.events(workflows.TaskQueue, workflowTasks, fastAttempts, workflowPollers, fail), w.activityQueue(w.opts.Queue, 1, fail)}
	if !w.opts.FastLaneOnly {
		lanes = append(lanes, w.activityQueue(workflows.IsolatedQueue, isolatedPollers, fail), w.endpoints(fail),
			w.events(workflows.WideQueue, wideTasks, wideAttempts, widePollers, fail))
	}
	if w.opts.Notices != nil {
		lanes = append(lanes, w.mailQueue(fail))
	}
	var started []sdkworker.Worker
	defer func() {
		var stopping sync.WaitGroup // they stop at the same time, because each may take all of StopTimeout
		for _, lane := range started {
			stopping.Go(lane.Stop)
		}
		stopping.Wait()
	}()
	for _, lane := range lanes {
		if err := lane.Start(); err != nil {
			return fmt.Errorf("start a worker: %w", err)
		}
		started = append(started, lane)
	}
	w.up.Set(1)
	defer w.up.Set(0)
	w.opts.Logger.Info("the worker runs", "isolated_lane", !w.opts.FastLaneOnly)
	<-ctx.Done()
	if cause := context.Cause(ctx); cause != context.Canceled { //nolint:errorlint // compares the value itself: canceled by the caller
		return cause
	}
	return nil
}

// events runs the workflows of events, and the fast lane inside of their tasks.
func (w *Worker) events(queue string, tasks, attempts, pollers int, fail func(error)) sdkworker.Worker {
	v := sdkworker.New(w.opts.Client, queue, sdkworker.Options{
		LocalActivityWorkerOnly:                 true,
		MaxConcurrentWorkflowTaskExecutionSize:  tasks,
		MaxConcurrentLocalActivityExecutionSize: attempts,
		MaxConcurrentWorkflowTaskPollers:        pollers,
		WorkerStopTimeout:                       w.opts.StopTimeout,
		OnFatalError:                            fail,
	})
	workflows.Register(v)
	activities.Register(v, w.opts.Activities)
	return v
}

// endpoints runs the workflows that there is one of for an endpoint.
func (w *Worker) endpoints(fail func(error)) sdkworker.Worker {
	v := sdkworker.New(w.opts.Client, workflows.EndpointsQueue, sdkworker.Options{
		LocalActivityWorkerOnly:                true,
		MaxConcurrentWorkflowTaskExecutionSize: endpointTasks,
		MaxConcurrentWorkflowTaskPollers:       endpointPollers,
		WorkerStopTimeout:                      w.opts.StopTimeout,
		OnFatalError:                           fail,
	})
	workflows.Register(v)
	return v
}

// activityQueue works on a queue that carries activities only: the isolated lane, or the queue of this process.
func (w *Worker) activityQueue(queue string, pollers int, fail func(error)) sdkworker.Worker {
	v := sdkworker.New(w.opts.Client, queue, sdkworker.Options{
		DisableWorkflowWorker:              true,
		MaxConcurrentActivityExecutionSize: isolatedAttempts,
		MaxConcurrentActivityTaskPollers:   pollers,
		WorkerStopTimeout:                  w.opts.StopTimeout,
		OnFatalError:                       fail,
	})
	activities.Register(v, w.opts.Activities)
	return v
}

// mailQueue sends mail. Few go out at a time: a slow mail server is no reason for many connections to it.
func (w *Worker) mailQueue(fail func(error)) sdkworker.Worker {
	v := sdkworker.New(w.opts.Client, workflows.MailQueue, sdkworker.Options{
		DisableWorkflowWorker:              true,
		MaxConcurrentActivityExecutionSize: mailsAtOnce,
		MaxConcurrentActivityTaskPollers:   1,
		WorkerStopTimeout:                  w.opts.StopTimeout,
		OnFatalError:                       fail,
	})
	activities.RegisterNotices(v, w.opts.Notices)
	return v
}
