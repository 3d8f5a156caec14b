package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"

	"waybill/webhook"
)

// reasonInput is the optional body of calls that take a reason.
type reasonInput struct {
	Reason string `json:"reason"`
}

const maxReasonBytes = 500

// readReason returns the given reason, or otherwise when there is none.
func (s *Server) readReason(w http.ResponseWriter, r *http.Request, otherwise string) (string, error) {
	var in reasonInput
	if err := decodeOptional(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return "", err
	}
	if in.Reason == "" {
		return otherwise, nil
	}
	return in.Reason, checkReason(in.Reason)
}

func checkReason(reason string) error {
	if len(reason) > maxReasonBytes || !webhook.IsLine(reason) {
		return invalid("request", webhook.FieldError{Field: "reason", Detail: "is one line of at most 500 bytes, without control characters"})
	}
	return nil
}

// disableEndpoint is POST /v1/tenants/{tenant}/endpoints/{endpoint}/disable.
func (s *Server) disableEndpoint(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathID[webhook.EndpointID](r, "endpoint")
	if err != nil {
		return err
	}
	reason, err := s.readReason(w, r, "disabled through the API")
	if err != nil {
		return err
	}
	e, err := s.engine.DisableEndpoint(r.Context(), c.tenant.ID, id, webhook.Change{By: c.name(), Reason: reason, At: s.now()})
	if err != nil {
		return err
	}
	return s.writeEndpoint(w, r, c, e)
}

// enableEndpoint is POST /v1/tenants/{tenant}/endpoints/{endpoint}/enable.
func (s *Server) enableEndpoint(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathID[webhook.EndpointID](r, "endpoint")
	if err != nil {
		return err
	}
	if err := decodeOptional(w, r, s.opts.MaxBodyBytes, &struct{}{}); err != nil {
		return err
	}
	e, err := s.engine.EnableEndpoint(r.Context(), c.tenant.ID, id, webhook.Change{By: c.name(), At: s.now()})
	if err != nil {
		return err
	}
	return s.writeEndpoint(w, r, c, e)
}

// revealEndpointSecret is GET /v1/tenants/{tenant}/endpoints/{endpoint}/secret.
func (s *Server) revealEndpointSecret(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathID[webhook.EndpointID](r, "endpoint")
	if err != nil {
		return err
	}
	secret, err := s.endpointSecret(r.Context(), c, id)
	if err != nil {
		return err
	}
	s.audit(r, c, "signing secret revealed", slog.String("endpoint", id.String()))
	return writeJSON(w, http.StatusOK, secretView{secret.Reveal()})
}

func (s *Server) endpointSecret(ctx context.Context, c *call, id webhook.EndpointID) (webhook.Secret, error) {
	if c.dialect.Secret.Scope == webhook.SecretOfEndpoint {
		return s.store.EndpointSecret(ctx, c.tenant.ID, id)
	}
	if _, err := s.store.Endpoint(ctx, c.tenant.ID, id); err != nil {
		return webhook.Secret{}, err
	}
	return webhook.Secret{}, webhook.Errorf(webhook.CodeNotFound,
		"in the dialect %s all endpoints share the tenant's secret; GET /v1/tenants/%s/secret shows it", c.dialect.Name, c.tenant.ID)
}

type testInput struct {
	Type       string            `json:"type"`
	Data       json.RawMessage   `json:"data"`
	Attributes map[string]string `json:"attributes"`
}

// testType is the event type of a test where no catalogue has a better one.
const testType = "waybill.test"

// testEndpoint is POST /v1/tenants/{tenant}/endpoints/{endpoint}/test: an event to this endpoint alone, whatever it
// subscribes to.
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
	if e.DisabledAt != nil {
		return webhook.Errorf(webhook.CodeConflict, "the endpoint is disabled; enable it, then send a test")
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	if key != "" {
		key = id.String() + " " + key // the same key is another test at another endpoint, and no event of the producer
	}
	p, err := s.publication(c, in.event(e, c), key)
	if err != nil {
		return err
	}
	p.Only, p.Event.Test = id, true
	return s.accept(w, r, p)
}

// event fills in what the caller left out, from the catalogue's example.
func (in *testInput) event(e *webhook.Endpoint, c *call) *eventInput {
	out := &eventInput{Type: in.Type, Data: in.Data, Attributes: in.Attributes}
	if out.Type == "" {
		out.Type = defaultTestType(e, c)
	}
	example := webhook.Example{Data: json.RawMessage(`{"test":true}`)}
	if known, ok := c.dialect.EventType(out.Type); ok {
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
