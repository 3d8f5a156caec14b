package main_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// tradevineTypes are the event types of Tradevine's document, under the names that Waybill gives them.
var tradevineTypes = []string{
	"product.created", "product.updated", "product.warehouse_stock_updated", "product.ats_updated", "product.deleted",
	"sales_order.created", "sales_order.updated", "sales_order.status_changed", "shipment.updated", "shipment.confirmed",
}

// A webhook is one event type, one URL and one custom header; all of an application's webhooks share its secret.
func TestTradevine_EveryType(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "tradevine", nil)
	require.NotEmpty(t, tn.secret)
	known := examples(t, tn.caller, "tradevine", tradevineTypes)
	for _, eventType := range tradevineTypes {
		r := newReceiver(t)
		e := tn.endpoint(t, r, fields{"event_types": []string{eventType}, "headers": map[string]string{"X-Shop-Key": "shop " + eventType}})
		require.Empty(t, e.Secret, "the secret belongs to the application")
		tn.publish(t, known[eventType].event(eventType), 1)
		got := r.wait(t, 1)[0]

		arrived, payload, err := receiveTradevine(&got, tn.secret)
		require.NoError(t, err)
		require.Equal(t, eventType, arrived)
		require.JSONEq(t, string(known[eventType].Data), string(payload))
		require.NoError(t, header(got.header, "X-Shop-Key", "shop "+eventType))
		require.Error(t, verifyTradevine(bytes.Replace(got.body, []byte("EventID"), []byte("EventId"), 1), got.header, tn.secret))
	}
}

// The published receiver hashes ASCII: data beyond it arrives escaped, so that the signature still fits and the value
// is the same.
func TestTradevine_BeyondASCII(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "tradevine", nil)
	r := newReceiver(t)
	tn.endpoint(t, r, fields{"event_types": []string{"product.updated"}})
	const data = `{"Name":"Café chair 😀","Ključ":"ž","Code":"\u00e9"}`
	tn.publish(t, `{"type":"product.updated","data":`+data+`}`, 1)
	got := r.wait(t, 1)[0]

	_, payload, err := receiveTradevine(&got, tn.secret)
	require.NoError(t, err)
	require.NotRegexp(t, `[^\x00-\x7f]`, string(got.body))
	require.JSONEq(t, data, string(payload))
}

// More than one type, a pattern, or a second custom header is not a webhook of Tradevine.
func TestTradevine_OneTypeOneHeader(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "tradevine", nil)
	r := newReceiver(t)
	for name, wrong := range map[string]fields{
		"event_types":    {"event_types": []string{"product.created", "product.updated"}},
		"event_types[0]": {"event_types": []string{"product.*"}},
		"headers":        {"headers": map[string]string{"X-A": "1", "X-B": "2"}},
	} {
		body := fields{"url": r.url, "event_types": []string{"product.created"}}.with(wrong)
		p := tn.call(t, "POST", tn.path+"/endpoints", body).isProblem(t, 422, "invalid")
		require.Equal(t, name, p.Errors[0].Field)
	}
}
