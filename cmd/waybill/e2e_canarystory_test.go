package main_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"waybill/scripts/inbox"
	hooks "waybill/scripts/receiver"
)

// canaryStory is a Waybill with secrets in every place that takes one.
type canaryStory struct {
	group            *group
	server           *server
	planted, payload canaries

	inbox *inbox.Inbox
	// loginRefused has the mail server refuse a login that is right, and quote it.
	loginRefused atomic.Bool
	proxy        *egressProxy

	own            *tenant // as the administrator sees it
	holder, reader *tenant // the same with a tenant's key for everything, and with one that may only read
	// endpoints are those of own, by their credentials; those named wrong fail.
	endpoints   map[string]string
	certificate fields
}

func newCanaryStory(t *testing.T) *canaryStory {
	t.Helper()
	g := ownGroup(t, groupOptions{postgresProxy: true})
	c := &canaryStory{group: g, endpoints: map[string]string{}, payload: canaries{"the payload": "canary-payload-1234-5678"}}
	c.planted = canaries{
		"the administrator's key": g.apiKey, "the encryption key": strings.TrimPrefix(g.keys, "k1:"), "the database's password": processPassword,
		"a header's value": "canary-header-4711-8642", "a bearer token": "canary-token/9753+1357==", "a wrong bearer token": "canary-wrong-token-2222",
		"a basic password": `canary-basic/"p+ss&word"`, "a wrong basic password": "canary-wrong-basic-3333",
		"a client secret": "canary/client+secret&4444", "a wrong client secret": "canary-wrong-client-5555", "an access token": "canary-access-token-6666",
		"the mail server's password": `canary-mail&"password"`, "the proxy's password": "canary-proxy-7777-pass",
	}
	c.group.secrets.add(c.payload["the payload"])
	for _, secret := range c.planted {
		c.group.secrets.add(secret)
	}
	c.proxy = startEgressProxy(t, c.planted["the proxy's password"])
	a, err := theAuthority()
	require.NoError(t, err)
	cert, err := a.Certificate()
	require.NoError(t, err)
	c.loginRefused.Store(true)
	c.inbox = newInbox(t, inbox.Options{Certificate: &cert, User: "waybill", Password: c.planted["the mail server's password"], Auth: c.login})
	c.server = g.own(t, "serve", append(smtpEnv(c.inbox.Port()), "WAYBILL_SMTP_TLS=starttls", "WAYBILL_SMTP_USER=waybill",
		"WAYBILL_SMTP_PASSWORD="+c.planted["the mail server's password"], "SSL_CERT_FILE="+g.caFile, "WAYBILL_EGRESS_PROXY="+c.proxy.url)...)
	return c
}

// login is a mail server that quotes what it refuses.
func (c *canaryStory) login(user, password string) error {
	if !c.loginRefused.Load() {
		return nil
	}
	encoded := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	return &smtp.SMTPError{Code: 535, Message: "no such login: " + encoded + " " + password}
}

// makeKeys makes and uses keys and signing secrets.
func (c *canaryStory) makeKeys(t *testing.T) {
	t.Helper()
	c.own = newTenant(t, c.server, "standard", fields{"retry": fields{"schedule": []string{}}})
	own := c.own
	var key, rotated, read struct{ ID, Key string }
	own.call(t, "POST", own.path+"/keys", fields{"name": "k", "scopes": []string{"manage", "publish", "read"}}, "Idempotency-Key", "two").is(t, 201, &key)
	own.call(t, "POST", own.path+"/keys/"+key.ID+"/rotate", nil, "Idempotency-Key", "three").is(t, 201, &rotated)
	own.call(t, "POST", own.path+"/keys", fields{"name": "r", "scopes": []string{"read"}}, "Idempotency-Key", "four").is(t, 201, &read)
	var shared struct{ Secret string }
	vine := newTenant(t, c.server, "tradevine", nil)
	vine.call(t, "GET", vine.path+"/secret", nil).is(t, 200, &shared)
	c.planted["a tenant's key"], c.planted["a key that was rotated"], c.planted["the tenant's secret"] = key.Key, rotated.Key, shared.Secret
	c.planted["a reader's key"] = read.Key
	holder, reader := *own, *own
	holder.caller, reader.caller = &caller{c.server, rotated.Key}, &caller{c.server, read.Key}
	c.holder, c.reader = &holder, &reader
}

// makeEndpoints makes an endpoint with each kind of credentials, and one whose credentials the other side refuses. Both sides repeat
// what they were sent.
func (c *canaryStory) makeEndpoints(t *testing.T) {
	t.Helper()
	p := c.planted
	tokens := newTokenServer(t, p["an access token"], p["a client secret"])
	mutual := newCertified(t)
	stranger, err := hooks.NewAuthority()
	require.NoError(t, err)
	c.certificate = certificate(t, mutual.authority, "the endpoint", time.Hour)
	wrong := certificate(t, stranger, "a stranger", time.Hour)
	for what, auth := range map[string]fields{"a private key": c.certificate, "a wrong private key": wrong} {
		for i, line := range strings.Split(strings.TrimSpace(auth["key"].(string)), "\n") {
			if !strings.HasPrefix(line, "-----") {
				p[fmt.Sprintf("%s, line %d", what, i+1)] = line
			}
		}
	}
	takesBearer := newGuarded(t, "Bearer "+p["a bearer token"]).url
	takesBasic := newGuarded(t, basic("user", p["a basic password"])).url
	takesToken := newGuarded(t, "Bearer "+tokens.name+"-*").url
	p["what basic sends"] = strings.TrimPrefix(basic("user", p["a basic password"]), "Basic ")
	for kind, e := range map[string]struct {
		url  string
		auth fields
	}{
		"bearer":       {takesBearer, fields{"type": "bearer", "token": p["a bearer token"]}},
		"wrong bearer": {takesBearer, fields{"type": "bearer", "token": p["a wrong bearer token"]}},
		"basic":        {takesBasic, fields{"type": "basic", "username": "user", "password": p["a basic password"]}},
		"wrong basic":  {takesBasic, fields{"type": "basic", "username": "user", "password": p["a wrong basic password"]}},
		"oauth2":       {takesToken, tokens.auth(p["a client secret"])},
		"wrong oauth2": {takesToken, tokens.auth(p["a wrong client secret"])},
		"wrong token":  {takesBearer, tokens.auth(p["a client secret"])},
		"mtls":         {mutual.url, c.certificate},
		"wrong mtls":   {mutual.url, wrong},
	} {
		var made struct{ ID, Secret string }
		c.own.call(t, "POST", c.own.path+"/endpoints", fields{
			"url": e.url, "event_types": []string{"*"}, "headers": map[string]string{"X-Api-Key": p["a header's value"]}, "auth": e.auth,
		}, "Idempotency-Key", kind).is(t, 201, &made)
		c.endpoints[kind], p["the secret of "+kind] = made.ID, made.Secret
	}
}

