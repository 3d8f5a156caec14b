package cli

import (
	"fmt"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"waybill/client"
)

var endpointColumns = []column[client.Endpoint]{
	{"ID", false, func(e client.Endpoint) string { return e.ID }},
	{"STATUS", false, func(e client.Endpoint) string { return text(e.Status) }},
	{"URL", false, func(e client.Endpoint) string { return e.URL }},
	{"EVENT TYPES", false, func(e client.Endpoint) string { return words(e.EventTypes) }},
	{"FAILED IN A ROW", false, func(e client.Endpoint) string {
		if e.Streak == nil {
			return ""
		}
		return number(e.Streak.Failures)
	}},
	{"DISABLED BECAUSE", false, func(e client.Endpoint) string {
		if e.Disabled == nil {
			return ""
		}
		return e.Disabled.Reason
	}},
	{"DISABLED BY", true, func(e client.Endpoint) string {
		if e.Disabled == nil {
			return ""
		}
		return e.Disabled.By + ", " + at(e.Disabled.At)
	}},
	{"LAST SUCCESS", false, func(e client.Endpoint) string { return maybeAt(e.LastSuccessAt) }},
	{"LAST FAILURE", true, func(e client.Endpoint) string { return maybeAt(e.LastFailureAt) }},
	{"DESCRIPTION", true, func(e client.Endpoint) string { return e.Description }},
	{"FILTER", true, func(e client.Endpoint) string { return compact(e.Filter) }},
	{"RETRY", true, func(e client.Endpoint) string { return compact(e.Retry) }},
	{"TIMEOUT", true, func(e client.Endpoint) string { return orNone(e.Timeout) }},
	{"AUTH", true, func(e client.Endpoint) string { return compact(e.Auth) }},
	{"METADATA", true, func(e client.Endpoint) string { return compact(e.Metadata) }},
	{"SECRET, SHOWN ONCE", true, func(e client.Endpoint) string { return orNone(e.Secret) }},
	{"PUBLIC KEY", true, func(e client.Endpoint) string { return orNone(e.PublicKey) }},
	{"CREATED", true, func(e client.Endpoint) string { return at(e.CreatedAt) }},
}

// endpointFields have none for what is secret, which --json takes from a file.
var endpointFields = []field{
	{"to", "url", aText, "`URL` to deliver to, such as https://example.com/hooks"},
	{"event-types", "event_types", aList, "types by commas, such as 'order.*,user.created', or '*'"},
	{"description", "description", aText, "what it is for"},
	{"filter", "filter", aValue, `attributes that events must have, such as '{"region":["eu"]}'`},
	{"retry", "retry", aValue, `waits between attempts, such as '{"policy":"table-5"}'`},
	{"timeout", "timeout", aText, "of a request, such as 10s"},
	{"metadata", "metadata", aMap, "names and values of your own: name=value, several by commas"},
}

