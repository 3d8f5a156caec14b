package cli

import (
	"fmt"
	"iter"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waybill/client"
)

// last reads something of the last attempt, where there is one.
func last(read func(client.LastAttempt) string) func(client.Delivery) string {
	return func(d client.Delivery) string {
		if d.LastAttempt == nil {
			return ""
		}
		return read(*d.LastAttempt)
	}
}

var deliveryColumns = []column[client.Delivery]{
	{"ID", false, func(d client.Delivery) string { return d.ID }},
	{"STATUS", false, func(d client.Delivery) string { return text(d.Status) }},
	{"EVENT", false, func(d client.Delivery) string { return d.EventID }},
	{"TYPE", false, func(d client.Delivery) string { return d.EventType }},
	{"ENDPOINT", false, func(d client.Delivery) string { return d.EndpointID }},
	{"ATTEMPTS", false, func(d client.Delivery) string { return number(d.Attempts) }},
	{"CODE", false, last(func(a client.LastAttempt) string { return maybeNumber(a.StatusCode) })},
	{"MS", true, last(func(a client.LastAttempt) string { return number(a.DurationMs) })},
	{"ERROR", false, last(func(a client.LastAttempt) string { return orNone(a.Error) })},
	{"NEXT ATTEMPT", false, func(d client.Delivery) string { return maybeAt(d.NextAttemptAt) }},
	{"HELD UNTIL", true, func(d client.Delivery) string { return maybeAt(d.HeldUntil) }},
	{"REASON", true, func(d client.Delivery) string { return orNone(d.Reason) }},
	{"TEST", true, func(d client.Delivery) string { return yesNo(d.Test) }},
	{"CREATED", true, func(d client.Delivery) string { return at(d.CreatedAt) }},
	{"UPDATED", false, func(d client.Delivery) string { return at(d.UpdatedAt) }},
}

var attemptColumns = []column[client.Attempt]{
	{"NUMBER", false, func(a client.Attempt) string { return number(a.Number) }},
	{"ID", true, func(a client.Attempt) string { return a.ID }},
	{"STARTED", false, func(a client.Attempt) string { return at(a.StartedAt) }},
	{"MS", false, func(a client.Attempt) string { return number(a.DurationMs) }},
	{"CODE", false, func(a client.Attempt) string { return maybeNumber(a.StatusCode) }},
	{"OUTCOME", false, func(a client.Attempt) string { return text(a.Outcome) }},
	{"ERROR CLASS", true, func(a client.Attempt) string { return orNone(a.ErrorClass) }},
	{"ERROR", false, func(a client.Attempt) string { return orNone(a.Error) }},
	{"MANUAL", false, func(a client.Attempt) string { return maybeYes(a.Manual) }},
	{"URL", true, func(a client.Attempt) string { return a.URL }},
	{"ANSWER", true, func(a client.Attempt) string { return a.ResponseBody }},
}

// deliveryFilter are the flags that narrow a list of deliveries.
type deliveryFilter struct {
	event, endpoint, status, eventType, code, class, since, until string
	test                                                          bool
}

func newDeliveryFilter() *deliveryFilter { return &deliveryFilter{} }

// addStatusTo adds the flags that narrow the deliveries of one event.
func (f *deliveryFilter) addStatusTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.endpoint, "endpoint", "", "only those to an endpoint")
	flags.StringVar(&f.status, "status", "", "only these statuses, by commas: pending, retrying, held, delivered, exhausted, canceled")
	flags.StringVar(&f.code, "status-code", "", "only those whose last answer was so: 503, or 5xx")
	flags.StringVar(&f.class, "error-class", "", "only those whose last attempt failed so, such as timeout")
}

// addTo adds all flags.
func (f *deliveryFilter) addTo(flags *pflag.FlagSet) {
	f.addStatusTo(flags)
	flags.StringVar(&f.event, "event", "", "only those of an event")
	flags.StringVar(&f.eventType, "event-type", "", "only those of an event type")
	flags.BoolVar(&f.test, "test", false, "only tests")
	addSpan(flags, &f.since, &f.until)
}

func (f *deliveryFilter) params(page *int) (*client.ListDeliveriesParams, error) {
	p := &client.ListDeliveriesParams{
		Event: maybe(f.event), Endpoint: maybe(f.endpoint), Status: maybe(f.status), EventType: maybe(f.eventType), StatusCode: maybe(f.code), Limit: page,
	}
	if f.class != "" {
		p.ErrorClass = new(client.ErrorClass(f.class))
	}
	if f.test {
		p.Test = &f.test
	}
	var err error
	p.Since, p.Until, err = span(f.since, f.until)
	return p, err
}

