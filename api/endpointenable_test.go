package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// attempted is a worker that attempts the tests that are accepted, with a status code.
func (b *testBundle) attempted(code int) {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	b.store.accepted = func(d *webhook.Delivery) {
		d.Attempts, d.Status = 1, webhook.StatusDelivered
		d.LastAttempt = &webhook.LastAttempt{Number: 1, StartedAt: d.CreatedAt, DurationMS: 12, StatusCode: code}
		if code != http.StatusOK {
			d.Status, d.LastAttempt.ErrorClass, d.LastAttempt.Error = webhook.StatusExhausted, webhook.ErrorHTTPStatus, "the receiver answered 500"
		}
	}
}

func TestEndpoints_EnableWithTest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	id := b.endpoint("acme")
	path := "/v1/tenants/acme/endpoints/" + id
	b.admin("POST", path+"/disable", "").want(200)

	b.attempted(500)
	p := b.admin("POST", path+"/enable", `{"test":true}`).problem(409, webhook.CodeConflict)
	require.Contains(t, p.Detail, "the receiver answered 500")
	require.Regexp(t, "dlv_[0-9a-f]{32}", p.Detail)
	require.Contains(t, p.Detail, "Mend the receiver and try again, or enable without a test")
	require.Equal(t, "disabled", into[object](b.admin("GET", path, "").want(200))["status"])

	b.attempted(200)
	got := into[object](b.admin("POST", path+"/enable", `{"test":true,"type":"order.confirmed","data":{"n":1},"attributes":{"a":"b"}}`).want(200))
	require.Equal(t, "enabled", got["status"])
	test := got["test"].(object)
	require.EqualValues(t, 200, test["last_attempt"].(object)["status_code"])
	event := b.store.published("acme", test["event_id"].(string)).Event
	require.True(t, event.Test)
	require.Equal(t, "order.confirmed", event.Type)
	require.Equal(t, `{"n":1}`, string(event.Data))
	require.Equal(t, test["delivery_id"], into[object](b.admin("GET", "/v1/tenants/acme/deliveries/"+test["delivery_id"].(string), "").want(200))["id"])

	b.attempted(500)
	b.admin("POST", path+"/enable", `{"test":true}`).problem(409, webhook.CodeConflict)
	got = into[object](b.admin("GET", path, "").want(200))
	require.Equal(t, "enabled", got["status"], "a test of an enabled endpoint only tests")
	require.NotContains(t, got, "test")
}

func TestEndpoints_EnableWithTest_Refuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.tenant("rheo", "one")
	path := "/v1/tenants/acme/endpoints/" + b.endpoint("acme")
	for _, body := range []string{`{"type":"a.b"}`, `{"test":false,"data":1}`, `{"attributes":{}}`} {
		require.Equal(t, []string{"test"}, b.admin("POST", path+"/enable", body).problem(422, webhook.CodeInvalid).fields())
	}
	rheo := "/v1/tenants/rheo/endpoints/" + b.endpoint("rheo")
	b.admin("POST", rheo+"/enable", `{"test":true,"type":"no.such"}`).problem(422, webhook.CodeUnknownEventType)
	b.admin("POST", rheo+"/enable", `{"test":true,"data":{}}`).problem(422, webhook.CodeSchemaViolation)
	b.admin("POST", "/v1/tenants/acme/endpoints/ep_00000000000000000000000000000000/enable", `{"test":true}`).problem(404, webhook.CodeNotFound)
	require.Empty(t, b.engine.told)
}

// A test that was canceled, or that nobody attempts, enables nothing.
func TestEndpoints_EnableWithTest_NoAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	path := "/v1/tenants/acme/endpoints/" + b.endpoint("acme")
	b.admin("POST", path+"/disable", "").want(200)
	b.store.mu.Lock()
	b.store.accepted = func(d *webhook.Delivery) { d.Status, d.Reason = webhook.StatusCanceled, "given up" }
	b.store.mu.Unlock()
	require.Contains(t, b.admin("POST", path+"/enable", `{"test":true}`).problem(409, webhook.CodeConflict).Detail, "canceled: given up")
	require.Equal(t, "disabled", into[object](b.admin("GET", path, "").want(200))["status"])
}

// A repetition with the same key gets the result of the same test.
func TestEndpoints_EnableWithTest_Once(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	path := "/v1/tenants/acme/endpoints/" + b.endpoint("acme")
	b.attempted(200)
	first := into[object](b.admin("POST", path+"/enable", `{"test":true}`, "Idempotency-Key", "k").want(200))
	require.Equal(t, first["test"], into[object](b.admin("POST", path+"/enable", `{"test":true}`, "Idempotency-Key", "k").want(200))["test"])
	other := into[object](b.admin("POST", path+"/enable", `{"test":true}`, "Idempotency-Key", "l").want(200))
	require.NotEqual(t, first["test"].(object)["delivery_id"], other["test"].(object)["delivery_id"])
}

// The attempt is waited for.
func TestEndpoints_EnableWithTest_Waits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	path := "/v1/tenants/acme/endpoints/" + b.endpoint("acme")
	asked := make(chan webhook.DeliveryID, 1)
	b.store.mu.Lock()
	b.store.accepted = func(d *webhook.Delivery) { asked <- d.ID }
	b.store.mu.Unlock()
	go func() {
		id := <-asked
		for reads := 0; reads < 2; reads = b.store.callsOf("Delivery") {
			time.Sleep(time.Millisecond)
		}
		b.store.mu.Lock()
		defer b.store.mu.Unlock()
		d := b.store.deliveries[id]
		d.Attempts, d.Status = 1, webhook.StatusDelivered
		b.store.deliveries[id] = d
	}()
	b.admin("POST", path+"/enable", `{"test":true}`).want(200)
}

// A call holds its connection for as long as the receiver takes, so that only so many may wait.
func TestEndpoints_EnableWithTest_Crowded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	path := "/v1/tenants/acme/endpoints/" + b.endpoint("acme")
	b.server.CrowdTests()
	b.admin("POST", path+"/enable", `{"test":true}`).problem(429, webhook.CodeOverloaded)
	require.Zero(t, b.store.callsOf("Accept"))
	b.admin("POST", path+"/enable", "").want(200)
}
