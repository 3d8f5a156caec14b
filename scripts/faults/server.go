package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sync/atomic"
	"time"

	"waybill/scripts/stack"
)

// server is one waybill process at a time, which can be killed and started again.
type server struct {
	world   *world
	command string
	log     string
	address atomic.Pointer[string]
	*stack.Child
}

// startServer starts serve, api or worker, and waits until it listens or works. env overrules the world's.
func (w *world) startServer(ctx context.Context, command string, env ...string) (*server, error) {
	w.started++
	s := &server{world: w, command: command, log: fmt.Sprintf("%s/waybill-%d.log", w.dir, w.started)}
	return s, s.start(ctx, env...)
}

func (s *server) start(ctx context.Context, env ...string) error {
	before, err := os.ReadFile(s.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("start waybill: %w", err)
	}
	cmd := exec.Command(s.world.binary, s.command) //nolint:noctx // it is killed and stopped by hand
	cmd.Env = append(append(os.Environ(), s.world.env()...), env...)
	child, err := stack.StartChild(cmd, s.log)
	if err != nil {
		return err
	}
	s.Child = child
	ready := s.listening
	if s.command == "worker" {
		ready = s.working
	}
	err = until(ctx, 30*time.Second, func() error { return ready(len(before)) })
	if err != nil {
		return fmt.Errorf("waybill %s is not ready: %w\n%s", s.command, err, s.Tail())
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

// working looks for what a worker logs once it polls.
func (s *server) working(from int) error {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err
	}
	if !bytes.Contains(text[from:], []byte(`msg="the worker runs"`)) && !s.ended() {
		return errors.New("the worker does not work yet")
	}
	s.world.serving(s)
	return nil
}

func (s *server) ended() bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}

// terminate asks the process to stop and expects it to end well.
func (s *server) terminate() error {
	s.world.leaving(s)
	if err := s.Stop(40 * time.Second); err != nil {
		return err
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("waybill was to stop and ended with %w\n%s", err, s.Tail())
	}
	return nil
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
