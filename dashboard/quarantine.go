package dashboard

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"waybill/webhook"
)

// quarantineRoutes are the pages of rows of the outbox that could not be accepted.
func quarantineRoutes() []route {
	return []route{
		{"GET", "/quarantine", operators, listQuarantine},
		{"GET", "/quarantine/{position}", operators, showQuarantined},
		{"POST", "/quarantine/{position}/retry", operators, retryQuarantined},
		{"GET", "/quarantine/{position}/delete", operators, askDeleteQuarantined},
		{"POST", "/quarantine/{position}/delete", operators, deleteQuarantined},
	}
}

// quarantined is a row in quarantine as the API shows it.
type quarantined struct {
	Position      int64                `json:"position"`
	Tenant        string               `json:"tenant"`
	EventID       *string              `json:"event_id"`
	EventType     string               `json:"event_type"`
	Code          webhook.Code         `json:"code"`
	Reason        string               `json:"reason"`
	Errors        []webhook.FieldError `json:"errors"`
	Bytes         int64                `json:"bytes"`
	Cut           bool                 `json:"cut"`
	CreatedAt     time.Time            `json:"created_at"`
	QuarantinedAt time.Time            `json:"quarantined_at"`
	Data          string               `json:"data"`
	Attributes    string               `json:"attributes"`
}

// Path is the page of the row.
func (q *quarantined) Path() string { return "/quarantine/" + strconv.FormatInt(q.Position, 10) }

func (c *call) quarantinePath(more string) string {
	return "/v1/quarantine/" + url.PathEscape(c.part("position")) + more
}

// listQuarantine is GET /quarantine.
func listQuarantine(c *call) error {
	var found list[quarantined]
	if err := c.get("/v1/quarantine", c.page(), &found); err != nil {
		return err
	}
	return c.show("quarantine", view{Title: "Quarantine", Section: "quarantine", Data: found})
}

// showQuarantined is GET /quarantine/{position}.
func showQuarantined(c *call) error {
	var row quarantined
	if err := c.get(c.quarantinePath(""), nil, &row); err != nil {
		return err
	}
	return c.show("quarantined", view{Title: "A row in quarantine", Section: "quarantine", Data: &row})
}

// retryQuarantined is POST /quarantine/{position}/retry.
func retryQuarantined(c *call) error {
	if err := c.send(http.MethodPost, c.quarantinePath("/retry"), nil, nil); err != nil {
		return err
	}
	return c.done("/quarantine", "The row is in the outbox again. If it is refused again, it comes back here.")
}

// askDeleteQuarantined is GET /quarantine/{position}/delete.
func askDeleteQuarantined(c *call) error {
	var row quarantined
	if err := c.get(c.quarantinePath(""), nil, &row); err != nil {
		return err
	}
	return c.confirm("quarantine", confirmation{
		Title: "Delete this row?", Button: "Delete", Danger: true, Action: row.Path() + "/delete", Back: row.Path(),
		Effects: []string{
			"The event " + row.EventType + " of the tenant " + row.Tenant + " is gone, with its " + count(row.Bytes) + " bytes of data. It was never delivered, and never will be.",
		},
	})
}

// deleteQuarantined is POST /quarantine/{position}/delete.
func deleteQuarantined(c *call) error {
	if err := c.send(http.MethodDelete, c.quarantinePath(""), nil, nil); err != nil {
		return err
	}
	return c.done("/quarantine", "The row is deleted.")
}
