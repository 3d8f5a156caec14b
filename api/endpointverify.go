package api

import (
	"context"
	"net/http"
	"time"

	"waybill/webhook"
)

// statusUnverified is the status of an endpoint that is held until its receiver has proven itself.
const statusUnverified = "unverified"

// verificationView is what an endpoint asks of its receiver, and what that has proven.
type verificationView struct {
	webhook.Verification
	VerifiedAt *time.Time `json:"verified_at,omitempty"`
	// AllowedRate is in requests a minute.
	AllowedRate int `json:"allowed_rate,omitempty"`
}

// showVerification returns nil where nothing was ever asked.
func showVerification(e *webhook.Endpoint) *verificationView {
	if e.Verification == nil && !e.Unverified && e.VerifiedAt == nil {
		return nil
	}
	return &verificationView{webhook.VerificationOf(e.Verification), e.VerifiedAt, e.AllowedRate}
}

// verifyEndpoint is POST /v1/tenants/{tenant}/endpoints/{endpoint}/verify. It waits for the receiver's answer. CodeConflict: the receiver
// has proven nothing. CodeOverloaded: too many calls wait. CodeRateLimited: the tenant has asked too many.
func (s *Server) verifyEndpoint(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathID[webhook.EndpointID](r, "endpoint")
	if err != nil {
		return err
	}
	if err := decodeOptional(w, r, s.opts.MaxBodyBytes, &struct{}{}); err != nil {
		return err
	}
	leave, err := s.tests.enter(c.tenant.ID)
	if err != nil {
		return err
	}
	defer leave()
	e, err := s.store.Endpoint(r.Context(), c.tenant.ID, id)
	if err != nil {
		return err
	}
	if err := s.tests.challenge(w, c.tenant.ID, s.now()); err != nil {
		return err
	}
	wait := e.RequestTimeout(c.dialect) + testMargin
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(wait + answerMargin)) // as in tryEndpoint
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	proof, err := s.engine.ChallengeEndpoint(ctx, c.tenant.ID, id)
	if err != nil {
		return err
	}
	if proof.Refused != "" {
		return webhook.Errorf(webhook.CodeConflict, "the receiver has not proven that it wants the deliveries: %s", proof.Refused)
	}
	proof.At = s.now()
	if e, err = s.engine.VerifyEndpoint(r.Context(), c.tenant.ID, id, *proof); err != nil {
		return err
	}
	return s.writeEndpoint(w, c, e)
}

// boundRate keeps a recovery to the rate that the receiver allows. What endpoint there is none of is the store's to say.
func (s *Server) boundRate(ctx context.Context, r *webhook.Recovery) error {
	e, err := s.store.Endpoint(ctx, r.TenantID, r.EndpointID)
	switch {
	case webhook.ErrorCode(err) == webhook.CodeNotFound:
		return nil
	case err != nil:
		return err
	}
	r.Rate = e.BoundRate(r.Rate)
	return nil
}
