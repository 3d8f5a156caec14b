package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// What the noisy tenant does beside one that publishes at neighborRate to one healthy endpoint.
const (
	// tenantsBacklog is the limit of the backlog, low enough that the noisy tenant reaches it within seconds.
	tenantsBacklog = 2000
	// floodTimes is how many times as much the noisy tenant publishes as the other.
	floodTimes = 20
	// hangingEndpoints get an event all of them every hangingEvery, and hang.
	hangingEndpoints = 200
	hangingEvery     = 2 * time.Second
	// fanOutEndpoints, which is the most there may be, get an event all of them every fanOutEvery.
	fanOutEndpoints = 10_000
	fanOutEvery     = 5 * time.Second
	// recoveredEndpoints get recoveredEvents each that they missed, recoveredRate a second, and retriedRate events a second fail twice.
	recoveredEndpoints = 4
	recoveredEvents    = 1000
	recoveredRate      = 100
	retriedRate        = 20
	missedBatch        = 100
	missedType         = "bench.missed"
	// refusedPause is how long a publisher waits after a 429, as Retry-After asks.
	refusedPause = time.Second
)

// The cases with tenants, which are the keys of their rows too.
const (
	rowTenantQuiet    = "tenant-quiet"
	rowTenantFlood    = "tenant-flood"
	rowTenantCrowd    = "tenant-crowd"
	rowTenantHanging  = "tenant-hanging"
	rowTenantFanOut   = "tenant-fan-out"
	rowTenantRecovery = "tenant-recovery"
	rowTenantSQL      = "tenant-sql"
	rowTenantImport   = "tenant-import"
)

// din is what the noisy tenant does while the other is measured. It begins when prepare has returned.
type din struct {
	row
	prepare func(ctx context.Context, r *rig, share float64) (*noisyTenant, error)
	// fills says that it fills the backlog, whose limit is then low.
	fills bool
	// sql says that both publish with SQL.
	sql bool
}

// noisyTenant makes noise until the context of run is done.
type noisyTenant struct {
	id    string
	sinks []*sink
	run   func(ctx context.Context)
	// keeps says that its deliveries come to an end by themselves; those of others are taken out of the backlog.
	keeps bool
}

// tenantCases compare a tenant alone with the same beside noisy ones: the first is of the tenant alone.
func tenantCases() []benchCase {
	cases := []benchCase{{rowTenantQuiet, true, func(ctx context.Context, r *rig) error {
		return r.scenario(ctx, row{Key: rowTenantQuiet, Title: fmt.Sprintf("a tenant at %d/s, alone", neighborRate)}, healthy())
	}}, {rowTenantSQL, true, func(ctx context.Context, r *rig) error {
		s := healthy()
		s.sql = true
		return r.scenario(ctx, row{Key: rowTenantSQL, Title: fmt.Sprintf("a tenant at %d/s with SQL, alone", neighborRate)}, s)
	}}}
	for _, d := range []din{
		{row: row{Key: rowTenantFlood, Title: fmt.Sprintf("the same beside a tenant at %d/s", floodTimes*neighborRate)}, prepare: flooding, fills: true},
		{row: row{Key: rowTenantCrowd, Title: fmt.Sprintf("the same beside %d publishers of another tenant", concurrency)}, prepare: crowding, fills: true},
		{row: row{Key: rowTenantHanging, Title: fmt.Sprintf("the same beside an event to %d endpoints that hang, every %s", hangingEndpoints, hangingEvery)}, prepare: hanging},
		{row: row{Key: rowTenantRecovery, Title: fmt.Sprintf("the same beside %d recoveries, and %d/s that fail twice", recoveredEndpoints, retriedRate)}, prepare: recovering},
		{row: row{Key: rowTenantFanOut, Title: fmt.Sprintf("the same beside an event to %d endpoints, every %s", fanOutEndpoints, fanOutEvery)}, prepare: wideTenants{}.fanningOut},
		{row: row{Key: rowTenantImport, Title: fmt.Sprintf("the same beside %d events of a transaction", importedEvents)}, prepare: importing, sql: true},
	} {
		cases = append(cases, benchCase{d.Key, true, func(ctx context.Context, r *rig) error { return r.amid(ctx, d) }})
	}
	return cases
}

