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
	c := &challenge{a: a, to: s, dialect: d, out: &ChallengeResult{Version: s.Endpoint.Version, Method: asked.Method}}
	s.Endpoint, c.withheld = s.Endpoint.Challenged()
	if asked.Method == webhook.VerifyCloudEvents {
		return c.out, c.askOrigin(ctx, asked.Origin)
	}
	return c.out, c.askToken(ctx)
}

// challenge is one challenge that is under way.
type challenge struct {
	a *Activities
	// to is whom is asked; its endpoint has what the request may have. withheld says that the endpoint has more.
	to       *store.Sending
	withheld bool
	dialect  *webhook.Dialect
	out      *ChallengeResult
}

// askToken posts a random token, signed as a delivery is. The answer must repeat it.
func (c *challenge) askToken(ctx context.Context) error {
	e, token := c.to.Endpoint, rand.Text()
	body, err := json.Marshal(challengeBody{Type: challengeType, Challenge: token})
	if err != nil {
		return fmt.Errorf("write a challenge: %w", err)
	}
	signed := webhook.Request{
		EventID: "evt_" + strings.ToLower(rand.Text()), EventType: challengeType, DeliveryID: webhook.NewID[webhook.DeliveryID](c.a.newUUID()),
		Body: body, At: c.a.now().UTC(), Keys: c.to.Keys, Custom: e.Headers, URL: e.URL,
	}
	headers, err := c.a.sign(&signed, e, c.dialect)
	if err != nil {
		return fmt.Errorf("sign a challenge: %w", err)
	}
	answer, err := c.ask(ctx, &Request{Headers: headers, Body: body})
	if err != nil {
		return err
	}
	if c.out.Refused = c.refusal(answer); c.out.Refused == "" && !repeats(answer, token) {
		c.out.Refused = "the answer does not repeat the challenge"
	}
	return nil
}

// repeats reports whether the body of the answer is the token, as text or as the member "challenge".
func repeats(r *Response, token string) bool {
	var body challengeBody
	return !r.Truncated && (strings.TrimSpace(string(r.Body)) == token || json.Unmarshal(r.Body, &body) == nil && body.Challenge == token)
}

// askOrigin is the handshake of CloudEvents. The answer's headers say whether the origin may send, and how much.
func (c *challenge) askOrigin(ctx context.Context, origin string) error {
	var headers []webhook.Header
	for name, value := range c.to.Endpoint.Headers {
		headers = append(headers, webhook.Header{Name: name, Value: value})
	}
	headers = append(headers, webhook.Header{Name: webhook.HeaderRequestOrigin, Value: origin})
	answer, err := c.ask(ctx, &Request{Method: http.MethodOptions, Headers: headers, HeadersSuffice: true})
	if err != nil {
		return err
	}
	if c.out.Refused = c.refusal(answer); c.out.Refused != "" {
		return nil
	}
	if !webhook.AllowsOrigin(answer.Headers.Get("WebHook-Allowed-Origin"), origin) {
		c.out.Refused = "the answer's header WebHook-Allowed-Origin does not name the origin"
		return nil
	}
	rate, ok := allowedRate(answer.Headers.Get("WebHook-Allowed-Rate"))
	if !ok {
		c.out.Refused = "the answer's header WebHook-Allowed-Rate is neither * nor a number of requests a minute"
		return nil
	}
	c.out.AllowedRate = rate
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

// ask sends a request to the endpoint as its deliveries are sent, guarded. CodeUnavailable: it could not be sent by a fault on this side.
func (c *challenge) ask(ctx context.Context, r *Request) (*Response, error) {
	e := c.to.Endpoint
	r.Tenant, r.URL, r.Timeout = c.to.Tenant.ID, e.URL, e.RequestTimeout(c.dialect)
	answer := c.a.deliver(ctx, e, r)
	if answer.Fault != nil {
		return nil, webhook.Errorf(webhook.CodeUnavailable, "%s", answer.Fault).WithCause(answer.Fault)
	}
	return &answer, nil
}

// refusal says why an answer is none that proves anything; "": it may.
func (c *challenge) refusal(r *Response) string {
	const hint = `; a challenge has neither auth nor headers of the endpoint, unless its verification has "credentials": true`
	switch {
	case r.ErrorClass != "":
		return webhook.CleanLine(r.Error, maxErrorBytes)
	case c.withheld && (r.StatusCode == http.StatusUnauthorized || r.StatusCode == http.StatusForbidden):
		return fmt.Sprintf("the receiver answered %d%s", r.StatusCode, hint)
	case r.StatusCode < 200 || r.StatusCode > 299:
		return fmt.Sprintf("the receiver answered %d", r.StatusCode)
	}
	return ""
}
