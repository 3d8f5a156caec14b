package api_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

func TestDeliveries_List(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	endpoint := b.endpoint("acme")
	id := b.publish("acme", `{"type":"a.b","data":1,"id":"e1"}`)
	other := b.publish("acme", `{"type":"a.b","data":1,"id":"e2"}`)
	b.store.settle(parseID[webhook.DeliveryID](t, other), webhook.StatusExhausted)

	got := into[struct{ Data []object }](b.admin("GET", "/v1/tenants/acme/deliveries?status=pending&endpoint="+endpoint+
		"&event_type=a.b&since=2026-05-27T16:00:00%2B02:00&until=2026-05-28T00:00:00Z&limit=10", "").want(200))
	require.Equal(t, []object{{
		"id": id, "event_id": "e1", "event_type": "a.b", "endpoint_id": endpoint, "status": "pending", "attempts": 0.0, "test": false,
		"created_at": "2026-05-27T14:32:00.123456Z", "updated_at": "2026-05-27T14:32:00.123456Z",
	}}, got.Data)

	f := b.store.filters[0]
	require.Equal(t, endpoint, f.EndpointID.String())
	require.Equal(t, "a.b", f.EventType)
	require.True(t, f.Since.Equal(time.Date(2026, 5, 27, 14, 0, 0, 0, time.UTC)))
	require.True(t, f.Until.Equal(time.Date(2026, 5, 28, 0, 0, 0, 0, time.UTC)))
	require.Equal(t, 11, f.Page.Limit, "one more tells whether another page follows")

	page := into[object](b.admin("GET", "/v1/tenants/acme/deliveries?limit=1", "").want(200))
	b.admin("GET", "/v1/tenants/acme/deliveries?cursor="+page["next_cursor"].(string), "").want(200)
	require.Equal(t, id, b.store.filters[2].Page.After)
}

func TestDeliveries_Filters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	list := func(query string) store.DeliveryFilter {
		b.admin("GET", "/v1/tenants/acme/deliveries?"+query, "").want(200)
		return b.store.filters[len(b.store.filters)-1]
	}
	yes, none := true, 0
	page := store.Page{Limit: 51}
	require.Equal(t, store.DeliveryFilter{Page: page}, list(""))
	require.Equal(t, store.DeliveryFilter{
		EventID: "o-1", Statuses: []webhook.Status{webhook.StatusExhausted, webhook.StatusHeld}, StatusCode: &none,
		ErrorClass: webhook.ErrorTimeout, Test: &yes, Page: page,
	}, list("event=o-1&status=exhausted,held,exhausted&status_code=none&error_class=timeout&test=true"))
	require.Equal(t, 503, *list("status_code=503").StatusCode)
	require.False(t, *list("test=false").Test)
	require.Empty(t, list("status=pending,retrying,held,delivered,exhausted,canceled").Statuses, "all of them filter nothing")
}

// A search that ended before the page was full goes on with the cursor, although the page is short.
func TestLists_GoOnWhereTheSearchEnded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.store.next = "dlv_0197122f3c4b7d1e8f00112233445566"
	got := into[object](b.admin("GET", "/v1/tenants/acme/deliveries?error_class=dns&event_type=a.b", "").want(200))
	require.Empty(t, got["data"])
	b.admin("GET", "/v1/tenants/acme/deliveries?cursor="+got["next_cursor"].(string), "").want(200)
	require.Equal(t, b.store.next, b.store.filters[1].Page.After)

	b.store.next = "evt_0197122f3c4b7d1e8f00112233445566"
	got = into[object](b.admin("GET", "/v1/tenants/acme/events?attribute.region=nz", "").want(200))
	b.admin("GET", "/v1/tenants/acme/events?cursor="+got["next_cursor"].(string), "").want(200)
	require.Equal(t, b.store.next, b.store.eventFilters[1].Page.After)
}

