package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/store"
	"waybill/webhook"
)

func TestEvents_Publish(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	orders, all := b.endpoint("acme", "order.*"), b.endpoint("acme")
	b.endpoint("acme", "user.*")

	a := b.admin("POST", "/v1/tenants/acme/events", `{"type":"order.confirmed","data":{"n": 1},"id":"o-1","occurred_at":"2026-05-27T16:00:00.5+02:00","attributes":{"region":"nz"},"metadata":{"source":"shop"}}`).want(202)
	receipt := into[webhook.Receipt](a)
	require.Equal(t, "o-1", receipt.EventID)
	require.ElementsMatch(t, []string{orders, all}, []string{receipt.Deliveries[0].EndpointID.String(), receipt.Deliveries[1].EndpointID.String()})
	require.Empty(t, a.header.Get("Idempotent-Replayed"))

	p := b.store.published("acme", "o-1")
	require.True(t, p.CallerID)
	require.NotEqual(t, p.Event.Key.String(), p.Event.ID)
	require.Equal(t, time.Date(2026, 5, 27, 14, 0, 0, 500000000, time.UTC), p.Event.OccurredAt)
	require.True(t, bytes.Equal([]byte(`{"id":"o-1","type":"order.confirmed","data":{"n": 1}}`), p.Body.Bytes), "byte for byte: %s", p.Body.Bytes)
	require.Equal(t, p.Event.Digest(&p.Event.OccurredAt), p.Digest)

	got := into[object](b.admin("GET", "/v1/tenants/acme/events/o-1", "").want(200))
	require.Equal(t, object{
		"id": "o-1", "type": "order.confirmed", "data": object{"n": 1.0}, "attributes": object{"region": "nz"}, "metadata": object{"source": "shop"}, "test": false,
		"occurred_at": "2026-05-27T14:00:00.5Z", "created_at": "2026-05-27T14:32:00.123456Z",
	}, got)
}

// Metadata is checked, is part of what a repetition repeats, and is in no body.
func TestEvents_Metadata(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	const path = "/v1/tenants/acme/events"
	event := `{"type":"a.b","data":1,"id":"x","metadata":{"source":"shop"}}`
	b.admin("POST", path, event).want(202)
	require.Equal(t, "true", b.admin("POST", path, event).want(202).header.Get("Idempotent-Replayed"))
	b.admin("POST", path, `{"type":"a.b","data":1,"id":"x","metadata":{"source":"till"}}`).problem(409, webhook.CodeEventIDConflict)
	b.admin("POST", path, `{"type":"a.b","data":1,"id":"x"}`).problem(409, webhook.CodeEventIDConflict)
	published := b.store.published("acme", "x")
	require.NotContains(t, string(published.Body.Bytes), "shop")

	for _, bad := range []string{`{"a":"` + strings.Repeat("x", 257) + `"}`, `{"":"x"}`, `{"a":1}`, `{"a":"\u0000"}`, `{` + repeat(21, `"a%d":"x"`) + `}`} {
		b.admin("POST", path, `{"type":"a.b","data":1,"metadata":`+bad+`}`).problem(422, webhook.CodeInvalid)
	}
	a := b.admin("POST", path+"/batch", `{"events":[{"type":"a.b","data":1,"id":"y","metadata":{"source":"shop"}}]}`).want(200)
	require.Contains(t, string(a.body), `"status":202`)
	require.Equal(t, object{"source": "shop"}, into[object](b.admin("GET", path+"/y", "").want(200))["metadata"])
}

