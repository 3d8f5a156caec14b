package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/procfs"

	"waybill/scripts/stack"
)

// rig is an engine with Waybill in one mode on it.
type rig struct {
	opts   *options
	mode   string
	out    *stack.Printer
	report *report
	// fail ends everything, with the reason.
	fail context.CancelCauseFunc

	engine *engine
	// parts are the engine's processes whose cost can be told.
	parts []measuredProcess
	// sides are the builds to measure, and side the one whose turn it is; none beside a Waybill that was given.
	sides []*side
	side  *side
	key   string
	keys  string
	sinks *sinks
	// counter is nil where statements are not counted.
	counter *counter
	// temporalDB is opened by the first that asks it.
	temporalDB *sql.DB
	// db is nil beside a Waybill that was given.
	db  *sql.DB
	api *apiClient
	// server is the waybill process that runs now, nil when none does that was started here.
	server *server
	// further are the other processes of a cluster.
	further []*server
	// env are settings of the case that runs, beyond the usual.
	env []string
	// tag makes names of this run that no other has.
	tag     string
	tenants int
	// played is what was to be delivered so far.
	played []played
}

// measureMode brings up a stack, or takes what is given, measures the floor and then the cases, and takes down again what
// it brought up.
func measureMode(ctx context.Context, o *options, mode string, rep *report, out *stack.Printer) (err error) {
	tag := strconv.FormatInt(time.Now().UnixMilli(), 36)
	if o.floor == floorFrozen {
		if err := measureFrozenFloor(ctx, o, mode, rep, out); err != nil {
			return fmt.Errorf("measure the floor: %w", err)
		}
		if floorOnly(o) {
			return nil
		}
	}
	e, err := openEngine(ctx, o, tag, out)
	if err != nil {
		return fmt.Errorf("bring up a stack: %w", err)
	}
	ctx, fail := context.WithCancelCause(e.watch(ctx))
	defer fail(nil)
	r := &rig{
		opts: o, mode: mode, out: out, report: rep, fail: fail, engine: e, tag: tag,
		key: hex.EncodeToString(randomKey()), keys: "k1:" + base64.StdEncoding.EncodeToString(randomKey()), sinks: newSinks(),
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.open(ctx); err != nil {
		return err
	}
	if o.floor == floorShipped && e.temporal != "" {
		if err := r.measureFloor(ctx); err != nil {
			return fmt.Errorf("measure the floor: %w", err)
		}
	}
	if floorOnly(o) {
		return nil
	}
	if err := r.serve(ctx); err != nil {
		return err
	}
	defer func() { rep.total(mode, r.played) }()
	for _, c := range allCases() {
		if !r.wants(c.name) {
			continue
		}
		if err := c.run(ctx, r); err != nil {
			return fmt.Errorf("case %s: %w", c.name, err)
		}
	}
	return nil
}

func randomKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return key
}

// floorOnly reports whether there is nothing to measure of Waybill.
func floorOnly(o *options) bool { return slices.Equal(o.cases, []string{caseFloor}) }

func (r *rig) open(ctx context.Context) error {
	builds := !floorOnly(r.opts) && r.opts.url == ""
	err := stack.Parallel(ctx,
		func(ctx context.Context) (err error) {
			r.parts, err = r.engine.up(ctx)
			return err
		},
		func(ctx context.Context) error {
			if !builds {
				return nil
			}
			return r.openSides(ctx)
		},
	)
	if err != nil {
		return fmt.Errorf("bring up a stack: %w", err)
	}
	if r.counter, err = r.engine.openCounter(ctx); err != nil {
		return err
	}
	if !builds {
		r.api = newAPIClient(r.opts.url, r.opts.apiKey)
		return nil
	}
	r.api = newAPIClient("http://"+r.engine.api, r.key)
	if err := r.prepareSides(ctx); err != nil {
		return err
	}
	r.db, err = r.engine.openDatabase()
	return err
}

// close ends everything, the senders before the receiver and the stack last.
func (r *rig) close() error {
	r.sinks.releaseHung() // or the sender would wait for them to the end
	errs := []error{r.stopServer()}
	if r.api != nil {
		r.api.close()
	}
	errs = append(errs, r.sinks.close(), r.counter.close())
	if r.temporalDB != nil {
		errs = append(errs, r.temporalDB.Close())
	}
	if r.db != nil {
		errs = append(errs, r.db.Close())
	}
	return errors.Join(append(errs, r.engine.close())...)
}

