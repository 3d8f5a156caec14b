package main_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Invalid requests are answered with a problem document, and nothing is stored.
func TestPublish_BadInput(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "rheo", nil)
	r := newReceiver(t)
	tn.endpoint(t, r, nil)
	const sold = `"type":"item.sold","data":{"externalId":"E","rheoItemId":"R","platform":"tradera","salePrice":1100,"currency":"SEK","traderaAdId":"1"}`
	for name, test := range map[string]struct {
		body   string
		status int
		code   string
		field  string
	}{
		"no JSON":                  {`type: item.sold`, 400, "malformed", ""},
		"JSON that breaks off":     {`{` + sold, 400, "malformed", ""},
		"more than JSON":           {`{` + sold + `} {}`, 400, "malformed", ""},
		"an array":                 {`[]`, 400, "malformed", ""},
		"a type that is a number":  {`{"type":1,"data":{}}`, 422, "invalid", "type"},
		"attributes of numbers":    {`{` + sold + `,"attributes":{"a":1}}`, 422, "invalid", "attributes.a"},
		"a time that is none":      {`{` + sold + `,"occurred_at":"yesterday"}`, 422, "invalid", "occurred_at"},
		"an unknown field":         {`{` + sold + `,"priority":1}`, 422, "invalid", "priority"},
		"a field twice":            {`{"type":"item.sold",` + sold + `}`, 422, "invalid", "type"},
		"no data":                  {`{"type":"item.sold"}`, 422, "invalid", "data"},
		"an id with a slash":       {`{` + sold + `,"id":"evt_a/b"}`, 422, "invalid", "id"},
		"an id of another form":    {`{` + sold + `,"id":"order-1"}`, 422, "invalid", "id"},
		"an unknown type":          {`{"type":"item.stolen","data":{}}`, 422, "unknown_event_type", "type"},
		"a number as text":         {`{"type":"item.sold","data":{"externalId":"E","rheoItemId":"R","platform":"tradera","salePrice":"1100","currency":"SEK","traderaAdId":"1"}}`, 422, "schema_violation", "data/salePrice"},
		"a price that must be 0":   {`{"type":"listing.ended","data":{"externalId":"E","platform":"tradera","salePrice":1,"currency":"SEK","traderaAdId":"1"}}`, 422, "schema_violation", "data/salePrice"},
		"more than a request has":  {`{` + sold + `,"id":"` + strings.Repeat("x", 256<<10) + `"}`, 413, "payload_too_large", ""},
		"invalid UTF-8":            {"{\"type\":\"item.sold\",\"data\":{\"externalId\":\"\xff\",\"platform\":\"p\",\"salePrice\":1,\"currency\":\"SEK\"}}", 400, "malformed", ""},
		"a NUL in an attribute":    {`{` + sold + `,"attributes":{"a":"\u0000"}}`, 422, "invalid", "attributes.a"},
		"no body":                  {``, 400, "malformed", ""},
		"an id longer than may be": {`{` + sold + `,"id":"` + "evt_" + strings.Repeat("x", 147) + `"}`, 422, "invalid", "id"},
	} {
		a := tn.call(t, "POST", tn.path+"/events", test.body)
		require.Equal(t, test.status, a.status, "%s: %s", name, a.body)
		p := a.isProblem(t, test.status, test.code)
		if test.field != "" {
			require.NotEmpty(t, p.Errors, "%s: %s", name, a.body)
			require.Equal(t, test.field, p.Errors[0].Field, name)
		}
	}
	nobody := "/v1/tenants/" + unique("nobody") + "/events"
	tn.call(t, "POST", nobody, `{`+sold+`}`).isProblem(t, 404, "not_found")
	tn.call(t, "POST", tn.path+"/events", `{`+sold+`}`, "Content-Type", "text/plain").isProblem(t, 415, "unsupported_media")
	tn.call(t, "POST", tn.path+"/events", `{`+sold+`}`, "Authorization", "Basic eDp5").isProblem(t, 401, "unauthorized")

	for _, table := range []string{"events", "deliveries", "event_keys"} {
		require.Zero(t, tn.server.group.count(t, table, tn.id), table)
	}
	require.Empty(t, tn.deliveries(t, ""))
	require.Empty(t, r.got())
}

