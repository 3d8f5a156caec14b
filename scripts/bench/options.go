package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"waybill/scripts/stack"
)

// The modes: every event is a workflow, or none is and retries come from the endpoints' queues.
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
	// fanOut is how many endpoints each waiting event of the backlog has.
	fanOut int
	// logAttempts and logMonths are how long the stored log is.
	logAttempts, logMonths int
	// outageRate is how many events a second each of the two endpoints of the outage case gets; 0: as usual in the mode.
	outageRate float64
	// settle is left after the last arrival for what follows it: the record, the end of the workflow.
	settle   time.Duration
	jsonFile string
	// pprofDir takes CPU profiles of Waybill; empty: none are made.
	pprofDir string
	// versus is a git revision that is measured beside the checkout, run by run; "": none.
	versus string

	// floor is what the floor runs on: floorFrozen, floorShipped or floorNone.
	floor string
	// shape is one of shapeNames, or "" for one process of each kind.
	shape string
	// without are the shipped settings that the stack is brought up without.
	without []stack.Setting
	// What is there already; all empty: a stack is brought up. url and apiKey are of a Waybill that runs.
	databaseURL, temporal, namespace, url, apiKey string
}

// What the floor runs on.
const (
	// floorFrozen is a stack of its own with the settings of November 2026, so that what makes the shipped ones better counts.
	floorFrozen = stack.Floor202611
	// floorShipped is the stack that Waybill is measured on, or the Temporal that was given.
	floorShipped = "shipped"
	// floorNone measures none.
	floorNone = "none"
)

const (
	// quickScale makes the default cases take about a minute in all.
	quickScale = 0.03
	// usualFanOut sets the backlog up in a tenth of the time, and of the workflows.
	usualFanOut = 10
)

// parseOptions reads the command line. It prints the usage to out and returns flag.ErrHelp when args ask for help.
func parseOptions(args []string, out io.Writer) (*options, error) {
	o := options{settle: time.Second}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(out)
	cases := set.String("cases", "", "what to measure, of "+strings.Join(caseNames(), ", ")+"; otherwise all")
	modes := set.String("modes", modeWorkflow, "workflow, express or both")
	set.IntVar(&o.runs, "runs", 3, "how often each case runs; the median counts")
	set.Float64Var(&o.scale, "events", 1, "multiplies every number of events")
	set.IntVar(&o.fanOut, "backlog-fan-out", usualFanOut, "endpoints of each waiting event; 1: each waiting delivery has a workflow of its own")
	set.IntVar(&o.logAttempts, "log-attempts", 1_000_000, "attempts of the log in the history, log and size cases; with its indexes, some 1.5 KB each")
	set.IntVar(&o.logMonths, "log-months", 3, "months that this log covers")
	set.Float64Var(&o.outageRate, "outage-rate", 0, fmt.Sprintf("events a second to each of the two endpoints of the outage case; 0: %d in express mode, %d in workflow mode", outageExpress, outageWorkflow))
	quick := set.Bool("quick", false, fmt.Sprintf("the same as -runs 1 -events %v: to see that it works, the figures mean nothing", quickScale))
	set.StringVar(&o.jsonFile, "json", "", "write the figures of every run to this `file`")
	set.StringVar(&o.pprofDir, "pprof", "", "write a CPU profile of waybill in each case to this `folder`")
	set.StringVar(&o.versus, "versus", "", "measure one, ten, rate, batch, retry, neighbor, outage and the tenants' cases with the waybill of this git `revision` too, the two in turns")
	floor := set.String("floor", "", fmt.Sprintf("what the floor runs on: the settings of %s, the %s ones, or %s for no floor; "+
		"with -without, -stock or a given Temporal %s, otherwise %s", floorFrozen, floorShipped, floorNone, floorShipped, floorFrozen))
	set.StringVar(&o.shape, "shape", "", shapeShards+": measure 16 history shards in place of 4; "+shapeNodes+": three Temporal nodes with them; "+
		shapeCluster+": two Postgres servers, two api and four worker besides; otherwise one of each")
	without := set.String("without", "", "leave out these `settings` of the stack: "+joined(stack.Settings()))
	stock := set.Bool("stock", false, "leave out all of them")
	o.givenFlags(set)
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if *quick {
		o.runs, o.scale, o.settle = 1, quickScale, 200*time.Millisecond
	}
	o.modes = strings.Split(*modes, ",")
	return &o, errors.Join(
		o.chooseCases(*cases),
		o.chooseSettings(*without, *stock),
		o.chooseFloor(*floor),
		o.checkGiven(),
		o.checkVersus(),
		o.checkShape(),
		refuseUnknown("modes", o.modes, []string{modeWorkflow, modeExpress}),
		refuse(set.NArg() > 0, "unexpected argument %q", set.Arg(0)),
		refuse(o.runs < 1 || o.runs > 100, "-runs is from 1 to 100, not %d", o.runs),
		refuse(!(o.scale > 0 && o.scale <= 100), "-events is above 0 and at most 100, not %v", o.scale),
		refuse(o.logAttempts < 1000 || o.logAttempts > 100_000_000, "-log-attempts is from 1000 to 100,000,000, not %d", o.logAttempts),
		refuse(o.logMonths < 2 || o.logMonths > 120, "-log-months is from 2 to 120, not %d", o.logMonths),
		refuse(!(o.outageRate >= 0 && o.outageRate <= 100_000), "-outage-rate is from 0 to 100,000, not %v", o.outageRate),
		refuse(o.fanOut < 1 || o.fanOut > 200, "-backlog-fan-out is from 1 to 200, not %d", o.fanOut),
	)
}

// chooseCases takes the cases named, or all that can be measured.
func (o *options) chooseCases(named string) error {
	var errs []error
	wanted := strings.Split(named, ",")
	if named != "" {
		errs = append(errs, refuseUnknown("cases", wanted, caseNames()))
	}
	for _, c := range allCases() {
		impossible := o.cannot(c)
		switch {
		case named == "" && impossible == nil, named != "" && slices.Contains(wanted, c.name):
			o.cases = append(o.cases, c.name)
			errs = append(errs, impossible)
		}
	}
	return errors.Join(errs...)
}

func (o *options) chooseSettings(named string, stock bool) error {
	if stock {
		o.without = stack.Settings()
	}
	if named == "" {
		return nil
	}
	var known []string
	for _, s := range stack.Settings() {
		known = append(known, string(s))
	}
	names := strings.Split(named, ",")
	if !stock {
		for _, name := range names {
			o.without = append(o.without, stack.Setting(name))
		}
	}
	return refuseUnknown("without", names, known)
}

// chooseFloor says what the floor runs on. Whoever leaves settings out wants to see what that does to it.
func (o *options) chooseFloor(named string) error {
	known := []string{floorFrozen, floorShipped, floorNone}
	switch o.floor = named; {
	case named != "":
		return errors.Join(
			refuseUnknown("floor", []string{named}, known),
			refuse(named == floorFrozen && o.given(), "-floor=%s is for a stack that is brought up here", named),
			refuse(named == floorNone && slices.Contains(o.cases, caseFloor), "-floor=%s leaves nothing of the case %s", named, caseFloor),
		)
	case o.given() || len(o.without) > 0:
		o.floor = floorShipped
	default:
		o.floor = floorFrozen
	}
	return nil
}

// joined lists settings for a person.
func joined(settings []stack.Setting) string {
	names := make([]string, len(settings))
	for i, s := range settings {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
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
