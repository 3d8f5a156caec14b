package main_test

import (
	"bytes"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// The reference library of Standard Webhooks accepts what arrives, and nothing else.
func TestStandard_ReferenceLibrary(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	r := newReceiver(t)
	e := tn.endpoint(t, r, nil)
	sent := tn.publish(t, `{"type":"order.confirmed","data":{"order_id":4711,"note":"é 😀 <&>"},"occurred_at":"2026-05-27T14:32:00Z"}`, 1)
	got := r.wait(t, 1)[0]

	library, err := standardwebhooks.NewWebhook(e.Secret)
	require.NoError(t, err)
	require.NoError(t, library.Verify(got.body, got.header))
	require.Equal(t, sent.ID, got.header.Get("webhook-id"))
	requireBytes(t, `{"type":"order.confirmed","timestamp":"2026-05-27T14:32:00.000000Z","data":{"order_id":4711,"note":"é 😀 <&>"}}`, got.body)
	require.Equal(t, "application/json", got.header.Get("Content-Type"))

	require.Error(t, library.Verify(bytes.Replace(got.body, []byte("4711"), []byte("4712"), 1), got.header), "a changed body")
	changed := got.header.Clone()
	changed.Set("webhook-id", "evt_another")
	require.Error(t, library.Verify(got.body, changed), "another id")
	stranger, err := standardwebhooks.NewWebhook(tn.endpoint(t, r, nil).Secret)
	require.NoError(t, err)
	require.Error(t, stranger.Verify(got.body, got.header), "another endpoint's secret")
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
}

// The trace of a publication reaches the receiver with every attempt, the signature is what it would be without, and the log shows it.
func TestStandard_Traceparent(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{"1s"}}})
	r := newReceiver(t, fails(1)...)
	library, err := standardwebhooks.NewWebhook(tn.endpoint(t, r, nil).Secret)
	require.NoError(t, err)
	const traced = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	var sent receipt
	tn.call(t, "POST", tn.path+"/events", confirmed, "traceparent", traced).is(t, 202, &sent)
	for _, got := range r.wait(t, 2) {
		require.Equal(t, []string{traced}, got.header.Values("traceparent"))
		require.NoError(t, library.Verify(got.body, got.header), "the trace changes nothing of it")
	}
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 2)
	tn.call(t, "POST", tn.path+"/events", `{"type":"order.confirmed","data":2}`, "traceparent", traced[:20]).is(t, 202, nil)
	require.Empty(t, r.wait(t, 3)[2].header.Values("traceparent"))
}
