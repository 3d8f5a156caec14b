package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/webhook"
)

func (b *testBundle) putType(tenant, name, body string) *answer {
	b.t.Helper()
	return b.admin("PUT", "/v1/tenants/"+tenant+"/event-types/"+name, body)
}

func TestEventTypes_PutGetDelete(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	path := "/v1/tenants/acme/event-types/parcel.moved"
	b.admin("GET", path, "").problem(404, webhook.CodeNotFound)
	got := into[object](b.putType("acme", "parcel.moved", `{"description":"d","schema":{"type":"object"},
		"example":{"data":{ "salePrice" : 1 },"attributes":{"a":"b"}},"deprecated":true}`).want(201))
	want := object{
		"type": "parcel.moved", "source": "tenant", "description": "d", "deprecated": true, "schema": object{"type": "object"},
		"example":    object{"data": object{"salePrice": 1.0}, "attributes": object{"a": "b"}},
		"created_at": "2026-05-27T14:32:00.123456Z", "updated_at": "2026-05-27T14:32:00.123456Z",
	}
	require.Equal(t, want, got)
	require.Equal(t, want, into[object](b.call(b.key("acme", webhook.ScopeRead), "GET", path, "").want(200)))

	got = into[object](b.putType("acme", "parcel.moved", `{"description":"e","schema":null}`).want(200))
	require.Equal(t, object{
		"type": "parcel.moved", "source": "tenant", "description": "e", "deprecated": false, "created_at": want["created_at"], "updated_at": want["updated_at"],
	}, got, "replaced whole")

	reader := b.key("acme", webhook.ScopeRead, webhook.ScopePublish)
	b.call(reader, "PUT", path, `{"description":"d"}`).problem(403, webhook.CodeForbidden)
	b.call(reader, "DELETE", path, "").problem(403, webhook.CodeForbidden)
	b.admin("DELETE", path, "").want(204)
	b.admin("DELETE", path, "").problem(404, webhook.CodeNotFound)
	b.admin("GET", path, "").problem(404, webhook.CodeNotFound)
}

func TestEventTypes_Bad(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("rheo", "one")
	b.tenant("bids", "auction")
	for _, tc := range []struct{ tenant, name, body, field string }{
		{"rheo", "a..b", `{"description":"d"}`, "type"},
		{"rheo", strings.Repeat("x", 129), `{"description":"d"}`, "type"},
		{"rheo", "a", `{}`, "description"},
		{"rheo", "a", `{"description":"` + strings.Repeat("x", 1001) + `"}`, "description"},
		{"rheo", "a", `{"description":"\u0007"}`, "description"},
		{"rheo", "a", `{"description":"d","type":"a"}`, "type"},
		{"rheo", "a", `{"description":"d","schema":{"type":"bad"}}`, "schema/type"},
		{"rheo", "a", `{"description":"d","example":{}}`, "example.data"},
		{"rheo", "a", `{"description":"d","example":{"data":"` + strings.Repeat("x", 64<<10) + `"}}`, "example.data"},
		{"rheo", "a", `{"description":"d","schema":{},"example":{"data":{}}}`, "example.data/salePrice"},
		{"rheo", "a", `{"description":"d","example":{"data":1,"attributes":{"":"x"}}}`, "example.attributes."},
		{"bids", "a", `{"description":"d","example":{"data":1}}`, "example.attributes.auction_id"},
	} {
		p := b.putType(tc.tenant, tc.name, tc.body).problem(422, webhook.CodeInvalid)
		require.Equal(t, tc.field, p.Errors[0].Field, tc.body)
	}
	p := b.putType("rheo", "item.sold", `{"description":"d"}`).problem(409, webhook.CodeConflict)
	require.Contains(t, p.Detail, "cannot be changed")
	b.admin("DELETE", "/v1/tenants/rheo/event-types/item.sold", "").problem(409, webhook.CodeConflict)
	require.Empty(t, b.store.types)
}

// One list has the dialect's types and the tenant's own, by name, over all pages.
func TestEventTypes_List(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("rheo", "one")
	for _, name := range []string{"a.first", "item.held", "zebra"} {
		b.putType("rheo", name, `{"description":"d","schema":{},"example":{"data":{"salePrice":1}},"deprecated":true}`).want(201)
	}
	type page struct {
		Data       []object
		NextCursor string `json:"next_cursor"`
	}
	for _, limit := range []string{"1", "2", "3", "200"} {
		var got []string
		query := "?limit=" + limit
		for query != "" {
			p := into[page](b.admin("GET", "/v1/tenants/rheo/event-types"+query, "").want(200))
			for _, item := range p.Data {
				got = append(got, item["source"].(string)+" "+item["type"].(string))
				require.NotContains(t, item, "schema")
				require.NotContains(t, item, "example")
				require.Equal(t, item["source"] == "tenant", item["deprecated"])
			}
			if query = ""; p.NextCursor != "" {
				query = "?limit=" + limit + "&cursor=" + p.NextCursor
			}
		}
		require.Equal(t, []string{"tenant a.first", "tenant item.held", "dialect item.sold", "dialect listing.created", "tenant zebra"}, got, limit)
	}
	shown := into[object](b.admin("GET", "/v1/tenants/rheo/event-types/item.sold", "").want(200))
	require.Equal(t, "dialect", shown["source"])
	require.Contains(t, shown, "schema")
	require.Contains(t, shown, "example")
}

