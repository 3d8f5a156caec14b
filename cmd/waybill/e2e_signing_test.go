package main_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/scripts/stranger"
)

// asked is an arrival as a stranger is asked about it.
func (r *receiver) asked(a arrival, kind stranger.Kind) stranger.Request {
	out := stranger.Request{Kind: kind, Method: "POST", URL: r.url + "/hook", Headers: map[string]string{}, Body: a.body}
	for name, values := range a.header {
		out.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return out
}

// requireVerified asks strangers about requests: each verifies, and does not with another body.
func requireVerified(t *testing.T, requests ...stranger.Request) {
	t.Helper()
	list := requests
	for _, r := range requests {
		r.Body = append([]byte(" "), r.Body...)
		list = append(list, r)
	}
	verdicts, err := stranger.Verify(t.Context(), list...)
	require.NoError(t, err)
	for i, verdict := range verdicts {
		if i < len(requests) {
			require.Empty(t, verdict, requests[i].Kind)
		} else {
			require.NotEmpty(t, verdict, "another body")
		}
	}
}

// An endpoint that chose Ed25519 and message signatures gets both, and a receiver needs nothing but what the API shows in public.
func TestSigning_Ed25519AndMessageSignatures(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	r := newReceiver(t)
	var made struct {
		ID        string `json:"id"`
		PublicKey string `json:"public_key"`
		Secret    string `json:"secret"`
	}
	tn.call(t, "POST", tn.path+"/endpoints", fields{
		"url": r.url + "/hook", "event_types": []string{"*"}, "signing": fields{"algorithm": "ed25519", "message_signatures": true},
	}).is(t, 201, &made)
	require.Empty(t, made.Secret)
	tn.publish(t, `{"type":"order.confirmed","data":{"note":"é 😀"}}`, 1)
	got := r.wait(t, 1)[0]

	nobody := &caller{tn.server, ""}
	var set json.RawMessage
	nobody.call(t, "GET", tn.path+"/.well-known/jwks.json", nil).is(t, 200, &set)
	byText, bySet, message := r.asked(got, stranger.V1a), r.asked(got, stranger.V1a), r.asked(got, stranger.Message)
	byText.PublicKey, bySet.JWKS, message.JWKS = made.PublicKey, set, set
	message.Fields = []string{"webhook-id", "webhook-timestamp"}
	requireVerified(t, byText, bySet, message)
}

// A receiver that moves from one dialect's headers to another's can verify either, until the moment that was set.
func TestSigning_AlsoSignAs(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "rheo", nil)
	r := newReceiver(t)
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	e := tn.endpoint(t, r, fields{"event_types": []string{"*"}, "also_sign_as": fields{"dialect": "standard", "until": until}})
	event := examples(t, tn.caller, "rheo", []string{"listing.created", "item.sold", "listing.ended", "listing.failed"})["item.sold"].event("item.sold")
	tn.publish(t, event, 1)
	got := r.wait(t, 1)[0]
	require.NotEmpty(t, got.header.Get("X-Rheo-Signature"))
	standard, svix := r.asked(got, stranger.StandardWebhooks), r.asked(got, stranger.Svix)
	standard.Secret, svix.Secret = e.Secret, e.Secret
	requireVerified(t, standard, svix)

	tn.call(t, "PATCH", tn.path+"/endpoints/"+e.ID, fields{"also_sign_as": nil}).is(t, 200, nil)
	tn.publish(t, event, 1)
	again := r.wait(t, 2)[1]
	require.NotEmpty(t, again.header.Get("X-Rheo-Signature"))
	require.Empty(t, again.header.Get("webhook-signature"))
}
