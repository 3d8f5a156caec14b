package main_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// tradlyTypes are the "Supported Events" of Tradly's document.
var tradlyTypes = []string{
	"user.created", "user.updated",
	"listing.created", "listing.updated", "listing.deleted", "listing.approved", "listing.rejected",
	"account.created", "account.updated", "account.deleted", "account.approved", "account.rejected",
	"order.confirmed", "order.canceled",
}

// Every supported event arrives, at the endpoints that selected it and no others, signed with the endpoint's own secret.
func TestTradly_EveryType(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "tradly", nil)
	whole, orders := newReceiver(t), newReceiver(t)
	all := tn.endpoint(t, whole, fields{"event_types": tradlyTypes})
	some := tn.endpoint(t, orders, fields{"event_types": []string{"order.confirmed", "order.canceled"}})
	require.NotEqual(t, all.Secret, some.Secret, "a unique secret for each webhook")

	known := examples(t, tn.caller, "tradly", tradlyTypes)
	for _, eventType := range tradlyTypes {
		tn.call(t, "POST", tn.path+"/events", known[eventType].event(eventType)).is(t, 202, nil)
	}
	var arrived []string
	for _, got := range whole.wait(t, len(tradlyTypes)) {
		eventType, data, err := receiveTradly(&got, all.Secret)
		require.NoError(t, err)
		require.JSONEq(t, string(known[eventType].Data), string(data))
		require.Error(t, verifyTradly(got.body, got.header, some.Secret))
		require.Error(t, verifyTradly(bytes.Replace(got.body, []byte(`"id":"`), []byte(`"id":"x`), 1), got.header, all.Secret))
		arrived = append(arrived, eventType)
	}
	require.ElementsMatch(t, tradlyTypes, arrived)

	arrived = nil
	for _, got := range orders.wait(t, 2) {
		eventType, _, err := receiveTradly(&got, some.Secret)
		require.NoError(t, err)
		arrived = append(arrived, eventType)
	}
	require.ElementsMatch(t, []string{"order.confirmed", "order.canceled"}, arrived)
}
