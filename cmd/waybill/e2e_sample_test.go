package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	hooks "waybill/scripts/receiver"
	"waybill/scripts/stack"
	"waybill/scripts/stranger"
)

// sample is a running program of docs/receiving, and a receiver before it that speaks TLS, as whatever stands before such a program does.
type sample struct {
	*receiver
	url      string // of the program itself
	out, err *lines
}

// lines are what a program has said.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// samples is where the programs are.
const samples = "../../docs/receiving"

// sampleCommand returns the command that runs a program: what its reader types.
func sampleCommand(t *testing.T, language, name string) *exec.Cmd {
	t.Helper()
	switch language {
	case "node":
		return exec.Command("node", filepath.Join(samples, "node", name+".mjs"))
	case "python":
		return exec.Command("python3", filepath.Join(samples, "python", strings.ReplaceAll(name, "-", "_")+".py"))
	case "go":
		// Built and then run, because what `go run` starts outlives it.
		program := filepath.Join(t.TempDir(), name)
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, filepath.Join(samples, "go", name, "main.go")).CombinedOutput()
		require.NoError(t, err, string(out))
		return exec.Command(program)
	}
	t.Fatalf("no sample is in %s", language)
	return nil
}

var sampleListens = regexp.MustCompile(`listens on (127\.0\.0\.1:\d+)`)

// startSample starts a program with the secrets that it is to know, and waits until it listens.
func startSample(t *testing.T, cmd *exec.Cmd, secrets ...string) *sample {
	t.Helper()
	s := &sample{receiver: &receiver{}, out: &lines{}, err: &lines{}}
	cmd.Env = append(os.Environ(), "PORT=0")
	for i, secret := range secrets {
		cmd.Env = append(cmd.Env, []string{"WEBHOOK_SECRET=", "WEBHOOK_SECRET_NEXT="}[i]+secret)
	}
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = s.out, s.err, dieWithTests()
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // or it has ended
		<-ended
		if t.Failed() {
			t.Logf("the sample said:\n%s\n%s", s.out, s.err)
		}
	})
	await(t, patience, "the sample to listen", func() error {
		found := sampleListens.FindStringSubmatch(s.out.String())
		if found == nil {
			return errors.New("it does not listen yet")
		}
		s.url = "http://" + found[1]
		return nil
	})
	s.listen(t, func(a *hooks.Arrival) hooks.Behavior {
		s.take(a)
		status, text := s.send(a.Header, a.Body)
		return hooks.Reply{Status: status, Body: text}.Behavior()
	})
	return s
}

// requireNeedsSecret runs a program without a secret: it must end with an error rather than listen, or it would refuse or accept everything.
func requireNeedsSecret(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Env, cmd.SysProcAttr = append(os.Environ(), "PORT=0"), dieWithTests()
	out := &lines{}
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	stuck := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer stuck.Stop()
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit, out)
	require.Positive(t, exit.ExitCode(), "it had to be killed: %s", out)
}

// send posts a request to the program and returns its answer; 502 when it gives none.
func (s *sample) send(h http.Header, body []byte) (status int, text string) {
	req, err := http.NewRequest("POST", s.url+"/hook", bytes.NewReader(body))
	if err != nil {
		return http.StatusBadGateway, err.Error()
	}
	req.Header = h.Clone()
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return http.StatusBadGateway, err.Error()
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return http.StatusBadGateway, err.Error()
	}
	return res.StatusCode, string(answer)
}

// requireRefused sends a request that the program must refuse, as one that nobody signed.
func (s *sample) requireRefused(t *testing.T, why string, h http.Header, body []byte) {
	t.Helper()
	status, text := s.send(h, body)
	require.Equal(t, http.StatusUnauthorized, status, "%s: %s", why, text)
}

// requireHandled waits until the program has handled so many events, and no more.
func (s *sample) requireHandled(t *testing.T, n int) {
	t.Helper()
	await(t, patience, fmt.Sprintf("the sample to have handled %d events", n), func() error {
		if got := strings.Count(s.out.String(), "handled "); got != n {
			return fmt.Errorf("it has handled %d", got)
		}
		return nil
	})
}

// packageCommand runs a sample where the npm packages of the tests are.
func packageCommand(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	root, err := stack.FindRoot()
	require.NoError(t, err)
	packages, err := stranger.Install(t.Context(), root)
	require.NoError(t, err)
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(samples, "node", name+".mjs"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".mjs"), text, 0o600))
	require.NoError(t, os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(dir, "node_modules")))
	return exec.Command("node", filepath.Join(dir, name+".mjs"))
}
