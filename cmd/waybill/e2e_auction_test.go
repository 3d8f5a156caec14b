package main_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// auctionTypes are the "Available Events" of Auction Excellence's document.
var auctionTypes = []string{
	"submission.created", "submission.updated", "inspection.created", "inspection.defect_added",
	"problem.created", "problem.status_changed", "problem.assigned", "problem.action_completed",
	"message.created", "message.edited", "message.deleted", "channel.created", "channel.archived",
	"member.invited", "member.joined", "member.role_changed", "member.removed",
}

const (
	springAuction = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
	autumnAuction = "0d4c2b9e-1f7a-4b7e-9a51-5b1d6f3c8e20"
)

func TestAuction_EveryType(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "auction-excellence", nil)
	r := newReceiver(t)
	e := tn.endpoint(t, r, fields{"event_types": auctionTypes})
	known := examples(t, tn.caller, "auction-excellence", auctionTypes)
	occurred := time.Date(2026, 5, 27, 14, 32, 0, 123e6, time.UTC)
	for _, eventType := range auctionTypes {
		tn.publish(t, known[eventType].event(eventType).with(fields{"occurred_at": occurred}), 1)
	}
	arrived, ids := []string{}, map[string]bool{}
	for _, got := range r.wait(t, len(auctionTypes)) {
		event, err := receiveAuction(&got, e.Secret)
		require.NoError(t, err)
		require.JSONEq(t, string(known[event.event].Data), string(event.data))
		require.Equal(t, known[event.event].Attributes["auction_id"], event.auctionID)
		require.Equal(t, occurred, event.timestamp)
		require.Error(t, verifyAuction(bytes.ToUpper(got.body), got.header, e.Secret))
		arrived, ids[event.webhookID] = append(arrived, event.event), true
	}
	require.ElementsMatch(t, auctionTypes, arrived)
	require.Len(t, ids, len(auctionTypes), "webhook_id is unique to the delivery")
}

// An endpoint filters by type and by auction.
func TestAuction_Filter(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "auction-excellence", nil)
	spring, every := newReceiver(t), newReceiver(t)
	of := tn.endpoint(t, spring, fields{"event_types": []string{"message.*"}, "filter": map[string][]string{"auction_id": {springAuction}}})
	tn.endpoint(t, every, fields{"event_types": []string{"message.created", "member.joined"}})
	publish := func(eventType, auction string, deliveries int) {
		tn.publish(t, fields{"type": eventType, "data": fields{"text": auction}, "attributes": fields{"auction_id": auction}}, deliveries)
	}
	publish("message.created", autumnAuction, 1)
	publish("member.joined", springAuction, 1)
	publish("message.created", springAuction, 2)

	event, err := receiveAuction(&spring.wait(t, 1)[0], of.Secret)
	require.NoError(t, err)
	require.Equal(t, springAuction, event.auctionID)
	require.Equal(t, "message.created", event.event)
	every.wait(t, 3)
	spring.wait(t, 1)
}

// An auction is one, in upper and lower case; it arrives in lower case. What no event can match is refused.
func TestAuction_FilterInUpperCase(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "auction-excellence", nil)
	r := newReceiver(t)
	upper := strings.ToUpper(springAuction)
	e := tn.endpoint(t, r, fields{"filter": map[string][]string{"auction_id": {upper}}})
	tn.publish(t, fields{"type": "message.created", "data": fields{}, "attributes": fields{"auction_id": upper}}, 1)
	tn.publish(t, fields{"type": "message.created", "data": fields{}, "attributes": fields{"auction_id": springAuction}}, 1)
	for _, got := range r.wait(t, 2) {
		event, err := receiveAuction(&got, e.Secret)
		require.NoError(t, err)
		require.Equal(t, springAuction, event.auctionID)
	}
	for name, filter := range map[string]map[string][]string{
		"filter.auction":       {"auction": {springAuction}},
		"filter.auction_id[0]": {"auction_id": {"spring"}},
	} {
		body := fields{"url": r.url, "event_types": []string{"*"}, "filter": filter}
		p := tn.call(t, "POST", tn.path+"/endpoints", body).isProblem(t, 422, "invalid")
		require.Equal(t, name, p.Errors[0].Field)
	}
	none := tn.call(t, "POST", tn.path+"/events", fields{"type": "message.created", "data": fields{}, "attributes": fields{"auction_id": autumnAuction}})
	none.is(t, 202, nil)
	require.Contains(t, string(none.body), `"deliveries":[],"ruled_out":{"by_type":0,"by_filter":1}`)
}

// A problem is open, in progress or closed.
func TestAuction_ProblemStatus(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "auction-excellence", nil)
	event := func(status string) fields {
		return fields{"type": "problem.status_changed", "data": fields{"status": status}, "attributes": fields{"auction_id": springAuction}}
	}
	tn.publish(t, event("in_progress"), 0)
	p := tn.call(t, "POST", tn.path+"/events", event("reopened")).isProblem(t, 422, "schema_violation")
	require.Equal(t, "data/status", p.Errors[0].Field)
}

// webhook_id stays the same over retries and differs between endpoints; the timestamp is when it was sent.
func TestAuction_Retry(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "auction-excellence", fields{"retry": fields{"schedule": []string{"2s"}}})
	r, other := newReceiver(t, fails(1)...), newReceiver(t)
	e, o := tn.endpoint(t, r, nil), tn.endpoint(t, other, nil)
	tn.publish(t, fields{"type": "message.created", "data": fields{}, "attributes": fields{"auction_id": springAuction}}, 2)
	got := r.wait(t, 2)
	first, err := receiveAuction(&got[0], e.Secret)
	require.NoError(t, err)
	require.NoError(t, verifyAuction(got[1].body, got[1].header, e.Secret))
	require.Equal(t, string(got[0].body), string(got[1].body))
	require.NoError(t, header(got[1].header, "X-Webhook-ID", first.webhookID))
	require.NotEqual(t, got[0].header.Get("X-Webhook-Timestamp"), got[1].header.Get("X-Webhook-Timestamp"), "renewed for each attempt")

	elsewhere, err := receiveAuction(&other.wait(t, 1)[0], o.Secret)
	require.NoError(t, err)
	require.NotEqual(t, first.webhookID, elsewhere.webhookID)
}