// serve starts `waybill serve`, unless a Waybill was given.
func (r *rig) serve(ctx context.Context) error {
	if r.opts.url != "" {
		return getOK(ctx, r.api.base+"/readyz")
	}
	env := slices.Clone(r.env)
	if r.mode == modeExpress {
		env = append(env, "WAYBILL_EXPRESS=true")
	}
	if r.opts.pprofDir != "" {
		env = append(env, "WAYBILL_PPROF_LISTEN="+r.engine.profiles)
	}
	if r.opts.shape == shapeCluster {
		return r.serveCluster(ctx, env...)
	}
	return r.startServer(ctx, "serve", env...)
}

// acceptOnly starts a Waybill that accepts events and does not deliver them.
func (r *rig) acceptOnly(ctx context.Context) error {
	return r.startServer(ctx, "api", "WAYBILL_DISPATCH=false")
}

func (r *rig) startServer(ctx context.Context, command string, env ...string) (err error) {
	logFile := filepath.Join(r.engine.dir, "waybill.log")
	r.server, err = startServer(ctx, r.side.binary, []string{command}, append(r.settings(), env...), logFile, r.api.base, r.fail)
	return err
}

// settings are the variables of every waybill that is started.
func (r *rig) settings() []string {
	return []string{
		"WAYBILL_DATABASE_URL=" + r.engine.databaseURL, "WAYBILL_DATABASE_SCHEMA=" + r.side.schema, "WAYBILL_LISTEN=" + r.engine.api,
		"WAYBILL_TEMPORAL_ADDRESS=" + r.engine.temporal, "WAYBILL_TEMPORAL_NAMESPACE=" + r.side.namespace,
		"WAYBILL_API_KEY=" + r.key, "WAYBILL_ENCRYPTION_KEYS=" + r.keys,
		"WAYBILL_RETENTION=87600h", // a stored log stays
		"WAYBILL_ALLOW_HTTP=true", "WAYBILL_EGRESS_ALLOW_CIDRS=127.0.0.0/8",
	}
}

// migrate runs `waybill migrate` to its end.
func (r *rig) migrate(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, r.side.binary, "migrate")
	cmd.Env = append(os.Environ(), r.settings()...)
	said, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	return nil
}

// stopServer stops the waybill process, if one runs.
func (r *rig) stopServer() error {
	if r.server == nil {
		return nil
	}
	// Its peak memory can be read only while it runs. The watcher reports one that died.
	if proc, err := openProcesses(procfs.DefaultMountPoint); err == nil {
		if m, err := proc.memory(r.server.PID()); err == nil {
			r.report.notePeak(r.mode, int64(m.VmHWM))
		}
	}
	errs := []error{r.server.stop()}
	for _, s := range r.further {
		errs = append(errs, s.stop())
	}
	r.server, r.further = nil, nil
	return errors.Join(errs...)
}

// processes lists what is measured now.
func (r *rig) processes() []measuredProcess {
	if r.server == nil {
		return r.parts
	}
	all := []measuredProcess{{name: "waybill", pid: r.server.PID()}}
	for _, s := range r.further {
		all = append(all, measuredProcess{name: "waybill", pid: s.PID()})
	}
	return append(all, r.parts...)
}

// tenantID returns an id that no tenant has.
func (r *rig) tenantID() string {
	r.tenants++
	return fmt.Sprintf("bench-%s-%d", r.tag, r.tenants)
}

// newTenant creates a tenant that nobody else has.
func (r *rig) newTenant(ctx context.Context, schedule ...string) (string, error) {
	id := r.tenantID()
	// A Waybill that is started here is in express mode as a whole.
	return id, r.api.createTenant(ctx, id, r.opts.url != "" && r.mode == modeExpress, schedule...)
}

// newEndpoints creates endpoints that behave alike and returns where their deliveries arrive.
func (r *rig) newEndpoints(ctx context.Context, tenant string, n int, b behavior) ([]*sink, error) {
	sinks := make([]*sink, n)
	for i := range sinks {
		var err error
		if sinks[i], err = r.sinks.add(ctx, b); err != nil {
			return nil, err
		}
		if _, err := r.api.createEndpoint(ctx, tenant, sinks[i].url); err != nil {
			return nil, err
		}
	}
	return sinks, nil
}
