package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"waybill/client"
)

// newTrigger returns the command that publishes the catalogue's example of an event type.
func newTrigger(e Env) *cobra.Command {
	id := ""
	c := &cobra.Command{
		Use:   "trigger TYPE",
		Short: "Publish the example of an event type",
		Long: "Publishes the example that the tenant's catalogue has of an event type, as a real event: every endpoint that subscribes gets it.\n\n" +
			"'waybill event-types list' shows the types. To send to one endpoint alone, and as a test, use 'waybill endpoints test'.",
		Example: "  waybill trigger item.sold --tenant shop",
		Args:    Arguments("TYPE"),
	}
	format, scope := AddFormat(c), newScope(e, c)
	c.Flags().StringVar(&id, "id", "", "the event's `id`; a new one without it")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, tenant, err := scope.open(c.Context())
		if err != nil {
			return err
		}
		known, err := api.GetEventType(c.Context(), tenant, args[0])
		switch {
		case client.HasCode(err, client.ErrorCodeNotFound):
			return fmt.Errorf("%w\n  'waybill event-types list --tenant %s' shows what the catalogue has, and 'waybill publish' takes a type and data of your own", explain(err), tenant)
		case err != nil:
			return explain(err)
		case known.Example == nil:
			return fmt.Errorf("the catalogue of %s has no example of %s: 'waybill publish' takes data of your own", tenant, args[0])
		}
		event := client.EventCreate{Type: args[0], Data: known.Example.Data, Attributes: known.Example.Attributes}
		if id != "" {
			event.ID = &id
		}
		receipt, err := api.PublishEvent(c.Context(), tenant, event)
		if err != nil {
			return explain(err)
		}
		if format.JSON() {
			return WriteJSON(c.OutOrStdout(), receipt)
		}
		fmt.Fprintf(c.OutOrStdout(), "%s %s is published, to %s\n", args[0], clean(receipt.ID), counted(len(receipt.Deliveries), "endpoint", "endpoints"))
		if receipt.RuledOut != nil {
			fmt.Fprintln(c.OutOrStdout(), nobody(receipt.RuledOut))
		}
		return nil
	}
	return c
}