func newDeliveries(e Env) *cobra.Command {
	c := &cobra.Command{
		Use: "deliveries", Short: "One event to one endpoint: the delivery log",
		Long:    "Shows the delivery log and steers deliveries. A delivery is one event to one endpoint, until it is settled.",
		Example: "  waybill deliveries list --tenant acme --status exhausted,retrying --since 24h\n  waybill deliveries attempts dlv_0197122f3c4b7d1e8f00112233445566 --tenant acme",
	}
	s := newScope(e, c)
	filter := newDeliveryFilter()
	list := many(s.open, e, about{
		"list", "List deliveries, the newest first", "Lists the deliveries of a tenant, the newest first.",
		"waybill deliveries list --tenant acme --status exhausted --since 24h\nwaybill deliveries list --tenant acme --status-code 5xx --all -o json",
	}, deliveryColumns, func(in call, page *int) (iter.Seq2[client.Delivery, error], error) {
		p, err := filter.params(page)
		if err != nil {
			return nil, err
		}
		return in.client.Deliveries(in.ctx, in.tenant, p), nil
	})
	filter.addTo(list.Flags())
	c.AddCommand(
		list,
		one(s.open, e, about{"get DELIVERY", "Show a delivery", "Shows a delivery.", "waybill deliveries get dlv_0197122f3c4b7d1e8f00112233445566 --tenant acme"}, deliveryColumns,
			func(in call) (*client.Delivery, error) { return in.client.GetDelivery(in.ctx, in.tenant, in.args[0]) }),
		many(s.open, e, about{
			"attempts DELIVERY", "List the attempts of a delivery", "Lists the attempts of a delivery. With -o json each has the headers of its request, and the answer.",
			"waybill deliveries attempts dlv_0197122f3c4b7d1e8f00112233445566 --tenant acme",
		}, attemptColumns, func(in call, page *int) (iter.Seq2[client.Attempt, error], error) {
			return in.client.Attempts(in.ctx, in.tenant, in.args[0], &client.ListAttemptsParams{Limit: page}), nil
		}),
		newDeliveriesAttempt(s),
		newDeliveryVerb(s, about{
			"retry DELIVERY", "Attempt a delivery now", "Attempts a delivery now: one that waits, before its time; one that is settled, from the start, with the same bytes and ids.",
			"waybill deliveries retry dlv_0197122f3c4b7d1e8f00112233445566 --tenant acme --reason 'they mended it'",
		}, func(in call, reason *client.Reason) (*client.Delivery, error) {
			return in.client.RetryDelivery(in.ctx, in.tenant, in.args[0], reason)
		}),
		newDeliveryVerb(s, about{
			"cancel DELIVERY", "Give a delivery up", "Gives a delivery up that is not settled.",
			"waybill deliveries cancel dlv_0197122f3c4b7d1e8f00112233445566 --tenant acme --reason 'sent by hand'",
		}, func(in call, reason *client.Reason) (*client.Delivery, error) {
			return in.client.CancelDelivery(in.ctx, in.tenant, in.args[0], reason)
		}),
	)
	return MakeParent(c)
}

func newDeliveriesAttempt(s *scope) *cobra.Command {
	return one(s.open, s.env, about{
		"attempt DELIVERY ATTEMPT", "Show an attempt of a delivery", "Shows an attempt of a delivery, by its number or its id. With -o json it has the request and the answer, " +
			"headers and body, as 'waybill verify' takes them.",
		"waybill deliveries attempt dlv_0197122f3c4b7d1e8f00112233445566 1 --tenant acme\n" +
			"waybill deliveries attempt dlv_0197122f3c4b7d1e8f00112233445566 1 --tenant acme -o json | waybill verify --secret-file secret.txt --capture -",
	}, attemptColumns, func(in call) (*client.Attempt, error) {
		delivery, id := in.args[0], in.args[1]
		n, err := strconv.Atoi(id)
		if err != nil {
			return in.client.GetAttempt(in.ctx, in.tenant, delivery, id)
		}
		for a, err := range in.client.Attempts(in.ctx, in.tenant, delivery, &client.ListAttemptsParams{Limit: new(maxPage)}) {
			if err != nil {
				return nil, err
			}
			if a.Number == n {
				return in.client.GetAttempt(in.ctx, in.tenant, delivery, a.ID)
			}
		}
		return nil, fmt.Errorf("the delivery has no attempt %d", n)
	})
}

func newDeliveryVerb(s *scope, a about, do func(call, *client.Reason) (*client.Delivery, error)) *cobra.Command {
	var reason string
	c := one(s.open, s.env, a, deliveryColumns, func(in call) (*client.Delivery, error) { return do(in, &client.Reason{Reason: maybe(reason)}) })
	c.Flags().StringVar(&reason, "reason", "", "why, for those who read the log")
	return c
}
