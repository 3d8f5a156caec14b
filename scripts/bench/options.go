package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// The modes: every event is a workflow, or only those that attempt 1 did not settle.
const (
	modeWorkflow = "workflow"
	modeExpress  = "express"
)

// options say what to measure.
type options struct {
	// cases are names of allCases, in its order; modes in the order given.
	cases, modes []string
	runs         int
	// scale multiplies every number of events.
	scale float64
	// settle is left after the last arrival for what follows it: the record, the end of the workflow.
	settle   time.Duration
	jsonFile string
	// pprofDir takes CPU profiles of Waybill; empty: none are made.
	pprofDir string
}

// quickScale makes the default cases take about a minute in all.
const quickScale = 0.03

// parseOptions reads the command line. It prints the usage to out and returns flag.ErrHelp when args ask for help.
func parseOptions(args []string, out io.Writer) (*options, error) {
	o := options{settle: time.Second}
	known := caseNames()
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(out)
	cases := set.String("cases", strings.Join(known, ","), "what to measure; the floor is always measured")
	modes := set.String("modes", modeWorkflow, "workflow, express or both")
	set.IntVar(&o.runs, "runs", 3, "how often each case runs; the median counts")
	set.Float64Var(&o.scale, "events", 1, "multiplies every number of events")
	quick := set.Bool("quick", false, fmt.Sprintf("the same as -runs 1 -events %v: to see that it works, the figures mean nothing", quickScale))
	set.StringVar(&o.jsonFile, "json", "", "write the figures of every run to this `file`")
	set.StringVar(&o.pprofDir, "pprof", "", "write a CPU profile of waybill in each case to this `folder`")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if *quick {
		o.runs, o.scale, o.settle = 1, quickScale, 200*time.Millisecond
	}
	o.modes = strings.Split(*modes, ",")
	wanted := strings.Split(*cases, ",")
	o.cases = slices.DeleteFunc(slices.Clone(known), func(name string) bool { return !slices.Contains(wanted, name) })
	return &o, errors.Join(
		refuseUnknown("cases", wanted, known),
		refuseUnknown("modes", o.modes, []string{modeWorkflow, modeExpress}),
		refuse(set.NArg() > 0, "unexpected argument %q", set.Arg(0)),
		refuse(o.runs < 1 || o.runs > 100, "-runs is from 1 to 100, not %d", o.runs),
		refuse(!(o.scale > 0 && o.scale <= 100), "-events is above 0 and at most 100, not %v", o.scale),
	)
}

func refuseUnknown(name string, given, known []string) error {
	var errs []error
	for _, g := range given {
		errs = append(errs, refuse(!slices.Contains(known, g), "-%s: there is no %q, there are: %s", name, g, strings.Join(known, ", ")))
	}
	return errors.Join(errs...)
}

func refuse(wrong bool, format string, args ...any) error {
	if !wrong {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// scaled returns a number of events, of which at least a few are left.
func (o *options) scaled(n int, share float64) int {
	const least = 20
	return max(min(n, least), int(float64(n)*o.scale*share))
}
