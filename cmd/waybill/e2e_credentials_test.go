package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	hooks "waybill/scripts/receiver"
)

// A token is fetched once for many deliveries, replaced once when the receiver does not take it any more, and shown nowhere.
func TestCredentials_OAuth2(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{"1s", "1h"}}})
	secret := unique("client-secret")
	server := newTokenServer(t, unique("access-token"), secret)
	first, second := "Bearer "+server.name+"-1", "Bearer "+server.name+"-2"
	r := newGuarded(t, first)
	tn.server.group.secrets.add(secret, server.name)
	var e endpoint
	tn.call(t, "POST", tn.path+"/endpoints", fields{"url": r.url, "event_types": []string{"*"}, "auth": server.auth(secret)}).is(t, 201, &e)

	tn.publishMany(t, 20)
	tn.waitCount(t, "delivered", 20)
	asked, _ := server.count()
	require.Equal(t, 1, asked)
	require.Len(t, r.seen(), 20)

	r.demand(second) // the first is revoked
	again := tn.publish(t, `{"type":"order.confirmed","data":1}`, 1).Deliveries[0].ID
	tn.waitDelivery(t, again, "delivered", 1)
	require.Equal(t, []string{first, second}, r.seen()[20:], "within one attempt")
	made := tn.attempts(t, again)[0]
	require.Equal(t, "[redacted]", made.RequestHeaders["Authorization"])
	require.Equal(t, "you sent Bearer [redacted] and ", made.ResponseBody)

	r.demand("Bearer another") // whatever it is given
	never := tn.publish(t, `{"type":"order.confirmed","data":2}`, 1).Deliveries[0].ID
	tn.waitDelivery(t, never, "retrying", 2)
	for _, a := range tn.attempts(t, never) {
		require.Equal(t, 401, a.StatusCode)
		require.Equal(t, "http_status", a.ErrorClass)
	}
	asked, refused := server.count()
	require.Equal(t, 2, asked, "a token that was just replaced is not replaced again")
	require.Zero(t, refused)
	tn.showsNoCredentials(t, e.ID, secret, server.name)
}

// A token server that fails makes attempts fail with a class of their own. They are retried like any, and delivered once it is back.
func TestCredentials_TokenServerFails(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{"1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s"}}})
	secret := unique("client-secret")
	server := newTokenServer(t, unique("access-token"), secret)
	server.fail(true)
	r := newGuarded(t, "Bearer "+server.name+"-*")
	tn.server.group.secrets.add(secret, server.name)
	var e endpoint
	tn.call(t, "POST", tn.path+"/endpoints", fields{"url": r.url, "event_types": []string{"*"}, "auth": server.auth(secret)}).is(t, 201, &e)
	sent := tn.publish(t, `{"type":"order.confirmed","data":1}`, 1)
	d := sent.Deliveries[0].ID
	await(t, patience, "two attempts", func() error {
		if n := len(tn.attempts(t, d)); n < 2 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	require.Empty(t, r.seen(), "nothing is sent without a token")
	server.fail(false)
	var made []attempt
	await(t, patience, "the delivery", func() error {
		if made = tn.attempts(t, d); made[len(made)-1].Outcome != "delivered" {
			return fmt.Errorf("the last of %d attempts was %s", len(made), made[len(made)-1].Outcome)
		}
		return nil
	})
	for _, a := range made[:len(made)-1] {
		require.Equal(t, "auth", a.ErrorClass)
		require.Equal(t, "the token server gave no token: it answered 503", a.Error)
		require.Equal(t, "retryable", a.Outcome)
		require.Zero(t, a.StatusCode)
	}
	require.Len(t, r.seen(), 1)
	for _, a := range tn.history(t, sent.ID).Deliveries[0].Attempts[:2] {
		require.Equal(t, "auth", a.ErrorClass)
	}
	tn.showsNoCredentials(t, e.ID, secret, server.name)
}

// Wrong credentials of each kind are a failure that the log explains, and those that take their place work from the next retry on.
func TestCredentials_Changed(t *testing.T) {
	t.Parallel()
	secret, wrong := unique("right-secret"), unique("wrong-secret")
	server := newTokenServer(t, unique("access-token"), secret)
	mutual := newCertified(t)
	stranger, err := hooks.NewAuthority()
	require.NoError(t, err)
	wrongs, rights := certificate(t, stranger, "stranger", time.Hour), certificate(t, mutual.authority, "the endpoint", time.Hour)
	shared(t).group.secrets.add(secret, wrong, server.name)
	for name, c := range map[string]struct {
		before, after fields
		url           string // "": of a receiver that takes want alone
		want          string
		class, says   string
	}{
		"basic": {
			fields{"type": "basic", "username": "u", "password": wrong}, fields{"type": "basic", "username": "u", "password": secret}, "",
			basic("u", secret), "http_status", "the receiver answered 401",
		},
		"bearer": {
			fields{"type": "bearer", "token": wrong}, fields{"type": "bearer", "token": secret}, "",
			"Bearer " + secret, "http_status", "the receiver answered 401",
		},
		"oauth2": {
			server.auth(wrong), server.auth(secret), "", "Bearer " + server.name + "-1",
			"auth", "the token server gave no token: it answered 401 (invalid_client)",
		},
		"another kind": {
			fields{"type": "bearer", "token": wrong}, fields{"type": "basic", "username": "u", "password": secret}, "",
			basic("u", secret), "http_status", "the receiver answered 401",
		},
		"mtls":              {wrongs, rights, mutual.url, "", "tls", "it had asked for a client certificate, and got this endpoint's"},
		"mtls from nothing": {nil, rights, mutual.url, "", "tls", "it had asked for a client certificate, and this endpoint has none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{"1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s"}}})
			to := c.url
			if to == "" {
				to = newGuarded(t, c.want).url
			}
			create := fields{"url": to + "/hook", "event_types": []string{"*"}}
			if c.before != nil {
				create["auth"] = c.before
			}
			var e endpoint
			tn.call(t, "POST", tn.path+"/endpoints", create).is(t, 201, &e)
			d := tn.publish(t, `{"type":"order.confirmed","data":1}`, 1).Deliveries[0].ID
			var made []attempt
			await(t, patience, "an attempt", func() error {
				if made = tn.attempts(t, d); len(made) == 0 {
					return fmt.Errorf("there is none")
				}
				return nil
			})
			require.Equal(t, c.class, made[0].ErrorClass)
			require.Contains(t, made[0].Error, c.says)
			require.Equal(t, "retryable", made[0].Outcome)
			tn.call(t, "PATCH", tn.path+"/endpoints/"+e.ID, fields{"auth": c.after}).is(t, 200, nil)
			done := len(tn.attempts(t, d)) // one may be under way, with what was read before
			await(t, patience, "the delivery", func() error {
				if is := tn.delivery(t, d); is.Status != "delivered" {
					return fmt.Errorf("it is %+v", *is)
				}
				return nil
			})
			require.LessOrEqual(t, len(tn.attempts(t, d)), done+2)
			if c.url != "" {
				require.Contains(t, mutual.seen(), "the endpoint")
			}
			tn.showsNoCredentials(t, e.ID, secret, wrong, server.name, pemLine(wrongs["key"]), pemLine(rights["key"]))
		})
	}
}