func newEndpoints(e Env) *cobra.Command {
	c := &cobra.Command{
		Use: "endpoints", Short: "Receivers of a tenant's events",
		Long: "Shows and changes endpoints. An endpoint is one receiver of a tenant's events: a URL, the types that it gets, and how it is retried. " +
			"Headers, credentials and secrets of your own are given with --json @FILE, because command lines can be read by others.",
		Example: "  waybill endpoints create --tenant acme --to https://example.com/hooks --event-types 'order.*'\n  waybill endpoints list --tenant acme --failing",
	}
	s := newScope(e, c)
	c.AddCommand(
		newEndpointsList(s),
		one(s.open, e, about{"get ENDPOINT", "Show an endpoint", "Shows an endpoint.", "waybill endpoints get ep_0197122f3c4b7d1e8f00112233445566 --tenant acme"}, endpointColumns,
			func(in call) (*client.Endpoint, error) { return in.client.GetEndpoint(in.ctx, in.tenant, in.args[0]) }),
		newEndpointsCreate(s), newEndpointsUpdate(s),
		newDelete(s, "endpoint", "ep_0197122f3c4b7d1e8f00112233445566", "its deliveries that wait are canceled", func(in call) error { return in.client.DeleteEndpoint(in.ctx, in.tenant, in.args[0]) }),
		newEndpointsDisable(s), newEndpointsEnable(s), newEndpointsTest(s),
		one(s.open, e, about{
			"verify ENDPOINT", "Ask a receiver again whether it wants the deliveries", "Asks an endpoint's receiver for the proof that it wants the deliveries. When it gives it, the endpoint is enabled.",
			"waybill endpoints verify ep_0197122f3c4b7d1e8f00112233445566 --tenant acme",
		}, endpointColumns, func(in call) (*client.Endpoint, error) {
			return in.client.VerifyEndpoint(in.ctx, in.tenant, in.args[0])
		}),
		one(s.open, e, about{
			"secret ENDPOINT", "Show the signing secret of an endpoint, which the audit log notes",
			"Shows the signing secret of an endpoint. That it was shown is noted in the audit log.", "waybill endpoints secret ep_0197122f3c4b7d1e8f00112233445566 --tenant acme",
		}, secretColumns, func(in call) (*client.SigningSecret, error) {
			return in.client.RevealEndpointSecret(in.ctx, in.tenant, in.args[0])
		}),
		newRotate(s.open, e, about{
			"rotate-secret ENDPOINT", "Give an endpoint a new signing secret",
			"Gives an endpoint a new signing secret. Where the dialect can, both sign until the overlap ends. A secret of your own is given with --json.",
			"waybill endpoints rotate-secret ep_0197122f3c4b7d1e8f00112233445566 --tenant acme --overlap 24h",
		}, func(in call, body *client.RotateSecret) (*client.SigningSecret, error) {
			return in.client.RotateEndpointSecret(in.ctx, in.tenant, in.args[0], body)
		}),
		one(s.open, e, about{
			"retire-secret ENDPOINT", "End the overlap of a rotation", "Ends the overlap of a rotation: only the new secret signs from now on.",
			"waybill endpoints retire-secret ep_0197122f3c4b7d1e8f00112233445566 --tenant acme",
		}, secretColumns, func(in call) (*client.SigningSecret, error) {
			return in.client.RetireEndpointSecret(in.ctx, in.tenant, in.args[0])
		}),
		newStats(s.open, e, about{
			"stats ENDPOINT", "What an endpoint got", "Shows what an endpoint got in a window: deliveries, attempts, status codes, and how long it took to answer.",
			"waybill endpoints stats ep_0197122f3c4b7d1e8f00112233445566 --tenant acme --window 1h",
		}, func(in call, window string) (*client.Stats, error) {
			return in.client.GetEndpointStats(in.ctx, in.tenant, in.args[0], &client.GetEndpointStatsParams{Window: new(client.GetEndpointStatsParamsWindow(window))})
		}),
	)
	return MakeParent(c)
}

func newEndpointsList(s *scope) *cobra.Command {
	p := &client.ListEndpointsParams{}
	var status, eventType, q string
	var failing, trouble bool
	c := many(s.open, s.env, about{"list", "List the endpoints", "Lists the endpoints of a tenant.", "waybill endpoints list --tenant acme --trouble\nwaybill endpoints list --tenant acme --all -o json"},
		endpointColumns, func(in call, page *int) (iter.Seq2[client.Endpoint, error], error) {
			p.Limit, p.EventType, p.Q = page, maybe(eventType), maybe(q)
			if status != "" {
				p.Status = new(client.ListEndpointsParamsStatus(status))
			}
			if failing {
				p.Failing = &failing
			}
			if trouble {
				p.Trouble = &trouble
			}
			return in.client.Endpoints(in.ctx, in.tenant, p), nil
		})
	c.Flags().StringVar(&status, "status", "", "only those that are enabled, disabled or unverified")
	c.Flags().BoolVar(&failing, "failing", false, "only those whose last attempts failed")
	c.Flags().BoolVar(&trouble, "trouble", false, "only those that somebody should look at")
	c.Flags().StringVar(&eventType, "event-type", "", "only those that subscribe to a type")
	c.Flags().StringVar(&q, "q", "", "only those whose URL or description has this text")
	c.Flags().StringToStringVar(&p.Metadata, "metadata", nil, "only those with this metadata: name=value")
	return c
}

func newEndpointsCreate(s *scope) *cobra.Command {
	var b *body
	var self *cobra.Command
	self = one(s.open, s.env, about{
		"create", "Make an endpoint",
		"Makes an endpoint. The answer shows its signing secret, once. Headers, credentials and a secret of your own are given with --json @FILE.",
		"waybill endpoints create --tenant acme --to https://example.com/hooks --event-types 'order.*'\nwaybill endpoints create --tenant acme --json @endpoint.json",
	}, endpointColumns, func(in call) (*client.Endpoint, error) {
		var request client.EndpointCreate
		if err := b.into(self, &request); err != nil {
			return nil, err
		}
		return in.client.CreateEndpoint(in.ctx, in.tenant, request)
	})
	b = addBody(s.env, self, false, append(endpointFields, field{"disabled", "disabled", aYesNo, "make it disabled: its deliveries are held until it is enabled"})...)
	return self
}

