package stack

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Kill ends "postgres" or "temporal" as kill -9 does, without telling Watch. Postgres' backends end by themselves when
// they miss their postmaster. The process is gone when Kill returns.
func (s *Stack) Kill(name string) error { return s.signal(name, syscall.SIGKILL) }

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
	return s.startTemporal(ctx, NewTools(filepath.Join(s.Root, ".waybill", "bin"), s.Out))
}

// EnsureNamespace makes a namespace with Waybill's search attributes by the operator's command line, and waits until
// it can be used.
func EnsureNamespace(ctx context.Context, cli, address, namespace string) error {
	c := temporalCLI{path: cli, address: address, namespace: namespace}
	return until(ctx, "namespace "+namespace, time.Minute, c.ensureNamespace, nil)
}

// DeleteNamespace removes a namespace with its workflows. Temporal does the larger part of it afterwards.
func DeleteNamespace(ctx context.Context, cli, address, namespace string) error {
	_, err := temporalCLI{path: cli, address: address}.run(ctx, "operator", "namespace", "delete", "--namespace", namespace, "--yes")
	return err
}
