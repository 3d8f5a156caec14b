// Command bench measures Waybill: how many events it accepts and delivers a second, how long they take, what each costs
// in CPU and memory, and whether any is lost. It brings up a stack of its own with the usual configuration files and
// removes it afterwards, or takes a given one, publishes through the HTTP API to receivers of its own, and measures in
// the same run what bare Temporal does on the same server: the floor, which throughput is a ratio of.
//
// Run it with: make bench ARGS='-quick'. Everything shares one machine, the load included. Variables such as
// WAYBILL_STARTS reach the Waybill that is measured, and are shown with the figures. With -without the stack lacks a
// setting that it is shipped with, to see what that is worth.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"waybill/scripts/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the program at once; the kernel or the next run then ends its children.
	context.AfterFunc(ctx, stop)

	err := run(ctx, os.Args[1:])
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}

// run measures mode after mode. What was measured is shown even if something fails later.
func run(ctx context.Context, args []string) error {
	o, err := parseOptions(args, os.Stderr)
	if err != nil {
		return err
	}
	if err := checkMachine(); err != nil {
		return err
	}
	out := stack.NewPrinter(os.Stdout)
	rep := newReport(o)
	var failed error
	for _, mode := range o.modes {
		if failed = measureMode(ctx, o, mode, rep, out); failed != nil {
			failed = fmt.Errorf("mode %s: %w", mode, failed)
			break
		}
	}
	if ctx.Err() != nil {
		failed = errors.New("interrupted")
	}
	rep.judge(o.modes)
	errs := []error{rep.print(os.Stdout)}
	if o.jsonFile != "" {
		errs = append(errs, rep.write(o.jsonFile))
	}
	if n := rep.lost(); n > 0 {
		errs = append(errs, fmt.Errorf("%d deliveries were lost", n))
	}
	return errors.Join(append(errs, failed)...)
}

// checkMachine refuses a machine on which CPU and memory cannot be told.
func checkMachine() error {
	if runtime.GOOS != "linux" {
		return errors.New("the benchmark reads /proc: run it on Linux")
	}
	return nil
}
