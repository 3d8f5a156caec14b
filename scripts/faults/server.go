package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// server is one waybill process at a time, which can be killed and started again.
type server struct {
	world   *world
	command string
	log     string
	address atomic.Pointer[string]
	cmd     *exec.Cmd
	done    chan struct{}
	err     error
}

// startServer starts a command of waybill that serves the API, and waits until it listens. env overrules the world's.
func (w *world) startServer(ctx context.Context, command string, env ...string) (*server, error) {
	w.started++
	s := &server{world: w, command: command, log: fmt.Sprintf("%s/waybill-%d.log", w.dir, w.started)}
	return s, s.start(ctx, env...)
}

func (s *server) start(ctx context.Context, env ...string) error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start waybill: %w", err)
	}
	defer func() { _ = log.Close() }() // the child holds its own copy
	before, err := log.Stat()
	if err != nil {
		return err
	}
	s.cmd = exec.Command(s.world.binary, s.command) //nolint:noctx // it is killed and stopped by hand
	s.cmd.Env = append(append(os.Environ(), s.world.env()...), env...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = childAttributes()
	s.done = make(chan struct{})
	started := make(chan error)
	go func(cmd *exec.Cmd, done chan struct{}) {
		runtime.LockOSThread() // Linux ends the child when the thread ends that started it
		err := cmd.Start()
		started <- err
		if err == nil {
			s.err = cmd.Wait()
			close(done)
		}
	}(s.cmd, s.done)
	if err := <-started; err != nil {
		return fmt.Errorf("start waybill: %w", err)
	}
	err = until(ctx, 30*time.Second, func() error { return s.listening(int(before.Size())) })
	if err != nil {
		return fmt.Errorf("waybill %s does not serve: %w\n%s", s.command, err, s.tail())
	}
	return nil
}

var listens = regexp.MustCompile(`msg="the API listens" address=(\S+)`)

func (s *server) listening(from int) error {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err
	}
	found := listens.FindSubmatch(text[from:])
	if found == nil {
		if s.ended() {
			// A failpoint may have struck before this could see it.
			return nil
		}
		return errors.New("the API does not listen yet")
	}
	address := string(found[1])
	s.address.Store(&address)
	s.world.serving(s)
	return nil
}

func (s *server) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// kill is kill -9.
func (s *server) kill() error {
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill waybill: %w", err)
	}
	<-s.done
	return nil
}

// terminate asks the process to stop and expects it to end well.
func (s *server) terminate() error {
	s.world.leaving(s)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop waybill: %w", err)
	}
	select {
	case <-s.done:
	case <-time.After(40 * time.Second):
		return errors.Join(errors.New("waybill did not stop within 40s"), s.kill())
	}
	if s.err != nil {
		return fmt.Errorf("waybill was to stop and ended with %w\n%s", s.err, s.tail())
	}
	return nil
}

func (s *server) tail() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// until polls ok until it returns nil or the limit has passed, and returns what it said last.
func until(ctx context.Context, limit time.Duration, ok func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ok()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}
