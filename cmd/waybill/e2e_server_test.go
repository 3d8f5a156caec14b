package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// server is one process of a group: serve, api or worker. It can be killed, stopped and started again.
type server struct {
	group   *group
	command string
	env     []string
	log     string

	address string // of the API; "" for a worker
	process *os.Process
	exited  chan struct{}
	exit    error
}

func (g *group) runMigrate() error {
	cmd := exec.Command(g.binary, "migrate")
	cmd.Env = g.environ("WAYBILL_DATABASE_URL="+g.ownerURL, "WAYBILL_DATABASE_ROLE="+processRole)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("waybill migrate: %w\n%s", err, out)
	}
	return nil
}

// start starts a command of the binary and returns once it serves. env is added to the group's environment.
func (g *group) start(command string, env ...string) (*server, error) {
	s := &server{group: g, command: command, env: env, log: g.logFile(command)}
	g.cleanups.add(s.end)
	return s, s.start()
}

// own starts a command for one test and shows the end of its log if the test fails.
func (g *group) own(t *testing.T, command string, env ...string) *server {
	t.Helper()
	s, err := g.start(command, env...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of waybill %s:\n%s", command, s.tail(60, all))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *server) start() error {
	log, err := os.OpenFile(s.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	before, err := log.Stat()
	if err != nil {
		return err
	}
	cmd := exec.Command(s.group.binary, s.command)
	cmd.Env, cmd.Stdout, cmd.Stderr = s.group.environ(s.env...), log, log
	cmd.SysProcAttr = dieWithTests()
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	s.process, s.exited = cmd.Process, exited
	go func() {
		s.exit = cmd.Wait()
		close(exited)
	}()
	if err := until(patience, func() error { return s.serving(int(before.Size())) }); err != nil {
		return fmt.Errorf("waybill %s does not serve: %w\n%s", s.command, err, s.tail(20, all))
	}
	return nil
}

var (
	listens = regexp.MustCompile(`msg"?[=:]"the API listens"(?: address=|,"address":")([^\s"]+)`) // as text or as JSON
	works   = regexp.MustCompile(`msg="the worker runs"`)
)

// serving looks for the line of the log, after what earlier processes wrote, that says the process serves.
func (s *server) serving(from int) error {
	log := s.read()
	if s.command == "worker" {
		if works.MatchString(log[from:]) {
			return nil
		}
		return errors.New("the worker does not run yet")
	}
	found := listens.FindStringSubmatch(log[from:])
	if found == nil {
		return errors.New("the API does not listen yet")
	}
	s.address = found[1]
	return nil
}

// kill is kill -9: the process gets no chance to do anything.
func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.process.Kill(); err != nil {
		t.Fatalf("kill waybill %s: %s", s.command, err)
	}
	<-s.exited
}

// stop asks the process to stop, as an operator's system does, and expects exit code 0.
func (s *server) stop(t *testing.T) {
	t.Helper()
	s.terminate(t)
	s.stopped(t)
}

func (s *server) terminate(t *testing.T) {
	t.Helper()
	if err := s.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("stop waybill %s: %s", s.command, err)
	}
}

func (s *server) stopped(t *testing.T) {
	t.Helper()
	select {
	case <-s.exited:
	case <-time.After(patience):
		t.Fatalf("waybill %s has not stopped within %s", s.command, patience)
	}
	if s.exit != nil {
		t.Fatalf("waybill %s ended with %s", s.command, s.exit)
	}
}

// restart starts the command again, once it was killed or stopped.
func (s *server) restart(t *testing.T) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// end stops what still runs and looks through the log.
func (s *server) end() error {
	if s.process == nil {
		return nil
	}
	var errs []error
	select {
	case <-s.exited:
	default:
		_ = s.process.Signal(syscall.SIGTERM)
		select {
		case <-s.exited:
			if s.exit != nil {
				errs = append(errs, fmt.Errorf("waybill %s was to stop and ended with %w\n%s", s.command, s.exit, s.tail(20, all)))
			}
		case <-time.After(patience):
			errs = append(errs, fmt.Errorf("waybill %s had to be killed, %s after it was to stop", s.command, patience))
			_ = s.process.Kill()
			<-s.exited
		}
	}
	return errors.Join(append(errs, s.group.secrets.leaked(s.read()))...)
}

func (s *server) read() string {
	log, err := os.ReadFile(s.log)
	if err != nil {
		return "" // not there yet
	}
	return string(log)
}

func all(string) bool { return true }

// tail returns the last lines of the log that are wanted.
func (s *server) tail(lines int, wanted func(line string) bool) string {
	var found []string
	for line := range strings.Lines(s.read()) {
		if !strings.Contains(line, "level=DEBUG") && wanted(line) {
			found = append(found, line)
		}
	}
	return strings.Join(found[max(0, len(found)-lines):], "")
}
