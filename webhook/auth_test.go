package webhook_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
	"waybill/webhook/certtest"
)

func oauth() webhook.AuthText {
	return webhook.AuthText{Type: "oauth2", TokenURL: "https://login.example/token", ClientID: "c", ClientSecret: "hush-hush-1"}
}

func TestEndpoint_Validate_auth(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	ca := certtest.NewAuthority(t)
	certificate, key := ca.Issue(t, "x", now.Add(-time.Hour), now.Add(time.Hour))
	expired, expiredKey := ca.Issue(t, "x", now.Add(-2*time.Hour), now)
	_, otherKey := ca.Issue(t, "x", now, now.Add(time.Hour))
	long := strings.Repeat("x", 1024)
	with := func(change func(*webhook.AuthText)) webhook.AuthText {
		a := oauth()
		change(&a)
		return a
	}
	for name, c := range map[string]struct {
		auth  webhook.AuthText
		wrong []string
	}{
		"basic":                    {auth: webhook.AuthText{Type: "basic", Username: long, Password: long}},
		"basic, no password":       {auth: webhook.AuthText{Type: "basic", Username: "k"}},
		"bearer":                   {auth: webhook.AuthText{Type: "bearer", Token: strings.Repeat("t", 4096)}},
		"oauth2":                   {auth: oauth()},
		"mtls":                     {auth: webhook.AuthText{Type: "mtls", Certificate: certificate, Key: key}},
		"mtls, a chain":            {auth: webhook.AuthText{Type: "mtls", Certificate: certificate + expired, Key: key}},
		"no type":                  {wrong: []string{"auth.type"}},
		"another type":             {auth: webhook.AuthText{Type: "digest"}, wrong: []string{"auth.type"}},
		"basic, nothing":           {auth: webhook.AuthText{Type: "basic"}, wrong: []string{"auth.username"}},
		"basic, a colon":           {auth: webhook.AuthText{Type: "basic", Username: "a:b"}, wrong: []string{"auth.username"}},
		"basic, too long":          {auth: webhook.AuthText{Type: "basic", Username: long + "x", Password: long + "x"}, wrong: []string{"auth.username", "auth.password"}},
		"basic, a line feed":       {auth: webhook.AuthText{Type: "basic", Username: "a", Password: "b\nc"}, wrong: []string{"auth.password"}},
		"basic, a token":           {auth: webhook.AuthText{Type: "basic", Username: "a", Token: "t"}, wrong: []string{"auth.token"}},
		"bearer, nothing":          {auth: webhook.AuthText{Type: "bearer"}, wrong: []string{"auth.token"}},
		"bearer, too long":         {auth: webhook.AuthText{Type: "bearer", Token: strings.Repeat("t", 4097)}, wrong: []string{"auth.token"}},
		"bearer, a space":          {auth: webhook.AuthText{Type: "bearer", Token: "a b"}, wrong: []string{"auth.token"}},
		"oauth2, nothing":          {auth: webhook.AuthText{Type: "oauth2"}, wrong: []string{"auth.token_url", "auth.client_id", "auth.client_secret"}},
		"oauth2, http":             {auth: with(func(a *webhook.AuthText) { a.TokenURL = "http://login.example/" }), wrong: []string{"auth.token_url"}},
		"oauth2, a private server": {auth: with(func(a *webhook.AuthText) { a.TokenURL = "https://10.0.0.1/" }), wrong: []string{"auth.token_url"}},
		"oauth2, a user":           {auth: with(func(a *webhook.AuthText) { a.TokenURL = "https://a:b@login.example/" }), wrong: []string{"auth.token_url"}},
		"oauth2, a long scope":     {auth: with(func(a *webhook.AuthText) { a.Scope = long + "x" }), wrong: []string{"auth.scope"}},
		"mtls, nothing":            {auth: webhook.AuthText{Type: "mtls"}, wrong: []string{"auth.certificate"}},
		"mtls, another key":        {auth: webhook.AuthText{Type: "mtls", Certificate: certificate, Key: otherKey}, wrong: []string{"auth.key"}},
		"mtls, the key first":      {auth: webhook.AuthText{Type: "mtls", Certificate: key, Key: key}, wrong: []string{"auth.certificate"}},
		"mtls, expired":            {auth: webhook.AuthText{Type: "mtls", Certificate: expired, Key: expiredKey}, wrong: []string{"auth.certificate"}},
		"mtls, too many":           {auth: webhook.AuthText{Type: "mtls", Certificate: strings.Repeat(certificate, 11), Key: key}, wrong: []string{"auth.certificate"}},
		"mtls, too long":           {auth: webhook.AuthText{Type: "mtls", Certificate: strings.Repeat(" ", 16<<10) + "x", Key: key}, wrong: []string{"auth.certificate"}},
		"mtls, a long key":         {auth: webhook.AuthText{Type: "mtls", Certificate: certificate, Key: strings.Repeat(" ", 8<<10) + "x"}, wrong: []string{"auth.key"}},
	} {
		e := webhook.Endpoint{URL: "https://r.example", EventTypes: []string{"*"}, Auth: c.auth.Auth(), UpdatedAt: now}
		d := dialect(t, "standard")
		e.Normalize(d)
		err := e.Validate(webhook.Limits{Dialect: d, CheckAddress: func(host string, _ uint16) error {
			if host == "10.0.0.1" {
				return fmt.Errorf("is a private address")
			}
			return nil
		}})
		require.Equal(t, c.wrong, fields(t, err), "%s: %v", name, err)
		if err != nil {
			require.NotContains(t, err.Error(), "hush")
			require.NotContains(t, err.Error(), "PRIVATE KEY")
		}
		require.Equal(t, strings.HasPrefix(name, "mtls") && len(c.wrong) == 0, c.wrong == nil && e.CertificateExpiresAt != nil, name)
	}
}

