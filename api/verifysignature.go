package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// maxCheckBytes is for a body of webhook.MaxCheckedBodyBytes whose JSON escapes many characters, and for the headers.
const maxCheckBytes = 1 << 20

// signatureInput is a request as a receiver got it.
type signatureInput struct {
	Headers    map[string]string `json:"headers"`
	Body       *string           `json:"body"`
	BodyBase64 *string           `json:"body_base64"`
	// At is the receiver's clock; nil: now.
	At *moment `json:"at"`
}

// check returns what is to be verified; the error is CodeInvalid.
func (in *signatureInput) check() (*webhook.SignatureCheck, error) {
	out := new(webhook.SignatureCheck)
	for name, value := range in.Headers {
		out.Headers = append(out.Headers, webhook.Header{Name: name, Value: value})
	}
	switch {
	case (in.Body == nil) == (in.BodyBase64 == nil):
		return nil, invalid("request", webhook.FieldError{Field: "body", Detail: "is given as body, a text, or as body_base64: one of the two"})
	case in.Body != nil:
		out.Body = []byte(*in.Body)
	default:
		var err error
		if out.Body, err = base64.StdEncoding.DecodeString(*in.BodyBase64); err != nil {
			return nil, invalid("request", webhook.FieldError{Field: "body_base64", Detail: "is not base64"})
		}
	}
	return out, out.Validate()
}

// verifySignature is POST /v1/tenants/{tenant}/endpoints/{endpoint}/verify-signature. It changes nothing. Expected signatures are shown
// shortened, to managers too: a whole one would sign the given body without anybody having revealed the secret.
func (s *Server) verifySignature(w http.ResponseWriter, r *http.Request, c *call) error {
	e, err := s.pathEndpoint(r, c)
	if err != nil {
		return err
	}
	var in signatureInput
	if err := decode(w, r, maxCheckBytes, &in); err != nil {
		return err
	}
	check, err := in.check()
	if err != nil {
		return err
	}
	check.Dialect, check.URL, check.At = c.dialect, e.URL, s.now()
	if in.At != nil {
		check.At = time.Time(*in.At)
	}
	if check.Also, err = e.AlsoSignAs.AlsoIn(s.dialects, check.At); err != nil {
		return err
	}
	owner := store.SecretOwner{Tenant: c.tenant.ID}
	if c.dialect.Secret.Scope == webhook.SecretOfEndpoint {
		owner.Endpoint = e.ID
	}
	keys, err := s.store.SigningKeys(r.Context(), owner)
	if err != nil {
		return err
	}
	check.Keys = *keys
	report, err := s.explained(r.Context(), check)
	if err != nil {
		return err
	}
	if !report.Valid { // what was sent tells more of why
		if check.Sent, err = s.sentBody(r.Context(), c, e.ID, check); err != nil {
			return err
		}
	}
	if check.Sent != nil {
		if report, err = s.explained(r.Context(), check); err != nil {
			return err
		}
	}
	return writeJSON(w, http.StatusOK, report)
}

// maxChecks is how many requests are verified at a time. A large one that tries all mistakes keeps a core busy for a tenth of a second,
// which publications should not have to wait for.
const maxChecks = 2

// explained verifies once there is room, for which it waits partTimeout at most.
func (s *Server) explained(ctx context.Context, check *webhook.SignatureCheck) (*webhook.SignatureReport, error) {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	select {
	case s.checks <- struct{}{}:
	case <-ctx.Done():
		return nil, webhook.Errorf(webhook.CodeOverloaded, "too many requests are being verified at this moment; try again")
	}
	defer func() { <-s.checks }()
	return webhook.VerifySignature(check), nil
}

// sentBody returns the body that an endpoint was sent in the delivery that a request says it is; nil: there is none.
func (s *Server) sentBody(ctx context.Context, c *call, endpoint webhook.EndpointID, check *webhook.SignatureCheck) ([]byte, error) {
	eventID, id := check.Delivery()
	if id.IsZero() {
		if eventID == "" || !isText(eventID) {
			return nil, nil
		}
		found, err := s.store.Deliveries(ctx, c.tenant.ID, store.DeliveryFilter{EventID: eventID, EndpointID: endpoint, Page: store.Page{Limit: 1}})
		if err != nil || len(found.Items) == 0 {
			return nil, orNone(err)
		}
		id = found.Items[0].ID
	}
	d, err := s.store.Delivery(ctx, c.tenant.ID, id)
	if err != nil || d.EndpointID != endpoint {
		return nil, orNone(err)
	}
	attempts, err := s.store.Attempts(ctx, c.tenant.ID, id, store.Page{Limit: 1})
	if err != nil || len(attempts) == 0 {
		return nil, orNone(err)
	}
	sent, err := s.store.Attempt(ctx, c.tenant.ID, attempts[0].ID)
	if err != nil {
		return nil, orNone(err)
	}
	return sent.RequestBody, nil
}

// orNone returns no error where something does not exist.
func orNone(err error) error {
	if webhook.ErrorCode(err) == webhook.CodeNotFound {
		return nil
	}
	return err
}