// pemLine returns a line of the Base64 in a PEM text.
func pemLine(text any) string { return strings.Split(text.(string), "\n")[1] }

// showsNoCredentials requires that no view of an endpoint, its deliveries and its changes has a secret.
func (tn *tenant) showsNoCredentials(t *testing.T, endpoint string, secrets ...string) {
	t.Helper()
	var shown struct {
		Auth map[string]any `json:"auth"`
	}
	tn.call(t, "GET", tn.path+"/endpoints/"+endpoint, nil).is(t, 200, &shown)
	require.Len(t, shown.Auth, 1, "the type and nothing else")
	require.Contains(t, shown.Auth, "type")
	planted := canaries{}
	for i, secret := range secrets {
		planted[fmt.Sprintf("the secret %d", i+1)] = secret
	}
	for _, path := range tn.views(t, endpoint) {
		a := tn.call(t, "GET", path, nil)
		require.Equal(t, 200, a.status, path)
		planted.absent(t, "GET "+path, string(a.body))
	}
}

// views are the paths under which an endpoint and what went to it is shown.
func (tn *tenant) views(t *testing.T, endpoint string) []string {
	t.Helper()
	paths := []string{"/endpoints/" + endpoint, "/endpoints", "/endpoints/" + endpoint + "/stats", "/deliveries", "/events", "/audit"}
	for _, d := range tn.deliveries(t, "?endpoint="+endpoint) {
		paths = append(paths, "/deliveries/"+d.ID, "/deliveries/"+d.ID+"/attempts", "/events/"+d.EventID+"/history")
	}
	for i := range paths {
		paths[i] = tn.path + paths[i]
	}
	return paths
}

// The operator is told of a client certificate that is about to end, once, however many processes look.
func TestCredentials_CertificateEnds(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	const operator = "WAYBILL_OPERATOR_TENANT=ops"
	s := g.own(t, "serve", operator)
	s.admin().call(t, "POST", "/v1/tenants", fields{"id": "ops", "name": "Operator", "dialect": "standard"}).is(t, 201, nil)
	ops := &tenant{caller: s.admin(), id: "ops", path: "/v1/tenants/ops"}
	told := newReceiver(t)
	ops.endpoint(t, told, nil)
	tn := newTenant(t, s, "standard", nil)
	mutual := newCertified(t)
	ending := func(name string, lasts time.Duration) (endpoint string) {
		var e struct {
			ID      string    `json:"id"`
			Expires time.Time `json:"certificate_expires_at"`
		}
		tn.call(t, "POST", tn.path+"/endpoints", fields{
			"url": mutual.url, "event_types": []string{"*"}, "auth": certificate(t, mutual.authority, name, lasts),
		}).is(t, 201, &e)
		require.WithinDuration(t, time.Now().Add(lasts), e.Expires, time.Minute)
		return e.ID
	}
	const day = 24 * time.Hour
	first := ending("the first", 10*day)
	ending("the lasting", 300*day)
	g.own(t, "worker", operator) // looks when it starts
	require.Equal(t, first, expiring(t, told.wait(t, 1)[0]))
	second := ending("the second", 10*day)
	g.own(t, "worker", operator)
	require.Equal(t, second, expiring(t, told.wait(t, 2)[1]), "nobody is told of the first again")
	require.Contains(t, told.got()[0].header.Get("Content-Type"), "json")
}

// expiring returns the endpoint that an event tells of.
func expiring(t *testing.T, a arrival) (endpoint string) {
	t.Helper()
	var event struct {
		Type string
		Data struct {
			Tenant, Host string
			EndpointID   string    `json:"endpoint_id"`
			ExpiresAt    time.Time `json:"expires_at"`
		}
	}
	require.NoError(t, json.Unmarshal(a.body, &event))
	require.Equal(t, "endpoint.certificate_expiring", event.Type)
	require.WithinDuration(t, time.Now().Add(10*24*time.Hour), event.Data.ExpiresAt, time.Minute)
	return event.Data.EndpointID
}