// Credentials go with what else an endpoint has, and stay with its host.
func TestEndpoint_Validate_authAndTheRest(t *testing.T) {
	t.Parallel()
	d := dialect(t, "standard")
	certificate, key := certtest.NewAuthority(t).Issue(t, "x", time.Now(), time.Now().Add(time.Hour))
	bearer := &webhook.AuthText{Type: "bearer", Token: "hush-hush-1"}
	for name, c := range map[string]struct {
		url     string
		auth    *webhook.AuthText
		headers map[string]string
		dialect func(*webhook.Dialect)
		wrong   []string
	}{
		"a custom header":  {auth: bearer, headers: map[string]string{"authorization": "x"}, wrong: []string{"headers.authorization"}},
		"a header, mtls":   {auth: &webhook.AuthText{Type: "mtls", Certificate: certificate, Key: key}, headers: map[string]string{"Authorization": "x"}},
		"mtls over http":   {url: "http://r.example", auth: &webhook.AuthText{Type: "mtls", Certificate: certificate, Key: key}, wrong: []string{"auth"}},
		"bearer over http": {url: "http://r.example", auth: bearer},
		"the dialect's":    {auth: bearer, dialect: func(d *webhook.Dialect) { d.Headers = map[string]string{"Authorization": "x"} }, wrong: []string{"auth"}},
	} {
		own := *d
		if c.dialect != nil {
			c.dialect(&own)
		}
		if c.url == "" {
			c.url = "https://r.example"
		}
		e := webhook.Endpoint{URL: c.url, EventTypes: []string{"*"}, Auth: c.auth.Auth(), Headers: c.headers}
		require.Equal(t, c.wrong, fields(t, e.Validate(webhook.Limits{Dialect: &own, AllowHTTP: true})), name)
	}

	stored := webhook.Endpoint{URL: "https://r.example/a", EventTypes: []string{"*"}, Auth: bearer.Auth()}
	for url, wrong := range map[string][]string{
		"https://r.example/b?c": nil, "https://R.example": nil, "https://s.example/a": {"auth"}, "https://r.example:8443/a": {"auth"}, "http://r.example/a": {"auth"},
	} {
		e := stored
		e.URL = url
		limits := webhook.Limits{Dialect: d, AllowHTTP: true, Stored: &stored}
		require.Equal(t, wrong, fields(t, e.Validate(limits)), url)
		e.Auth = bearer.Auth()
		require.NoError(t, e.Validate(limits), "given again")
		e.Auth = nil
		require.NoError(t, e.Validate(limits))
	}
}

func TestAuth_ShowsNothing(t *testing.T) {
	t.Parallel()
	text := webhook.AuthText{
		Type: "oauth2", Username: "hush", Password: "hush", Token: "hush", TokenURL: "https://login.example/?hush", ClientID: "hush", ClientSecret: "hush",
		Scope: "hush", Audience: "hush", Certificate: "hush", Key: "hush",
	}
	a := text.Auth()
	shown, err := json.Marshal(struct{ A *webhook.Auth }{a})
	require.NoError(t, err)
	require.JSONEq(t, `{"A":{"type":"oauth2"}}`, string(shown))
	again, err := webhook.ReadAuth(a.Reveal())
	require.NoError(t, err)
	require.Equal(t, a, again)
	require.Equal(t, 10, strings.Count(string(a.Reveal()), "hush"), "what is sealed is whole")
	_, err = webhook.ReadAuth([]byte(`{"token":"hush`))
	require.ErrorContains(t, err, "not readable")
	require.NotContains(t, err.Error(), "hush")
	for _, secret := range []string{a.Password.String(), fmt.Sprintf("%+v %#v", a.Token, a.Key)} {
		require.NotContains(t, secret, "hush")
	}
}

func TestCertificateSpan_Warnings(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for life, want := range map[time.Duration][]time.Duration{
		365 * day: {30 * day, 7 * day, day}, 90 * day: {30 * day, 7 * day, day}, 89 * day: {7 * day, day}, 3 * day: {day}, 30 * time.Hour: {10 * time.Hour},
	} {
		span := webhook.CertificateSpan{From: from, Until: from.Add(life)}
		var told []time.Duration
		for at := span.FirstWarning(from); at != nil; at = span.NextWarning(*at) {
			told = append(told, span.Until.Sub(*at))
		}
		require.Equal(t, want, told, "%s", life)
	}
	span := webhook.CertificateSpan{From: from, Until: from.Add(90 * day)}
	late := from.Add(80 * day)
	require.Equal(t, late, *span.FirstWarning(late), "one that ends soon is told at once")
	require.Equal(t, from.Add(83*day), *span.NextWarning(late))
	require.Nil(t, span.NextWarning(from.Add(89*day)))
}
