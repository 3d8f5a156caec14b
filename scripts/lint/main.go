// Command lint checks what a reviewer should not have to: style, the arrows between packages, determinism of the
// workflows, that go.mod is tidy, the links of the docs, and known vulnerabilities. With -fix it formats the code instead.
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
	"strings"
	"syscall"

	"waybill/scripts/stack"
)

// The linters, pinned: a new version must not fail a change that has nothing to do with it.
var (
	golangci = stack.Tool{
		Name: "golangci-lint", Package: "github.com/golangci/golangci-lint/v2/cmd/golangci-lint", Version: "v2.15.0",
		Takes: " (once, about two minutes)",
	}
	workflowcheck = stack.Tool{
		Name: "workflowcheck", Package: "go.temporal.io/sdk/contrib/tools/workflowcheck", Version: "v0.6.0",
		Takes: " (once)",
	}
	govulncheck = stack.Tool{
		Name: "govulncheck", Package: "golang.org/x/vuln/cmd/govulncheck", Version: "v1.9.0",
		Takes: " (once)",
	}
)

func main() {
	fix := flag.Bool("fix", false, "format the code and sort imports instead")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *fix); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, fix bool) error {
	root, err := stack.FindRoot()
	if err != nil {
		return err
	}
	tools := stack.NewTools(filepath.Join(root, ".waybill", "bin"), stack.NewPrinter(os.Stdout))
	if err := tools.Ensure(ctx, golangci, workflowcheck); err != nil {
		return err
	}
	if fix {
		return step(ctx, root, tools.Path(golangci), "fmt")
	}
	// Every step runs, so that one look shows everything there is to mend.
	errs := []error{
		step(ctx, root, tools.Path(golangci), "run", "./..."),
		step(ctx, root, "go", "mod", "tidy", "-diff"),
		step(ctx, root, "go", "test", "-run", "^TestDocs", "./scripts/lint"), // links, and code that is in no file
	}
	sources, err := filepath.Glob(filepath.Join(root, "workflows", "*.go"))
	if err != nil {
		return err
	}
	if len(sources) > 0 {
		errs = append(errs, step(ctx, root, tools.Path(workflowcheck), "./workflows/..."))
	}
	return errors.Join(append(errs, vulnerabilities(ctx, root, tools))...)
}

// step runs one check with its findings in the open.
func step(ctx context.Context, root, program string, args ...string) error {
	name := filepath.Base(program) + " " + strings.Join(args, " ")
	fmt.Println(name)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
