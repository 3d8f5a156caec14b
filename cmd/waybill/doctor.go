package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"waybill/cmd/waybill/cli"
	"waybill/webhook"
)

// checkTimeout bounds one check. They run beside each other, so that all of them take little longer.
const checkTimeout = 6 * time.Second

// verdict is what a check found.
type verdict string

const (
	fine   verdict = "ok"
	doubts verdict = "warn"
	fails  verdict = "FAIL"
)

// finding is one line of `waybill doctor`.
type finding struct {
	Check   string  `json:"check"`
	Verdict verdict `json:"verdict"`
	Says    string  `json:"says"`
	// Do is what to do about it; "" where all is well.
	Do string `json:"do,omitempty"`
}

func newDoctor(i invocation) *cobra.Command {
	var receiver string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check all that Waybill needs, and say what to do",
		Long: "Checks the configuration, the database (reachable, version, migrations, rights of the role, encryption keys, clock), Temporal (reachable, " +
			"namespace and its retention, search attributes, task queues that nobody works on), what may be called, and the mail server. Each line is ok, warn or FAIL with what to do. " +
			"It changes nothing, takes a few seconds, and exits with 1 when something fails.\n\n" +
			"With --receiver it calls that URL as a delivery would, by GET, with the rules that deliveries have. " + settingsText,
		Example: "  waybill doctor\n  waybill doctor --receiver https://example.com/hooks\n  waybill doctor -o json",
		GroupID: groupServer,
		Args:    noArguments,
	}
	format := cli.AddFormat(c)
	c.Flags().StringVar(&receiver, "receiver", "", "URL to call as a delivery would")
	g := addSettings(c, i.environ, nil)
	c.RunE = func(c *cobra.Command, _ []string) error {
		all := examine(c.Context(), g.variables(), receiver)
		if format.JSON() {
			if err := cli.WriteJSON(i.out, all); err != nil {
				return err
			}
		} else {
			writeFindings(i.out, all)
		}
		failed := 0
		for _, f := range all {
			if f.Verdict == fails {
				failed++
			}
		}
		if failed > 0 {
			return fmt.Errorf("%d of %d checks failed", failed, len(all))
		}
		return nil
	}
	return c
}

// examine makes all checks.
func examine(ctx context.Context, variables map[string]string, receiver string) []finding {
	out := []finding{{"version", fine, thisBuild().String(), ""}}
	command, says := "serve", "every setting has a value that can be"
	if variables["WAYBILL_API_KEY"]+variables["WAYBILL_API_KEY"+fileSuffix] == "" {
		command, says = "worker", says+"; WAYBILL_API_KEY is not set, which is enough for 'waybill worker' only"
	}
	s, err := readSettings(command, variables)
	if err == nil {
		_, err = loadCatalogue(s.DialectsDir)
	}
	if err != nil {
		return append(out, finding{"configuration", fails, err.Error(), "Mend it; the other checks need it. 'waybill config' shows where each value comes from."})
	}
	out = append(out, finding{"configuration", fine, says, ""})
	checks := []func(context.Context, *settings) []finding{
		checkDatabase, checkSealed, checkTemporal, func(ctx context.Context, s *settings) []finding { return checkCalls(ctx, s, receiver) }, checkMailServer,
	}
	found := make([][]finding, len(checks))
	var running sync.WaitGroup
	for i, check := range checks {
		running.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, checkTimeout)
			defer cancel()
			found[i] = check(ctx, s)
		})
	}
	running.Wait()
	for _, f := range found {
		out = append(out, f...)
	}
	return out
}

func writeFindings(out io.Writer, all []finding) {
	for _, f := range all {
		indent := strings.Repeat(" ", 26)
		lines := strings.Split(f.Says, "\n")
		for i := range lines {
			lines[i] = cli.Clean(lines[i])
		}
		fmt.Fprintf(out, "%-4s  %-18s  %s\n", f.Verdict, f.Check, strings.Join(lines, "\n"+indent))
		if f.Do != "" {
			fmt.Fprintf(out, "%s\n", cli.Wrap(f.Do, indent))
		}
	}
}

// quiet is the log of what a check calls, which the findings tell.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// inTime is why a check failed: that it had no time left, or else its cause, without what the API would answer.
func inTime(ctx context.Context, err error) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %s", checkTimeout)
	}
	if known := (*webhook.Error)(nil); errors.As(err, &known) && known.Cause != nil {
		err = known.Cause
	}
	return err.Error()
}
