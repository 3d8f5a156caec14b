package dashboard

import (
	"net/http"
	"net/url"
	"time"

	"waybill/webhook"
)

// attemptsOf returns the first attempts of a delivery, by number. A test has one.
func (c *call) attemptsOf(delivery string) ([]attempt, error) {
	var found list[attempt]
	err := c.get(c.path("deliveries", delivery, "attempts"), url.Values{"limit": {"200"}}, &found)
	return found.Data, err
}

// testPage is a test of an endpoint: what to send, and the answer to what was sent.
type testPage struct {
	Endpoint *endpoint
	Types    []eventType
	// Type and Secret are what was chosen.
	Type, Secret string
	Problem      *problem
	// Delivery is what was sent; nil: nothing yet. Attempt is nil until it has an answer.
	Delivery *webhook.Delivery
	Attempt  *attempt
}

// Waits reports whether an answer is still to come.
func (p *testPage) Waits() bool {
	return p.Delivery != nil && p.Attempt == nil && !p.Delivery.Status.Settled()
}

// testLateAfter is how long a test may wait before the page says that this is not usual. A receiver may take a minute.
const testLateAfter = 10 * time.Second

// Late reports whether the answer is awaited for long.
func (p *testPage) Late(c *call) bool { return c.now.Sub(p.Delivery.CreatedAt) > testLateAfter }

func (p *testPage) show(c *call) error {
	types, err := c.eventTypes()
	if err != nil {
		return err
	}
	p.Types = wanted(types, p.Endpoint)
	v := view{Title: "Test an endpoint", Section: "endpoints", Data: p}
	if p.Problem != nil {
		v.Status = p.Problem.Status
	}
	return c.show("endpoint-test", v)
}

// showEndpointTest is GET .../endpoints/{endpoint}/test, and with a delivery below it the answer to that test.
func showEndpointTest(c *call) error {
	e, err := c.findEndpoint()
	if err != nil {
		return err
	}
	p := &testPage{Endpoint: e, Type: c.Query("type"), Secret: c.Query("secret")}
	id := c.part("delivery")
	if id == "" {
		return p.show(c)
	}
	p.Delivery = &webhook.Delivery{}
	if err := c.get(c.path("deliveries", id), nil, p.Delivery); err != nil {
		return err
	}
	p.Type = p.Delivery.EventType
	if p.Delivery.Attempts > 0 {
		attempts, err := c.attemptsOf(id)
		if err != nil {
			return err
		}
		if len(attempts) > 0 {
			p.Attempt = &attempts[len(attempts)-1]
		}
	}
	return p.show(c)
}

// testEndpoint is POST .../endpoints/{endpoint}/test.
func testEndpoint(c *call) error {
	e, err := c.findEndpoint()
	if err != nil {
		return err
	}
	p := &testPage{Endpoint: e, Type: c.r.PostFormValue("type"), Secret: c.r.PostFormValue("secret")}
	in := map[string]any{"type": text(p.Type), "secret": text(p.Secret)}
	var receipt struct {
		Deliveries []struct {
			ID string `json:"id"`
		} `json:"deliveries"`
	}
	err = c.send(http.MethodPost, c.path("endpoints", e.ID.String(), "test"), in, &receipt)
	if p.Problem = mendable(err); p.Problem != nil {
		return p.show(c)
	}
	if err != nil {
		return err
	}
	if len(receipt.Deliveries) == 0 { // deleted in between
		return c.redirect(c.Href("endpoints"))
	}
	return c.redirect(c.Href("endpoints", e.ID.String(), "test", receipt.Deliveries[0].ID) + chosenSecret(p.Secret))
}

// chosenSecret keeps the choice for the next test.
func chosenSecret(secret string) string {
	if secret == "" {
		return ""
	}
	return "?" + url.Values{"secret": {secret}}.Encode()
}
