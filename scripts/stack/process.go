package stack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// processSpec says how to run one long-lived process.
type processSpec struct {
	name string
	path string
	args []string
	// env is added to the runner's own environment.
	env []string
	dir string
	who *account
	// stop asks the process to end in good order; after grace it is killed.
	stop  syscall.Signal
	grace time.Duration
	// orphaned is the signal that the process gets when the runner is killed. All processes get theirs at the same time,
	// and only Postgres has something useful to do then: the others would only wait for one another.
	orphaned syscall.Signal
	// hint says what to do when it dies.
	hint string
}

// Process is a child of the stack.
type Process struct {
	Name string
	// Log is the file that receives the process' output.
	Log string

	spec     processSpec
	cmd      *exec.Cmd
	id       identity
	record   string
	stopping atomic.Bool
	done     chan struct{}
	err      error
}

// start launches a process, records it for a later run and watches over it.
func (s *Stack) start(spec processSpec) (*Process, error) {
	p := &Process{
		Name: spec.name, Log: s.path("log", spec.name+".log"), spec: spec,
		record: s.path("run", spec.name+".pid"), done: make(chan struct{}),
	}
	// The previous log often tells why the process had to be started again.
	if err := os.Rename(p.Log, p.Log+".old"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("start %s: set its old log aside: %w", spec.name, err)
	}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: open its log: %w", spec.name, err)
	}
	defer func() { _ = log.Close() }() // the child holds its own copy

	p.cmd = exec.Command(spec.path, spec.args...)
	p.cmd.Env = append(os.Environ(), spec.env...)
	p.cmd.Dir = spec.dir
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = childAttributes(spec.orphaned, spec.who)
	if err := s.keeper.start(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.name, err)
	}
	s.mu.Lock()
	s.procs = append(s.procs, p)
	s.mu.Unlock()
	go p.wait(s.exited)

	if p.id, err = identify(p.cmd.Process.Pid); err != nil {
		<-p.done // it ended at once
		return p, p.failure()
	}
	if err := writeRecord(p.record, record{identity: p.id, Stop: int(spec.orphaned)}); err != nil {
		return p, fmt.Errorf("start %s: %w", spec.name, err)
	}
	return p, nil
}

func (p *Process) wait(exited chan<- *Process) {
	p.err = p.cmd.Wait()
	close(p.done)
	if p.stopping.Load() {
		return
	}
	select {
	case exited <- p:
	default: // it ends again and again, and nobody watches
	}
}

// Stop ends the process: politely first, then by force.
func (p *Process) Stop() error {
	p.stopping.Store(true)
	defer func() { _ = os.Remove(p.record) }()
	if p.ended() {
		return nil
	}
	// Only the process itself is signaled: it knows in which order to end its own children, as Postgres does.
	if err := p.cmd.Process.Signal(p.spec.stop); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	timer := time.NewTimer(p.spec.grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	if err := p.id.signalGroup(syscall.SIGKILL); err != nil {
		return fmt.Errorf("stop %s by force: %w", p.Name, err)
	}
	<-p.done
	return nil
}

func (p *Process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// failure returns nil while the process runs, and afterwards an error for a person: how it ended, the last lines of
// its log, and what to do.
func (p *Process) failure() error {
	if !p.ended() {
		return nil
	}
	how := "it ended by itself"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s stopped (%s). The end of %s:\n%s\n%s", p.Name, how, p.Log, lastLines(p.Log, 15), p.spec.hint)
}

// widest is how much of a log line is shown: Temporal's carry whole stack traces.
const widest = 400

// lastLines returns the end of a log, indented.
func lastLines(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "    " + err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	lines = lines[max(0, len(lines)-n):]
	for i, line := range lines {
		if len(line) > widest {
			line = line[:widest] + "..."
		}
		lines[i] = "    " + line
	}
	return strings.Join(lines, "\n")
}

// keeper starts children on one operating system thread that lives as long as the program: Linux delivers the
// parent-death signal when the thread that started a child ends, not when the program does.
type keeper struct{ requests chan func() }

func newKeeper() *keeper {
	k := &keeper{requests: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for request := range k.requests {
			request()
		}
	}()
	return k
}

func (k *keeper) start(cmd *exec.Cmd) error {
	result := make(chan error)
	k.requests <- func() { result <- cmd.Start() }
	return <-result
}
