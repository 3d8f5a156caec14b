package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// server is one running waybill process. The benchmark starts it itself, rather than through the stack, because it
// stops it and starts it anew along the way.
type server struct {
	cmd      *exec.Cmd
	logFile  string
	stopping atomic.Bool
	done     chan struct{}
	err      error
}

const (
	// stopGrace is above WAYBILL_DRAIN_TIMEOUT.
	stopGrace  = 40 * time.Second
	readyLimit = time.Minute
)

// startServer starts a command of waybill and waits until it is ready at base. When it ends by itself later, died is
// called with the reason.
func startServer(ctx context.Context, binary string, args, env []string, logFile, base string, died func(error)) (*server, error) {
	s := &server{cmd: exec.Command(binary, args...), logFile: logFile, done: make(chan struct{})} //nolint:noctx // stop ends it, in order
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start waybill: %w", err)
	}
	defer func() { _ = log.Close() }() // the child holds its own copy
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = childAttributes()
	started := make(chan error)
	go func() {
		// Linux ends the child when the thread ends that started it, so this one stays.
		runtime.LockOSThread()
		err := s.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		s.err = s.cmd.Wait()
		close(s.done)
		if !s.stopping.Load() {
			died(s.failure())
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start waybill: %w", err)
	}
	if err := s.ready(ctx, base); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for waybill: %w", err), s.stop())
	}
	return s, nil
}

func (s *server) ready(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := getOK(ctx, base+"/readyz")
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-s.done:
			return s.failure()
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

func getOK(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, res.Status)
	}
	return nil
}

// stop ends the process: politely first, then by force. Stopping twice does no harm.
func (s *server) stop() error {
	s.stopping.Store(true)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop waybill: %w", err)
	}
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-s.done:
		return nil
	case <-timer.C:
	}
	err := s.cmd.Process.Kill()
	<-s.done
	return errors.Join(fmt.Errorf("waybill did not stop within %s and was killed", stopGrace), err)
}

// failure says for a person how the process ended.
func (s *server) failure() error {
	text, err := os.ReadFile(s.logFile)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	said := strings.Join(lines[max(0, len(lines)-15):], "\n    ")
	how := "it ended by itself"
	if s.err != nil {
		how = s.err.Error()
	}
	return errors.Join(fmt.Errorf("waybill stopped (%s). The end of its log:\n    %s", how, said), err)
}