func TestEvents_List(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.tenant("bids", "auction")
	b.admin("POST", "/v1/tenants/acme/events", `{"type":"a.b","data":"secret","id":"o-1","attributes":{"region":"nz"},"metadata":{"order":"4711"}}`).want(202)
	got := into[object](b.admin("GET", "/v1/tenants/acme/events", "").want(200))
	require.Equal(t, object{"data": []any{object{
		"id": "o-1", "type": "a.b", "attributes": object{"region": "nz"}, "metadata": object{"order": "4711"}, "test": false,
		"occurred_at": "2026-05-27T14:32:00.123456Z", "created_at": "2026-05-27T14:32:00.123456Z",
	}}}, got, "without data")

	long := strings.Repeat("x", 256)
	b.admin("GET", "/v1/tenants/acme/events?type=a.b&test=false&attribute.region=nz&attribute.a.b=1&metadata.order="+long+
		"&since=2026-05-27T14:00:00Z&until=2026-05-28T00:00:00Z&limit=10", "").want(200)
	no := false
	require.Equal(t, store.EventFilter{
		Type: "a.b", Test: &no, Attributes: map[string]string{"region": "nz", "a.b": "1"}, Metadata: map[string]string{"order": long},
		Since: time.Date(2026, 5, 27, 14, 0, 0, 0, time.UTC), Until: time.Date(2026, 5, 28, 0, 0, 0, 0, time.UTC), Page: store.Page{Limit: 11},
	}, b.store.eventFilters[1])

	b.admin("GET", "/v1/tenants/bids/events?attribute.auction_id=3FA85F64-5717-4562-B3FC-2C963F66AFA6", "").want(200)
	require.Equal(t, "3fa85f64-5717-4562-b3fc-2c963f66afa6", b.store.eventFilters[2].Attributes["auction_id"], "as it is stored")

	for query, field := range map[string]string{
		"attribute.=x": "attribute.", "attribute=x": "attribute", "attribute.a=": "attribute.a", "attribute.a=x&attribute.a=y": "attribute.a",
		"metadata.a=%00": "metadata.a", "metadata.a=" + strings.Repeat("x", 301): "metadata.a", "cursor=b18x": "cursor", "status=held": "status",
		strings.ReplaceAll(repeat(21, "attribute.a%d=x"), ",", "&"): "attribute.",
	} {
		require.Contains(t, b.admin("GET", "/v1/tenants/acme/events?"+query, "").problem(422, webhook.CodeInvalid).fields(), field, query)
	}
}

// Ids as other systems make them work wherever an event is named, escaped in the path or not.
func TestEvents_IDsOfOtherSystems(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	var asked []string
	b.engine.history = func(_, event string) (*webhook.History, error) {
		asked = append(asked, event)
		return &webhook.History{EventID: event}, nil
	}
	for _, id := range []string{"V1StGXR8+Z5jdHi6B==", "-_~:=@+.x", "order@shop.example:7", strings.Repeat("+", webhook.MaxEventIDBytes)} {
		b.admin("POST", "/v1/tenants/acme/events", fmt.Sprintf(`{"type":"a.b","data":1,"id":%q}`, id)).want(202)
		for _, path := range []string{id, url.PathEscape(id), strings.NewReplacer("+", "%2B", "=", "%3D", "@", "%40", "~", "%7E", ":", "%3A").Replace(id)} {
			require.Equal(t, id, into[object](b.admin("GET", "/v1/tenants/acme/events/"+path, "").want(200))["id"])
			require.Equal(t, id, into[object](b.admin("GET", "/v1/tenants/acme/events/"+path+"/history", "").want(200))["event_id"])
			require.Equal(t, id, asked[len(asked)-1])
		}
	}
	for _, id := range []string{"a/b", ".", "..", "a b", "é", strings.Repeat("x", webhook.MaxEventIDBytes+1)} {
		b.admin("POST", "/v1/tenants/acme/events", fmt.Sprintf(`{"type":"a.b","data":1,"id":%q}`, id)).problem(422, webhook.CodeInvalid)
	}
}

func TestEvents_PublishWithoutID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	a := b.admin("POST", "/v1/tenants/acme/events", `{"type":"a.b","data":1}`).want(202)
	require.Contains(t, string(a.body), `"deliveries":[]`, "nobody subscribes: no delivery, no null")
	id := into[webhook.Receipt](a).EventID
	p := b.store.published("acme", id)
	require.False(t, p.CallerID)
	require.Equal(t, p.Event.Key.String(), id)
	require.Equal(t, p.Event.Digest(nil), p.Digest, "the moment was not given")
	require.Equal(t, time.Date(2026, 5, 27, 14, 32, 0, 123456000, time.UTC), p.Event.OccurredAt)
}

