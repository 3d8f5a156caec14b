package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// running is a command for people that goes on until somebody ends it, as in a terminal.
type running struct {
	process   *os.Process
	exited    chan struct{}
	exit      error
	out, said output
}

// output is what a process has written so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// people is the environment of whoever uses the server from a terminal.
func (s *server) people() []string {
	return []string{"WAYBILL_URL=http://" + s.address, "WAYBILL_KEY=" + s.group.apiKey}
}

// finish runs a command for people to its end, and returns what it wrote and its exit code.
func (s *server) finish(t *testing.T, args ...string) (out, said string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.group.binary, args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = s.people(), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// begin starts a command for people and returns once it has said something. It must end well when it is interrupted.
func (s *server) begin(t *testing.T, says string, args ...string) *running {
	t.Helper()
	r := &running{exited: make(chan struct{})}
	cmd := exec.Command(s.group.binary, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = s.people(), &r.out, &r.said, dieWithTests()
	require.NoError(t, cmd.Start())
	r.process = cmd.Process
	go func() {
		r.exit = cmd.Wait()
		close(r.exited)
	}()
	t.Cleanup(func() {
		r.end(t)
		if t.Failed() {
			t.Logf("waybill %s wrote:\n%s\nand said:\n%s", args[0], r.out.String(), r.said.String())
		}
	})
	await(t, patience, "waybill "+args[0]+" to say "+says, func() error {
		if !strings.Contains(r.said.String(), says) {
			return fmt.Errorf("it said %q", r.said.String())
		}
		return nil
	})
	return r
}

// end interrupts the command, as Ctrl-C does, and expects exit code 0.
func (r *running) end(t *testing.T) {
	t.Helper()
	select {
	case <-r.exited:
	default:
		require.NoError(t, r.process.Signal(syscall.SIGINT))
		select {
		case <-r.exited:
		case <-time.After(patience):
			_ = r.process.Kill()
			<-r.exited
		}
	}
	require.NoError(t, r.exit, "%s", r.said.String())
}

// lines returns the lines that the command has written, once there are n of them, and fails the test when there are more.
func (r *running) lines(t *testing.T, n int) []string {
	t.Helper()
	var found []string
	await(t, patience, fmt.Sprintf("%d lines", n), func() error {
		found = strings.Split(strings.TrimSuffix(r.out.String(), "\n"), "\n")
		if found[0] == "" || len(found) < n {
			return fmt.Errorf("there are %q", found)
		}
		return nil
	})
	require.Len(t, found, n)
	return found
}
