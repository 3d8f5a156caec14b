package api_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// What an event says is gone, its ids stay, and its workflow is told of what was canceled.
func TestEraseEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.endpoint("acme")
	b.publish("acme", `{"type":"a.b","data":{"name":"Jane"},"id":"e1","attributes":{"who":"Jane"}}`)
	b.admin("DELETE", "/v1/tenants/acme/events/none", "").problem(404, webhook.CodeNotFound)
	b.admin("DELETE", "/v1/tenants/acme/events/e1", "").want(204)
	b.admin("DELETE", "/v1/tenants/acme/events/e1", "").want(204)
	e := into[object](b.admin("GET", "/v1/tenants/acme/events/e1", "").want(200))
	require.Equal(t, "e1", e["id"])
	require.Contains(t, e, "erased_at")
	require.NotContains(t, e, "data")
	require.NotContains(t, e, "attributes")
	require.Equal(t, []string{"erased acme e1"}, b.engine.told, "once: the second call canceled nothing")
}

// Nobody erases a tenant by a slip, and the answer does not depend on Temporal.
func TestEraseTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.engine.wake = func() error { return errors.New("down") }
	b.admin("DELETE", "/v1/tenants/acme", "").problem(422, webhook.CodeInvalid)
	b.admin("DELETE", "/v1/tenants/acme?confirm=acm", "").problem(422, webhook.CodeInvalid)
	b.admin("GET", "/v1/erasures/acme", "").problem(404, webhook.CodeNotFound)
	a := b.admin("DELETE", "/v1/tenants/acme?confirm=acme", "").want(202)
	require.Equal(t, "/v1/erasures/acme", a.header.Get("Location"))
	require.Equal(t, "running", into[object](a)["status"])
	b.admin("GET", "/v1/tenants/acme", "").problem(404, webhook.CodeNotFound)
	b.admin("DELETE", "/v1/tenants/acme?confirm=acme", "").problem(404, webhook.CodeNotFound)
	at := time.Now()
	b.store.erasures["acme"].FinishedAt, b.store.erasures["acme"].Rows = &at, 7
	e := into[object](b.admin("GET", "/v1/erasures/acme", "").want(200))
	require.Equal(t, "completed", e["status"])
	require.EqualValues(t, 7, e["rows"])
}
