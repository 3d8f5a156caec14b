package activities

import (
	"context"
	"net/http"
	"slices"
	"time"

	"waybill/webhook"
)

// deliver sends an attempt's request with the endpoint's credentials, which it adds to the request.
func (a *Activities) deliver(ctx context.Context, e *webhook.Endpoint, r *Request) Response {
	out, secrets := a.deliverAs(ctx, e, r)
	scrub(&out, append(secrets, e.HeaderSecrets()...))
	return out
}

// deliverAs returns the answer and the credentials that were sent for it.
func (a *Activities) deliverAs(ctx context.Context, e *webhook.Endpoint, r *Request) (Response, []string) {
	if e.Auth == nil {
		return a.transport.Send(ctx, *r), nil
	}
	var out Response
	secrets := e.Auth.Secrets()
	switch e.Auth.Type {
	case webhook.AuthMTLS:
		r.Identity = &Identity{Endpoint: e.ID, Certificate: e.Auth.Certificate, Key: e.Auth.Key}
		out = a.transport.Send(ctx, *r)
	case webhook.AuthOAuth2:
		var used []*accessToken
		out, used = a.deliverWithToken(ctx, e, r)
		for _, t := range used {
			secrets = append(secrets, t.text.Reveal())
		}
	default:
		r.Headers = authorized(r.Headers, e.Auth.Authorization())
		out = a.transport.Send(ctx, *r)
	}
	return out, secrets
}

// deliverWithToken sends the request with a token. One that was fetched before and that the receiver does not take (401) is replaced,
// and the request sent once more: who answers 401 has not looked at it. All of it together has the request's timeout.
func (a *Activities) deliverWithToken(ctx context.Context, e *webhook.Endpoint, r *Request) (Response, []*accessToken) {
	if r.Timeout <= 0 {
		r.Timeout = webhook.MaxTimeout
	}
	started, began := time.Now(), a.now()
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	plain := r.Headers
	send := func(t *accessToken) Response {
		if t.fault != nil {
			return Response{Fault: t.fault}
		}
		if t.failure != "" {
			return Response{ErrorClass: webhook.ErrorAuth, Error: t.failure}
		}
		r.Headers = authorized(plain, "Bearer "+t.text.Reveal())
		return a.transport.Send(ctx, *r)
	}
	used := []*accessToken{a.tokens.get(ctx, e, nil)}
	out := send(used[0])
	if out.StatusCode == http.StatusUnauthorized && a.tokens.renewable(used[0], began) {
		used = append(used, a.tokens.get(ctx, e, used[0]))
		if again := send(used[1]); again.Fault == nil { // otherwise the 401 is what is known
			out = again
		}
	}
	out.Started, out.Duration = started, time.Since(started)
	return out, used
}

func authorized(headers []webhook.Header, value string) []webhook.Header {
	return append(slices.Clip(headers), webhook.Header{Name: "Authorization", Value: value})
}
