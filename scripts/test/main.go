// Command test runs the checkout's tests against a stack of their own: Postgres and Temporal on free ports, removed
// afterwards. With -shell it only keeps such a stack up, for running `go test` by hand.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"waybill/scripts/browser"
	"waybill/scripts/collector"
	"waybill/scripts/debian"
	"waybill/scripts/promtool"
	"waybill/scripts/python"
	"waybill/scripts/stack"
	"waybill/scripts/stranger"
)

// connections of Postgres are enough for two packages of tests at a time, one of which starts dozens of Waybills beside each other.
const connections = 800

func main() {
	shell := flag.Bool("shell", false, "keep a stack up and write its variables to .waybill/test.env")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the program at once; the kernel or the next run then ends its children.
	context.AfterFunc(ctx, stop)

	err := run(ctx, *shell, flag.Args())
	var failed *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &failed):
		os.Exit(max(1, failed.ExitCode())) // the output above says it all
	default:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, shell bool, args []string) (err error) {
	root, err := stack.FindRoot()
	if err != nil {
		return err
	}
	out := stack.NewPrinter(os.Stdout)
	s, err := stack.OpenTest(ctx, root, out)
	if err != nil {
		return fmt.Errorf("bring up the test stack: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	s.Connections = connections
	ctx = s.Watch(ctx)

	prepared := make(chan error, 1)
	go func() { prepared <- prepare(ctx, root, out) }()
	binary := filepath.Join(s.Dir, "waybill")
	build := stack.BuildWaybill(ctx, root, binary, out)
	if err := <-prepared; err != nil {
		return err
	}
	switch {
	case build == nil:
	case shell:
		// A person who asked for a shell is probably in the middle of a change, so the stack comes up even if the build fails.
		out.Say("WAYBILL_TEST_BINARY is left out, tests that run it will fail: %v", build)
		binary = ""
	default:
		return build
	}
	if err := s.Up(ctx); err != nil {
		return fmt.Errorf("bring up the test stack: %w", err)
	}
	env := s.TestEnv(binary)
	if shell {
		return keepUp(ctx, root, env, out)
	}
	return test(ctx, root, env, args)
}

// prepare makes ready what tests use beside the stack. All of it is there already after the first time.
func prepare(ctx context.Context, root string, out *stack.Printer) error {
	strangers := func() error { _, err := stranger.Install(ctx, root); return err }
	if err := out.During("finding or installing the npm packages that verify signatures", strangers); err != nil {
		return err
	}
	samples := func() error { return python.Install(ctx) }
	if err := out.During("finding or installing Python, in which samples for receivers are written", samples); err != nil {
		return err
	}
	checker := func() error { return promtool.Install(ctx, root) }
	if err := out.During("finding or installing promtool, which checks metrics, alerts and the Grafana dashboard", checker); err != nil {
		return err
	}
	traces := func() error { _, err := collector.Install(ctx, root); return err }
	if err := out.During("finding or building the OpenTelemetry collector's receiver", traces); err != nil {
		return err
	}
	pages := func() error { return browser.Install(ctx, root) }
	if err := out.During("finding or installing Chromium and axe-core, which open and examine the dashboard", pages); err != nil {
		return err
	}
	if err := out.During("finding or installing systemd, which reads its units", func() error { return findSystemd(ctx) }); err != nil {
		return err
	}
	// For the chart. It comes last, so that on a new machine its build is beside the long one of Temporal's server.
	return stack.NewTools(filepath.Join(root, ".waybill", "bin"), out).Ensure(ctx, stack.Helm)
}

// findSystemd looks for the command that checks units, and takes Debian's package where the user is root. Elsewhere than on Linux no test
// uses it.
func findSystemd(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		return nil
	}
	return debian.Program(ctx, "systemd-analyze", "systemd")
}

// keepUp writes the variables for a shell to source, and waits.
func keepUp(ctx context.Context, root string, env []string, out *stack.Printer) error {
	var lines strings.Builder
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		fmt.Fprintf(&lines, "export %s='%s'\n", name, value)
	}
	path := filepath.Join(root, ".waybill", stack.TestEnvFile)
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		return fmt.Errorf("write the variables: %w", err)
	}
	defer func() { _ = os.Remove(path) }()
	out.Say("\n%s\nIn another shell:  . .waybill/test.env && go test ./...\nCtrl-C ends the stack.", lines.String())
	<-ctx.Done()
	return died(ctx)
}

// test runs go vet, then go test.
func test(ctx context.Context, root string, env, args []string) error {
	if err := goCommand(ctx, root, env, "vet", "./..."); err != nil {
		return err
	}
	args = append([]string{"test", "-race", "-count=1", "-timeout", "30m"}, args...)
	names := func(arg string) bool { return strings.HasPrefix(arg, "./") || strings.HasPrefix(arg, "waybill/") }
	if !slices.ContainsFunc(args, names) {
		args = append(args, "./...")
	}
	return goCommand(ctx, root, env, args...)
}

// goCommand runs the go command with its output in the open, and ends its whole group when the context is done.
func goCommand(ctx context.Context, root string, env []string, args ...string) error {
	fmt.Println("go", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if died := died(ctx); died != nil {
		return died // rather than the hundred failures that follow from it
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// died returns why the stack is no longer whole. It returns nil while it is whole, and when a person ended it.
func died(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}
