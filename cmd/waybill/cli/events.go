package cli

import (
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waybill/client"
)

var eventColumns = []column[client.Event]{
	{"ID", false, func(e client.Event) string { return e.ID }},
	{"TYPE", false, func(e client.Event) string { return e.Type }},
	{"OCCURRED", false, func(e client.Event) string { return at(e.OccurredAt) }},
	{"PUBLISHED", false, func(e client.Event) string { return at(e.CreatedAt) }},
	{"TEST", false, func(e client.Event) string { return yesNo(e.Test) }},
	{"ATTRIBUTES", false, func(e client.Event) string { return compact(e.Attributes) }},
	{"METADATA", false, func(e client.Event) string { return compact(e.Metadata) }},
	{"ERASED", false, func(e client.Event) string { return maybeAt(e.ErasedAt) }},
	{"DATA", false, func(e client.Event) string { return compact(e.Data) }},
}

var listedEventColumns = []column[client.ListedEvent]{
	{"ID", false, func(e client.ListedEvent) string { return e.ID }},
	{"TYPE", false, func(e client.ListedEvent) string { return e.Type }},
	{"PUBLISHED", false, func(e client.ListedEvent) string { return at(e.CreatedAt) }},
	{"OCCURRED", true, func(e client.ListedEvent) string { return at(e.OccurredAt) }},
	{"TEST", false, func(e client.ListedEvent) string { return yesNo(e.Test) }},
	{"ATTRIBUTES", true, func(e client.ListedEvent) string { return compact(e.Attributes) }},
	{"METADATA", true, func(e client.ListedEvent) string { return compact(e.Metadata) }},
	{"ERASED", true, func(e client.ListedEvent) string { return maybeAt(e.ErasedAt) }},
}

func newEvents(e Env) *cobra.Command {
	c := &cobra.Command{
		Use: "events", Short: "What was published",
		Long:    "Shows what was published, and what became of it. 'waybill publish' publishes.",
		Example: "  waybill events list --tenant acme --type order.confirmed --since 1h\n  waybill events history order-1001 --tenant acme",
	}
	s := newScope(e, c)
	deliveries := newDeliveryFilter()
	ofEvent := many(s.open, e, about{"deliveries EVENT", "List the deliveries of an event", "Lists the deliveries of an event.", "waybill events deliveries order-1001 --tenant acme"}, deliveryColumns,
		func(in call, page *int) (iter.Seq2[client.Delivery, error], error) {
			p, err := deliveries.params(page)
			if err != nil {
				return nil, err
			}
			return in.client.EventDeliveries(in.ctx, in.tenant, in.args[0], &client.ListEventDeliveriesParams{
				Endpoint: p.Endpoint, Status: p.Status, StatusCode: p.StatusCode, ErrorClass: p.ErrorClass, Limit: page,
			}), nil
		})
	deliveries.addStatusTo(ofEvent.Flags())
	c.AddCommand(
		newEventsList(s),
		one(s.open, e, about{"get EVENT", "Show an event with its data", "Shows an event with its data.", "waybill events get order-1001 --tenant acme -o json"}, eventColumns,
			func(in call) (*client.Event, error) { return in.client.GetEvent(in.ctx, in.tenant, in.args[0]) }),
		newEventsHistory(s), ofEvent,
		newDelete(s, "event", "order-1001", "its data, attributes and recorded answers are erased, and deliveries that wait are canceled",
			func(in call) error { return in.client.EraseEvent(in.ctx, in.tenant, in.args[0]) }),
	)
	return MakeParent(c)
}

func newEventsList(s *scope) *cobra.Command {
	p := &client.ListEventsParams{}
	var eventType, since, until string
	var test bool
	c := many(s.open, s.env, about{
		"list", "List events, the newest first", "Lists the events of a tenant, the newest first, without their data.",
		"waybill events list --tenant acme --type order.confirmed --since 1h\nwaybill events list --tenant acme --attribute region=eu -o json",
	}, listedEventColumns, func(in call, page *int) (iter.Seq2[client.ListedEvent, error], error) {
		var err error
		p.Limit, p.Type = page, maybe(eventType)
		if test {
			p.Test = &test
		}
		if p.Since, p.Until, err = span(since, until); err != nil {
			return nil, err
		}
		return in.client.Events(in.ctx, in.tenant, p), nil
	})
	c.Flags().StringVar(&eventType, "type", "", "only those of a type")
	addSpan(c.Flags(), &since, &until)
	c.Flags().BoolVar(&test, "test", false, "only tests")
	c.Flags().StringToStringVar(&p.Attributes, "attribute", nil, "only those with this attribute: name=value")
	c.Flags().StringToStringVar(&p.Metadata, "metadata", nil, "only those with this metadata: name=value")
	return c
}

// addSpan adds the flags of a span of time.
func addSpan(flags *pflag.FlagSet, since, until *string) {
	flags.StringVar(since, "since", "", "only from then on: a time such as 2026-05-27T14:00:00Z, or how long ago, such as 90m or 24h")
	flags.StringVar(until, "until", "", "only before then, written as --since is")
}

// span reads the flags of a span of time.
func span(since, until string) (from, to *time.Time, err error) {
	if from, err = moment("--since", since); err != nil {
		return nil, nil, err
	}
	to, err = moment("--until", until)
	return from, to, err
}

// moment reads a time, or how long ago it was; nil: none is given.
func moment(flag, given string) (*time.Time, error) {
	if given == "" {
		return nil, nil
	}
	if at, err := time.Parse(time.RFC3339, given); err == nil {
		return &at, nil
	}
	ago, err := time.ParseDuration(given)
	if err != nil || ago < 0 {
		return nil, Usagef("%s is a time such as 2026-05-27T14:00:00Z, or how long ago, such as 90m or 24h, not %q", flag, given)
	}
	return new(time.Now().Add(-ago)), nil
}

func newEventsHistory(s *scope) *cobra.Command {
	c := about{
		"history EVENT", "Show every attempt of an event", "Shows every delivery of an event with every attempt: the live state where its workflow runs.",
		"waybill events history order-1001 --tenant acme",
	}.command(nil)
	format := addFormat(c, formatTable, formatJSON)
	c.RunE = func(c *cobra.Command, args []string) error {
		w, tenant, err := s.open(c.Context())
		if err != nil {
			return err
		}
		h, err := w.GetHistory(c.Context(), tenant, args[0])
		if err != nil {
			return explain(err)
		}
		if format.JSON() {
			return WriteJSON(s.env.Out, h)
		}
		for i, d := range h.Deliveries {
			if i > 0 {
				fmt.Fprintln(s.env.Out)
			}
			fmt.Fprintf(s.env.Out, "%s to %s is %s", clean(d.ID), clean(d.EndpointID), clean(string(d.Status)))
			if d.NextAttemptAt != nil {
				fmt.Fprintf(s.env.Out, ", next attempt at %s", at(*d.NextAttemptAt))
			}
			if d.Reason != nil {
				fmt.Fprintf(s.env.Out, ": %s", clean(*d.Reason))
			}
			fmt.Fprintln(s.env.Out)
			t := newTable(s.env.Out)
			for _, a := range d.Attempts {
				t.row("  "+number(a.Number), at(a.StartedAt), number(a.DurationMs)+" ms", maybeNumber(a.StatusCode), text(a.Outcome), orNone(a.Error))
			}
			if err := t.end(); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}
