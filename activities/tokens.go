package activities

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"waybill/webhook"
)

const (
	maxTokens = 5000
	// maxTokenTime bounds one request for a token.
	maxTokenTime = 15 * time.Second
	// unknownLife is how long a token is used whose server does not say how long it lives, and maxLife how long any is.
	unknownLife = 5 * time.Minute
	maxLife     = 24 * time.Hour
	// maxMargin is how long before its end a token is used no more; a tenth of its life, if that is shorter.
	maxMargin = time.Minute
	// failureLasts is for how long a token server that failed is left alone, so that a crowd of attempts does not become a crowd of
	// requests to it.
	failureLasts = time.Second
	// renewAgain is how long after a renewal because of a 401 another one would not help.
	renewAgain = time.Minute
	// maxSentToken is how long a token may be that is sent as a header.
	maxSentToken = 8 << 10
)

// tokens gets the tokens of endpoints with OAuth2 client credentials and keeps them until shortly before their end. What several
// attempts wait for is fetched once. It is safe for concurrent use.
type tokens struct {
	transport *Transport
	now       func() time.Time
	fetches   singleflight.Group
	known     *otter.Cache[tokenKey, *accessToken]
}

// tokenKey is a hash of the endpoint and its credentials: whoever changes them gets another token.
type tokenKey [sha256.Size]byte

// accessToken is one that was fetched, or why there is none.
type accessToken struct {
	text webhook.Secret
	// failure says why there is none; "": there is one.
	failure string
	// fault is set beside failure when it was this side's, as Response.Fault.
	fault          error
	fetched, until time.Time
	// renewed says that it replaced one that the receiver refused.
	renewed bool
	// inBody says that the server takes the client's credentials in the body only.
	inBody bool
}

func newTokens(t *Transport, now func() time.Time) *tokens {
	return &tokens{transport: t, now: now, known: otter.Must(&otter.Options[tokenKey, *accessToken]{MaximumSize: maxTokens})}
}

func tokenKeyOf(e *webhook.Endpoint) tokenKey {
	a := e.Auth
	return sha256.Sum256([]byte(strings.Join( // none of them has a control character
		[]string{e.ID.String(), a.TokenURL, a.ClientID, a.ClientSecret.Reveal(), a.Scope, a.Audience}, "\x00")))
}

// get returns a token other than refused, which may be nil, or one with a failure.
func (s *tokens) get(ctx context.Context, e *webhook.Endpoint, refused *accessToken) *accessToken {
	key := tokenKeyOf(e)
	if known := s.usable(key, refused); known != nil {
		return known
	}
	fetched := s.fetches.DoChan(string(key[:]), func() (out any, err error) {
		err = safely(func() error {
			out = s.usable(key, refused) // it may have come since
			if out == (*accessToken)(nil) {
				out = s.fetch(context.WithoutCancel(ctx), e, key, refused != nil)
			}
			return nil
		})
		return out, err
	})
	select {
	case r := <-fetched:
		if p := (*panicError)(nil); errors.As(r.Err, &p) {
			panic(p)
		}
		return r.Val.(*accessToken)
	case <-ctx.Done():
		return &accessToken{failure: noToken + "it did not answer within the endpoint's timeout"}
	}
}

func (s *tokens) usable(key tokenKey, refused *accessToken) *accessToken {
	known, ok := s.known.GetIfPresent(key)
	if !ok || known == refused || !s.now().Before(known.until) {
		return nil
	}
	return known
}

// renewable reports whether another token may help against a 401: this one is from before the attempt, and is not itself one that
// was fetched because of a 401 just now.
func (s *tokens) renewable(t *accessToken, attempt time.Time) bool {
	return t.failure == "" && t.fetched.Before(attempt) && (!t.renewed || s.now().Sub(t.fetched) >= renewAgain)
}

const noToken = "the token server gave no token: "

