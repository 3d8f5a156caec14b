// Command faults kills what Waybill is made of, under load, and proves from ledgers of its own that nothing was lost.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"waybill/scripts/stack"
)

type options struct {
	seed     uint64
	scenario string
	minutes  int
	old      string
	waiting  int
	soak     time.Duration
}

func main() {
	var o options
	flag.Uint64Var(&o.seed, "seed", rand.Uint64N(1_000_000), "seed of every choice at random")
	flag.StringVar(&o.scenario, "scenario", "", "only scenarios whose name begins with one of these, separated by commas")
	flag.IntVar(&o.minutes, "minutes", 0, "go round the scenarios, with new seeds, until so many minutes have passed")
	flag.StringVar(&o.old, "old", "", "git revision of the old binary of rolling-restart; none: the newest tag, or as docs/guarantees.md says")
	flag.IntVar(&o.waiting, "waiting", 20_000, "events that wait for a dead endpoint in thousands-waiting")
	flag.DurationVar(&o.soak, "soak", 0, "perform the soaks in place of the scenarios, each for so long: 10m")
	flag.Parse()
	if o.soak != 0 && o.soak < leastSoak {
		fmt.Fprintf(os.Stderr, "error: -soak: in less than %s a trend and the noise look the same\n", leastSoak)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := suite(ctx, &o); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// suite performs the wanted scenarios on a stack of its own.
func suite(ctx context.Context, o *options) (err error) {
	root, err := stack.FindRoot()
	if err != nil {
		return err
	}
	out := stack.NewPrinter(os.Stdout)
	s, err := stack.OpenTest(ctx, root, out)
	if err != nil {
		return fmt.Errorf("bring up a stack: %w", err)
	}
	w := &world{
		dir: s.Dir, binary: filepath.Join(s.Dir, "waybill"), schema: "public", stack: s,
		databaseURL: s.DatabaseURL(s.Database), temporalAddress: s.Ports.Temporal.Addr(), temporalNS: s.Namespace,
		out: out, old: o.old, backlog: o.waiting,
	}
	defer func() { err = errors.Join(err, w.close(), s.Close()) }()
	build := func(ctx context.Context) error { return stack.BuildWaybill(ctx, root, w.binary, out) }
	if err := stack.Parallel(ctx, s.Up, build); err != nil {
		return fmt.Errorf("bring up a stack: %w", err)
	}
	if err := w.open(ctx); err != nil {
		return err
	}
	out.Say("seed %d\n%s", o.seed, header)
	return performAll(ctx, w, o, out)
}

// performAll goes round the table, and fails when a scenario fails or none could be performed.
func performAll(ctx context.Context, w *world, o *options, out *stack.Printer) error {
	t := tally{out: out}
	end := time.Now().Add(time.Duration(o.minutes) * time.Minute)
	for seed := o.seed; ; seed++ {
		for _, sc := range o.table() {
			if o.wants(sc.name) && ctx.Err() == nil {
				v, err := w.perform(ctx, &sc, seed)
				t.count(&sc, v, err)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !t.ran || time.Now().After(end) {
			return t.verdict(o)
		}
	}
}

// tally is how the scenarios came out.
type tally struct {
	out            *stack.Printer
	ran            bool
	failed, notRun []string
}

// count says how one came out.
func (t *tally) count(sc *scenario, v *verdict, err error) {
	switch {
	case errors.Is(err, errNotRun):
		t.notRun = append(t.notRun, sc.name)
		t.out.Say("%s: %v", sc.name, err)
		return
	case err != nil:
		t.failed = append(t.failed, sc.name)
		t.out.Say("%s: %v", sc.name, err)
	default:
		t.out.Say("%s", v.line(sc))
		if !v.ok() {
			t.failed = append(t.failed, sc.name)
		}
	}
	t.ran = true
}

func (t *tally) verdict(o *options) error {
	if len(t.notRun) > 0 {
		t.out.Say("seed %d: not run, so not passed: %s", o.seed, strings.Join(slices.Compact(t.notRun), ", "))
	}
	switch {
	case len(t.failed) > 0:
		return fmt.Errorf("seed %d: %d scenarios failed: %s", o.seed, len(t.failed), strings.Join(t.failed, ", "))
	case !t.ran && len(t.notRun) > 0:
		return errors.New("nothing could be run here; see above for why")
	case !t.ran:
		return fmt.Errorf("no scenario has a name that begins with %q", o.scenario)
	default:
		return nil
	}
}

// perform runs one scenario from beginning to end.
func (w *world) perform(ctx context.Context, sc *scenario, seed uint64) (v *verdict, err error) {
	if sc.impossible != nil {
		if why := sc.impossible(); why != nil {
			return nil, fmt.Errorf("%w: %w", errNotRun, why)
		}
	}
	if sc.in != nil {
		if w, err = sc.in(ctx, w); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, w.close()) }()
	}
	r, err := w.newRun(ctx, sc, seed)
	if err != nil {
		return nil, err
	}
	return r.perform(ctx)
}

// table is what is to be performed, as far as it is wanted.
func (o *options) table() []scenario {
	if o.soak > 0 {
		return soaks(o.soak)
	}
	return scenarios()
}

// errNotRun says that a scenario could not be performed here, which is neither a failure nor a pass.
var errNotRun = errors.New("not run")

func (o *options) wants(name string) bool {
	for wanted := range strings.SplitSeq(o.scenario, ",") {
		if strings.HasPrefix(name, wanted) {
			return true
		}
	}
	return false
}

// shown is how many faults a run tells in full.
const shown = 12

// header begins the table of docs/guarantees.md, of which line is a row, followed by what is wrong.
const header = `| scenario | what happens under load | kills | sent | accepted | deliveries | lost | duplicates | unrecorded | settled |
|---|---|---|---|---|---|---|---|---|---|`

func (v *verdict) line(sc *scenario) string {
	text := fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %d | %d | %d | %.0f s |",
		sc.name, sc.what, v.kills, v.sent, v.accepted, v.deliveries, v.lost, v.duplicates, v.unrecorded, v.settled.Seconds())
	for _, fault := range v.faults[:min(len(v.faults), shown)] {
		text += "\n    " + fault
	}
	if more := len(v.faults) - shown; more > 0 {
		text += fmt.Sprintf("\n    and %d more", more)
	}
	return text
}