func TestEvents_Repeated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.endpoint("acme")
	const path = "/v1/tenants/acme/events"
	for _, tc := range []struct{ name, first, second, key string }{
		{"by id", `{"type":"a.b","data":1,"id":"x"}`, `{"type":"a.b","data":2,"id":"x"}`, ""},
		{"by key", `{"type":"a.b","data":1}`, `{"type":"a.c","data":1}`, "order 4711"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var headers []string
			if tc.key != "" {
				headers = []string{"Idempotency-Key", tc.key}
			}
			first := b.admin("POST", path, tc.first, headers...).want(202)
			again := b.admin("POST", path, tc.first, headers...).want(202)
			require.Equal(t, string(first.body), string(again.body))
			require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
			b.admin("POST", path, tc.second, headers...).problem(409, webhook.CodeEventIDConflict)
		})
	}
	require.Contains(t, b.store.events, "acme/"+webhook.IDFromIdempotencyKey("order 4711"))

	b.admin("POST", path, `{"type":"a.b","data":1,"id":"mine"}`, "Idempotency-Key", "other").want(202)
	require.Contains(t, b.store.events, "acme/mine", "an id goes before the header")
}

func TestEvents_BadIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.lenient = true
	for _, key := range []string{"", strings.Repeat("x", 256), "a\tb", "é"} {
		p := b.admin("POST", "/v1/tenants/acme/events", `{"type":"a.b","data":1}`, "Idempotency-Key", key).problem(422, webhook.CodeInvalid)
		require.Equal(t, []string{"Idempotency-Key"}, p.fields())
	}
	b.admin("POST", "/v1/tenants/acme/events", `{"type":"a.b","data":1}`, "Idempotency-Key", strings.Repeat("~", 255)).want(202)
}

func TestEvents_Catalogue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("rheo", "one")
	b.tenant("bids", "auction")
	b.admin("POST", "/v1/tenants/rheo/events", `{"type":"item.sold","data":{"salePrice":1}}`).want(202)

	p := b.admin("POST", "/v1/tenants/rheo/events", `{"type":"item.lost","data":{}}`).problem(422, webhook.CodeUnknownEventType)
	require.Equal(t, []string{"type"}, p.fields())
	p = b.admin("POST", "/v1/tenants/rheo/events", `{"type":"item.sold","data":{}}`).problem(422, webhook.CodeSchemaViolation)
	require.Equal(t, []string{"data/salePrice"}, p.fields())

	p = b.admin("POST", "/v1/tenants/bids/events", `{"type":"submission.created","data":{"salePrice":1}}`).problem(422, webhook.CodeInvalid)
	require.Equal(t, []string{"attributes.auction_id"}, p.fields())
	b.admin("POST", "/v1/tenants/bids/events", `{"type":"submission.created","data":{"salePrice":1},"attributes":{"auction_id":"x"}}`).problem(422, webhook.CodeInvalid)

	b.admin("PATCH", "/v1/tenants/rheo", `{"allow_unknown_types":true}`).want(200)
	b.admin("POST", "/v1/tenants/rheo/events", `{"type":"item.lost","data":{}}`).want(202) // unknown, so unchecked
	b.admin("POST", "/v1/tenants/rheo/events", `{"type":"item.sold","data":{}}`).problem(422, webhook.CodeSchemaViolation)
}

func TestEvents_TenantIsReadOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	for range 20 {
		b.admin("POST", "/v1/tenants/acme/events", `{"type":"a.b","data":1}`).want(202)
	}
	require.LessOrEqual(t, b.store.called("Tenant"), 2)
}

func TestBatch(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.MaxBodyBytes = 1000 })
	b.tenant("rheo", "one")
	b.endpoint("rheo")
	b.publish("rheo", `{"type":"item.sold","data":{"salePrice":0},"id":"old"}`)

	b.lenient = true // a batch is accepted although some of its events break the spec
	a := b.admin("POST", "/v1/tenants/rheo/events/batch", `{"events":[
		{"type":"item.sold","data":{"salePrice":1},"id":"a"},
		{"type":"item.sold","data":{}},
		{"type":"item.lost","data":{"salePrice":1}},
		{"type":"item.sold","data":{"salePrice":0},"id":"old"},
		{"type":"item.sold","data":{"salePrice":9},"id":"old"},
		{"type":"item.sold","data":{"salePrice":1},"id":"a"},
		{"type":"item.sold","data":{"salePrice":2},"id":"a"},
		{"type":"item.sold","color":1},
		"text", null,
		{"type":"item.sold","data":{"salePrice":"`+strings.Repeat("x", 1000)+`"}},
		{"type":"item.sold","data":{"salePrice":3}}]}`)
	a.want(200)
	type result struct {
		Status     int
		ID         string
		Deliveries []webhook.ReceiptDelivery
		Repeated   bool
		Problem    *problem
	}
	got := into[struct{ Results []result }](a).Results
	var said []string
	for _, r := range got {
		if r.Problem == nil {
			require.Len(t, r.Deliveries, 1)
			said = append(said, fmt.Sprint(r.Status, r.Repeated))
			continue
		}
		require.Equal(t, r.Status, r.Problem.Status)
		require.Equal(t, a.header.Get("X-Request-Id"), r.Problem.RequestID)
		said = append(said, fmt.Sprint(r.Status, " ", r.Problem.Code))
	}
	require.Equal(t, []string{
		"202 false", "422 schema_violation", "422 unknown_event_type", "202 true", "409 event_id_conflict", "202 true",
		"409 event_id_conflict", "422 invalid", "400 malformed", "400 malformed", "413 payload_too_large", "202 false",
	}, said)
	require.Equal(t, "a", got[0].ID)
	require.JSONEq(t, `{"salePrice":1}`, string(b.store.published("rheo", "a").Event.Data), "the first of the batch wins")
}

