package cli

import (
	"iter"

	"github.com/spf13/cobra"

	"waybill/client"
)

var eventTypeColumns = []column[client.EventType]{
	{"TYPE", false, func(t client.EventType) string { return t.Type }},
	{"SOURCE", false, func(t client.EventType) string { return text(t.Source) }},
	{"DEPRECATED", false, func(t client.EventType) string { return yesNo(t.Deprecated) }},
	{"DESCRIPTION", false, func(t client.EventType) string { return t.Description }},
	{"SCHEMA", true, func(t client.EventType) string { return compact(t.Schema) }},
	{"EXAMPLE", true, func(t client.EventType) string { return compact(t.Example) }},
	{"UPDATED", true, func(t client.EventType) string { return maybeAt(t.UpdatedAt) }},
}

func newEventTypes(e Env) *cobra.Command {
	c := &cobra.Command{
		Use: "event-types", Short: "The catalogue of a tenant",
		Long:    "Shows the event types that a tenant can publish: those of its dialect and its own, which it changes.",
		Example: "  waybill event-types list --tenant acme\n  waybill event-types create order.refunded --tenant acme --description 'an order was paid back'",
	}
	s := newScope(e, c)
	var yes bool
	remove := done(s.open, e, about{
		"delete TYPE", "Remove a type of the tenant's own", "Removes a type of the tenant's own from its catalogue. --yes is required.", "waybill event-types delete order.refunded --tenant acme --yes",
	}, "is deleted.", func(in call) error {
		if !yes {
			return Usagef("%s and its schema are deleted: say --yes", in.args[0])
		}
		return in.client.DeleteEventType(in.ctx, in.tenant, in.args[0])
	})
	remove.Flags().BoolVar(&yes, "yes", false, "yes, delete it")
	c.AddCommand(
		many(s.open, e, about{"list", "List the catalogue", "Lists the event types of a tenant.", "waybill event-types list --tenant acme -o wide"}, eventTypeColumns,
			func(in call, page *int) (iter.Seq2[client.EventType, error], error) {
				return in.client.EventTypes(in.ctx, in.tenant, &client.ListEventTypesParams{Limit: page}), nil
			}),
		one(s.open, e, about{"get TYPE", "Show a type with its schema and example", "Shows a type with its JSON Schema and its example.", "waybill event-types get order.confirmed --tenant acme -o json"}, eventTypeColumns,
			func(in call) (*client.EventType, error) { return in.client.GetEventType(in.ctx, in.tenant, in.args[0]) }),
		newPutEventType(s, about{
			"create TYPE", "Add a type of the tenant's own", "Adds a type of the tenant's own to its catalogue, or replaces it.",
			"waybill event-types create order.refunded --tenant acme --description 'an order was paid back' --schema @refunded.schema.json",
		}),
		newPutEventType(s, about{
			"update TYPE", "Replace a type of the tenant's own", "Replaces a type of the tenant's own. What is not given is gone.",
			"waybill event-types update order.refunded --tenant acme --description 'an order was paid back' --deprecated",
		}),
		remove,
	)
	return MakeParent(c)
}

func newPutEventType(s *scope, a about) *cobra.Command {
	var b *body
	var self *cobra.Command
	self = one(s.open, s.env, a, eventTypeColumns, func(in call) (*client.EventType, error) {
		var request client.EventTypePut
		if err := b.into(self, &request); err != nil {
			return nil, err
		}
		return in.client.PutEventType(in.ctx, in.tenant, in.args[0], request)
	})
	b = addBody(s.env, self, false,
		field{"description", "description", aText, "what it says"},
		field{"schema", "schema", aValue, "JSON Schema of the data: JSON, @FILE, or - for the standard input"},
		field{"example", "example", aValue, `an example: '{"data":{...}}'`},
		field{"deprecated", "deprecated", aYesNo, "tell people not to use it any more"},
	)
	return self
}