// amid measures a tenant beside a noisy one.
func (r *rig) amid(ctx context.Context, d din) error {
	run := func(ctx context.Context, share float64) (figures, error) { return r.playAmid(ctx, d, share) }
	if !d.fills {
		return r.measure(ctx, d.row, run)
	}
	if err := r.serveWith(ctx, "WAYBILL_MAX_BACKLOG="+strconv.Itoa(tenantsBacklog)); err != nil {
		return err
	}
	if err := r.measure(ctx, d.row, run); err != nil {
		return err
	}
	return r.serveWith(ctx)
}

// serveWith starts Waybill anew, with further settings from now on.
func (r *rig) serveWith(ctx context.Context, env ...string) error {
	r.env = env
	if err := r.stopServer(); err != nil {
		return err
	}
	return r.serve(ctx)
}

// noisyRequests is how many requests of the noisy tenant come in meanwhile.
const noisyRequests metric = "noisy_requests_per_s"

// playAmid returns the figures of the tenant that is not noisy.
func (r *rig) playAmid(ctx context.Context, d din, share float64) (figures, error) {
	noisy, err := d.prepare(ctx, r, share)
	if err != nil {
		return nil, fmt.Errorf("prepare the noisy tenant: %w", err)
	}
	making, stop := context.WithCancel(ctx)
	defer stop()
	over := make(chan struct{})
	go func() {
		defer close(over)
		noisy.run(making)
	}()
	s := healthy()
	s.sql = d.sql
	began, before := time.Now(), requested(noisy.sinks)
	f, err := r.play(ctx, s, share)
	if err == nil {
		f[noisyRequests] = perSecond(requested(noisy.sinks)-before, time.Since(began))
		f.dropCosts()
	}
	stop()
	<-over
	if err != nil {
		return nil, err
	}
	return f, r.silence(ctx, noisy)
}

// silence ends what the noisy tenant still has under way, so that the next run begins like this one.
func (r *rig) silence(ctx context.Context, noisy *noisyTenant) error {
	for _, s := range noisy.sinks {
		s.releaseHung()
	}
	if !noisy.keeps {
		forget := `DELETE FROM ` + r.side.schema + `.dispatches d USING ` + r.side.schema + `.events e WHERE e.id = d.event_key AND e.tenant_id = $1`
		if _, err := r.db.ExecContext(ctx, forget, noisy.id); err != nil {
			return fmt.Errorf("empty the backlog of the noisy tenant: %w", err)
		}
	}
	before := requested(noisy.sinks)
	for {
		if err := pause(ctx, 2*time.Second); err != nil {
			return err
		}
		now := requested(noisy.sinks)
		if now == before {
			return nil
		}
		before = now
	}
}

// requested is how many requests have come in.
func requested(sinks []*sink) int {
	sum := 0
	for _, s := range sinks {
		sum += s.requested()
	}
	return sum
}

// newNoisy creates a tenant with endpoints that behave alike.
func newNoisy(ctx context.Context, r *rig, endpoints int, b behavior) (*noisyTenant, error) {
	id, err := r.newTenant(ctx)
	if err != nil {
		return nil, err
	}
	sinks, err := r.newEndpoints(ctx, id, endpoints, b)
	return &noisyTenant{id: id, sinks: sinks}, err
}

// publishUntil makes calls until the context is done. What is refused is no error: that is what the limits are for.
func publishUntil(ctx context.Context, t traffic, call publish) {
	t.calls = 1_000_000
	_, _ = t.drive(ctx, call)
}

func flooding(ctx context.Context, r *rig, _ float64) (*noisyTenant, error) {
	noisy, err := newNoisy(ctx, r, 1, accepts)
	if err != nil {
		return nil, err
	}
	noisy.run = func(ctx context.Context) {
		publishUntil(ctx, traffic{perSecond: neighborRate}, r.api.batchPublisher(noisy.id, floodTimes))
	}
	return noisy, nil
}