func TestBatch_IsAcceptedTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	events := make([]json.RawMessage, 500)
	for i := range events {
		events[i] = json.RawMessage(fmt.Sprintf(`{"type":"a.b","data":%d,"id":"e%d"}`, i, i))
	}
	body, err := json.Marshal(object{"events": events})
	require.NoError(t, err)
	got := into[struct{ Results []webhook.Receipt }](b.admin("POST", "/v1/tenants/acme/events/batch", string(body)).want(200))
	for i, r := range got.Results {
		require.Equal(t, fmt.Sprintf("e%d", i), r.EventID)
	}
	require.Greater(t, b.store.crowd, 10, "concurrently, so that they share commits")
}

// Schemas that take long do not keep the whole batch from its answer: what was not checked can be sent again.
func TestBatch_SlowChecks(t *testing.T) {
	t.Parallel()
	var at atomic.Int64
	at.Store(time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC).UnixNano())
	b := setup(t, func(o *api.Options) {
		o.Now = func() time.Time { return time.Unix(0, at.Load()).UTC() }
		o.Schemas = schemasFunc(func(string, string, []byte) error {
			at.Add(int64(time.Second))
			return nil
		})
	})
	b.tenant("acme", "one")
	events := strings.TrimSuffix(strings.Repeat(`{"type":"item.sold","data":{"salePrice":1}},`, 20), ",")
	a := b.admin("POST", "/v1/tenants/acme/events/batch", `{"events":[`+events+`]}`).want(200)
	got := into[struct{ Results []struct{ Status int } }](a)
	for i, r := range got.Results {
		require.Equal(t, map[bool]int{true: 202, false: 429}[i < 16], r.Status, i)
	}
	require.Equal(t, 4, strings.Count(string(a.body), `"code":"overloaded"`))
}

func TestBatch_Bad(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	many := `{"events":[` + strings.Repeat("1,", 500) + `1]}`
	for body, detail := range map[string]string{`{}`: "has 0 events", `{"events":[]}`: "has 0 events", `{"events":{}}`: "is a list", many: "has 501 events"} {
		p := b.admin("POST", "/v1/tenants/acme/events/batch", body).problem(422, webhook.CodeInvalid)
		require.Equal(t, "events", p.Errors[0].Field)
		require.Contains(t, p.Errors[0].Detail, detail)
	}
	b.admin("POST", "/v1/tenants/acme/events/batch", `{"events":[{"type":"a.b","data":1}]}`, "Idempotency-Key", "k").problem(422, webhook.CodeInvalid)
}

func TestBatch_StoreFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	const body = `{"events":[{"type":"a.b","data":1},{"type":"a.b","data":2}]}`
	b.store.breakWith(webhook.Errorf(webhook.CodeUnavailable, "down"), "Accept")
	a := b.admin("POST", "/v1/tenants/acme/events/batch", body).want(200)
	require.Equal(t, 2, strings.Count(string(a.body), `"code":"unavailable"`))

	b.store.fail = func(string) error { panic("hush-hush") }
	b.server.Close()
	a = b.admin("POST", "/v1/tenants/acme/events/batch", body)
	require.NotContains(t, string(a.body), "hush-hush")
}
