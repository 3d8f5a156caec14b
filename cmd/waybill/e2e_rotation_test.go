package main_test

import (
	"encoding/base64"
	"net/http"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"waybill/scripts/stranger"
)

// signingSecret is what the API tells of a signing secret.
type signingSecret struct {
	Secret              string `json:"secret"`
	PublicKey           string `json:"public_key"`
	Fingerprint         string `json:"fingerprint"`
	PreviousFingerprint string `json:"previous_fingerprint"`
	PreviousValidUntil  string `json:"previous_valid_until"`
	SwitchAt            string `json:"switch_at"`
}

// rotate rotates the secret of a tenant or an endpoint.
func (tn *tenant) rotate(t *testing.T, path string, how fields) *signingSecret {
	t.Helper()
	var made signingSecret
	tn.call(t, "POST", path+"/rotate-secret", how).is(t, 200, &made)
	return &made
}

// test sends a test event, signed with one secret alone unless secret is "".
func (tn *tenant) test(t *testing.T, e *endpoint, secret string) {
	t.Helper()
	body := fields{}
	if secret != "" {
		body["secret"] = secret
	}
	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/test", body).is(t, 202, nil)
}

// bring returns a secret as a receiver of Standard Webhooks may have it already.
func (tn *tenant) bring() string {
	secret := "whsec_" + base64.StdEncoding.EncodeToString(random(24))
	tn.server.group.secrets.add(secret)
	return secret
}

// requireSigned has the reference library of Standard Webhooks accept an arrival with each of the secrets, and with none of the others.
func requireSigned(t *testing.T, a arrival, secrets, others []string) {
	t.Helper()
	verify := func(secret string) error {
		library, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		return library.Verify(a.body, a.header)
	}
	for i, secret := range secrets {
		require.NoError(t, verify(secret), "secret %d", i)
	}
	for i, secret := range others {
		require.Error(t, verify(secret), "other secret %d", i)
	}
}

// A receiver brings its secret along. While it moves to another it can verify with either, and a test proves which it takes.
func TestRotation_Endpoint(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	r := newReceiver(t)
	old := tn.bring()
	e := tn.endpoint(t, r, fields{"secret": old})
	require.Equal(t, old, e.Secret)
	path := tn.path + "/endpoints/" + e.ID
	const event = `{"type":"order.confirmed","data":{"order_id":4711}}`
	tn.publish(t, event, 1)
	requireSigned(t, r.wait(t, 1)[0], []string{old}, nil)

	made := tn.rotate(t, path, fields{"overlap": "1h"})
	require.NotEmpty(t, made.PreviousValidUntil)
	sent := tn.publish(t, event, 1)
	requireSigned(t, r.wait(t, 2)[1], []string{old, made.Secret}, nil)
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
	require.Equal(t, []string{made.Fingerprint, made.PreviousFingerprint}, tn.attempts(t, sent.Deliveries[0].ID)[0].SignedWith)

	tn.test(t, e, "previous")
	requireSigned(t, r.wait(t, 3)[2], []string{old}, []string{made.Secret})
	tn.test(t, e, "current")
	requireSigned(t, r.wait(t, 4)[3], []string{made.Secret}, []string{old})
	tn.call(t, "POST", path+"/rotate-secret", nil).isProblem(t, 409, "conflict")

	tn.call(t, "POST", path+"/retire-secret", nil).is(t, 200, nil)
	tn.publish(t, event, 1)
	requireSigned(t, r.wait(t, 5)[4], []string{made.Secret}, []string{old})
	tn.call(t, "POST", path+"/test", fields{"secret": "previous"}).isProblem(t, 409, "conflict")
}

// A retry has the signature of the secret that is valid when it is sent.
func TestRotation_Retry(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	r := newReceiver(t, fails(1)...)
	e := tn.endpoint(t, r, fields{"retry": fields{"schedule": []string{"5s"}}})
	sent := tn.publish(t, `{"type":"order.confirmed","data":1}`, 1)
	requireSigned(t, r.wait(t, 1)[0], []string{e.Secret}, nil)
	made := tn.rotate(t, tn.path+"/endpoints/"+e.ID, fields{"overlap": "0s"})
	requireSigned(t, r.wait(t, 2)[1], []string{made.Secret}, []string{e.Secret})
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 2)
}