func crowding(ctx context.Context, r *rig, _ float64) (*noisyTenant, error) {
	noisy, err := newNoisy(ctx, r, 1, accepts)
	if err != nil {
		return nil, err
	}
	call := r.api.publisher(noisy.id)
	noisy.run = func(ctx context.Context) {
		publishUntil(ctx, traffic{concurrency: concurrency}, func(ctx context.Context) ([]eventID, int, error) {
			ids, refused, err := call(ctx)
			if refused > 0 {
				_ = pause(ctx, refusedPause) // the context ends the loop, too
			}
			return ids, refused, err
		})
	}
	return noisy, nil
}

func hanging(ctx context.Context, r *rig, _ float64) (*noisyTenant, error) {
	noisy, err := newNoisy(ctx, r, hangingEndpoints, hangs(hangTime))
	if err != nil {
		return nil, err
	}
	noisy.run = func(ctx context.Context) {
		publishUntil(ctx, traffic{perSecond: 1 / hangingEvery.Seconds()}, r.api.publisher(noisy.id))
	}
	return noisy, nil
}

// wideTenants are those with fanOutEndpoints, one for each side: to create them takes longer than a run.
type wideTenants map[*side]*noisyTenant

func (w wideTenants) fanningOut(ctx context.Context, r *rig, _ float64) (*noisyTenant, error) {
	if w[r.side] != nil {
		return w[r.side], nil
	}
	id, endpoints := r.tenantID(), r.opts.scaled(fanOutEndpoints, 1)
	tenant := map[string]any{"id": id, "name": id, "dialect": "standard", "limits": map[string]any{"endpoints": endpoints}}
	if err := r.api.call(ctx, http.MethodPost, "/v1/tenants", tenant, nil); err != nil {
		return nil, err
	}
	s, err := r.sinks.add(ctx, accepts) // one port for all: so many listeners would be the measurement
	if err != nil {
		return nil, err
	}
	creating, creatingCtx := errgroup.WithContext(ctx)
	creating.SetLimit(8)
	for n := range endpoints {
		creating.Go(func() error {
			_, err := r.api.createEndpoint(creatingCtx, id, s.url+"/"+strconv.Itoa(n))
			return err
		})
	}
	noisy := &noisyTenant{id: id, sinks: []*sink{s}, keeps: true, run: func(ctx context.Context) {
		publishUntil(ctx, traffic{perSecond: 1 / fanOutEvery.Seconds()}, r.api.publisher(id))
	}}
	w[r.side] = noisy
	return noisy, creating.Wait()
}

// recovering has endpoints that are sent what they missed, and one that fails twice.
func recovering(ctx context.Context, r *rig, share float64) (*noisyTenant, error) {
	id, err := r.newTenant(ctx, "1s", "1s", "1s")
	if err != nil {
		return nil, err
	}
	missed := traffic{calls: max(1, r.opts.scaled(recoveredEvents, share)/missedBatch), concurrency: batchConcurrency}
	if _, err := missed.drive(ctx, r.api.batchOf(id, missedType, missedBatch)); err != nil {
		return nil, err
	}
	noisy := &noisyTenant{id: id, keeps: true}
	recovered := make([]string, recoveredEndpoints)
	for i := range recovered {
		s, err := r.sinks.add(ctx, accepts)
		if err != nil {
			return nil, err
		}
		if recovered[i], err = r.api.createEndpointFor(ctx, id, s.url, missedType); err != nil {
			return nil, err
		}
		noisy.sinks = append(noisy.sinks, s)
	}
	failing, err := r.newEndpoints(ctx, id, 1, fails(2))
	noisy.sinks = append(noisy.sinks, failing...)
	noisy.run = func(ctx context.Context) {
		for _, endpoint := range recovered {
			in := map[string]any{"endpoint_id": endpoint, "missed": true, "rate": recoveredRate}
			if err := r.api.call(ctx, http.MethodPost, "/v1/tenants/"+id+"/recoveries", in, nil); err != nil && ctx.Err() == nil {
				r.fail(fmt.Errorf("recover what an endpoint missed: %w", err))
			}
		}
		publishUntil(ctx, traffic{perSecond: retriedRate}, r.api.publisher(id))
	}
	return noisy, err
}
