package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	_ "github.com/lib/pq" // the driver "postgres"

	"waybill/scripts/stack"
)

// rig is a stack of its own, with Waybill in one mode.
type rig struct {
	opts   *options
	mode   string
	out    *stack.Printer
	report *report
	// fail ends everything, with the reason.
	fail context.CancelCauseFunc

	stack    *stack.Stack
	binary   string
	key      string
	keys     string
	db       *sql.DB
	engine   []measuredProcess
	receiver *receiver
	api      *apiClient
	// server is the waybill process that runs now, nil when none does.
	server  *server
	tenants int
}

// measureMode brings up a stack, measures the floor and then the cases, and takes the stack down again.
func measureMode(ctx context.Context, o *options, mode string, rep *report, out *stack.Printer) (err error) {
	root, err := stack.FindRoot()
	if err != nil {
		return err
	}
	s, err := stack.OpenTest(ctx, root, out)
	if err != nil {
		return fmt.Errorf("bring up a stack: %w", err)
	}
	ctx, fail := context.WithCancelCause(s.Watch(ctx))
	defer fail(nil)
	r := &rig{
		opts: o, mode: mode, out: out, report: rep, fail: fail, stack: s, binary: filepath.Join(s.Dir, "waybill"),
		key: hex.EncodeToString(randomKey()), keys: "k1:" + base64.StdEncoding.EncodeToString(randomKey()), receiver: newReceiver(),
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.open(ctx); err != nil {
		return err
	}
	if err := r.measureFloor(ctx); err != nil {
		return fmt.Errorf("measure the floor: %w", err)
	}
	if err := r.serve(ctx); err != nil {
		return err
	}
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

func (r *rig) open(ctx context.Context) error {
	err := stack.Parallel(ctx, r.stack.Up, func(ctx context.Context) error {
		return stack.BuildWaybill(ctx, r.stack.Root, r.binary, r.out)
	})
	if err != nil {
		return fmt.Errorf("bring up a stack: %w", err)
	}
	if err := r.stack.Migrate(ctx, stack.Waybill{Binary: r.binary, APIKey: r.key}); err != nil {
		return fmt.Errorf("prepare Waybill's tables: %w", err)
	}
	for _, name := range []string{"temporal", "postgres"} {
		pid, err := r.processID(name)
		if err != nil {
			return err
		}
		r.engine = append(r.engine, measuredProcess{name: name, pid: pid})
	}
	if r.db, err = sql.Open("postgres", r.stack.DatabaseURL(r.stack.Database)); err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	r.api = newAPIClient("http://"+r.stack.Ports.API.Addr(), r.key)
	return nil
}

// processID reads the record that the stack keeps of each of its processes.
func (r *rig) processID(name string) (int, error) {
	var record struct {
		PID int `json:"pid"`
	}
	text, err := os.ReadFile(filepath.Join(r.stack.Dir, "run", name+".pid"))
	if err == nil {
		err = json.Unmarshal(text, &record)
	}
	if err != nil {
		return 0, fmt.Errorf("find the process %s: %w", name, err)
	}
	return record.PID, nil
}

// close ends everything, the senders before the receiver and the stack last.
func (r *rig) close() error {
	r.receiver.releaseHung() // or the sender would wait for them to the end
	errs := []error{r.stopServer()}
	if r.api != nil {
		r.api.close()
	}
	errs = append(errs, r.receiver.close())
	if r.db != nil {
		errs = append(errs, r.db.Close())
	}
	return errors.Join(append(errs, r.stack.Close())...)
}

// serve starts `waybill serve`.
func (r *rig) serve(ctx context.Context) error {
	var env []string
	if r.mode == modeExpress {
		env = append(env, "WAYBILL_EXPRESS=true")
	}
	if r.opts.pprofDir != "" {
		env = append(env, "WAYBILL_PPROF_LISTEN="+r.stack.Ports.Demo.Addr())
	}
	return r.startServer(ctx, "serve", env...)
}

// acceptOnly starts a Waybill that accepts events and does not deliver them.
func (r *rig) acceptOnly(ctx context.Context) error {
	return r.startServer(ctx, "api", "WAYBILL_DISPATCH=false")
}

func (r *rig) startServer(ctx context.Context, command string, env ...string) (err error) {
	env = append([]string{
		"WAYBILL_DATABASE_URL=" + r.stack.DatabaseURL(r.stack.Database), "WAYBILL_LISTEN=" + r.stack.Ports.API.Addr(),
		"WAYBILL_TEMPORAL_ADDRESS=" + r.stack.Ports.Temporal.Addr(), "WAYBILL_TEMPORAL_NAMESPACE=" + r.stack.Namespace,
		"WAYBILL_API_KEY=" + r.key, "WAYBILL_ENCRYPTION_KEYS=" + r.keys,
		"WAYBILL_ALLOW_HTTP=true", "WAYBILL_EGRESS_ALLOW_CIDRS=127.0.0.0/8",
	}, env...)
	logFile := filepath.Join(r.stack.Dir, "log", "waybill.log")
	r.server, err = startServer(ctx, r.binary, []string{command}, env, logFile, r.api.base, r.fail)
	return err
}

// stopServer stops the waybill process, if one runs.
func (r *rig) stopServer() error {
	if r.server == nil {
		return nil
	}
	// The most it ever took can be read only while it lives. One that died is reported by whoever saw it.
	if m, err := procFS("/proc").memory(r.server.PID()); err == nil {
		r.report.notePeak(r.mode, m.peak)
	}
	err := r.server.stop()
	r.server = nil
	return err
}

// processes lists what is measured now.
func (r *rig) processes() []measuredProcess {
	if r.server == nil {
		return r.engine
	}
	return append([]measuredProcess{{name: "waybill", pid: r.server.PID()}}, r.engine...)
}

// newTenant creates a tenant that nobody else has.
func (r *rig) newTenant(ctx context.Context, schedule ...string) (string, error) {
	r.tenants++
	id := fmt.Sprintf("bench-%d", r.tenants)
	return id, r.api.createTenant(ctx, id, schedule...)
}

// newEndpoints creates endpoints that behave alike and returns where their deliveries arrive.
func (r *rig) newEndpoints(ctx context.Context, tenant string, n int, b behavior) ([]*sink, error) {
	sinks := make([]*sink, n)
	for i := range sinks {
		var err error
		if sinks[i], err = r.receiver.add(ctx, b); err != nil {
			return nil, err
		}
		if _, err := r.api.createEndpoint(ctx, tenant, sinks[i].url); err != nil {
			return nil, err
		}
	}
	return sinks, nil
}
