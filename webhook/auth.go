package webhook

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// AuthType is how Waybill proves itself to a receiver.
type AuthType string

// The types.
const (
	AuthBasic  AuthType = "basic"  // user name and password (RFC 7617)
	AuthBearer AuthType = "bearer" // a fixed token (RFC 6750)
	AuthOAuth2 AuthType = "oauth2" // a token that client credentials get from a token server (RFC 6749, section 4.4)
	AuthMTLS   AuthType = "mtls"   // a client certificate
)

// Limits of an Auth.
const (
	maxAuthTextBytes    = 1024 // names, passwords, scopes
	maxTokenBytes       = 4096 // as a header's value
	maxCertificateBytes = 16 << 10
	maxKeyBytes         = 8 << 10
	maxCertificates     = 10
)

// Auth are an endpoint's credentials. Only the fields of its type are set.
type Auth struct {
	Type AuthType

	Username string // basic
	Password Secret // basic
	Token    Secret // bearer

	// TokenURL, ClientID and ClientSecret are those of oauth2; Scope and Audience are optional.
	TokenURL     string
	ClientID     string
	ClientSecret Secret
	Scope        string
	Audience     string

	// Certificate is a chain, the endpoint's own certificate first, and Key its private key, both in PEM form; mtls.
	Certificate string
	Key         Secret
}

// AuthText is an Auth with its secrets as text: what a caller sends, and what is sealed. It must not be logged.
type AuthText struct {
	Type         AuthType `json:"type"`
	Username     string   `json:"username,omitempty"`
	Password     string   `json:"password,omitempty"`
	Token        string   `json:"token,omitempty"`
	TokenURL     string   `json:"token_url,omitempty"`
	ClientID     string   `json:"client_id,omitempty"`
	ClientSecret string   `json:"client_secret,omitempty"`
	Scope        string   `json:"scope,omitempty"`
	Audience     string   `json:"audience,omitempty"`
	Certificate  string   `json:"certificate,omitempty"`
	Key          string   `json:"key,omitempty"`
}

// Auth returns the credentials; nil for nil. They are not checked.
func (t *AuthText) Auth() *Auth {
	if t == nil {
		return nil
	}
	return &Auth{
		Type: t.Type, Username: t.Username, Password: Secret{t.Password}, Token: Secret{t.Token}, TokenURL: t.TokenURL,
		ClientID: t.ClientID, ClientSecret: Secret{t.ClientSecret}, Scope: t.Scope, Audience: t.Audience,
		Certificate: t.Certificate, Key: Secret{t.Key},
	}
}

func (a *Auth) text() AuthText {
	return AuthText{
		Type: a.Type, Username: a.Username, Password: a.Password.text, Token: a.Token.text, TokenURL: a.TokenURL,
		ClientID: a.ClientID, ClientSecret: a.ClientSecret.text, Scope: a.Scope, Audience: a.Audience,
		Certificate: a.Certificate, Key: a.Key.text,
	}
}

// MarshalJSON shows the type and nothing else.
func (a Auth) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type AuthType `json:"type"`
	}{a.Type})
}

// Reveal returns the credentials as JSON with their secrets, to be sealed.
func (a *Auth) Reveal() []byte {
	revealed, err := json.Marshal(a.text())
	if err != nil {
		panic(err) // strings only
	}
	return revealed
}

// ReadAuth reads what Reveal returned. Its error quotes none of it.
func ReadAuth(revealed []byte) (*Auth, error) {
	var t AuthText
	if err := json.Unmarshal(revealed, &t); err != nil {
		return nil, errors.New("stored credentials are not readable")
	}
	return t.Auth(), nil
}

// SetsAuthorization reports whether the credentials are sent as an Authorization header.
func (a *Auth) SetsAuthorization() bool { return a != nil && a.Type != AuthMTLS }

// Authorization returns the value of the Authorization header of types whose credentials are fixed; "" for the others.
func (a *Auth) Authorization() string {
	switch {
	case a == nil:
		return ""
	case a.Type == AuthBasic:
		return BasicAuthorization(a.Username, a.Password)
	case a.Type == AuthBearer:
		return "Bearer " + a.Token.text
	default:
		return ""
	}
}

// BasicAuthorization returns the header value for a user name, which has no colon, and a password.
func BasicAuthorization(username string, password Secret) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password.text))
}

// Secrets returns the texts that must not be shown, where an answer repeats them. Short ones are left out, because they would match
// by chance.
func (a *Auth) Secrets() []string {
	const least = 8
	var found []string
	_, sent, _ := strings.Cut(a.Authorization(), " ")
	for _, text := range []string{sent, a.Password.text, a.ClientSecret.text, a.Key.text} {
		if len(text) >= least {
			found = append(found, text)
		}
	}
	return found
}

// CertificateSpan is when a certificate is valid.
type CertificateSpan struct{ From, Until time.Time }

// certificateWarnings are how long before the end of a certificate its end is told.
var certificateWarnings = []time.Duration{30 * 24 * time.Hour, 7 * 24 * time.Hour, 24 * time.Hour}

// NextWarning returns when the certificate's end is told next after a moment; nil: not any more. A warning comes in the last third of
// the time for which the certificate is valid, so that one that is renewed often is not always about to end; one of a few days has
// one warning when that third begins.
func (s CertificateSpan) NextWarning(after time.Time) *time.Time {
	third := s.Until.Sub(s.From) / 3
	told := false
	for _, before := range certificateWarnings {
		if before > third {
			continue
		}
		told = true
		if at := s.Until.Add(-before); at.After(after) {
			return &at
		}
	}
	if at := s.Until.Add(-third); !told && at.After(after) {
		return &at
	}
	return nil
}

// FirstWarning returns the first warning after the certificate was stored: the latest that was missed counts as due at once.
func (s CertificateSpan) FirstWarning(stored time.Time) *time.Time {
	first := s.NextWarning(s.From)
	if first != nil && !first.After(stored) && s.Until.After(stored) {
		return &stored
	}
	return first
}
