package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"waybill/client"
)

func newPublish(e Env) *cobra.Command {
	var idempotencyKey string
	var wait bool
	c := about{
		"publish", "Publish an event",
		"Publishes an event to a tenant, and tells its id and the deliveries that it has. With --id the same call can be repeated, and nothing is " +
			"published twice. With --wait it waits until each delivery is settled or held, shows them, and exits with 1 unless all are delivered.",
		"waybill publish --tenant acme --type order.confirmed --data '{\"order\": 1001}'\n" +
			"waybill publish --tenant acme --type order.confirmed --data @order.json --id order-1001 --wait\n" +
			"cat order.json | waybill publish --tenant acme --type order.confirmed --data -",
	}.command(nil)
	s := newScope(e, c)
	b := addBody(e, c, false,
		field{"type", "type", aText, "event type, such as order.confirmed"},
		field{"data", "data", aValue, "the event's data: JSON, @FILE, or - for the standard input"},
		field{"id", "id", aText, "id of the event; a random one where it is left out"},
		field{"occurred-at", "occurred_at", aText, "when it happened, such as 2026-05-27T14:32:00Z; now where it is left out"},
		field{"attribute", "attributes", aMap, "what filters refer to: name=value, several by commas"},
		field{"metadata", "metadata", aMap, "names and values of your own: name=value, several by commas"},
	)
	c.Flags().StringVar(&idempotencyKey, "idempotency-key", "", "repeat the call under this key without publishing twice; --id does the same")
	c.Flags().BoolVar(&wait, "wait", false, "wait until each delivery is settled or held")
	format := addFormat(c, formatTable, formatJSON)
	c.RunE = func(c *cobra.Command, _ []string) error {
		event, err := newEvent(c, b)
		if err != nil {
			return err
		}
		w, tenant, err := s.open(c.Context())
		if err != nil {
			return err
		}
		var header http.Header
		again := firstOf(idempotencyKey, rand.Text())
		receipt, err := w.PublishEvent(c.Context(), tenant, *event, client.WithAnswerHeader(&header), client.WithIdempotencyKey(again))
		if err != nil {
			return explainPublish(err, again)
		}
		if header.Get("Idempotent-Replayed") == "true" {
			fmt.Fprintln(e.Err, "It had been published before; this is its receipt.")
		}
		if wait {
			fmt.Fprintf(e.Err, "%s is published, with %s.\n", clean(receipt.ID), counted(len(receipt.Deliveries), "delivery", "deliveries"))
			return e.awaitDeliveries(c.Context(), w, tenant, receipt.ID, format)
		}
		return e.showReceipt(format, receipt)
	}
	return c
}

// explainPublish is explain, and tells how to publish again where nobody knows whether it was published.
func explainPublish(err error, idempotencyKey string) error {
	var answered *client.Error
	var dial *net.OpError
	refused := errors.As(err, &answered) && answered.Status < http.StatusInternalServerError
	if refused || errors.As(err, &dial) && dial.Op == "dial" {
		return explain(err)
	}
	return fmt.Errorf("%w\n  It may be published all the same. The same call with --idempotency-key %s publishes it if it is not", explain(err), clean(idempotencyKey))
}

// newEvent reads an event from flags. Its numbers stay as they are written.
func newEvent(c *cobra.Command, b *body) (*client.EventCreate, error) {
	var parts struct {
		client.EventCreate
		Data json.RawMessage `json:"data"`
	}
	if err := b.into(c, &parts); err != nil {
		return nil, err
	}
	event := parts.EventCreate
	event.Data = parts.Data
	switch {
	case event.Type == "":
		return nil, Usagef("--type is missing: the event's type, such as order.confirmed")
	case parts.Data == nil:
		return nil, Usagef("--data is missing: JSON, @FILE, or - for the standard input")
	}
	return &event, nil
}

// showReceipt writes what became of a publication.
func (e Env) showReceipt(format *Format, r *client.Receipt) error {
	if format.JSON() {
		return WriteJSON(e.Out, r)
	}
	fmt.Fprintf(e.Out, "%s is published, with %s.\n", clean(r.ID), counted(len(r.Deliveries), "delivery", "deliveries"))
	if r.RuledOut != nil {
		fmt.Fprintln(e.Out, nobody(r.RuledOut))
	}
	t := newTable(e.Out)
	for _, d := range r.Deliveries {
		t.row(d.ID, d.EndpointID)
	}
	return t.end()
}

// nobody says why an event has no deliveries.
func nobody(r *client.RuledOut) string {
	var because []string
	if r.ByType > 0 {
		because = append(because, counted(r.ByType, "endpoint does", "endpoints do")+" not subscribe to its type")
	}
	if r.ByFilter > 0 {
		because = append(because, counted(r.ByFilter, "endpoint has a filter that does", "endpoints have filters that do")+" not let it through")
	}
	if because == nil {
		because = []string{"the tenant has no endpoints"}
	}
	return "Nobody gets it: " + strings.Join(because, ", and ") + "."
}

func counted(n int, singular, plural string) string {
	if n == 1 {
		return "1 " + singular
	}
	return fmt.Sprintf("%d %s", n, plural)
}

// awaitDeliveries waits until each delivery of an event is settled or held, and shows them. It fails when one did not arrive.
func (e Env) awaitDeliveries(ctx context.Context, w *client.Client, tenant, event string, format *Format) error {
	var all []client.Delivery
	failed := 0
	err := e.await(ctx, func() (ended bool, says string, err error) {
		all, failed = nil, 0
		waits := 0
		for d, err := range w.EventDeliveries(ctx, tenant, event, &client.ListEventDeliveriesParams{Limit: new(maxPage)}) {
			if err != nil {
				return false, "", err
			}
			all = append(all, d)
			switch d.Status {
			case "pending", "retrying":
				waits++
			case "delivered":
			default:
				failed++
			}
		}
		return waits == 0, fmt.Sprintf("%d of %d deliveries are settled", len(all)-waits, len(all)), nil
	})
	if err != nil {
		return err
	}
	return e.showDeliveries(format, all, failed)
}

func (e Env) showDeliveries(format *Format, all []client.Delivery, failed int) error {
	var err error
	if format.JSON() {
		err = WriteJSON(e.Out, all)
	} else {
		t := newListTable(e, false, deliveryColumns)
		for _, d := range all {
			_ = t.item(d) // never fails
		}
		err = t.end()
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%s not delivered", counted(failed, "delivery is", "deliveries are"))
	}
	return err
}
