package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say which stack to bring up.
type Options struct {
	// Root is the checkout, Dir the folder for the stack's state: logs, process records, data.
	Root, Dir string
	// Temporary marks a stack whose state is removed by Close.
	Temporary bool
	Ports     Ports
	// Shape is of how many processes the stack is made.
	Shape Shape
	// Database is Waybill's own database, created empty; Namespace its Temporal namespace.
	Database, Namespace string
	// WebUI has Complete start Temporal's Web UI.
	WebUI bool
	// CLI has Up wait for the operator's command line, which may have to be built. Without it Complete builds it.
	CLI bool
	// Connections is how many Postgres takes; 0: as postgres.conf says.
	Connections int
	// Without names shipped settings to leave out; usually there are none. It is for an empty stack: existing data keeps
	// the settings that it was made with.
	Without []Setting
	// Frozen names a folder of scripts/stack/frozen whose settings take the place of the shipped ones; "": they are shipped.
	Frozen string
	// DynamicConfig is YAML whose keys are added to what the server may change while it runs, or take the place of shipped ones.
	DynamicConfig string
	// CountStatements loads Postgres' module pg_stat_statements, where it is installed.
	CountStatements bool
	Out             *Printer
}

// Stack is one running set of processes. Open makes it, Close ends it.
type Stack struct {
	Options
	lock     *os.File
	keeper   *keeper
	password string
	exited   chan *Process
	// temporalFaults tells the next Temporal to start which faults to make; see FailPersistence.
	temporalFaults []string

	mu    sync.Mutex
	procs []*Process
}

// Open takes hold of the state folder: it waits out or ends what an earlier run left behind and makes sure that the
// ports are free. Nothing is started yet.
func Open(ctx context.Context, o Options) (*Stack, error) {
	s := &Stack{Options: o, keeper: newKeeper(), exited: make(chan *Process, 8)}
	for _, dir := range []string{o.Dir, s.path("run"), s.path("log")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("create the state folder (is the checkout writable?): %w", err)
		}
	}
	lock, err := takeLock(ctx, s.path("run"), o.Out)
	if err != nil {
		return nil, err
	}
	s.lock = lock
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stack) prepare(ctx context.Context) error {
	if err := endLeftovers(ctx, s.path("run"), s.Out); err != nil {
		return err
	}
	if err := s.Ports.check(); err != nil {
		return err
	}
	password, err := Secret(s.path("postgres-password"), newHexKey)
	s.password = password
	return err
}

// Up brings up Postgres, Temporal and the namespace. It returns once all of them answer. What deliveries do not need is left to Complete.
func (s *Stack) Up(ctx context.Context) error {
	tools := s.tools()
	needed := []Tool{TemporalServer, SQLTool}
	if s.CLI {
		needed = append(needed, TemporalCLI)
	}
	err := Parallel(ctx,
		func(ctx context.Context) error { return tools.Ensure(ctx, needed...) },
		s.startAllPostgres,
	)
	if err != nil {
		return err
	}
	if err := s.setUpSchema(ctx, tools); err != nil {
		return err
	}
	return s.startTemporal(ctx, tools)
}

// Complete builds what nobody has to wait for, Temporal's Web UI and the operator's command line, and starts the Web UI. It calls told
// for each once it is there.
func (s *Stack) Complete(ctx context.Context, told func(Tool)) error {
	tools := s.tools()
	if s.WebUI {
		if err := tools.Ensure(ctx, WebUI); err != nil {
			return err
		}
		if err := s.startWebUI(ctx, tools); err != nil {
			return err
		}
		told(WebUI)
	}
	if err := tools.Ensure(ctx, TemporalCLI); err != nil {
		return err
	}
	told(TemporalCLI)
	return nil
}

// Built reports whether a tool of the stack is there already.
func (s *Stack) Built(tool Tool) bool { return s.tools().Has(tool) }

// Watch returns a context that ends, with the reason as its cause, when one of the stack's processes dies.
func (s *Stack) Watch(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case p := <-s.exited:
			cancel(p.failure())
		case <-ctx.Done():
			cancel(nil)
		}
	}()
	return ctx
}

// stopOrder is the order in which processes end: a process ends before those that it uses.
var stopOrder = []string{"waybill", "temporal-ui", "temporal", "postgres"}

// stopRank is the place of a process in stopOrder. One of several of a kind has the kind's name and more. What nobody uses ends first.
func stopRank(name string) int {
	return max(0, slices.IndexFunc(stopOrder, func(kind string) bool { return name == kind || strings.HasPrefix(name, kind+"-") }))
}

// Close ends what this stack started, each within its own time limit, and lets go of the state folder.
func (s *Stack) Close() error {
	s.mu.Lock()
	procs := slices.Clone(s.procs)
	s.procs = nil
	s.mu.Unlock()

	errs := make([]error, len(procs))
	for rank := range stopOrder {
		// Those of a kind end at the same time: a Temporal node takes seconds to take its leave of the others.
		var ending sync.WaitGroup
		for i, p := range procs {
			if stopRank(p.Name) == rank {
				ending.Go(func() { errs[i] = p.Stop() })
			}
		}
		ending.Wait()
	}
	if s.Temporary {
		errs = append(errs, s.Remove())
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// Remove deletes the stack's data, logs and records. Built tools stay.
func (s *Stack) Remove() error {
	errs := []error{s.removeData()}
	entries, err := os.ReadDir(s.Dir)
	errs = append(errs, err)
	for _, e := range entries {
		// bin is shared by every stack of the checkout, and a test stack and its variables live beside the lasting one's files.
		if e.Name() == "bin" || e.Name() == TestEnvFile || strings.HasPrefix(e.Name(), testPrefix) {
			continue
		}
		errs = append(errs, os.RemoveAll(s.path(e.Name())))
	}
	if s.Temporary {
		errs = append(errs, os.Remove(s.Dir))
	}
	return errors.Join(errs...)
}

// removeData deletes what the Postgres servers store.
func (s *Stack) removeData() error {
	data, err := s.notedDataDir()
	if err != nil || data == "" {
		return err
	}
	errs := []error{leaveSmallDisk(data)}
	// Further servers have their data beside the first one's.
	folders, err := filepath.Glob(data + "*")
	errs = append(errs, err)
	for _, folder := range folders {
		errs = append(errs, os.RemoveAll(folder))
	}
	// Data outside our folder is in a folder made for it alone.
	if parent := filepath.Dir(data); parent != s.Dir {
		errs = append(errs, os.Remove(parent))
	}
	return errors.Join(errs...)
}

func (s *Stack) path(elem ...string) string {
	return filepath.Join(append([]string{s.Dir}, elem...)...)
}

// FindRoot returns the checkout that the working directory is in.
func FindRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module waybill\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the checkout: no go.mod of module waybill here or above; run this from the checkout")
		}
		dir = parent
	}
}

// Parallel runs the steps at the same time. The first failure cancels the others, and is the error returned.
func Parallel(ctx context.Context, steps ...func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, step := range steps {
		wg.Go(func() {
			if err := step(ctx); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// until polls a condition until it holds, its deadline passes or give-up says why waiting is pointless.
func until(ctx context.Context, what string, limit time.Duration, ready func(context.Context) error, giveUp func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		if giveUp != nil {
			if err := giveUp(); err != nil {
				return err
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; the last try said: %w", what, ctx.Err(), err)
		}
	}
}