func TestDeliveries_OfEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.admin("POST", "/v1/tenants/acme/events", `{"type":"a.b","data":1,"id":"nobody"}`).want(202)
	b.endpoint("acme")
	id := b.publish("acme", `{"type":"a.b","data":1,"id":"e1"}`)
	b.publish("acme", `{"type":"a.b","data":1,"id":"e2"}`)
	const path = "/v1/tenants/acme/events/"
	got := into[struct{ Data []object }](b.admin("GET", path+"e1/deliveries?status=pending", "").want(200)).Data
	require.Len(t, got, 1)
	require.Equal(t, id, got[0]["id"])
	require.Empty(t, into[struct{ Data []object }](b.admin("GET", path+"nobody/deliveries", "").want(200)).Data)
	b.admin("GET", path+"none/deliveries", "").problem(404, webhook.CodeNotFound)
	b.admin("GET", path+"e1/deliveries?event=e2", "").problem(422, webhook.CodeInvalid)
}

// The dialects of the tests hold for 72 hours.
func TestDeliveries_HeldUntil(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.endpoint("acme")
	id := parseID[webhook.DeliveryID](t, b.publish("acme", `{"type":"a.b","data":1,"id":"e1"}`))
	at := time.Date(2026, 5, 27, 14, 0, 0, 0, time.UTC)
	b.store.change(id, func(d *webhook.Delivery) { d.Status, d.HeldAt, d.Reason = webhook.StatusHeld, &at, "moving" })
	one := into[object](b.admin("GET", "/v1/tenants/acme/deliveries/"+id.String(), "").want(200))
	require.Equal(t, "2026-05-30T14:00:00Z", one["held_until"])
	all := into[struct{ Data []object }](b.admin("GET", "/v1/tenants/acme/deliveries", "").want(200)).Data
	require.Equal(t, []object{one}, all)
}

func TestDeliveries_Retry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	endpoint := b.endpoint("acme")
	id := b.publish("acme", `{"type":"a.b","data":1,"id":"e1"}`)
	path := "/v1/tenants/acme/deliveries/" + id + "/retry"

	b.admin("POST", path, `{"reason":"fixed"}`).want(202)
	b.admin("POST", path, "").want(202)
	require.Equal(t, []string{"retry acme e1 " + endpoint + " fixed", "retry acme e1 " + endpoint + " retried through the API"}, b.engine.told)

	b.engine.retry = func() error { return webhook.Errorf(webhook.CodeUnavailable, "Temporal does not answer") }
	b.admin("POST", path, "").problem(503, webhook.CodeUnavailable)
	b.engine.retry = func() error { return webhook.Errorf(webhook.CodeNotFound, "no workflow") }
	b.admin("POST", path, "").problem(409, webhook.CodeConflict)

	b.engine.retry = func() error { return webhook.Errorf(webhook.CodeConflict, "the delivery is about to be canceled") }
	b.admin("POST", path, "").problem(409, webhook.CodeConflict)

	b.engine.retryHangs = true
	p := b.admin("POST", path, "").problem(503, webhook.CodeUnavailable)
	require.Contains(t, p.Detail, "an attempt is under way", "the engine is well, and the delivery has to be looked at")
}

// What is settled, or in the endpoint's queue, is opened there, as often as somebody clicks. No workflow is asked.
func TestDeliveries_RetryOpensAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	endpoint := b.endpoint("acme")
	text := b.publish("acme", `{"type":"a.b","data":1,"id":"e1"}`)
	id := parseID[webhook.DeliveryID](t, text)
	path := "/v1/tenants/acme/deliveries/" + text + "/retry"
	for _, status := range []webhook.Status{webhook.StatusDelivered, webhook.StatusExhausted, webhook.StatusCanceled, webhook.StatusHeld} {
		b.store.settle(id, status)
		got := into[object](b.admin("POST", path, `{"reason":"fixed"}`).want(202))
		require.Equal(t, "pending", got["status"], status)
		require.Equal(t, "pending", into[object](b.admin("POST", path, "").want(202))["status"], "a second click")
		b.store.queue(id, false)
	}
	require.Len(t, b.engine.told, 8)
	for _, told := range b.engine.told {
		require.Equal(t, "wake acme "+endpoint, told)
	}

	b.store.settle(id, webhook.StatusExhausted)
	b.engine.wake = func() error { return webhook.Errorf(webhook.CodeUnavailable, "Temporal does not answer") }
	b.admin("POST", path, "").want(202)
	require.Contains(t, b.log.String(), "was not woken")
	b.admin("POST", "/v1/tenants/acme/endpoints/"+endpoint+"/disable", "").want(200)
	require.Contains(t, b.admin("POST", path, "").problem(409, webhook.CodeConflict).Detail, "disabled")
}

