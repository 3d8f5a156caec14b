package dashboard

import (
	"net/http"
	"net/url"

	"waybill/webhook"
)

// recovery is a recovery as the API shows it.
type recovery struct{ webhook.Recovery }

// Running reports whether it goes on.
func (r *recovery) Running() bool { return r.Status == webhook.RecoveryRunning }

// Attempted is how many of those that were sent have been attempted.
func (r *recovery) Attempted() int64 { return r.Delivered + r.Failed }

// Waiting is how many are in the queue, or will be put there.
func (r *recovery) Waiting() int64 { return max(r.Matched-r.Attempted(), 0) }

// listRecoveries is GET .../recoveries.
func listRecoveries(c *call) error {
	query := url.Values{}
	for _, name := range []string{"endpoint", "cursor"} {
		if value := c.Query(name); value != "" {
			query.Set(name, value)
		}
	}
	var found list[recovery]
	if err := c.get(c.path("recoveries"), query, &found); err != nil {
		return err
	}
	return c.show("recoveries", view{Title: "Recoveries", Section: "recoveries", Data: found})
}

func (c *call) findRecovery() (*recovery, error) {
	var r recovery
	return &r, c.get(c.path("recoveries", c.part("recovery")), nil, &r)
}

// showRecovery is GET .../recoveries/{recovery}.
func showRecovery(c *call) error {
	r, err := c.findRecovery()
	if err != nil {
		return err
	}
	return c.show("recovery", view{Title: "Recovery", Section: "recoveries", Data: r})
}

// askCancelRecovery is GET .../recoveries/{recovery}/cancel.
func askCancelRecovery(c *call) error { return c.confirmCancelRecovery(nil) }

func (c *call) confirmCancelRecovery(wrong *problem) error {
	r, err := c.findRecovery()
	if err != nil {
		return err
	}
	path := c.Href("recoveries", r.ID.String())
	return c.confirm("recoveries", confirmation{
		Title: "Cancel this recovery?", Button: "Cancel the recovery", Danger: true, Action: path + "/cancel", Back: path, Problem: wrong,
		Effects: []string{are(int(r.Waiting()), "delivery that waits is not sent", "deliveries that wait are not sent"),
			"What it has sent already stays as it is. A later recovery can send the rest."},
	})
}

// cancelRecovery is POST .../recoveries/{recovery}/cancel.
func cancelRecovery(c *call) error {
	id := c.part("recovery")
	err := c.send(http.MethodPost, c.path("recoveries", id, "cancel"), nil, nil)
	if p := mendable(err); p != nil {
		return c.confirmCancelRecovery(p)
	}
	if err != nil {
		return err
	}
	return c.done(c.Href("recoveries", id), "The recovery is canceled.")
}
