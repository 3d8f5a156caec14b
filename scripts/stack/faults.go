package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc/status"
)

// Kill ends "postgres" or "temporal" as kill -9 does, without telling Watch. Postgres' backends end by themselves when
// they miss their postmaster. The process is gone when Kill returns.
func (s *Stack) Kill(name string) error { return s.signal(name, syscall.SIGKILL) }

// StopPostgres has Postgres end its sessions and stop in good order.
func (s *Stack) StopPostgres() error { return s.signal("postgres", syscall.SIGINT) }

// StopImmediately has Postgres abandon its sessions and leave recovery to the next start.
func (s *Stack) StopImmediately() error { return s.signal("postgres", syscall.SIGQUIT) }

func (s *Stack) signal(name string, sig syscall.Signal) error {
	s.mu.Lock()
	i := slices.IndexFunc(s.procs, func(p *Process) bool { return p.Name == name })
	if i < 0 {
		s.mu.Unlock()
		return fmt.Errorf("%s does not run", name)
	}
	p := s.procs[i]
	s.procs = slices.Delete(s.procs, i, i+1)
	s.mu.Unlock()
	p.stopping.Store(true)
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", name, err)
	}
	<-p.done
	return nil
}

// StartPostgres starts Postgres again and waits until it answers. What an earlier one left behind may keep the first
// tries from succeeding.
func (s *Stack) StartPostgres(ctx context.Context) error {
	return until(ctx, "Postgres to start", time.Minute, s.startPostgres, nil)
}

// StartTemporal starts Temporal again and waits until it answers.
func (s *Stack) StartTemporal(ctx context.Context) error {
	return s.launchTemporal(ctx, s.tools())
}

// Supervise brings "postgres" or "temporal" back as a supervisor would: what has ended, on a full disk or without its
// database, is started again until it answers. One that runs is waited for.
func (s *Stack) Supervise(ctx context.Context, name string) error {
	ready, again := func(ctx context.Context) error { return s.ping(ctx, s.mainPostgres()) }, s.startPostgres
	if name == "temporal" {
		first := s.nodes()[0]
		ready = func(ctx context.Context) error { return s.askNode(ctx, &first) }
		again = s.StartTemporal
	}
	return until(ctx, name+" to stay up", 3*time.Minute, func(ctx context.Context) error {
		if s.runs(name) {
			return ready(ctx)
		}
		return again(ctx)
	}, nil)
}

func (s *Stack) tools() *Tools { return NewTools(filepath.Join(s.Root, ".waybill", "bin"), s.Out) }

// runs reports whether a process of that name runs, and forgets it when it has ended.
func (s *Stack) runs(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.procs = slices.DeleteFunc(s.procs, func(p *Process) bool { return p.Name == name && p.ended() })
	return slices.ContainsFunc(s.procs, func(p *Process) bool { return p.Name == name })
}

// FailPersistence has the next Temporal to start fail a share of what it asks its database, 0.05 for one in twenty; 0
// for none. It makes the same choices for the same seed, 0 aside.
func (s *Stack) FailPersistence(rate float64, seed uint64) {
	s.temporalFaults = nil
	if rate > 0 {
		s.temporalFaults = []string{fmt.Sprintf("PERSISTENCE_FAULT_RATE=%g", rate), fmt.Sprintf("PERSISTENCE_FAULT_SEED=%d", seed)}
	}
}

// TerminateWorkflow ends a workflow of the stack's namespace, as an operator does. One that has ended is no error.
func (s *Stack) TerminateWorkflow(ctx context.Context, id string) error {
	o, err := newOperator(s.Ports.Temporal.Addr(), s.Namespace)
	if err != nil {
		return err
	}
	defer o.close()
	_, err = o.workflows.TerminateWorkflowExecution(ctx, &workflowservice.TerminateWorkflowExecutionRequest{
		Namespace: s.Namespace, WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: id},
	})
	var ended *serviceerror.NotFound
	if err = serviceerror.FromStatus(status.Convert(err)); err != nil && !errors.As(err, &ended) {
		return fmt.Errorf("terminate the workflow %s: %w", id, err)
	}
	return nil
}

// Logged counts a text in what "postgres" or "temporal" has logged since it was started.
func (s *Stack) Logged(name, text string) (int, error) {
	log, err := os.ReadFile(s.path("log", name+".log"))
	if err != nil {
		return 0, fmt.Errorf("read the log of %s: %w", name, err)
	}
	return bytes.Count(log, []byte(text)), nil
}

// PausePostgres suspends every process of Postgres, as on a machine or a disk that hangs: connections stay open and nothing
// answers. The function that it returns lets them go on.
func (s *Stack) PausePostgres() (resume func() error, err error) {
	s.mu.Lock()
	i := slices.IndexFunc(s.procs, func(p *Process) bool { return p.Name == "postgres" })
	if i < 0 {
		s.mu.Unlock()
		return nil, errors.New("postgres does not run")
	}
	postmaster := s.procs[i].cmd.Process.Pid
	s.mu.Unlock()
	// The postmaster is suspended first, so that it starts no new backends.
	if err := syscall.Kill(postmaster, syscall.SIGSTOP); err != nil {
		return nil, fmt.Errorf("pause postgres: %w", err)
	}
	paused := []int{postmaster}
	resume = func() error {
		var errs []error
		for _, pid := range slices.Backward(paused) {
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				errs = append(errs, fmt.Errorf("resume postgres: %w", err))
			}
		}
		return errors.Join(errs...)
	}
	backends, err := children(postmaster)
	if err != nil {
		return nil, errors.Join(err, resume())
	}
	for _, pid := range backends {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err == nil { // or it has ended
			paused = append(paused, pid)
		}
	}
	return resume, nil
}

// children lists the processes that a process has started.
func children(parent int) ([]int, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	var pids []int
	for _, one := range all {
		if s, err := one.Stat(); err == nil && s.PPID == parent { // or it has ended
			pids = append(pids, one.PID)
		}
	}
	return pids, nil
}
