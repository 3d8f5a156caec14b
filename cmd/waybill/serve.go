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
	"go.temporal.io/sdk/client"

	"waybill/activities"
	"waybill/engine"
	"waybill/postgres"
	"waybill/store"
	"waybill/tracing"
	"waybill/webhook"
	"waybill/worker"
	"waybill/workflows"
)

// parts says which parts a process runs.
type parts struct {
	api bool
	// dispatch starts workflows, which needs the fast lane beside it.
	dispatch bool
	// isolated runs the isolated lane.
	isolated bool
}

// process is shared by the parts of one process.
type process struct {
	*settings
	log        *slog.Logger
	stop       *stop
	metrics    *registry
	tracer     *tracing.Tracer // nil: traces are off
	catalogue  *catalogue
	store      *postgres.Store
	engine     *engine.Client
	dispatcher *worker.Dispatcher
}

// serve runs the parts until the context is done or one of them fails, and then stops them in order within one budget: no
// new requests, no new starts, then it waits for attempts in flight, and closes the database last.
func serve(ctx context.Context, s *settings, log *slog.Logger, what parts) (err error) {
	ctx, begin := context.WithCancel(ctx)
	p := &process{settings: s, log: log, stop: newStop(ctx, s.DrainTimeout, log), metrics: newRegistry(log)}
	defer func() {
		begin()
		<-p.stop.told // nothing is logged once the caller goes on
	}()
	if p.catalogue, err = loadCatalogue(s.DialectsDir); err != nil {
		return err
	}
	if p.rules.Machine, err = activities.NewMachine(nil); err != nil {
		return err
	}
	endTraces, err := p.startTraces(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	defer endTraces()
	temporal, err := dialTemporal(s, log, worker.NewSDKMetrics(p.metrics).Handler(), p.tracer)
	if err != nil {
		return err
	}
	defer temporal.Close()
	if p.store, err = p.openStore(); err != nil {
		return err
	}
	if err := p.checkKeys(ctx); err != nil {
		return errors.Join(err, p.closeStore())
	}
	if ctx.Err() != nil { // it was told to stop before it began
		return p.closeStore()
	}
	p.engine = engine.NewClient(temporal, engine.Options{
		Namespace: s.TemporalNamespace, WorksWide: what.isolated, Endpoints: p.store, Failpoint: p.failpoint, Logger: log,
	})
	var background sync.WaitGroup
	// The signal does not stop the work at once, because the last requests must be answered first.
	working, rest := context.WithCancel(context.WithoutCancel(ctx))
	err = p.run(ctx, working, &background, temporal, what)
	begin() // in case no signal did
	rest()
	if !within(p.stop.work, background.Wait) {
		log.Warn("work was under way when the time to stop was over; another process makes it anew")
	}
	return errors.Join(err, p.closeStore())
}

// run serves until ctx is done or a part fails. Its background work continues until working is done.
func (p *process) run(ctx, working context.Context, background *sync.WaitGroup, temporal client.Client, what parts) error {
	listener, err := p.listen(ctx, what)
	if err != nil {
		return err
	}
	if listener != nil {
		defer listener.Close() // where nothing serves it, because what follows fails
	}
	if p.PprofListen != "" {
		if err := servePprof(working, background, p.PprofListen, p.log); err != nil {
			return err
		}
	}
	if p.MetricsListen != "" {
		if err := p.serveMetrics(working, background); err != nil {
			return err
		}
	}
	watch := worker.NewWatch(worker.WatchOptions{
		Store: p.store, Ready: p.engine.Ready, TopEndpoints: p.MetricsTop, Registerer: p.metrics, Logger: p.log,
	})
	background.Go(func() { watch.Run(working) })
	if what.dispatch {
		if err := p.dispatch(working, background, temporal, what); err != nil {
			return err
		}
	}
	switch {
	case what.api:
		return p.serveAPI(ctx, listener, p.watchBacklog(working, background))
	case listener != nil:
		return p.serveOperation(ctx, listener)
	}
	<-ctx.Done()
	return nil
}

// watchBacklog reads the backlog once before any event is accepted, so that a new process respects the limit too.
func (p *process) watchBacklog(ctx context.Context, background *sync.WaitGroup) *worker.Backlog {
	b := worker.NewBacklog(worker.BacklogOptions{Counter: p.store, Limit: p.MaxBacklog, Registerer: p.metrics, Logger: p.log})
	b.Read(ctx)
	background.Go(func() { b.Run(ctx) })
	return b
}

// dispatch runs the worker and everything that starts workflows.
func (p *process) dispatch(ctx context.Context, background *sync.WaitGroup, temporal client.Client, what parts) error {
	queue := workflows.ProcessQueue(uuid.NewString())
	acts, err := p.newActivities(queue)
	if err != nil {
		return err
	}
	mail, err := p.newNotices()
	if err != nil {
		return err
	}
	w := worker.New(worker.Options{
		Client: temporal, Activities: acts, Notices: mail, Queue: queue, FastLaneOnly: !what.isolated, Check: p.engine.CheckNamespace, StopTimeout: workShare(p.DrainTimeout),
		Registerer: p.metrics, Logger: p.log,
	})
	p.dispatcher = worker.NewDispatcher(worker.DispatcherOptions{
		Dispatches: p.store, Starter: p.engine, Dialects: p.catalogue.dialects, Starts: p.Starts, Failpoint: p.failpoint, Logger: p.log,
		Registerer: p.metrics, Tracer: p.tracer,
		Express: worker.NewExpress(acts, func(ctx context.Context, tenant string, endpoint webhook.EndpointID, delay time.Duration) (bool, error) {
			return activities.WakeQueue(ctx, acts, tenant, endpoint, delay)
		}, p.Express),
		RetryAfter: func(endpoints []webhook.EndpointID) time.Duration { return activities.RetryAfter(acts, endpoints) },
		Room:       func(endpoint webhook.EndpointID) int { return activities.Room(acts, endpoint) },
	})
	background.Go(func() {
		w.Run(ctx)
		p.drain(acts)
	})
	background.Go(func() { p.dispatcher.Run(ctx) })
	background.Go(func() { worker.NewRelay(p.store, p.dispatcher, p.log).Run(ctx) })
	ingester := worker.NewIngester(worker.IngesterOptions{
		Outbox: p.store, Schemas: p.catalogue, Dialects: p.catalogue.dialects, MaxBytes: p.MaxBodyBytes, Registerer: p.metrics, Logger: p.log,
		Now: p.clock.now, Tracer: p.tracer,
	})
	background.Go(func() { ingester.Run(ctx) })
	upkeep := worker.NewUpkeep(worker.UpkeepOptions{
		Store: p.store, Teller: p.engine, Dialects: p.catalogue.dialects, Retention: p.retention(), Registerer: p.metrics, Logger: p.log,
	})
	background.Go(func() { upkeep.Run(ctx) })
	background.Go(func() { p.watchNotices(ctx, mail != nil) })
	reconciler := worker.NewReconciler(worker.ReconcilerOptions{
		Log: p.store, Restarter: p.engine, Dialects: p.catalogue.dialects, After: p.ReconcileAfter, Registerer: p.metrics, Logger: p.log,
	})
	background.Go(func() { reconciler.Run(ctx) })
	return nil
}

// drain waits for the attempts that outlive their workflow tasks.
func (p *process) drain(acts *activities.Activities) {
	if err := activities.Drain(p.stop.work, acts); err != nil {
		p.log.Warn("attempts were still under way", "error", err)
	}
}

// closeStore closes the database. It gives up when the time is over, because closing a database that hangs may take longer.
func (p *process) closeStore() error {
	var err error
	if !within(p.stop.end, func() { err = p.store.Close() }) {
		p.log.Warn("the database could not be closed in time")
		return nil
	}
	return err
}

// checkKeys refuses keys that do not open what is stored, and a database that cannot be spoken to as configured. A database that does not
// answer, lets nobody in while its password is changed, or has no tables yet, does not keep the process from starting.
func (p *process) checkKeys(ctx context.Context) error {
	err := p.store.CheckKeys(ctx)
	switch {
	case errors.Is(err, postgres.ErrNoTLS):
		return fmt.Errorf("WAYBILL_DATABASE_URL: %w", postgres.ErrNoTLS)
	case errors.Is(err, postgres.ErrLogin):
		p.log.Error("the database refuses the user or the password of WAYBILL_DATABASE_URL; still trying", "error", err)
		return nil
	case err != nil && webhook.ErrorCode(err) != webhook.CodeInvalid:
		p.log.Warn("the encryption keys were not checked", "error", err)
		return nil
	}
	return wrongKeys(err)
}

func (p *process) openStore() (*postgres.Store, error) {
	return postgres.Open(postgres.Options{
		URL: p.DatabaseURL, Schema: p.DatabaseSchema, MaxConns: p.DatabaseMaxConns, Keys: p.keys, Dialects: p.catalogue.dialects, OperatorTenant: p.OperatorTenant, Failpoint: p.failpoint, Logger: p.log,
		NewUUID: p.clock.newUUID, QuarantineAge: p.Retention, Registerer: p.metrics, Tracer: p.tracer,
		// Without a dispatcher this process starts no workflows for the events that it accepts.
		Leave:      func(d *store.Dispatch) bool { return p.dispatcher == nil || p.dispatcher.Full(d) },
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
		Rules: p.rules, RootCAs: ca, Proxy: p.proxy,
	})
	if p.proxy != nil {
		p.log.Info("deliveries go through a proxy", "proxy", p.proxy.Host)
	}
	if err != nil && len(ca) > 0 {
		return nil, fmt.Errorf("WAYBILL_EGRESS_CA_FILE: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("prepare outbound calls: %w", err)
	}
	return activities.New(activities.Options{
		Store: p.store, Queues: p.store, Recoveries: p.store, Erasures: p.store, Engine: p.engine, Transport: transport, Dialects: p.catalogue.dialects,
		Queue: queue, Failpoint: p.failpoint, Logger: p.log, Registerer: p.metrics, Tracer: p.tracer, Now: p.clock.now, NewUUID: p.clock.newUUID,
	}), nil
}

func migrate(ctx context.Context, s *settings, log *slog.Logger) error {
	if err := postgres.Migrate(ctx, s.DatabaseURL, s.DatabaseSchema, log); err != nil || s.DatabaseRole == "" {
		return err
	}
	if err := postgres.Grant(ctx, s.DatabaseURL, s.DatabaseSchema, s.DatabaseRole); err != nil {
		return fmt.Errorf("WAYBILL_DATABASE_ROLE: %w", err)
	}
	log.Info("granted what the processes need", "role", s.DatabaseRole)
	return nil
}
