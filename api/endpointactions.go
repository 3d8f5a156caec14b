package api

import (
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
	return s.writeEndpoint(w, c, e)
}

// revealEndpointSecret is GET /v1/tenants/{tenant}/endpoints/{endpoint}/secret.
func (s *Server) revealEndpointSecret(w http.ResponseWriter, r *http.Request, c *call) error {
	owner, err := s.secretOwner(r, c)
	if err != nil {
		return err
	}
	keys, err := s.store.EndpointSecret(r.Context(), c.tenant.ID, owner.Endpoint)
	if err != nil {
		return err
	}
	return s.writeSecret(w, c, keys)
}
