package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"time"
)

// Span returns when the endpoint's own certificate of the chain is valid. The error is for the caller.
func (a *Auth) Span() (CertificateSpan, error) {
	block, _ := pem.Decode([]byte(a.Certificate))
	if block == nil || block.Type != "CERTIFICATE" {
		return CertificateSpan{}, errors.New("is no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return CertificateSpan{}, errors.New("begins with a certificate that cannot be read")
	}
	return CertificateSpan{leaf.NotBefore.UTC(), leaf.NotAfter.UTC()}, nil
}

// validateAuth checks the credentials, and that they go with URL and headers. The endpoint's UpdatedAt is the time of the change.
func (e *Endpoint) validateAuth(l Limits, found *problems) {
	a := e.Auth
	if a == nil {
		return
	}
	changed := l.Stored == nil || l.Stored.Auth != a
	if changed {
		a.validate(l, e.UpdatedAt, found)
	} else if e.URL != l.Stored.URL && originOf(e.URL) != originOf(l.Stored.URL) {
		found.addf("auth", "is for another host; send it again with the new url, or null, because what is stored is never sent elsewhere")
	}
	if a.SetsAuthorization() {
		for name := range e.Headers {
			if strings.EqualFold(name, "Authorization") {
				found.addf("headers."+name, "is set by auth; leave one of the two out")
			}
		}
		if l.Dialect.sets("Authorization") {
			found.addf("auth", "would set the header Authorization, which the dialect %s sets itself", l.Dialect.Name)
		}
	}
	if a.Type == AuthMTLS && !strings.HasPrefix(strings.ToLower(e.URL), "https://") {
		found.addf("auth", "is a client certificate, which needs a url with https")
	}
}

// originOf returns scheme, host and port of a valid URL as they are written, in lower case.
func originOf(text string) string {
	scheme, rest, _ := strings.Cut(text, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return strings.ToLower(scheme + "://" + rest)
}

// validate checks each type's own fields, and that no others are set.
func (a *Auth) validate(l Limits, now time.Time, found *problems) {
	allowed := map[AuthType]string{
		AuthBasic: "username password", AuthBearer: "token", AuthOAuth2: "token_url client_id client_secret scope audience",
		AuthMTLS: "certificate key",
	}
	of, known := allowed[a.Type]
	if !known {
		found.addf("auth.type", "is basic, bearer, oauth2 or mtls") // what is there may be a credential in the wrong place
		return
	}
	for _, f := range []struct{ name, value string }{
		{"username", a.Username}, {"password", a.Password.text}, {"token", a.Token.text}, {"token_url", a.TokenURL},
		{"client_id", a.ClientID}, {"client_secret", a.ClientSecret.text}, {"scope", a.Scope}, {"audience", a.Audience},
		{"certificate", a.Certificate}, {"key", a.Key.text},
	} {
		if f.value != "" && !strings.Contains(" "+of+" ", " "+f.name+" ") {
			found.addf("auth."+f.name, "is not of the type %s, which has %s", a.Type, strings.ReplaceAll(of, " ", ", "))
		}
	}
	switch a.Type {
	case AuthBasic:
		a.validateBasic(found)
	case AuthBearer:
		checkToken("auth.token", a.Token.text, found)
	case AuthOAuth2:
		a.validateOAuth2(l, found)
	case AuthMTLS:
		a.validateMTLS(now, found)
	}
}

func (a *Auth) validateBasic(found *problems) {
	if a.Username == "" && a.Password.text == "" {
		found.addf("auth.username", "is required, or auth.password")
	}
	if strings.Contains(a.Username, ":") {
		found.addf("auth.username", "has a colon, which would end it")
	}
	checkAuthText("auth.username", a.Username, found)
	checkAuthText("auth.password", a.Password.text, found)
}

// checkToken refuses what cannot be sent as the rest of an Authorization header.
func checkToken(field, token string, found *problems) {
	if token == "" || len(token) > maxTokenBytes || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		found.addf(field, "is printable ASCII without spaces, 1 to %d bytes", maxTokenBytes)
	}
}

func checkAuthText(field, text string, found *problems) {
	if len(text) > maxAuthTextBytes || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		found.addf(field, "has no control character, and at most %d bytes", maxAuthTextBytes)
	}
}

func (a *Auth) validateOAuth2(l Limits, found *problems) {
	strict := *l.Dialect
	strict.HTTPSOnly = true // a client secret is worth as much in every dialect
	l.Dialect = &strict
	if detail := urlFault(a.TokenURL, l); detail != "" {
		found.addf("auth.token_url", "%s", strings.Replace(detail, "the dialect "+strict.Name+" delivers to https only", "a token server needs https", 1))
	}
	for _, f := range []struct {
		field, value string
		required     bool
	}{
		{"auth.client_id", a.ClientID, true}, {"auth.client_secret", a.ClientSecret.text, true},
		{"auth.scope", a.Scope, false}, {"auth.audience", a.Audience, false},
	} {
		if f.required && f.value == "" {
			found.addf(f.field, "is required")
		}
		checkAuthText(f.field, f.value, found)
	}
}

// validateMTLS checks certificate and key. The texts of crypto/tls are left out.
func (a *Auth) validateMTLS(now time.Time, found *problems) {
	switch {
	case len(a.Certificate) > maxCertificateBytes || strings.Count(a.Certificate, "-----BEGIN ") > maxCertificates:
		found.addf("auth.certificate", "is at most %d bytes and %d certificates long", maxCertificateBytes, maxCertificates)
		return
	case len(a.Key.text) > maxKeyBytes:
		found.addf("auth.key", "is at most %d bytes long", maxKeyBytes)
		return
	}
	span, err := a.Span()
	if err != nil {
		found.addf("auth.certificate", "%s", err.Error())
		return
	}
	if !now.IsZero() && !span.Until.After(now) {
		found.addf("auth.certificate", "has expired on %s", span.Until.Format(time.RFC3339))
	}
	if _, err := tls.X509KeyPair([]byte(a.Certificate), []byte(a.Key.text)); err != nil {
		found.addf("auth.key", "is not the certificate's private key in PEM form, without a password")
	}
}
