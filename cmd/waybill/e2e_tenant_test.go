package main_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tenant is a tenant of one test, and the API as its administrator uses it.
type tenant struct {
	*caller
	id, path, secret string
}

// fields are members of a JSON object.
type fields map[string]any

func (f fields) with(more fields) fields {
	out := maps.Clone(f)
	maps.Copy(out, more)
	return out
}

// newTenant creates a tenant of a dialect. When the test fails, what the server's log says of the tenant is shown.
func newTenant(t *testing.T, s *server, dialect string, more fields) *tenant {
	t.Helper()
	tn := &tenant{caller: s.admin(), id: unique(t.Name())}
	tn.path = "/v1/tenants/" + tn.id
	var created struct{ Secret string }
	body := fields{"id": tn.id, "name": t.Name(), "dialect": dialect}.with(more)
	tn.call(t, "POST", "/v1/tenants", body).is(t, 201, &created)
	tn.secret = created.Secret
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of waybill %s about the tenant:\n%s", s.command, s.tail(30, func(line string) bool {
				return strings.Contains(line, tn.id) || strings.Contains(line, "level=ERROR")
			}))
		}
	})
	return tn
}

// endpoint is an endpoint as the API shows it.
type endpoint struct {
	ID       string                          `json:"id"`
	URL      string                          `json:"url"`
	Status   string                          `json:"status"`
	Disabled struct{ At, By, Reason string } `json:"disabled"`
	Headers  map[string]string               `json:"headers"`
	Secret   string                          `json:"secret"`
}

// endpoint creates an endpoint for all event types, unless more says otherwise.
func (tn *tenant) endpoint(t *testing.T, r *receiver, more fields) *endpoint {
	t.Helper()
	var e endpoint
	body := fields{"url": r.url + "/hook", "event_types": []string{"*"}}.with(more)
	tn.call(t, "POST", tn.path+"/endpoints", body).is(t, 201, &e)
	require.NotEmpty(t, e.ID)
	return &e
}

func (tn *tenant) showEndpoint(t *testing.T, id string) *endpoint {
	t.Helper()
	var e endpoint
	tn.call(t, "GET", tn.path+"/endpoints/"+id, nil).is(t, 200, &e)
	return &e
}

// receipt is the answer to a publication.
type receipt struct {
	ID         string `json:"id"`
	Deliveries []struct {
		ID         string `json:"id"`
		EndpointID string `json:"endpoint_id"`
	} `json:"deliveries"`
}

// publish publishes an event, JSON text or a value, and expects deliveries for the given number of endpoints.
func (tn *tenant) publish(t *testing.T, event any, deliveries int) *receipt {
	t.Helper()
	var r receipt
	tn.call(t, "POST", tn.path+"/events", event).is(t, 202, &r)
	require.Len(t, r.Deliveries, deliveries)
	return &r
}

// to returns the receipt's delivery to an endpoint.
func (r *receipt) to(t *testing.T, e *endpoint) string {
	t.Helper()
	for _, d := range r.Deliveries {
		if d.EndpointID == e.ID {
			return d.ID
		}
	}
	t.Fatalf("the event has no delivery to %s", e.ID)
	return ""
}

// delivery is a delivery as the API shows it.
type delivery struct {
	ID            string     `json:"id"`
	EventID       string     `json:"event_id"`
	EventType     string     `json:"event_type"`
	EndpointID    string     `json:"endpoint_id"`
	Status        string     `json:"status"`
	Attempts      int        `json:"attempts"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	Reason        string     `json:"reason"`
}

func (tn *tenant) delivery(t *testing.T, id string) *delivery {
	t.Helper()
	var d delivery
	tn.call(t, "GET", tn.path+"/deliveries/"+id, nil).is(t, 200, &d)
	return &d
}

// waitDelivery waits until a delivery has a status and a number of attempts.
func (tn *tenant) waitDelivery(t *testing.T, id, status string, attempts int) *delivery {
	t.Helper()
	var d *delivery
	await(t, patience, fmt.Sprintf("a delivery to be %s after %d attempts", status, attempts), func() error {
		if d = tn.delivery(t, id); d.Status != status || d.Attempts != attempts {
			return fmt.Errorf("it is %+v", *d)
		}
		return nil
	})
	return d
}

// deliveries lists deliveries, newest first. query is such as "?status=held".
func (tn *tenant) deliveries(t *testing.T, query string) []delivery {
	t.Helper()
	var list struct {
		Data []delivery `json:"data"`
	}
	tn.call(t, "GET", tn.path+"/deliveries"+query, nil).is(t, 200, &list)
	return list.Data
}

// attempt is an attempt as the API shows it; a history shows the first part of it.
type attempt struct {
	Number     int       `json:"number"`
	Manual     bool      `json:"manual"`
	StartedAt  time.Time `json:"started_at"`
	DurationMS int64     `json:"duration_ms"`
	StatusCode int       `json:"status_code"`
	Outcome    string    `json:"outcome"`
	ErrorClass string    `json:"error_class"`
	Error      string    `json:"error"`

	ID                string            `json:"id"`
	DeliveryID        string            `json:"delivery_id"`
	SignedWith        []string          `json:"signed_with"`
	RequestHeaders    map[string]string `json:"request_headers"`
	ResponseHeaders   map[string]string `json:"response_headers"`
	ResponseBody      string            `json:"response_body"`
	ResponseEncoding  string            `json:"response_body_encoding"`
	ResponseTruncated bool              `json:"response_truncated"`
}

func (tn *tenant) attempts(t *testing.T, deliveryID string) []attempt {
	t.Helper()
	var list struct {
		Data []attempt `json:"data"`
	}
	tn.call(t, "GET", tn.path+"/deliveries/"+deliveryID+"/attempts", nil).is(t, 200, &list)
	return list.Data
}

// history is an event's history as the API shows it.
type history struct {
	EventID    string            `json:"event_id"`
	Source     string            `json:"source"`
	Deliveries []historyDelivery `json:"deliveries"`
}

type historyDelivery struct {
	ID            string     `json:"id"`
	EndpointID    string     `json:"endpoint_id"`
	Status        string     `json:"status"`
	Reason        string     `json:"reason"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	Attempts      []attempt  `json:"attempts"`
}

// tells returns an error unless a history has so many attempts for each delivery.
func tells(h *history, attempts map[string]int) error {
	for _, d := range h.Deliveries {
		if len(d.Attempts) != attempts[d.ID] {
			return fmt.Errorf("it is %+v", *h)
		}
	}
	return nil
}

func (tn *tenant) history(t *testing.T, eventID string) *history {
	t.Helper()
	var h history
	tn.call(t, "GET", tn.path+"/events/"+eventID+"/history", nil).is(t, 200, &h)
	return &h
}

// through returns the same tenant as another process serves it.
func (tn *tenant) through(s *server) *tenant {
	return &tenant{caller: s.admin(), id: tn.id, path: tn.path, secret: tn.secret}
}