// deliver uses all credentials, and looks at secrets as people do.
func (c *canaryStory) deliver(t *testing.T) {
	t.Helper()
	event := fields{"type": "order.confirmed", "data": fields{"note": c.payload["the payload"]}}
	sent := c.holder.publish(t, event, len(c.endpoints))
	for kind, id := range c.endpoints {
		status := "delivered"
		if strings.HasPrefix(kind, "wrong") {
			status = "exhausted"
		}
		c.own.waitDelivery(t, sent.to(t, &endpoint{ID: id}), status, 1)
	}
	e := c.own.path + "/endpoints/" + c.endpoints["bearer"]
	c.holder.call(t, "GET", e+"/secret", nil).is(t, 200, nil)
	c.holder.call(t, "POST", e+"/test", nil).is(t, 202, nil)
	c.holder.call(t, "POST", e+"/verify", nil).isProblem(t, 409, "conflict")
	c.holder.call(t, "POST", e+"/disable", fields{"reason": "canary"}).is(t, 200, nil)
}

// mail has the mail server refuse a login before it takes a mail.
func (c *canaryStory) mail(t *testing.T) {
	t.Helper()
	tn := mailTenant(t, c.server, "tradly")
	tn.endpoint(t, newReceiver(t, reply{status: http.StatusInternalServerError}), nil)
	told := tn.publish(t, fields{"type": "order.confirmed", "data": fields{"note": c.payload["the payload"]}}, 1)
	tn.waitDelivery(t, told.Deliveries[0].ID, "exhausted", 1)
	await(t, patience, "a login to be refused", func() error { return c.logs("no such login: [redacted] [redacted]") })
	c.loginRefused.Store(false)
	require.Equal(t, "waybill", waitMails(t, c.inbox, 1)[0].User)
}

// logs returns an error until the log has a text.
func (c *canaryStory) logs(text string) error {
	if !strings.Contains(c.server.read(), text) {
		return fmt.Errorf("the log does not say %q", text)
	}
	return nil
}

// refuseProxy has the proxy refuse the password.
func (c *canaryStory) refuseProxy(t *testing.T) {
	t.Helper()
	tn := newTenant(t, c.server, "standard", nil)
	tn.endpoint(t, newReceiver(t), nil)
	c.proxy.setPassword("another")
	sent := tn.publish(t, confirmed, 1)
	await(t, patience, "the proxy to refuse", func() error { return c.logs("the egress proxy refuses the credentials in WAYBILL_EGRESS_PROXY") })
	c.proxy.setPassword(c.planted["the proxy's password"])
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
}

// loseDatabase cuts the connections to the database for a moment.
func (c *canaryStory) loseDatabase(t *testing.T) {
	t.Helper()
	c.group.postgres.cut()
	defer c.group.postgres.restore()
	await(t, patience, "the API to miss the database", func() error {
		a := c.holder.call(t, "GET", c.own.path+"/deliveries", nil)
		c.planted.absent(t, "the answer without a database", string(a.body))
		if a.status != http.StatusServiceUnavailable {
			return fmt.Errorf("it answers %d", a.status)
		}
		return nil
	})
}

// misconfigure starts commands whose secrets are written wrongly, or are wrong.
func (c *canaryStory) misconfigure(t *testing.T) {
	t.Helper()
	const wrong = "canary-wrong-database-8888"
	c.planted["a wrong database password"] = wrong
	u, err := url.Parse(c.group.ownerURL)
	require.NoError(t, err)
	u.User = url.UserPassword(processRole, wrong)
	for what, variables := range map[string][]string{
		"migrate": {"WAYBILL_DATABASE_URL=" + u.String()},
		"serve":   {"WAYBILL_DATABASE_URL=postgres://user:" + wrong + "/%@127.0.0.1:x/db"},
		"api":     {"WAYBILL_EGRESS_PROXY=http://user:" + c.planted["the proxy's password"] + "@127.0.0.1:1/path"},
		"worker":  {"WAYBILL_ENCRYPTION_KEYS=" + strings.TrimPrefix(c.group.keys, "k1:"), "WAYBILL_EGRESS_PROXY=" + c.planted["the proxy's password"]},
		"reseal":  {"WAYBILL_DATABASE_URL=" + u.String()},
	} {
		cmd := exec.CommandContext(t.Context(), c.group.binary, what)
		cmd.Env = c.group.environ(variables...)
		out, err := cmd.CombinedOutput()
		require.Error(t, err, what)
		c.planted.absent(t, "what waybill "+what+" says", string(out))
	}
}
