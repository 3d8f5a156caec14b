package dashboard

import (
	"net/http"
	"net/url"
	"time"
)

// instance is how all of Waybill does, as GET /v1/status tells.
type instance struct {
	Version string `json:"version"`
	Backlog struct {
		Events   *int       `json:"events"`
		OldestAt *time.Time `json:"oldest_at"`
		Limit    int        `json:"limit"`
	} `json:"backlog"`
	Database    service `json:"database"`
	Temporal    service `json:"temporal"`
	Quarantined *int    `json:"quarantined"`
	SetAside    *int    `json:"set_aside"`
}

// service says whether something that Waybill needs answers.
type service struct {
	OK    bool   `json:"ok"`
	Error string `json:"error"`
}

// lateAfter is how long an event may wait to be dispatched before a page says so. For an endpoint that hangs it waits up to five and a half
// minutes, which is nothing that an operator has to mend.
const lateAfter = 6 * time.Minute

// Late reports whether events wait for long.
func (i *instance) Late(c *call) bool {
	return i.Backlog.OldestAt != nil && c.now.Sub(*i.Backlog.OldestAt) > lateAfter
}

// setAside is an event that could not be dispatched and is not tried any more.
type setAside struct {
	ID         string     `json:"id"`
	Tenant     string     `json:"tenant"`
	EventID    string     `json:"event_id"`
	EventType  string     `json:"event_type"`
	Tries      int        `json:"tries"`
	Error      string     `json:"error"`
	SetAsideAt *time.Time `json:"set_aside_at"`
}

// instancePage is what operators look at when something is wrong.
type instancePage struct {
	Instance *instance
	Aside    list[setAside]
}

// showInstance is GET /instance.
func showInstance(c *call) error {
	p := instancePage{Instance: &instance{}}
	if err := c.get("/v1/status", nil, p.Instance); err != nil {
		return err
	}
	if aside := p.Instance.SetAside; aside != nil && *aside > 0 {
		if err := c.get("/v1/dispatches", c.page(), &p.Aside); err != nil {
			return err
		}
	}
	return c.show("instance", view{Title: "Instance", Section: "instance", Data: &p})
}

// retryDispatch is POST /instance/dispatches/{dispatch}/retry.
func retryDispatch(c *call) error {
	if err := c.send(http.MethodPost, "/v1/dispatches/"+url.PathEscape(c.part("dispatch"))+"/retry", nil, nil); err != nil {
		return err
	}
	return c.done("/instance", "Waybill tries to dispatch the event again.")
}

// page takes the cursor of this page over into a query of the API.
func (c *call) page() url.Values {
	query := url.Values{}
	if cursor := c.Query("cursor"); cursor != "" {
		query.Set("cursor", cursor)
	}
	return query
}