// endsMeanwhile has a delivery that its workflow retries get a status, and the workflow answer with an error, while somebody asks for an
// attempt.
func (b *testBundle) endsMeanwhile(id webhook.DeliveryID, status webhook.Status, code webhook.Code) {
	b.store.settle(id, webhook.StatusRetrying)
	b.store.queue(id, false)
	b.engine.retry = func() error {
		b.store.settle(id, status)
		return webhook.Errorf(code, "not here any more")
	}
}

// The delivery changes hands between what was read and what is asked.
func TestDeliveries_RetryFollowsTheOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.endpoint("acme")
	text := b.publish("acme", `{"type":"a.b","data":1,"id":"e1"}`)
	id := parseID[webhook.DeliveryID](t, text)
	path := "/v1/tenants/acme/deliveries/" + text + "/retry"
	for _, code := range []webhook.Code{webhook.CodeConflict, webhook.CodeNotFound} {
		b.endsMeanwhile(id, webhook.StatusExhausted, code)
		require.Equal(t, "pending", into[object](b.admin("POST", path, "").want(202))["status"])
	}
	b.store.settle(id, webhook.StatusHeld)
	b.store.queue(id, false)
	b.store.ofWorkflow = true // an earlier version held it
	b.engine.retry = nil
	b.admin("POST", path, "").want(202)
	require.Contains(t, b.engine.told[len(b.engine.told)-1], "retry acme e1")
}

// The attempt that is under way when somebody asks for one may deliver. The receiver does not get it again.
func TestDeliveries_RetryDeliveredMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.endpoint("acme")
	text := b.publish("acme", `{"type":"a.b","data":1,"id":"e1"}`)
	id := parseID[webhook.DeliveryID](t, text)
	path := "/v1/tenants/acme/deliveries/" + text
	for _, code := range []webhook.Code{webhook.CodeConflict, webhook.CodeNotFound} {
		b.endsMeanwhile(id, webhook.StatusDelivered, code)
		require.Contains(t, b.admin("POST", path+"/retry", "").problem(409, webhook.CodeConflict).Detail, "delivered already")
		require.Equal(t, "delivered", into[object](b.admin("GET", path, "").want(200))["status"])
	}

	b.store.settle(id, webhook.StatusRetrying)
	b.store.queue(id, true)
	b.store.fail = func(method string) error {
		if method == "ReopenDelivery" {
			b.store.settle(id, webhook.StatusDelivered)
		}
		return nil
	}
	require.Contains(t, b.admin("POST", path+"/retry", "").problem(409, webhook.CodeConflict).Detail, "delivered already", "its endpoint's queue had it")
	require.Equal(t, "delivered", into[object](b.admin("GET", path, "").want(200))["status"])
}