// A header of one signature has the old secret's until the moment that was set; all endpoints of a tenant go over together.
func TestRotation_Tenant(t *testing.T) {
	t.Parallel()
	const first, second, third = "their existing consumer secret", "the second consumer secret", "the third consumer secret"
	tn := newTenant(t, shared(t), "tradevine", fields{"secret": first})
	tn.server.group.secrets.add(first, second, third)
	require.Equal(t, first, tn.secret)
	r := newReceiver(t)
	e := tn.endpoint(t, r, fields{"event_types": []string{"product.updated"}})
	arrived := 0
	requireNext := func(secret string) {
		t.Helper()
		arrived++
		a := r.wait(t, arrived)[arrived-1]
		require.NoError(t, verifyTradevine(a.body, a.header, secret))
		for _, other := range []string{first, second, third} {
			require.Equal(t, other == secret, verifyTradevine(a.body, a.header, other) == nil)
		}
	}
	publish := func() { tn.publish(t, `{"type":"product.updated","data":{"Code":"A"}}`, 1) }
	publish()
	requireNext(first)

	// The switch is far: the old secret signs, and a test tries the new one.
	made := tn.rotate(t, tn.path, fields{"secret": second, "switch_at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
	require.NotEmpty(t, made.SwitchAt)
	publish()
	requireNext(first)
	tn.test(t, e, "current")
	requireNext(second)
	tn.test(t, e, "previous")
	requireNext(first)
	tn.call(t, "POST", tn.path+"/retire-secret", nil).is(t, 200, nil)
	publish()
	requireNext(second)

	// The switch comes by itself, and the secret before it is still there for a test.
	at := time.Now().Add(3 * time.Second).UTC().Truncate(time.Second)
	tn.rotate(t, tn.path, fields{"secret": third, "switch_at": at.Format(time.RFC3339)})
	awaitClock(t, at.Add(500*time.Millisecond)) // the server's clock and ours are one
	publish()
	requireNext(third)
	tn.test(t, e, "previous")
	requireNext(second)
}

// Receivers of an Ed25519 endpoint see both public keys during the overlap, and either verifies.
func TestRotation_Ed25519(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	r := newReceiver(t)
	var e struct {
		ID        string `json:"id"`
		PublicKey string `json:"public_key"`
	}
	tn.call(t, "POST", tn.path+"/endpoints", fields{
		"url": r.url + "/hook", "event_types": []string{"*"}, "signing": fields{"algorithm": "ed25519"},
	}).is(t, 201, &e)
	path := tn.path + "/endpoints/" + e.ID
	made := tn.rotate(t, path, fields{})
	require.Empty(t, made.Secret)
	require.NotEqual(t, e.PublicKey, made.PublicKey)
	tn.publish(t, `{"type":"order.confirmed","data":{"note":"é 😀"}}`, 1)
	by := func(a arrival, key string) stranger.Request {
		asked := r.asked(a, stranger.V1a)
		asked.PublicKey = key
		return asked
	}
	both := r.wait(t, 1)[0]
	requireVerified(t, by(both, e.PublicKey), by(both, made.PublicKey))
	require.Len(t, tn.keySet(t), 2)

	tn.call(t, "POST", path+"/retire-secret", nil).is(t, 200, nil)
	tn.publish(t, `{"type":"order.confirmed","data":2}`, 1)
	one := r.wait(t, 2)[1]
	requireVerified(t, by(one, made.PublicKey))
	verdicts, err := stranger.Verify(t.Context(), by(one, e.PublicKey))
	require.NoError(t, err)
	require.NotEmpty(t, verdicts[0], "the old key")
	require.Eventually(t, func() bool { return len(tn.keySet(t)) == 1 }, 30*time.Second, 100*time.Millisecond, "it is kept for two seconds")
}

// keySet returns the public keys of the tenant, as anybody sees them.
func (tn *tenant) keySet(t *testing.T) []map[string]string {
	t.Helper()
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	(&caller{tn.server, ""}).call(t, http.MethodGet, tn.path+"/.well-known/jwks.json", nil).is(t, 200, &set)
	return set.Keys
}

// A secret that the second dialect cannot read does not replace one that it can, so its signatures go on.
func TestRotation_AlsoSignAs(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "rheo", nil)
	r := newReceiver(t)
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	e := tn.endpoint(t, r, fields{"event_types": []string{"*"}, "also_sign_as": fields{"dialect": "standard", "until": until}})
	path := tn.path + "/endpoints/" + e.ID
	const unreadable = "no base64 at all"
	tn.server.group.secrets.add(unreadable)
	p := tn.call(t, "POST", path+"/rotate-secret", fields{"secret": unreadable}).isProblem(t, 422, "invalid")
	require.Equal(t, "secret", p.Errors[0].Field)
	tn.test(t, e, "")
	requireSigned(t, r.wait(t, 1)[0], []string{e.Secret}, nil)

	made := tn.rotate(t, path, fields{"secret": tn.bring()})
	tn.test(t, e, "")
	requireSigned(t, r.wait(t, 2)[1], []string{e.Secret, made.Secret}, nil)
	tn.call(t, "PATCH", path, fields{"also_sign_as": nil}).is(t, 200, nil)
	tn.rotate(t, path, fields{"secret": unreadable, "overlap": "0s"})
}
