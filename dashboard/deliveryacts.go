package dashboard

import (
	"fmt"
	"net/http"

	"waybill/webhook"
)

// askRetry is GET /tenants/{tenant}/deliveries/{delivery}/retry.
func askRetry(c *call) error {
	return c.askOf("retry", nil)
}

// retryDelivery is POST /tenants/{tenant}/deliveries/{delivery}/retry.
func retryDelivery(c *call) error {
	return c.actOn("retry", "The delivery is sent again now.")
}

// askCancel is GET /tenants/{tenant}/deliveries/{delivery}/cancel.
func askCancel(c *call) error {
	return c.askOf("cancel", nil)
}

// cancelDelivery is POST /tenants/{tenant}/deliveries/{delivery}/cancel.
func cancelDelivery(c *call) error {
	return c.actOn("cancel", "The delivery is canceled.")
}

// askOf asks before an act on a delivery. p is why the act was refused, nil before it was tried.
func (c *call) askOf(act string, p *problem) error {
	var d webhook.Delivery
	if err := c.get(c.path("deliveries", c.part("delivery")), nil, &d); err != nil {
		return err
	}
	q := confirmation{
		Title: "Retry this delivery", Effects: retryEffects(&d), Button: "Retry",
		Fields:  []confirmField{{Kind: "text", Name: "reason", Value: c.r.PostFormValue("reason"), Label: "Reason (optional)", Hint: "It stands in the audit."}},
		Problem: p, Action: c.Href("deliveries", d.ID.String(), act), Back: c.Href("deliveries", d.ID.String()),
	}
	if act == "cancel" {
		q.Title, q.Button, q.Danger = "Cancel this delivery", "Cancel the delivery", true
		q.Effects = []string{
			fmt.Sprintf("1 delivery of the event %s is canceled after %s. No attempt follows by itself.", d.EventID, plural(d.Attempts, "attempt")),
			"A request that is under way at this moment is not called back. You can retry the delivery later.",
		}
	}
	return c.confirm("deliveries", q)
}

// retryEffects say what a retry does.
func retryEffects(d *webhook.Delivery) []string {
	same := "The receiver gets the same bytes under the same ids, newly signed. If it acted on them before, it should notice that by the id."
	switch {
	case d.Test && d.Status.Settled():
		return []string{"The delivery is a test, which is sent once. Test the endpoint again instead."}
	case d.Status.Settled():
		return []string{
			fmt.Sprintf("The delivery is opened again: attempt %d is made now, and if it fails the whole retry policy follows.", d.Attempts+1), same,
		}
	case d.Status == webhook.StatusHeld:
		return []string{"The delivery is held, because its endpoint is disabled. It goes on by itself once the endpoint is enabled; until then a retry is refused."}
	default:
		return []string{fmt.Sprintf("Attempt %d is made now, in addition to the schedule: the retry policy does not count it.", d.Attempts+1), same}
	}
}

// actOn does it.
func (c *call) actOn(act, done string) error {
	in := map[string]string{"reason": c.r.PostFormValue("reason")}
	err := c.send(http.MethodPost, c.path("deliveries", c.part("delivery"), act), in, nil)
	if p := mendable(err); p != nil {
		return c.askOf(act, p)
	}
	if err != nil {
		return err
	}
	return c.done(c.Href("deliveries", c.part("delivery")), "%s", done)
}