func newEndpointsUpdate(s *scope) *cobra.Command {
	var b *body
	var self *cobra.Command
	self = one(s.open, s.env, about{
		"update ENDPOINT", "Change an endpoint", "Changes an endpoint. What is not given stays. Events that are published already keep their retry policy.",
		"waybill endpoints update ep_0197122f3c4b7d1e8f00112233445566 --tenant acme --event-types '*'\nwaybill endpoints update ep_0197122f3c4b7d1e8f00112233445566 --tenant acme --clear filter,retry",
	}, endpointColumns, func(in call) (*client.Endpoint, error) {
		var request client.EndpointPatch
		if err := b.into(self, &request); err != nil {
			return nil, err
		}
		return in.client.UpdateEndpoint(in.ctx, in.tenant, in.args[0], request)
	})
	b = addBody(s.env, self, true, endpointFields...)
	return self
}

func newEndpointsDisable(s *scope) *cobra.Command {
	var reason string
	c := one(s.open, s.env, about{
		"disable ENDPOINT", "Send nothing to an endpoint, and hold its deliveries", "Disables an endpoint. Its deliveries are held, and delivered once it is enabled.",
		"waybill endpoints disable ep_0197122f3c4b7d1e8f00112233445566 --tenant acme --reason 'they asked'",
	}, endpointColumns, func(in call) (*client.Endpoint, error) {
		return in.client.DisableEndpoint(in.ctx, in.tenant, in.args[0], &client.Reason{Reason: maybe(reason)})
	})
	c.Flags().StringVar(&reason, "reason", "", "why, for those who read the log")
	return c
}

func newEndpointsEnable(s *scope) *cobra.Command {
	var test bool
	var eventType string
	c := one(s.open, s.env, about{
		"enable ENDPOINT", "Send to an endpoint again", "Enables an endpoint: what was held for it is delivered. With --test it is enabled only if it accepts a test first.",
		"waybill endpoints enable ep_0197122f3c4b7d1e8f00112233445566 --tenant acme --test",
	}, endpointColumns, func(in call) (*client.Endpoint, error) {
		request := client.EnableEndpoint{Type: maybe(eventType)}
		if test || eventType != "" {
			request.Test = new(true)
		}
		return in.client.EnableEndpoint(in.ctx, in.tenant, in.args[0], &request)
	})
	c.Flags().BoolVar(&test, "test", false, "send a test first, and enable it only if that is accepted")
	c.Flags().StringVar(&eventType, "type", "", "event type of the test")
	return c
}

func newEndpointsTest(s *scope) *cobra.Command {
	var eventType string
	var wait bool
	c := about{
		"test ENDPOINT", "Send a test event to an endpoint", "Sends a test event to an endpoint alone, signed and logged like any other. With --wait it shows what became of it.",
		"waybill endpoints test ep_0197122f3c4b7d1e8f00112233445566 --tenant acme --type order.confirmed --wait",
	}.command(nil)
	format := addFormat(c, formatTable, formatJSON)
	c.Flags().StringVar(&eventType, "type", "", "event type, whose example is sent; the first that it subscribes to where it is left out")
	c.Flags().BoolVar(&wait, "wait", false, "wait for the receiver's answer")
	c.RunE = func(c *cobra.Command, args []string) error {
		w, tenant, err := s.open(c.Context())
		if err != nil {
			return err
		}
		receipt, err := w.TestEndpoint(c.Context(), tenant, args[0], &client.TestEvent{Type: maybe(eventType)})
		if err != nil {
			return explain(err)
		}
		if wait {
			fmt.Fprintf(s.env.Err, "%s is sent.\n", clean(receipt.ID))
			return s.env.awaitDeliveries(c.Context(), w, tenant, receipt.ID, format)
		}
		return s.env.showReceipt(format, receipt)
	}
	return c
}

// newDelete is a command that removes something for good.
func newDelete(s *scope, what, example, loss string, do func(call) error) *cobra.Command {
	var yes bool
	resource := what + "s"
	c := done(s.open, s.env, about{
		"delete " + strings.ToUpper(what), "Delete an " + what, "Deletes an " + what + " for good: " + loss + ". So --yes is required.",
		"waybill " + resource + " delete " + example + " --tenant acme --yes",
	}, "is deleted.", func(in call) error {
		if !yes {
			return Usagef("%s is deleted for good, and %s: say --yes", in.args[0], loss)
		}
		return do(in)
	})
	c.Flags().BoolVar(&yes, "yes", false, "yes, delete it")
	return c
}