// The operator's tenant sees the operational events in its list, and cannot redefine them.
func TestEventTypes_Operational(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) {
		o.Operational = []webhook.EventType{{
			Type: webhook.TypeEndpointDisabled, Description: "d", Schema: []byte(`{}`), Example: webhook.Example{Data: []byte(`{"host":"r.example"}`)},
		}}
	})
	b.tenant("ops", "standard")
	b.tenant("acme", "standard")
	ops := b.store.tenants["ops"]
	ops.Operator = true
	b.store.tenants["ops"] = ops
	list := into[struct{ Data []object }](b.admin("GET", "/v1/tenants/ops/event-types", "").want(200))
	require.Equal(t, []object{{"type": "endpoint.disabled", "source": "waybill", "description": "d", "deprecated": false}}, list.Data)
	require.Contains(t, into[object](b.admin("GET", "/v1/tenants/ops/event-types/endpoint.disabled", "").want(200)), "example")
	b.putType("ops", "endpoint.disabled", `{"description":"mine"}`).problem(409, webhook.CodeConflict)
	b.admin("DELETE", "/v1/tenants/ops/event-types/endpoint.disabled", "").problem(409, webhook.CodeConflict)
	b.putType("acme", "endpoint.disabled", `{"description":"ours"}`).want(201)
}

// An own type is published, checked, subscribed to and tested like one of the dialect, from the moment that it is there.
func TestEventTypes_AreKnown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("rheo", "one")
	b.tenant("other", "one")
	event := `{"type":"parcel.moved","data":{"salePrice":1}}`
	pattern := `{"url":"https://r.example","event_types":["parcel.*"]}`
	b.admin("POST", "/v1/tenants/rheo/events", event).problem(422, webhook.CodeUnknownEventType)
	b.admin("POST", "/v1/tenants/rheo/endpoints", pattern).problem(422, webhook.CodeInvalid)

	b.putType("rheo", "parcel.moved", `{"description":"d","schema":{},"example":{"data":{"salePrice":2}},"deprecated":true}`).want(201)
	endpoint := into[object](b.admin("POST", "/v1/tenants/rheo/endpoints", pattern).want(201))["id"].(string)
	b.admin("POST", "/v1/tenants/rheo/events", event).want(202)
	b.admin("POST", "/v1/tenants/rheo/events", `{"type":"parcel.moved","data":{}}`).problem(422, webhook.CodeSchemaViolation)
	results := into[struct {
		Results []struct {
			Status  int
			Problem *problem
		}
	}](b.admin("POST", "/v1/tenants/rheo/events/batch", `{"events":[`+event+`,{"type":"parcel.moved","data":1},{"type":"parcel.lost","data":1}]}`).want(200)).Results
	require.Equal(t, 202, results[0].Status)
	require.Equal(t, webhook.CodeSchemaViolation, results[1].Problem.Code)
	require.Equal(t, webhook.CodeUnknownEventType, results[2].Problem.Code)

	path := "/v1/tenants/rheo/endpoints/" + endpoint
	receipt := into[webhook.Receipt](b.admin("POST", path+"/test", "").want(202))
	p := b.store.published("rheo", receipt.EventID)
	require.Equal(t, "parcel.moved", p.Event.Type)
	require.JSONEq(t, `{"salePrice":2}`, string(p.Event.Data), "its example")
	b.admin("POST", path+"/test", `{"type":"parcel.moved","data":3}`).problem(422, webhook.CodeSchemaViolation)
	b.admin("PATCH", path, `{"event_types":["parcel.moved","item.sold"]}`).want(200)
	b.admin("PATCH", path, `{"event_types":["parcel.lost"]}`).problem(422, webhook.CodeInvalid)
	b.admin("POST", "/v1/tenants/other/events", event).problem(422, webhook.CodeUnknownEventType)

	b.admin("DELETE", "/v1/tenants/rheo/event-types/parcel.moved", "").want(204)
	b.admin("POST", "/v1/tenants/rheo/events", event).problem(422, webhook.CodeUnknownEventType)
	b.admin("PATCH", path, `{"description":"what was accepted stays"}`).want(200)
}

// Without own types nothing is asked for.
func TestEventTypes_CostNothingUnused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.admin("POST", "/v1/tenants/acme/endpoints/"+b.endpoint("acme")+"/test", "").want(202)
	b.publish("acme", `{"type":"order.confirmed","data":1}`)
	for _, method := range []string{"KnownType", "OwnType", "OwnTypes", "OwnTypeNames"} {
		require.Zero(t, b.store.called(method), method)
	}
}
