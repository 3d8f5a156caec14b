package api

import (
	"encoding/json"
	"net/http"

	"waybill/webhook"
)

type testInput struct {
	Type       string            `json:"type"`
	Data       json.RawMessage   `json:"data"`
	Attributes map[string]string `json:"attributes"`
}

// testType is the event type of a test where no catalogue has a better one.
const testType = "waybill.test"

// testEndpoint is POST /v1/tenants/{tenant}/endpoints/{endpoint}/test: an event to this endpoint alone, whatever it
// subscribes to, even while it is disabled.
func (s *Server) testEndpoint(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathID[webhook.EndpointID](r, "endpoint")
	if err != nil {
		return err
	}
	var in testInput
	if err := decodeOptional(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	e, err := s.store.Endpoint(r.Context(), c.tenant.ID, id)
	if err != nil {
		return err
	}
	p, err := s.testPublication(r, c, e, &in)
	if err != nil {
		return err
	}
	return s.accept(w, r, p)
}

// testPublication checks the test event of an endpoint.
func (s *Server) testPublication(r *http.Request, c *call, e *webhook.Endpoint, in *testInput) (*webhook.Publication, error) {
	key, err := idempotencyKey(r)
	if err != nil {
		return nil, err
	}
	if key != "" {
		key = e.ID.String() + " " + key // the same key is another test at another endpoint, and no event of the producer
	}
	p, err := s.publication(c, s.testEvent(in, e, c), key)
	if err != nil {
		return nil, err
	}
	p.Only, p.Event.Test = e.ID, true
	return p, nil
}

// testEvent fills in what the caller left out, from the catalogue's example.
func (s *Server) testEvent(in *testInput, e *webhook.Endpoint, c *call) *eventInput {
	out := &eventInput{Type: in.Type, Data: in.Data, Attributes: in.Attributes}
	if out.Type == "" {
		out.Type = defaultTestType(e, c)
	}
	example := webhook.Example{Data: json.RawMessage(`{"test":true}`)}
	if known, ok := s.eventType(c, out.Type); ok {
		example = known.Example
	}
	if out.Data == nil {
		out.Data = example.Data
	}
	if out.Attributes == nil {
		out.Attributes = example.Attributes
	}
	return out
}

// eventType returns what is known of a tenant's event type: by its dialect, or as an operational event that it gets.
func (s *Server) eventType(c *call, name string) (webhook.EventType, bool) {
	if known, ok := c.dialect.EventType(name); ok || !c.tenant.Operator {
		return known, ok
	}
	for _, known := range s.opts.Operational {
		if known.Type == name {
			return known, true
		}
	}
	return webhook.EventType{}, false
}

// defaultTestType is the first type of the catalogue that the endpoint subscribes to.
func defaultTestType(e *webhook.Endpoint, c *call) string {
	for _, pattern := range e.EventTypes {
		only := webhook.Endpoint{EventTypes: []string{pattern}}
		for _, known := range c.dialect.EventTypes {
			if only.Wants(known.Type) {
				return known.Type
			}
		}
	}
	if c.dialect.HasCatalogue() && !c.tenant.AllowUnknownTypes {
		return c.dialect.EventTypes[0].Type
	}
	return testType
}
