package main_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// The test call sends an example to one endpoint alone, whatever it subscribes to.
func TestEndpoint_TestCall(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "tradly", nil)
	r, other := newReceiver(t), newReceiver(t)
	e := tn.endpoint(t, r, fields{"event_types": []string{"user.created"}})
	tn.endpoint(t, other, nil)
	var sent receipt
	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/test", fields{"type": "order.confirmed"}).is(t, 202, &sent)
	require.Len(t, sent.Deliveries, 1)
	got := r.wait(t, 1)[0]
	eventType, data, err := receiveTradly(&got, e.Secret)
	require.NoError(t, err)
	require.Equal(t, "order.confirmed", eventType)
	require.JSONEq(t, string(examples(t, tn.caller, "tradly", tradlyTypes)["order.confirmed"].Data), string(data))
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
	var compact bytes.Buffer
	require.NoError(t, json.Compact(&compact, got.body))
	requireBytes(t, compact.String(), got.body)

	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/test", nil).is(t, 202, nil)
	got = r.wait(t, 2)[1]
	eventType, _, err = receiveTradly(&got, e.Secret)
	require.NoError(t, err)
	require.Equal(t, "user.created", eventType, "the first type that the endpoint subscribes to")
	require.Empty(t, other.got())

	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/disable", nil).is(t, 200, nil)
	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/test", nil).is(t, 202, &sent)
	r.wait(t, 3)
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
}

// An endpoint with a filter gets the events that carry one of its values for every attribute it names.
func TestEndpoint_Filter(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	r, every := newReceiver(t), newReceiver(t)
	tn.endpoint(t, r, fields{"event_types": []string{"order.*"}, "filter": map[string][]string{"region": {"nz", "au"}, "kind": {"b2b"}}})
	tn.endpoint(t, every, nil)
	for i, test := range []struct {
		eventType  string
		attributes fields
		wanted     bool
	}{
		{"order.confirmed", fields{"region": "nz", "kind": "b2b"}, true},
		{"order.confirmed", fields{"region": "nz", "kind": "b2c"}, false},
		{"order.confirmed", fields{"region": "nz"}, false},
		{"order.confirmed", fields{}, false},
		{"orders.confirmed", fields{"region": "nz", "kind": "b2b"}, false},
		{"order.canceled.late", fields{"region": "au", "kind": "b2b", "more": "x"}, true},
	} {
		deliveries := 1
		if test.wanted {
			deliveries = 2
		}
		tn.publish(t, fields{"type": test.eventType, "data": i, "attributes": test.attributes}, deliveries)
	}
	every.wait(t, 6)
	var got []int
	for _, a := range r.wait(t, 2) {
		var body struct{ Data int }
		require.NoError(t, json.Unmarshal(a.body, &body))
		got = append(got, body.Data)
	}
	require.ElementsMatch(t, []int{0, 5}, got)
}

// 410 means that the receiver wants no more: the dialect standard disables the endpoint and makes no further attempt.
func TestEndpoint_Gone(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	r := newReceiver(t, reply{status: 410})
	e := tn.endpoint(t, r, nil)
	d := tn.publish(t, `{"type":"order.confirmed","data":1}`, 1).Deliveries[0].ID
	tn.waitDelivery(t, d, "exhausted", 1)
	require.Equal(t, "rejected", tn.attempts(t, d)[0].Outcome)
	await(t, patience, "the endpoint to be disabled", func() error { return tn.endpointIs(t, e.ID, "disabled") })
	require.Contains(t, tn.showEndpoint(t, e.ID).Disabled.Reason, "410")

	next := tn.publish(t, `{"type":"order.confirmed","data":2}`, 1).Deliveries[0].ID
	tn.waitDelivery(t, next, "held", 0)
	r.wait(t, 1)
}

// In other dialects 410 is a failure like any other.
func TestEndpoint_GoneElsewhere(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "rheo", nil)
	r := newReceiver(t, reply{status: 410}, reply{})
	e := tn.endpoint(t, r, nil)
	s := readRheo(t, rheoSamples[1])
	d := tn.publish(t, fields{"type": s.EventType, "data": s.Data}, 1).Deliveries[0].ID
	tn.waitDelivery(t, d, "delivered", 2)
	require.NoError(t, tn.endpointIs(t, e.ID, "enabled"))
}
