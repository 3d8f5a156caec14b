package main_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rheoSamples are the payloads of Rheo's document, verbatim.
var rheoSamples = []string{`{
"eventId": "evt_01j2k3m4n5p6q7r8s9t0",
"eventType": "listing.created",
"timestamp": "2026-05-26T10:00:00Z",
"data": {
"externalId": "ERP_PART_12345",
"rheoItemId": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
"platform": "tradera",
"salePrice": 0,
"currency": "SEK",
"traderaAdId": "398271634",
"traderaAdUrl": "https://www.tradera.com/item/398271634"
}
}`, `{
"eventId": "evt_...",
"eventType": "item.sold",
"timestamp": "2026-05-27T14:32:00Z",
"data": {
"externalId": "ERP_PART_12345",
"rheoItemId": "3fa85f64-...",
"platform": "tradera",
"salePrice": 1100,
"currency": "SEK",
"traderaAdId": "398271634"
}
}`, `{
"eventId": "evt_...",
"eventType": "listing.ended",
"timestamp": "2026-05-27T14:00:00Z",
"data": {
"externalId": "ERP_PART_12345",
"platform": "tradera",
"salePrice": 0,
"currency": "SEK",
"traderaAdId": "398271634"
}
}`, `{
"eventId": "evt_...",
"eventType": "listing.failed",
"timestamp": "2026-05-26T10:05:00Z",
"data": {
"externalId": "ERP_PART_12345",
"platform": "tradera",
"salePrice": 0,
"currency": "SEK",
"error": "Tradera token has expired. Partner must reconnect their Tradera account."
}
}`}

// rheoSample is what a sample says of an event.
type rheoSample struct {
	EventID   string          `json:"eventId"`
	EventType string          `json:"eventType"`
	Timestamp string          `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

func readRheo(t *testing.T, sample string) rheoSample {
	t.Helper()
	var s rheoSample
	require.NoError(t, json.Unmarshal([]byte(sample), &s))
	return s
}

// Each sample arrives as the document prints it: given the sample's id and time, the body is the sample.
func TestRheo_Samples(t *testing.T) {
	t.Parallel()
	for _, sample := range rheoSamples {
		s := readRheo(t, sample)
		t.Run(s.EventType, func(t *testing.T) {
			t.Parallel()
			tn := newTenant(t, shared(t), "rheo", nil)
			r := newReceiver(t)
			e := tn.endpoint(t, r, nil)
			tn.publish(t, fields{"id": s.EventID, "type": s.EventType, "occurred_at": s.Timestamp, "data": s.Data}, 1)
			got := r.wait(t, 1)[0]

			id, eventType, err := receiveRheo(&got, e.Secret)
			require.NoError(t, err)
			require.Equal(t, s.EventID, id)
			require.Equal(t, s.EventType, eventType)
			require.True(t, same([]byte(sample), got.body), "%s\nis not\n%s", got.body, sample)

			require.Error(t, verifyRheo(bytes.Replace(got.body, []byte("SEK"), []byte("EUR"), 1), got.header, e.Secret))
			require.Error(t, verifyRheo(got.body, got.header, e.Secret+"x"))
		})
	}
}

// One URL gets every type, and an event that was published without an id has one of Rheo's form.
func TestRheo_OneURL(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "rheo", nil)
	r := newReceiver(t)
	e := tn.endpoint(t, r, nil)
	body := fields{"url": r.url, "event_types": []string{"*"}}
	tn.call(t, "POST", tn.path+"/endpoints", body).isProblem(t, 409, "conflict")

	sent := map[string]string{} // event id to type
	for _, sample := range rheoSamples {
		s := readRheo(t, sample)
		sent[tn.publish(t, fields{"type": s.EventType, "data": s.Data}, 1).ID] = s.EventType
	}
	arrived := map[string]string{}
	for _, got := range r.wait(t, len(rheoSamples)) {
		id, eventType, err := receiveRheo(&got, e.Secret)
		require.NoError(t, err)
		require.Regexp(t, `^evt_[0-9a-f]{32}$`, id)
		arrived[id] = eventType
	}
	require.Equal(t, sent, arrived)
}

// What the document's samples rule out is refused with the field's name, and an id that Waybill makes has Rheo's form.
func TestRheo_Refused(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "rheo", nil)
	tn.endpoint(t, newReceiver(t), nil)
	sold, failed := readRheo(t, rheoSamples[1]), readRheo(t, rheoSamples[3])
	publish := func(s rheoSample, old, new string, more fields) *answer {
		data := strings.Replace(string(s.Data), old, new, 1)
		require.NotEqual(t, string(s.Data), data)
		return tn.call(t, "POST", tn.path+"/events", fields{"type": s.EventType, "data": json.RawMessage(data)}.with(more))
	}
	for _, test := range []struct {
		sample          rheoSample
		old, new, field string
	}{
		{sold, `"SEK"`, `"EUR"`, "data/currency"},
		{sold, `"tradera"`, `"blocket"`, "data/platform"},
		{sold, `1100`, `0`, "data/salePrice"},
		{sold, `"rheoItemId"`, `"itemId"`, "data/rheoItemId"},
		{failed, `"error"`, `"reason"`, "data/error"},
		{failed, `"salePrice": 0`, `"salePrice": 1100`, "data/salePrice"},
	} {
		p := publish(test.sample, test.old, test.new, nil).isProblem(t, 422, "schema_violation")
		require.Equal(t, test.field, p.Errors[0].Field)
	}
	p := publish(sold, `1100`, `1`, fields{"id": "order-4711"}).isProblem(t, 422, "invalid")
	require.Equal(t, "id", p.Errors[0].Field)

	var sent receipt
	tn.call(t, "POST", tn.path+"/events", fields{"type": sold.EventType, "data": sold.Data}, "Idempotency-Key", "order-4711").is(t, 202, &sent)
	require.Regexp(t, `^evt_`, sent.ID)
}
