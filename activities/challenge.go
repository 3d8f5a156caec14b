package activities

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"waybill/store"
	"waybill/webhook"
)

const (
	reasonUnverified = "the endpoint is not verified"
	// challengeType is the event type of a challenge, where a dialect's headers name one.
	challengeType = "waybill.verification"
	// maxAllowedRate bounds the rate that a receiver may name, in requests a minute; more is as good as no limit.
	maxAllowedRate = 60 * webhook.MaxRecoveryRate
)

// ChallengeInput names the endpoint whose receiver is asked.
type ChallengeInput struct {
	Tenant     string             `json:"tenant"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
}

// ChallengeResult is what the receiver has proven. It has no part of the token or of the URL.
type ChallengeResult struct {
	// Version is that of the endpoint which was challenged.
	Version int64                      `json:"version"`
	Method  webhook.VerificationMethod `json:"method"`
	// Refused says why the receiver has proven nothing; "": it has.
	Refused     string `json:"refused,omitempty"`
	AllowedRate int    `json:"allowed_rate,omitempty"`
}

// challengeBody is the body of the POST. The answer repeats the challenge, as text or in an object like this.
type challengeBody struct {
	Type      string `json:"type,omitempty"`
	Challenge string `json:"challenge"`
}

// Challenge asks the receiver of an endpoint once whether it wants what is sent to it. A receiver's refusal is a result; an error is an
// internal fault.
func (a *Activities) Challenge(ctx context.Context, in ChallengeInput) (*ChallengeResult, error) {
	out, err := a.challenge(ctx, &in)
	if err != nil {
		return nil, a.translate(ctx, "verify an endpoint", err)
	}
	return out, nil
}

func (a *Activities) challenge(ctx context.Context, in *ChallengeInput) (*ChallengeResult, error) {
	s, err := a.store.Receiver(ctx, in.Tenant, in.EndpointID)
	if err != nil {
		return nil, fmt.Errorf("read whom to ask: %w", err)
	}
	d, ok := a.dialects[s.Tenant.Dialect]
	if !ok {
		return nil, webhook.Errorf(webhook.CodeInternal, "the dialect %q is not loaded", s.Tenant.Dialect)
	}
	asked := webhook.VerificationOf(s.Endpoint.Verification)
	out := &ChallengeResult{Version: s.Endpoint.Version, Method: asked.Method}
	if asked.Method == webhook.VerifyCloudEvents {
		return out, a.askOrigin(ctx, s, d, asked.Origin, out)
	}
	return out, a.askToken(ctx, s, d, out)
}

// askToken posts a random token, signed as a delivery is. The answer must repeat it.
func (a *Activities) askToken(ctx context.Context, s *store.Sending, d *webhook.Dialect, out *ChallengeResult) error {
	token := rand.Text()
	body, err := json.Marshal(challengeBody{Type: challengeType, Challenge: token})
	if err != nil {
		return fmt.Errorf("write a challenge: %w", err)
	}
	signed := webhook.Request{
		EventID: "evt_" + strings.ToLower(rand.Text()), EventType: challengeType, DeliveryID: webhook.NewID[webhook.DeliveryID](a.newUUID()),
		Body: body, At: a.now().UTC(), Keys: s.Keys, Custom: s.Endpoint.Headers, URL: s.Endpoint.URL,
	}
	headers, err := a.sign(&signed, s.Endpoint, d)
	if err != nil {
		return fmt.Errorf("sign a challenge: %w", err)
	}
	answer, err := a.ask(ctx, s, &Request{Headers: headers, Body: body, Timeout: s.Endpoint.RequestTimeout(d)})
	if err != nil {
		return err
	}
	if out.Refused = refusal(answer); out.Refused == "" && !repeats(answer, token) {
		out.Refused = "the answer does not repeat the challenge"
	}
	return nil
}

// repeats reports whether the body of the answer is the token, as text or as the member "challenge".
func repeats(r *Response, token string) bool {
	var body challengeBody
	return !r.Truncated && (strings.TrimSpace(string(r.Body)) == token || json.Unmarshal(r.Body, &body) == nil && body.Challenge == token)
}

// askOrigin is the handshake of CloudEvents. The answer's headers say whether the origin may send, and how much.
func (a *Activities) askOrigin(ctx context.Context, s *store.Sending, d *webhook.Dialect, origin string, out *ChallengeResult) error {
	var headers []webhook.Header
	for name, value := range s.Endpoint.Headers {
		headers = append(headers, webhook.Header{Name: name, Value: value})
	}
	headers = append(headers, webhook.Header{Name: webhook.HeaderRequestOrigin, Value: origin})
	answer, err := a.ask(ctx, s, &Request{Method: http.MethodOptions, Headers: headers, Timeout: s.Endpoint.RequestTimeout(d), HeadersSuffice: true})
	if err != nil {
		return err
	}
	if out.Refused = refusal(answer); out.Refused != "" {
		return nil
	}
	if !webhook.AllowsOrigin(answer.Headers.Get("WebHook-Allowed-Origin"), origin) {
		out.Refused = "the answer's header WebHook-Allowed-Origin does not name the origin"
		return nil
	}
	rate, ok := allowedRate(answer.Headers.Get("WebHook-Allowed-Rate"))
	if !ok {
		out.Refused = "the answer's header WebHook-Allowed-Rate is neither * nor a number of requests a minute"
		return nil
	}
	out.AllowedRate = rate
	return nil
}

// allowedRate reads requests a minute; 0: no limit.
func allowedRate(value string) (int, bool) {
	value = strings.TrimSpace(value)
	if value == "" || value == "*" {
		return 0, true
	}
	rate, err := strconv.ParseUint(value, 10, 63)
	if err != nil || rate == 0 {
		return 0, false
	}
	return int(min(rate, maxAllowedRate)), true
}

// ask sends a request to the endpoint as its deliveries are sent: guarded, and with its credentials. CodeUnavailable: it could not be sent
// by a fault on this side.
func (a *Activities) ask(ctx context.Context, s *store.Sending, r *Request) (*Response, error) {
	r.Tenant, r.URL = s.Tenant.ID, s.Endpoint.URL
	answer := a.deliver(ctx, s.Endpoint, r)
	if answer.Fault != nil {
		return nil, webhook.Errorf(webhook.CodeUnavailable, "%s", answer.Fault).WithCause(answer.Fault)
	}
	return &answer, nil
}

// refusal says why an answer is none that proves anything; "": it may.
func refusal(r *Response) string {
	switch {
	case r.ErrorClass != "":
		return webhook.CleanLine(r.Error, maxErrorBytes)
	case r.StatusCode < 200 || r.StatusCode > 299:
		return fmt.Sprintf("the receiver answered status %d", r.StatusCode)
	}
	return ""
}
