// Command waybill delivers webhooks: the HTTP API, the dispatcher and the workers, together or apart. It is the command line of
// a Waybill that runs, too.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"waybill/cmd/waybill/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	tuneMemory(os.Environ())
	os.Exit(run(ctx, invocation{args: os.Args[1:], environ: os.Environ(), in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// invocation is what the process was started with.
type invocation struct {
	args, environ []string
	in            io.Reader
	// out gets what was asked for; err gets messages and the log.
	out, err io.Writer
}

// run carries out one command until it ends or the context is done, and returns the exit code.
func run(ctx context.Context, i invocation) int {
	out := &output{to: i.out}
	root := newRoot(i, out)
	command, err := refuseFlags(root, i.args)
	if err == nil {
		command, err = root.ExecuteContextC(ctx)
	}
	if err == nil {
		err = out.failed
	}
	if logged := (*loggedError)(nil); err != nil && !errors.As(err, &logged) {
		fmt.Fprintln(i.err, "waybill:", err)
	}
	code := cli.ExitCode(err)
	if code == cli.ExitUsage {
		fmt.Fprintf(i.err, "See: %s --help\n", command.CommandPath())
	}
	return code
}

// output keeps the first failure to write: a command whose answer did not arrive, for a disk that is full, has failed.
type output struct {
	to     io.Writer
	failed error
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.to.Write(p)
	if err != nil && o.failed == nil {
		o.failed = fmt.Errorf("the output could not be written: %w", err)
	}
	return n, err
}
