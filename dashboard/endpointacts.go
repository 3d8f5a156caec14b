package dashboard

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// back is the page of an endpoint.
func (c *call) back(e *endpoint) string { return c.Href("endpoints", e.ID.String()) }

// waits reports what an endpoint's deliveries do at this moment.
func (c *call) waits(e *endpoint) (*endpointStats, error) {
	return c.findEndpointStats(e.ID, "1h")
}

// askDisable is GET .../endpoints/{endpoint}/disable.
func askDisable(c *call) error { return c.confirmDisable(nil) }

func (c *call) confirmDisable(wrong *problem) error {
	e, err := c.findEndpoint()
	if err != nil {
		return err
	}
	now, err := c.waits(e)
	if err != nil {
		return err
	}
	held := "What is published from now on is held too."
	if hold := c.Dialect.HoldFor.Std(); hold > 0 {
		held += " What is held is canceled after " + spell(hold) + "."
	}
	return c.confirm("endpoints", confirmation{
		Title: "Disable this endpoint?", Button: "Disable it", Danger: true, Action: c.back(e) + "/disable", Back: c.back(e), Problem: wrong,
		Effects: []string{e.URL + " gets nothing until somebody enables it.", are(now.Waiting(), "delivery that is under way is held", "deliveries that are under way are held"), held},
		Fields:  []confirmField{{Kind: "text", Name: "reason", Label: "Reason", Hint: "Whoever looks at the endpoint sees it.", Value: c.r.PostFormValue("reason")}},
	})
}

// disableEndpoint is POST .../endpoints/{endpoint}/disable.
func disableEndpoint(c *call) error {
	path := []string{"endpoints", c.part("endpoint")}
	reason := cmp.Or(strings.TrimSpace(c.r.PostFormValue("reason")), "disabled in the dashboard")
	err := c.send(http.MethodPost, c.path(append(path, "disable")...), map[string]any{"reason": reason}, nil)
	if p := mendable(err); p != nil {
		return c.confirmDisable(p)
	}
	if err != nil {
		return err
	}
	return c.done(c.Href(path...), "The endpoint is disabled.")
}

// askEnable is GET .../endpoints/{endpoint}/enable.
func askEnable(c *call) error { return c.confirmEnable(nil) }

func (c *call) confirmEnable(wrong *problem) error {
	e, err := c.findEndpoint()
	if err != nil {
		return err
	}
	now, err := c.waits(e)
	if err != nil {
		return err
	}
	tested, see := "true", ""
	if wrong != nil {
		tested = c.r.PostFormValue("test")
		if test := deliveryID.FindString(wrong.Detail); test != "" {
			see = c.Href("endpoints", e.ID.String(), "test", test)
		}
	}
	return c.confirm("endpoints", confirmation{
		Title: "Enable this endpoint?", Button: "Enable it", Action: c.back(e) + "/enable", Back: c.back(e), Problem: wrong, See: see,
		Effects: []string{e.URL + " gets its deliveries again.", are(now.Deliveries.Held, "held delivery is sent, at the pace that the receiver keeps up with", "held deliveries are sent, at the pace that the receiver keeps up with")},
		Fields:  []confirmField{{Kind: "checkbox", Name: "test", Label: "Send a test first, and enable only if the receiver accepts it", Value: tested}},
	})
}

// deliveryID finds the test of which a refusal tells.
var deliveryID = regexp.MustCompile(`dlv_[0-9a-f]{32}`)

// enableEndpoint is POST .../endpoints/{endpoint}/enable.
func enableEndpoint(c *call) error {
	path := []string{"endpoints", c.part("endpoint")}
	test := c.r.PostFormValue("test") == "true"
	err := c.send(http.MethodPost, c.path(append(path, "enable")...), map[string]any{"test": test}, nil)
	if p := mendable(err); p != nil {
		return c.confirmEnable(p)
	}
	if err != nil {
		return err
	}
	if test {
		return c.done(c.Href(path...), "The receiver accepted the test, and the endpoint is enabled.")
	}
	return c.done(c.Href(path...), "The endpoint is enabled.")
}

// askVerify is GET .../endpoints/{endpoint}/verify.
func askVerify(c *call) error { return c.confirmVerify(nil) }

func (c *call) confirmVerify(wrong *problem) error {
	e, err := c.findEndpoint()
	if err != nil {
		return err
	}
	how := "Waybill posts a random token in JSON; the receiver's answer must repeat it."
	if e.Verification != nil && e.Verification.Origin != "" {
		how = "Waybill sends an OPTIONS request that names " + e.Verification.Origin + "; the receiver's answer must allow it, as CloudEvents says."
	}
	return c.confirm("endpoints", confirmation{
		Title: "Ask the receiver whether it wants the deliveries?", Button: "Ask it now", Action: c.back(e) + "/verify", Back: c.back(e), Problem: wrong,
		Effects: []string{how, "Once it has, the endpoint is enabled, and what was held is sent."},
	})
}

// verifyEndpoint is POST .../endpoints/{endpoint}/verify.
func verifyEndpoint(c *call) error {
	path := []string{"endpoints", c.part("endpoint")}
	err := c.send(http.MethodPost, c.path(append(path, "verify")...), nil, nil)
	if p := mendable(err); p != nil {
		return c.confirmVerify(p)
	}
	if err != nil {
		return err
	}
	return c.done(c.Href(path...), "The receiver has proven that it wants the deliveries.")
}

// askDeleteEndpoint is GET .../endpoints/{endpoint}/delete.
func askDeleteEndpoint(c *call) error {
	e, err := c.findEndpoint()
	if err != nil {
		return err
	}
	now, err := c.waits(e)
	if err != nil {
		return err
	}
	return c.confirm("endpoints", confirmation{
		Title: "Delete this endpoint?", Button: "Delete it", Danger: true, Action: c.back(e) + "/delete", Back: c.back(e),
		Effects: []string{e.URL + " gets nothing more. This cannot be undone.",
			are(now.Waiting()+now.Deliveries.Held, "delivery that waits is canceled", "deliveries that wait are canceled"), "Its log stays."},
	})
}

// deleteEndpoint is POST .../endpoints/{endpoint}/delete.
func deleteEndpoint(c *call) error {
	if err := c.send(http.MethodDelete, c.path("endpoints", c.part("endpoint")), nil, nil); err != nil {
		return err
	}
	return c.done(c.Href("endpoints"), "The endpoint is deleted.")
}

// are says what happens to a number of things.
func are(n int, one, many string) string {
	switch n {
	case 0:
		return "Nothing waits at this moment."
	case 1:
		return "1 " + one + "."
	default:
		return fmt.Sprintf("%s %s.", count(n), many)
	}
}