func TestDeliveries_Cancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	endpoint := b.endpoint("acme")
	path := "/v1/tenants/acme/deliveries/" + b.publish("acme", `{"type":"a.b","data":1,"id":"e1"}`)

	b.engine.cancel = func() error { return errors.New("temporal: connection refused") }
	got := into[object](b.admin("POST", path+"/cancel", `{"reason":"sent by hand"}`).want(200))
	require.Equal(t, "canceled", got["status"])
	require.Equal(t, "sent by hand", got["reason"])
	require.Equal(t, []string{"cancel acme e1 " + endpoint + " sent by hand"}, b.engine.told)
	require.Contains(t, b.log.String(), "connection refused", "logged, not returned: the database has it")

	require.Equal(t, got, into[object](b.admin("GET", path, "").want(200)))
	b.admin("POST", path+"/cancel", "").problem(409, webhook.CodeConflict)
	require.Len(t, b.engine.told, 1)

	b.engine.cancel = func() error { return webhook.Errorf(webhook.CodeNotFound, "no such workflow is running") }
	b.admin("POST", "/v1/tenants/acme/deliveries/"+b.publish("acme", `{"type":"a.b","data":1,"id":"e2"}`)+"/cancel", "").want(200)
	require.NotContains(t, b.log.String(), "no such workflow", "it ended, or is to start, and finds the delivery canceled")
}

// No workflow makes the attempts of a delivery in the queue.
func TestDeliveries_CancelQueued(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.endpoint("acme")
	id := b.publish("acme", `{"type":"a.b","data":1,"id":"e1"}`)
	b.store.queue(parseID[webhook.DeliveryID](t, id), true)
	require.Equal(t, "canceled", into[object](b.admin("POST", "/v1/tenants/acme/deliveries/"+id+"/cancel", "").want(200))["status"])
	require.Empty(t, b.engine.told)
}

func TestHistory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.endpoint("acme")
	delivery := parseID[webhook.DeliveryID](t, b.publish("acme", `{"type":"a.b","data":1,"id":"e1"}`))
	const path = "/v1/tenants/acme/events/e1/history"

	got := into[object](b.admin("GET", path, "").want(200))
	require.Equal(t, "log", got["source"], "no workflow")
	require.Equal(t, []any{}, got["deliveries"].([]any)[0].(object)["attempts"])
	require.NotContains(t, b.log.String(), "using the log", "which is nothing to note")

	b.engine.history = func(string, string) (*webhook.History, error) { return nil, webhook.ErrClosed }
	require.Equal(t, "log", into[object](b.admin("GET", path, "").want(200))["source"], "what the endpoint's queue has goes on")
	b.store.settle(delivery, webhook.StatusExhausted)
	require.Equal(t, "closed", into[object](b.admin("GET", path, "").want(200))["source"])
	require.NotContains(t, b.log.String(), "using the log")
	for _, err := range []error{webhook.Errorf(webhook.CodeUnavailable, "down"), errors.New("odd")} {
		b.engine.history = func(string, string) (*webhook.History, error) { return nil, err }
		require.Equal(t, "log", into[object](b.admin("GET", path, "").want(200))["source"])
	}
	require.Contains(t, b.log.String(), "using the log")

	var asked string
	b.engine.history = func(tenant, event string) (*webhook.History, error) {
		asked = tenant + "/" + event
		return &webhook.History{EventID: event}, nil
	}
	require.Equal(t, "log", into[object](b.admin("GET", path, "").want(200))["source"], "it does not know the delivery")
	require.Equal(t, "acme/e1", asked)

	b.engine.history = nil
	b.admin("GET", "/v1/tenants/acme/events/none/history", "").problem(404, webhook.CodeNotFound)
}

