package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync/atomic"
	"time"

	"waybill/scripts/stack"
)

// server is one running waybill process. The benchmark starts it itself, rather than through the stack, because it
// stops it and starts it anew along the way.
type server struct {
	*stack.Child
	stopping atomic.Bool
}

const (
	// stopGrace is above WAYBILL_DRAIN_TIMEOUT.
	stopGrace  = 40 * time.Second
	readyLimit = time.Minute
)

// startServer starts a command of waybill and waits until it is ready at base. When it ends by itself later, died is
// called with the reason.
func startServer(ctx context.Context, binary string, args, env []string, logFile, base string, died func(error)) (*server, error) {
	cmd := exec.Command(binary, args...) //nolint:noctx // stop ends it, in order
	cmd.Env = append(os.Environ(), env...)
	child, err := stack.StartChild(cmd, logFile)
	if err != nil {
		return nil, err
	}
	s := &server{Child: child}
	go func() {
		<-s.Done()
		if !s.stopping.Load() {
			died(s.failure())
		}
	}()
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
		case <-s.Done():
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
	return s.Stop(stopGrace)
}

// failure says for a person how the process ended.
func (s *server) failure() error {
	how := "it ended by itself"
	if err := s.Err(); err != nil {
		how = err.Error()
	}
	return fmt.Errorf("waybill stopped (%s). The end of its log:\n%s", how, s.Tail())
}