func TestTenant_BadInput(t *testing.T) {
	t.Parallel()
	c := shared(t).admin()
	id := unique(t.Name())
	for name, test := range map[string]struct {
		body   fields
		status int
		field  string
	}{
		"an unknown dialect": {fields{"id": id, "name": "A", "dialect": "esperanto"}, 422, "dialect"},
		"a bad id":           {fields{"id": "A b", "name": "A", "dialect": "rheo"}, 422, "id"},
		"two retry policies": {fields{"id": id, "name": "A", "dialect": "rheo", "retry": fields{"policy": "table-5", "schedule": []string{"1s"}}}, 422, "retry"},
	} {
		p := c.call(t, "POST", "/v1/tenants", test.body).isProblem(t, test.status, "invalid")
		require.Equal(t, test.field, p.Errors[0].Field, name)
	}
	c.call(t, "GET", "/v1/tenants/"+id, nil).isProblem(t, 404, "not_found")
}

// No endpoint may be inside the operator's network unless the operator allows it, however its address is written.
func TestEndpoint_PrivateAddress(t *testing.T) {
	t.Parallel()
	s := shared(t)
	strict := s.group.own(t, "api", "WAYBILL_EGRESS_ALLOW_CIDRS=", "WAYBILL_DISPATCH=false")
	tn := newTenant(t, strict, "standard", nil)
	for _, url := range []string{
		"https://10.0.0.1/hook", "https://127.0.0.1/hook", "https://localhost/hook", "https://LOCALHOST:8443/hook", "https://a.localhost/",
		"https://169.254.169.254/latest/meta-data/", "https://[::1]/", "https://[fd00::1]/", "https://[::ffff:127.0.0.1]/",
		"https://2130706433/", "https://0x7f.1/", "https://0177.0.0.1/", "https://192.168.1.1:443/", "https://0.0.0.0/",
		"http://receiver.example/hook", "ftp://receiver.example/", "https://user:pass@receiver.example/", "/hook", "",
	} {
		p := tn.call(t, "POST", tn.path+"/endpoints", fields{"url": url, "event_types": []string{"*"}}).isProblem(t, 422, "invalid")
		require.Equal(t, "url", p.Errors[0].Field, url)
	}
	require.Zero(t, s.group.count(t, "endpoints", tn.id))

	// An endpoint may not move there either.
	var e endpoint
	tn.call(t, "POST", tn.path+"/endpoints", fields{"url": "https://receiver.example/", "event_types": []string{"*"}}).is(t, 201, &e)
	tn.call(t, "PATCH", tn.path+"/endpoints/"+e.ID, fields{"url": "https://10.0.0.1/"}).isProblem(t, 422, "invalid")
}

// A repeated publication is answered as the first one was; another one under the same id is refused.
func TestPublish_Repeated(t *testing.T) {
	t.Parallel()
	const key = "Idempotency-Key"
	for name, test := range map[string]struct{ first, other, header string }{
		"id":  {`{"id":"order-4711","type":"order.confirmed","data":{"n":1}}`, `{"id":"order-4711","type":"order.confirmed","data":{"n":2}}`, ""},
		"key": {`{"type":"order.confirmed","data":{"n":1}}`, `{"type":"order.canceled","data":{"n":1}}`, "a key of the caller"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn := newTenant(t, shared(t), "standard", nil)
			r := newReceiver(t)
			tn.endpoint(t, r, nil)
			var headers []string
			if test.header != "" {
				headers = []string{key, test.header}
			}
			first := tn.call(t, "POST", tn.path+"/events", test.first, headers...)
			var sent receipt
			first.is(t, 202, &sent)
			require.Empty(t, first.header.Get("Idempotent-Replayed"))
			require.Len(t, sent.Deliveries, 1)

			again := tn.call(t, "POST", tn.path+"/events", test.first, headers...)
			again.is(t, 202, nil)
			require.JSONEq(t, string(first.body), string(again.body))
			require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
			tn.call(t, "POST", tn.path+"/events", test.other, headers...).isProblem(t, 409, "event_id_conflict")

			tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
			require.Len(t, tn.deliveries(t, ""), 1)
			r.wait(t, 1)
		})
	}
}
