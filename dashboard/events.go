package dashboard

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"waybill/webhook"
)

// eventRoutes are the pages of events and event types.
func eventRoutes() []route {
	return []route{
		{"GET", tenantPath + "/events", ofTenant, listEvents},
		{"GET", tenantPath + "/publish", publishers, askPublish},
		{"POST", tenantPath + "/publish", publishers, publishEvent},
		{"GET", tenantPath + "/events/{event}", ofTenant, showEvent},
		{"GET", tenantPath + "/events/{event}/data", ofTenant, downloadEvent},
		{"GET", tenantPath + "/events/{event}/erase", tenantKeys, askEraseEvent},
		{"POST", tenantPath + "/events/{event}/erase", tenantKeys, eraseEvent},
		{"GET", tenantPath + "/event-types", ofTenant, listEventTypes},
		{"GET", tenantPath + "/new-event-type", tenantKeys, askEventType},
		{"POST", tenantPath + "/new-event-type", tenantKeys, saveEventType},
		{"GET", tenantPath + "/event-types/{type}", ofTenant, showEventType},
		{"GET", tenantPath + "/event-types/{type}/edit", tenantKeys, editEventType},
		{"GET", tenantPath + "/event-types/{type}/delete", tenantKeys, askDeleteEventType},
		{"POST", tenantPath + "/event-types/{type}/delete", tenantKeys, deleteEventType},
	}
}

// event is an event as the API shows it. A list leaves Data out.
type event struct {
	ID         string            `json:"id"`
	Type       string            `json:"type"`
	OccurredAt time.Time         `json:"occurred_at"`
	Attributes map[string]string `json:"attributes"`
	Metadata   map[string]string `json:"metadata"`
	Test       bool              `json:"test"`
	Data       json.RawMessage   `json:"data"`
	CreatedAt  time.Time         `json:"created_at"`
	ErasedAt   *time.Time        `json:"erased_at"`
}

// Text is the data as a page shows it. The rest is a download away.
func (e *event) Text() string { return visible(cutText(maxShownBytes, pretty(string(e.Data)))) }

// Cut reports whether the page shows a part of the data only.
func (e *event) Cut() bool { return len(pretty(string(e.Data))) > maxShownBytes }

// eventsPage is a page of the list of events.
type eventsPage struct {
	list[event]
	Problem  *problem
	Filtered bool
	Types    []eventType
	// Attributes are those that events may be looked for by; none: any.
	Attributes []string
}

// listEvents is GET /tenants/{tenant}/events. An event's id leads to its page.
func listEvents(c *call) error {
	if id := strings.TrimSpace(c.Query("id")); id != "" {
		return c.redirect(c.Href("events", id))
	}
	query := c.page()
	if text := c.Query("type"); text != "" {
		query.Set("type", text)
	}
	for _, name := range []string{"since", "until"} {
		if text := c.Query(name); text != "" {
			query.Set(name, inUTC(text))
		}
	}
	if name, value := c.Query("attribute"), c.Query("value"); name != "" && value != "" {
		query.Set("attribute."+name, value)
	}
	p := eventsPage{Attributes: slices.Sorted(maps.Keys(c.Dialect.Attributes))}
	for name := range query {
		p.Filtered = p.Filtered || name != "cursor"
	}
	err := c.get(c.path("events"), query, &p.list)
	if p.Problem = mendable(err); err != nil && p.Problem == nil {
		return err
	}
	if p.Types, err = c.eventTypes(); err != nil {
		return err
	}
	return c.show("events", view{Title: "Events", Section: "events", Status: p.Problem.status(), Data: &p})
}

// eventPage is what the page of an event shows.
type eventPage struct {
	Event      *event
	Deliveries list[webhook.Delivery]
	// Endpoints are those of the deliveries.
	Endpoints endpointNames
}

func (c *call) findEvent() (*event, error) {
	var e event
	return &e, c.get(c.path("events", c.part("event")), nil, &e)
}

// showEvent is GET /tenants/{tenant}/events/{event}.
func showEvent(c *call) error {
	e, err := c.findEvent()
	if err != nil {
		return err
	}
	p := eventPage{Event: e}
	if err := c.get(c.path("events", e.ID, "deliveries"), c.page(), &p.Deliveries); err != nil {
		return err
	}
	ids := make([]webhook.EndpointID, len(p.Deliveries.Data))
	for i := range ids {
		ids[i] = p.Deliveries.Data[i].EndpointID
	}
	p.Endpoints = endpointNames{}
	if err := p.Endpoints.learn(c, ids); err != nil {
		return err
	}
	return c.show("event", view{Title: "Event " + e.ID, Section: "events", Data: &p})
}

// downloadEvent is GET .../events/{event}/data: the data as it was published, for a file, never for a browser to run.
func downloadEvent(c *call) error {
	e, err := c.findEvent()
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Disposition", `attachment; filename="event.json"`)
	return c.write(http.StatusOK, "text/plain; charset=utf-8", e.Data)
}

// askEraseEvent is GET .../events/{event}/erase.
func askEraseEvent(c *call) error {
	e, err := c.findEvent()
	if err != nil {
		return err
	}
	open := url.Values{"status": {"pending,retrying,held"}, "limit": {"200"}}
	var waiting list[webhook.Delivery]
	if err := c.get(c.path("events", e.ID, "deliveries"), open, &waiting); err != nil {
		return err
	}
	canceled := plural(len(waiting.Data), "delivery is canceled")
	if n := len(waiting.Data); n != 1 {
		canceled = count(n) + " deliveries are canceled"
	}
	if waiting.NextCursor != "" {
		canceled = "More than 200 deliveries are canceled"
	}
	return c.confirm("events", confirmation{
		Title: "Erase this event?", Button: "Erase", Danger: true, Action: c.Href("events", e.ID, "erase"), Back: c.Href("events", e.ID),
		Effects: []string{
			canceled + ". What the event says, its attributes, and the recorded requests and answers are deleted; the ids stay in the log.",
			"This cannot be undone.",
		},
	})
}

// eraseEvent is POST .../events/{event}/erase.
func eraseEvent(c *call) error {
	if err := c.send(http.MethodDelete, c.path("events", c.part("event")), nil, nil); err != nil {
		return err
	}
	return c.done(c.Href("events", c.part("event")), "The event is erased.")
}