// The workflow is asked for what it works on. What left it, for the endpoint's queue or because somebody asked for more, only the
// log knows.
func TestHistory_Source(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.endpoint("acme")
	id := parseID[webhook.DeliveryID](t, b.publish("acme", `{"type":"a.b","data":1,"id":"e1"}`))
	for name, tc := range map[string]struct {
		live     webhook.Status
		made     int // attempts, as the workflow knows
		log      webhook.Status
		attempts int
		queued   bool
		want     string
	}{
		"pending":                        {webhook.StatusPending, 0, webhook.StatusPending, 0, false, "live"},
		"recorded a moment before":       {webhook.StatusPending, 0, webhook.StatusDelivered, 1, false, "live"},
		"canceled a moment before":       {webhook.StatusRetrying, 1, webhook.StatusCanceled, 1, false, "live"},
		"settled":                        {webhook.StatusExhausted, 6, webhook.StatusExhausted, 6, false, "live"},
		"held by an earlier version":     {webhook.StatusHeld, 1, webhook.StatusHeld, 1, false, "live"},
		"held in the queue":              {webhook.StatusHeld, 1, webhook.StatusHeld, 1, true, "log"},
		"delivered by the queue":         {webhook.StatusHeld, 1, webhook.StatusDelivered, 2, false, "log"},
		"opened again":                   {webhook.StatusExhausted, 6, webhook.StatusRetrying, 6, true, "log"},
		"opened again and exhausted":     {webhook.StatusExhausted, 6, webhook.StatusExhausted, 12, false, "log"},
		"opened again before an attempt": {webhook.StatusCanceled, 0, webhook.StatusDelivered, 1, false, "log"},
	} {
		b.engine.history = func(string, string) (*webhook.History, error) {
			d := webhook.DeliveryHistory{ID: id, Status: tc.live}
			for n := range tc.made {
				d.Attempts = append(d.Attempts, webhook.AttemptSummary{Number: n + 1, Outcome: webhook.OutcomeRetryable})
			}
			return &webhook.History{EventID: "e1", Deliveries: []webhook.DeliveryHistory{d}}, nil
		}
		b.store.change(id, func(d *webhook.Delivery) { d.Status, d.Attempts, d.Queued = tc.log, tc.attempts, tc.queued })
		require.Equal(t, tc.want, into[object](b.admin("GET", "/v1/tenants/acme/events/e1/history", "").want(200))["source"], name)
	}
}

func TestAttempts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	values := b.world()
	path := "/v1/tenants/acme/deliveries/" + values["delivery"] + "/attempts"
	delivery := parseID[webhook.DeliveryID](t, values["delivery"])
	long := []byte("0123456789\xf0\x9f\x98") // cut within an emoji
	for i, a := range []webhook.Attempt{
		{ResponseBody: []byte("grüß <b> Gott")}, {ResponseBody: []byte{0xff, 0xfe}}, {ResponseBody: long, ResponseTruncated: true}, {ResponseBody: long},
	} {
		a.ID, a.DeliveryID = webhook.NewID[webhook.AttemptID](b.store.uuid()), delivery
		a.AttemptSummary = webhook.AttemptSummary{Number: i + 2, DurationMS: 12, StatusCode: 500, Outcome: webhook.OutcomeRetryable, ErrorClass: webhook.ErrorHTTPStatus, Error: "500"}
		b.store.record(a)
	}
	got := into[struct{ Data []object }](b.admin("GET", path, "").want(200)).Data
	require.Len(t, got, 5)
	require.Equal(t, "grüß <b> Gott", got[1]["response_body"])
	require.NotContains(t, got[1], "response_body_encoding")
	require.Equal(t, "//4=", got[2]["response_body"])
	require.Equal(t, "base64", got[2]["response_body_encoding"])
	require.Equal(t, "0123456789", got[3]["response_body"], "what a cut left of a character is dropped")
	require.Equal(t, "base64", got[4]["response_body_encoding"])

	one := into[object](b.admin("GET", path+"/"+got[1]["id"].(string), "").want(200))
	published := b.store.published("acme", "e1")
	require.Equal(t, string(published.Body.Bytes), one["request_body"])
	delete(one, "request_body")
	require.Equal(t, got[1], one, "a list leaves out the request's body, which is the same each time")

	other := b.publish("acme", `{"type":"a.b","data":1,"id":"e2"}`)
	b.admin("GET", "/v1/tenants/acme/deliveries/"+other+"/attempts/"+got[1]["id"].(string), "").problem(404, webhook.CodeNotFound)
	require.Empty(t, into[struct{ Data []object }](b.admin("GET", "/v1/tenants/acme/deliveries/"+other+"/attempts", "").want(200)).Data)
	b.admin("GET", "/v1/tenants/acme/deliveries/dlv_00000000000000000000000000000000/attempts", "").problem(404, webhook.CodeNotFound)
}
