package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"waybill/webhook"
)

type testInput struct {
	Type       string            `json:"type"`
	Data       json.RawMessage   `json:"data"`
	Attributes map[string]string `json:"attributes"`
	// Secret is which secret signs.
	Secret webhook.SecretChoice `json:"secret"`
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
	if key != "" && in.Secret != "" {
		key = string(in.Secret) + " " + key
	}
	if key != "" {
		key = e.ID.String() + " " + key // the same key is another test at another endpoint, and no event of the producer
	}
	if err := s.checkTestable(r, c, e, in, key); err != nil {
		return nil, err
	}
	event, err := s.testEvent(r.Context(), c, e, in)
	if err != nil {
		return nil, err
	}
	p, err := s.publication(r.Context(), c, event, key)
	if err != nil {
		return nil, err
	}
	if err := c.confinement().CheckAttributes(p.Event.Attributes); err != nil {
		return nil, err
	}
	p.Only, p.Event.Test, p.TestSecret = e.ID, true, in.Secret
	return p, nil
}

// checkTestable checks that a test can be sent now. One that was accepted before under its key is a repetition, whatever is possible now.
func (s *Server) checkTestable(r *http.Request, c *call, e *webhook.Endpoint, in *testInput, key string) error {
	var found error
	if e.Unverified {
		found = webhook.Errorf(webhook.CodeConflict, "nothing is sent to an endpoint that is not verified; POST .../verify asks its receiver")
	} else {
		found = s.testSecret(r, c, e.ID, in.Secret)
	}
	if found == nil || key == "" || webhook.ErrorCode(found) != webhook.CodeConflict {
		return found
	}
	if _, err := s.store.Event(r.Context(), c.tenant.ID, webhook.IDFromIdempotencyKey(key)); webhook.ErrorCode(err) != webhook.CodeNotFound {
		return err
	}
	return found
}

// testEvent fills in what the caller left out, from the catalogue's example.
func (s *Server) testEvent(ctx context.Context, c *call, e *webhook.Endpoint, in *testInput) (*eventInput, error) {
	out := &eventInput{Type: in.Type, Data: in.Data, Attributes: in.Attributes}
	if out.Type == "" {
		var err error
		if out.Type, err = s.defaultTestType(ctx, c, e); err != nil {
			return nil, err
		}
	}
	example, err := s.example(ctx, c, out.Type)
	if err != nil {
		return nil, err
	}
	if out.Data == nil {
		out.Data = example.Data
	}
	if out.Attributes == nil {
		out.Attributes = example.Attributes
		if c.confinement() != nil {
			out.Attributes = c.confineTest(example.Attributes, e)
		}
	}
	return out, nil
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

// example returns the example of an event type, or something that says test.
func (s *Server) example(ctx context.Context, c *call, eventType string) (*webhook.Example, error) {
	if known, ok := s.eventType(c, eventType); ok {
		return &known.Example, nil
	}
	otherwise := &webhook.Example{Data: json.RawMessage(`{"test":true}`)}
	if c.tenant.TypesVersion == 0 || !webhook.IsEventType(eventType) {
		return otherwise, nil
	}
	own, err := s.store.OwnType(ctx, c.tenant.ID, eventType)
	switch {
	case webhook.ErrorCode(err) == webhook.CodeNotFound:
		return otherwise, nil
	case err != nil:
		return nil, err
	case own.Example == nil:
		return otherwise, nil
	default:
		return own.Example, nil
	}
}

// defaultTestType is the first type of a catalogue that the endpoint subscribes to.
func (s *Server) defaultTestType(ctx context.Context, c *call, e *webhook.Endpoint) (string, error) {
	own, err := s.ownTypeNames(ctx, c)
	if err != nil {
		return "", err
	}
	for _, pattern := range e.EventTypes {
		only := webhook.Endpoint{EventTypes: []string{pattern}}
		for _, known := range c.dialect.EventTypes {
			if only.Wants(known.Type) {
				return known.Type, nil
			}
		}
		if i := slices.IndexFunc(own, only.Wants); i >= 0 {
			return own[i], nil
		}
	}
	if c.dialect.HasCatalogue() && !c.tenant.AllowUnknownTypes {
		return c.dialect.EventTypes[0].Type, nil
	}
	return testType, nil
}
