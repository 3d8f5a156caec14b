package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.temporal.io/sdk/client"

	"waybill/activities"
	"waybill/engine"
	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
	"waybill/worker"
	"waybill/workflows"
)

// parts says what a process does.
type parts struct {
	api bool
	// dispatch starts workflows, which needs the fast lane beside it.
	dispatch bool
	// isolated runs the isolated lane.
	isolated bool
}

// process is what the parts of one process share.
type process struct {
	*settings
	log        *slog.Logger
	metrics    *prometheus.Registry
	catalogue  *catalogue
	store      *postgres.Store
	engine     *engine.Client
	dispatcher *worker.Dispatcher
}

// serve runs the parts until the context is done or one of them fails, and then stops them in order: no new requests,
// no new starts, attempts under way to their end, the database last.
func serve(ctx context.Context, s *settings, log *slog.Logger, what parts) (err error) {
	p := &process{settings: s, log: log, metrics: newRegistry()}
	if p.catalogue, err = loadCatalogue(s.DialectsDir); err != nil {
		return err
	}
	temporal, err := dialTemporal(s, log)
	if err != nil {
		return err
	}
	defer temporal.Close()
	if p.store, err = p.openStore(); err != nil {
		return err
	}
	p.engine = engine.NewClient(temporal, engine.Options{
		Namespace: s.TemporalNamespace, Endpoints: p.store, RecoveryRate: s.RecoveryRate, Failpoint: p.failpoint, Logger: log,
	})
	defer func() { err = errors.Join(err, p.store.Close()) }()

	var background sync.WaitGroup
	defer background.Wait()
	// Not ended by the signal but after the last request was answered.
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if s.PprofListen != "" {
		if err := servePprof(working, &background, s.PprofListen, log); err != nil {
			return err
		}
	}
	if what.dispatch {
		if err := p.dispatch(working, &background, temporal, what); err != nil {
			return err
		}
	}
	switch {
	case what.api:
		return p.serveAPI(ctx, p.watchBacklog(working, &background))
	case s.WorkerListen != "":
		return p.serveOperation(ctx)
	}
	<-ctx.Done()
	return nil
}

// watchBacklog reads the backlog once before anything is accepted, so that a new process keeps to the limit too.
func (p *process) watchBacklog(ctx context.Context, background *sync.WaitGroup) *worker.Backlog {
	b := worker.NewBacklog(worker.BacklogOptions{Counter: p.store, Limit: p.MaxBacklog, Registerer: p.metrics, Logger: p.log})
	b.Read(ctx)
	background.Go(func() { b.Run(ctx) })
	return b
}

// dispatch runs the worker and all that starts workflows.
func (p *process) dispatch(ctx context.Context, background *sync.WaitGroup, temporal client.Client, what parts) error {
	queue := workflows.ProcessQueue(uuid.NewString())
	acts, err := p.newActivities(queue)
	if err != nil {
		return err
	}
	w := worker.New(worker.Options{
		Client: temporal, Activities: acts, Queue: queue, FastLaneOnly: !what.isolated, StopTimeout: p.DrainTimeout, Logger: p.log,
	})
	p.dispatcher = worker.NewDispatcher(worker.DispatcherOptions{
		Dispatches: p.store, Starter: p.engine, Dialects: p.catalogue.dialects, Starts: p.Starts, Failpoint: p.failpoint, Logger: p.log,
		Express:  worker.NewExpress(acts, p.Express),
		StayAway: func(endpoints []webhook.EndpointID) time.Duration { return activities.RetryAfter(acts, endpoints) },
	})
	background.Go(func() {
		w.Run(ctx)
		p.drain(acts)
	})
	background.Go(func() { p.dispatcher.Run(ctx) })
	background.Go(func() { worker.NewRelay(p.store, p.dispatcher, p.log).Run(ctx) })
	ingester := worker.NewIngester(worker.IngesterOptions{
		Outbox: p.store, Schemas: p.catalogue, Dialects: p.catalogue.dialects, MaxBytes: p.MaxBodyBytes, Registerer: p.metrics, Logger: p.log,
		Now: p.clock.now,
	})
	background.Go(func() { ingester.Run(ctx) })
	background.Go(func() { worker.NewUpkeep(p.store, p.engine, p.log).Run(ctx) })
	reconciler := worker.NewReconciler(worker.ReconcilerOptions{
		Log: p.store, Restarter: p.engine, Dialects: p.catalogue.dialects, After: p.ReconcileAfter, Registerer: p.metrics, Logger: p.log,
	})
	background.Go(func() { reconciler.Run(ctx) })
	return nil
}

// drain lets the attempts that outlive their workflow tasks come to their end.
func (p *process) drain(acts *activities.Activities) {
	ctx, cancel := context.WithTimeout(context.Background(), p.DrainTimeout)
	defer cancel()
	if err := activities.Drain(ctx, acts); err != nil {
		p.log.Warn("attempts were still under way", "error", err)
	}
}

func (p *process) openStore() (*postgres.Store, error) {
	return postgres.Open(postgres.Options{
		URL: p.DatabaseURL, Schema: p.DatabaseSchema, MaxConns: p.DatabaseMaxConns, Keys: p.keys, Failpoint: p.failpoint, Logger: p.log,
		NewUUID: p.clock.newUUID,
		// Without a dispatcher nobody here starts what is accepted here.
		Leave:      func() bool { return p.dispatcher == nil || p.dispatcher.Full() },
		OnAccepted: func(events []store.Dispatch) { p.dispatcher.Offer(events) },
	})
}

func (p *process) newActivities(queue string) (*activities.Activities, error) {
	var ca []byte
	if p.EgressCAFile != "" {
		var err error
		if ca, err = os.ReadFile(p.EgressCAFile); err != nil {
			return nil, fmt.Errorf("WAYBILL_EGRESS_CA_FILE: %w", err)
		}
	}
	transport, err := activities.NewTransport(activities.TransportOptions{
		AllowCIDRs: p.allowCIDRs, AllowedPorts: p.EgressPorts, RootCAs: ca,
	})
	if err != nil {
		return nil, fmt.Errorf("WAYBILL_EGRESS_CA_FILE: %w", err)
	}
	return activities.New(activities.Options{
		Store: p.store, Engine: p.engine, Transport: transport, Dialects: p.catalogue.dialects,
		Queue: queue, Failpoint: p.failpoint, Logger: p.log, Registerer: p.metrics, Now: p.clock.now, NewUUID: p.clock.newUUID,
	}), nil
}

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

func migrate(ctx context.Context, s *settings, log *slog.Logger) error {
	return postgres.Migrate(ctx, s.DatabaseURL, s.DatabaseSchema, log)
}
