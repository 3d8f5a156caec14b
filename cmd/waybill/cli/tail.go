package cli

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waybill/client"
)

// tailFlags are what the command tail is given.
type tailFlags struct {
	endpoint, event, eventType, statuses, codes, class, since string
	tests                                                     bool
}

func newTail(e Env) *cobra.Command {
	f := &tailFlags{}
	c := &cobra.Command{
		Use:   "tail",
		Short: "Show the delivery log as it grows",
		Long: "Shows the attempts of a tenant's deliveries as they are made, one line each, and which deliveries are held or canceled.\n\n" +
			"Deliveries that are not settled when it begins are followed too. It survives a restart of Waybill without leaving out a line or\n" +
			"showing one again. Ctrl-C ends it. A settled delivery that is sent\n" +
			"again later, by hand or by a recovery, is not shown.",
		Example: "  waybill tail --tenant shop\n" +
			"  waybill tail --tenant shop --status retrying,exhausted --since 1h\n" +
			"  waybill tail --tenant shop -o json | jq .attempt.error",
		Args: Arguments(),
	}
	format, scope := AddFormat(c), newScope(e, c)
	flags := c.Flags()
	flags.StringVar(&f.endpoint, "endpoint", "", "those to an endpoint, by its `id`")
	flags.StringVar(&f.event, "event", "", "those of an event, by its `id`")
	flags.StringVar(&f.eventType, "event-type", "", "those of an event `type`")
	flags.StringVar(&f.statuses, "status", "", "lines with one of these `statuses`: pending, retrying, held, delivered, exhausted, canceled")
	flags.StringVar(&f.codes, "status-code", "", "lines with one of these status `codes`, such as 429,5xx or none")
	flags.StringVar(&f.class, "error-class", "", "lines of attempts that failed so, such as timeout: a `class`")
	flags.BoolVar(&f.tests, "tests", false, "tests of endpoints too")
	flags.StringVar(&f.since, "since", "", "begin with what was published at a `time`, or so long ago, such as 1h")
	c.RunE = func(c *cobra.Command, _ []string) error {
		t, err := f.read()
		if err != nil {
			return err
		}
		if t.waybill, t.tenant, err = scope.open(c.Context()); err != nil {
			return err
		}
		t.out, t.say, t.json = c.OutOrStdout(), c.ErrOrStderr(), format.JSON()
		return explainRun(c.Context(), t.run(c.Context()))
	}
	return c
}

func (f *tailFlags) read() (*tailer, error) {
	since, err := moment("--since", f.since)
	if err != nil {
		return nil, err
	}
	t := &tailer{tailFlags: f, from: since, lines: map[string]*tailed{}}
	known := []string{"pending", "retrying", "held", "delivered", "exhausted", "canceled"}
	for _, status := range fields(f.statuses) {
		if !slices.Contains(known, status) {
			return nil, Usagef("%q is no status: %s", status, strings.Join(known, ", "))
		}
	}
	for _, code := range fields(f.codes) {
		if code != "none" && !statusCode.MatchString(code) {
			return nil, Usagef("%q is no status code, nor 5xx, nor none", code)
		}
	}
	return t, nil
}

// statusCode is a status code, or all that begin with its digit.
var statusCode = regexp.MustCompile(`^[1-5]([0-9]{2}|xx)$`)

func fields(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// Limits of a tail.
const (
	// tailMost bounds the deliveries that are followed. Those made last are kept.
	tailMost = 10_000
	// tailChecks is how many deliveries each round looks at besides those of the list.
	tailChecks = 50
	// tailIdle is how long after its last look a delivery without a next attempt is looked at.
	tailIdle = 5 * time.Second
)

// tailer shows what happens to deliveries.
type tailer struct {
	*tailFlags
	waybill *client.Client
	tenant  string
	// from is when to begin; nil: now.
	from     *time.Time
	out, say io.Writer
	json     bool
	// lines are what was shown of each delivery.
	lines map[string]*tailed
	full  bool
}

// tailed is what was shown of a delivery.
type tailed struct {
	id       string
	created  time.Time
	attempts int
	status   client.DeliveryStatus
	// check is when to look again; zero: it is settled.
	check time.Time
}

func (t *tailer) run(ctx context.Context) error {
	f := t.follower()
	if err := f.begin(ctx, t.from); err != nil {
		return err
	}
	if err := t.begin(ctx, f); err != nil {
		return err
	}
	fmt.Fprintf(t.say, "Deliveries of %s; Ctrl-C ends it.\n", t.tenant)
	var left []client.Delivery
	return keepOn(ctx, t.say, func() error {
		if len(left) == 0 {
			var err error
			if left, err = f.look(ctx); err != nil {
				return err
			}
		}
		for len(left) > 0 {
			if err := t.show(ctx, &left[0]); err != nil {
				return err
			}
			left = left[1:]
		}
		return t.checkOthers(ctx, f.since)
	})
}

// begin notes what the follower passed over, and follows what is not settled.
func (t *tailer) begin(ctx context.Context, f *follower[client.Delivery]) error {
	params := t.params()
	params.Status = new("pending,retrying,held")
	n := 0
	for d, err := range t.waybill.Deliveries(ctx, t.tenant, params) {
		if err != nil {
			return err
		}
		if n++; n > tailMost/2 {
			break
		}
		if t.from != nil && !d.CreatedAt.Before(f.since) {
			continue // the first look shows it
		}
		t.note(&d)
	}
	return nil
}

// params are those filters that never change for a delivery. The others choose among lines.
func (t *tailer) params() *client.ListDeliveriesParams {
	p := &client.ListDeliveriesParams{Limit: new(followPage)}
	for _, filter := range []struct {
		value string
		field **string
	}{{t.endpoint, &p.Endpoint}, {t.event, &p.Event}, {t.eventType, &p.EventType}} {
		if filter.value != "" {
			*filter.field = &filter.value
		}
	}
	if !t.tests {
		p.Test = new(false)
	}
	return p
}

func (t *tailer) follower() *follower[client.Delivery] {
	return &follower[client.Delivery]{
		page: followPage, most: followMost,
		list: func(ctx context.Context, since, until *time.Time, limit int, cursor *string) ([]client.Delivery, *string, error) {
			p := t.params()
			p.Since, p.Until, p.Limit, p.Cursor = since, until, &limit, cursor
			page, err := t.waybill.ListDeliveries(ctx, t.tenant, p)
			if err != nil {
				return nil, nil, err
			}
			return page.Data, page.NextCursor, nil
		},
		key:     func(d *client.Delivery) string { return d.ID },
		at:      func(d *client.Delivery) time.Time { return d.CreatedAt },
		version: func(d *client.Delivery) string { return fmt.Sprint(d.Status, d.Attempts) },
	}
}