// fetch asks the token server. By RFC 6749, section 2.3.1, the client's credentials are in a header; servers that want them in the
// body say invalid_client, and are asked again in their way.
func (s *tokens) fetch(ctx context.Context, e *webhook.Endpoint, key tokenKey, renewed bool) *accessToken {
	inBody := false
	if before, ok := s.known.GetIfPresent(key); ok {
		inBody = before.inBody
	}
	fetched := s.now()
	answer := s.ask(ctx, e, inBody)
	if other := !inBody; oauthError(&answer) == "invalid_client" {
		if second := s.ask(ctx, e, other); second.StatusCode/100 == 2 {
			answer, inBody = second, other
		}
	}
	out := readToken(&answer)
	out.fetched, out.renewed, out.inBody = fetched, renewed, inBody
	if out.failure != "" {
		out.until = s.now().Add(failureLasts)
	} else {
		out.until = fetched.Add(usedFor(&answer))
	}
	s.known.Set(key, out)
	return out
}

func (s *tokens) ask(ctx context.Context, e *webhook.Endpoint, inBody bool) Response {
	a := e.Auth
	form := url.Values{"grant_type": {"client_credentials"}}
	headers := []webhook.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}, {Name: "Accept", Value: "application/json"}}
	if a.Scope != "" {
		form.Set("scope", a.Scope)
	}
	if a.Audience != "" {
		form.Set("audience", a.Audience)
	}
	if inBody {
		form.Set("client_id", a.ClientID)
		form.Set("client_secret", a.ClientSecret.Reveal())
	} else {
		password := webhook.SecretFromText(url.QueryEscape(a.ClientSecret.Reveal()))
		headers = append(headers, webhook.Header{Name: "Authorization", Value: webhook.BasicAuthorization(url.QueryEscape(a.ClientID), password)})
	}
	return s.transport.Send(ctx, Request{Tenant: e.TenantID, URL: a.TokenURL, Headers: headers, Body: []byte(form.Encode()), Timeout: maxTokenTime})
}

// tokenAnswer is an answer of RFC 6749, section 5.
type tokenAnswer struct {
	AccessToken string      `json:"access_token"`
	TokenType   string      `json:"token_type"`
	ExpiresIn   json.Number `json:"expires_in"`
	Error       string      `json:"error"`
}

// oauthErrors are those of RFC 6749, section 5.2, and RFC 8707. Others are not shown: whatever a server writes there may be a secret.
var oauthErrors = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "invalid_target",
}

func oauthError(r *Response) string {
	var answer tokenAnswer
	if r.ErrorClass != "" || r.StatusCode < 400 || json.Unmarshal(r.Body, &answer) != nil || !slices.Contains(oauthErrors, answer.Error) {
		return ""
	}
	return answer.Error
}

// readToken returns the token of an answer, or the failure, which quotes nothing of it.
func readToken(r *Response) *accessToken {
	var answer tokenAnswer
	switch {
	case r.Fault != nil:
		return &accessToken{failure: noToken + "it could not be asked", fault: r.Fault}
	case r.ErrorClass != "":
		return &accessToken{failure: noToken + strings.ReplaceAll(r.Error, "the receiver", "the token server")}
	case r.StatusCode/100 != 2:
		text := fmt.Sprintf("%sit answered %d", noToken, r.StatusCode)
		if code := oauthError(r); code != "" {
			text += " (" + code + ")"
		}
		return &accessToken{failure: text}
	case r.Truncated:
		return &accessToken{failure: noToken + "its answer is longer than 16 KiB"}
	case json.Unmarshal(r.Body, &answer) != nil || answer.AccessToken == "":
		return &accessToken{failure: noToken + "its answer is not a JSON object with an access_token"}
	case answer.TokenType != "" && !strings.EqualFold(answer.TokenType, "Bearer"):
		return &accessToken{failure: noToken + "its token is not of the type Bearer"}
	case len(answer.AccessToken) > maxSentToken || strings.ContainsFunc(answer.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }):
		return &accessToken{failure: noToken + "its token cannot be sent as a header"}
	}
	return &accessToken{text: webhook.SecretFromText(answer.AccessToken)}
}

// usedFor returns for how long the token of an answer is used. One that has no life left serves those who wait for it now.
func usedFor(r *Response) time.Duration {
	var answer tokenAnswer
	life := unknownLife
	if json.Unmarshal(r.Body, &answer) == nil && answer.ExpiresIn != "" {
		seconds, _ := answer.ExpiresIn.Float64() // 0 where it is no number
		life = time.Duration(min(max(seconds, 0), maxLife.Seconds()) * float64(time.Second))
	}
	return life - min(maxMargin, life/10)
}
