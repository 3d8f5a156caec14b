package dashboard

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"waybill/webhook"
)

// attempt is an attempt as the API shows it.
type attempt struct {
	ID webhook.AttemptID `json:"id"`
	webhook.AttemptSummary
	URL                  string            `json:"url"`
	SignedWith           []string          `json:"signed_with"`
	RequestHeaders       map[string]string `json:"request_headers"`
	RequestBody          *string           `json:"request_body"`
	RequestBodyEncoding  string            `json:"request_body_encoding"`
	ResponseHeaders      map[string]string `json:"response_headers"`
	ResponseBody         string            `json:"response_body"`
	ResponseBodyEncoding string            `json:"response_body_encoding"`
	ResponseTruncated    bool              `json:"response_truncated"`
}

// deliveryPage is a delivery with its story.
type deliveryPage struct {
	webhook.Delivery
	// Endpoint is nil when it was deleted.
	Endpoint *endpointName
	Story    []step
	// More is where the list of attempts goes on.
	More string
	// Shown is the attempt whose request and answer the page shows; nil before the first one.
	Shown *shownAttempt
	// Workflow and Queue are addresses in Temporal's Web UI, for operators.
	Workflow, Queue string
}

// step is an attempt in the time line.
type step struct {
	*attempt
	// Gap is the time from the end of the attempt before, or from the publication.
	Gap   time.Duration
	First bool
	// Shown says that the page shows this attempt below.
	Shown bool
}

// Good reports whether the receiver acknowledged.
func (s *step) Good() bool { return s.Outcome == webhook.OutcomeDelivered }

// Gone reports whether the endpoint was deleted.
func (p *deliveryPage) Gone() bool { return p.Endpoint == nil }

// Open reports whether attempts may follow.
func (p *deliveryPage) Open() bool { return !p.Status.Settled() }

// Retryable reports whether a retry may be asked for: a test is not opened again, a held one waits for its endpoint, and an endpoint that
// was deleted gets nothing.
func (p *deliveryPage) Retryable() bool {
	return p.Endpoint != nil && !p.Test && p.Status != webhook.StatusHeld && p.Attempts < webhook.MaxAttempts
}

// maxSteps bounds the time line of one page.
const maxSteps = 100

// showDelivery is GET /tenants/{tenant}/deliveries/{delivery}. The parameter attempt chooses the one whose request and answer are shown;
// without it, it is the latest.
func showDelivery(c *call) error {
	page := &deliveryPage{}
	if err := c.get(c.path("deliveries", c.part("delivery")), nil, &page.Delivery); err != nil {
		return err
	}
	names := endpointNames{}
	if err := names.learn(c, []webhook.EndpointID{page.EndpointID}); err != nil {
		return err
	}
	page.Endpoint = names[page.EndpointID]
	if err := c.readStory(page); err != nil {
		return err
	}
	if c.Operator() && c.opts.TemporalURL != "" {
		page.Workflow = c.workflowURL(c.Tenant.ID + "/" + page.EventID)
		if page.Open() {
			page.Queue = c.workflowURL(c.Tenant.ID + "/queue/" + page.EndpointID.String())
		}
	}
	return c.show("delivery", view{Title: "Delivery", Section: "deliveries", Scripts: []string{"deliveries.js"}, Data: page})
}

// readStory reads the attempts, and the one that is shown whole.
func (c *call) readStory(page *deliveryPage) error {
	query := url.Values{"limit": {strconv.Itoa(maxSteps)}}
	if cursor := c.Query("cursor"); cursor != "" {
		query.Set("cursor", cursor)
	}
	var found list[attempt]
	if err := c.get(c.path("deliveries", page.ID.String(), "attempts"), query, &found); err != nil {
		return err
	}
	page.More = found.NextCursor
	chosen := c.Query("attempt")
	if n := len(found.Data); chosen == "" && n > 0 {
		chosen = found.Data[n-1].ID.String()
	}
	before := page.CreatedAt
	for i := range found.Data {
		a := &found.Data[i]
		s := step{attempt: a, Gap: a.StartedAt.Sub(before), First: a.Number == 1, Shown: a.ID.String() == chosen}
		if i == 0 && !s.First {
			s.Gap = 0 // the attempt before is on another page
		}
		page.Story = append(page.Story, s)
		before = a.StartedAt.Add(time.Duration(a.DurationMS) * time.Millisecond)
	}
	if chosen == "" {
		return nil
	}
	shown, err := c.readAttempt(page.ID.String(), chosen)
	page.Shown = shown
	return err
}

// shownAttempt is an attempt with its bodies as a page shows them.
type shownAttempt struct {
	*attempt
	Request, Response *body
	Curl              *curl
}

func (c *call) readAttempt(delivery, id string) (*shownAttempt, error) {
	var a attempt
	if err := c.get(c.path("deliveries", delivery, "attempts", id), nil, &a); err != nil {
		return nil, err
	}
	shown := &shownAttempt{attempt: &a}
	href := func(side string) string { return c.Href("deliveries", delivery, "attempts", id, side+"-body") }
	if a.RequestBody != nil {
		sent, err := decodeBody(*a.RequestBody, a.RequestBodyEncoding)
		if err != nil {
			return nil, err
		}
		shown.Request, shown.Curl = newBody(sent, href("request")), curlOf(&a, sent)
	}
	got, err := decodeBody(a.ResponseBody, a.ResponseBodyEncoding)
	if err != nil {
		return nil, err
	}
	shown.Response = newBody(got, href("response"))
	shown.Response.Partial = a.ResponseTruncated
	return shown, nil
}

// showBody is GET .../attempts/{attempt}/request-body and response-body: the bytes as they are, to keep as a file. No browser shows them.
func showBody(c *call) error {
	var a attempt
	if err := c.get(c.path("deliveries", c.part("delivery"), "attempts", c.part("attempt")), nil, &a); err != nil {
		return err
	}
	text, encoding := a.ResponseBody, a.ResponseBodyEncoding
	if c.part("side") == "request" {
		if a.RequestBody == nil {
			return notFound("The event of this delivery is no longer stored, so that there is no body.")
		}
		text, encoding = *a.RequestBody, a.RequestBodyEncoding
	}
	content, err := decodeBody(text, encoding)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Disposition", `attachment; filename="`+a.ID.String()+"-"+c.part("side")+`.txt"`)
	return c.write(http.StatusOK, "text/plain; charset=utf-8", content)
}

// workflowURL is where Temporal's Web UI shows a workflow. An id has slashes, which are no separators there.
func (c *call) workflowURL(id string) string {
	return c.opts.TemporalURL + "/namespaces/" + url.PathEscape(c.opts.TemporalNamespace) + "/workflows/" + url.PathEscape(id)
}
