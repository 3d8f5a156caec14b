package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// The trace of a request is that of what it publishes, of all events of a batch. What is malformed, or sent twice, costs the event
// nothing.
func TestTraceparent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	const (
		traced = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		path   = "/v1/tenants/acme/events"
	)
	b.admin("POST", path, `{"type":"a.b","data":1,"id":"one"}`, "traceparent", traced, "tracestate", "vendor=1").want(202)
	require.Equal(t, webhook.Traceparent(traced), b.store.published("acme", "one").Traceparent)
	b.admin("POST", path, `{"type":"a.b","data":1,"id":"none"}`).want(202)
	require.Empty(t, b.store.published("acme", "none").Traceparent)
	for id, bad := range map[string]string{
		"upper": strings.ToUpper(traced), "two": traced + "," + traced, "long": strings.Repeat(traced+"-", 500), "zero": "00-" + strings.Repeat("0", 32) + traced[35:],
	} {
		b.admin("POST", path, `{"type":"a.b","data":1,"id":"`+id+`"}`, "traceparent", bad).want(202)
		require.Empty(t, b.store.published("acme", id).Traceparent, id)
	}

	b.admin("POST", path+"/batch", `{"events":[{"type":"a.b","data":1,"id":"x"},{"type":"a.b","data":1,"id":"y"}]}`, "traceparent", traced).want(200)
	require.Equal(t, webhook.Traceparent(traced), b.store.published("acme", "x").Traceparent)
	require.Equal(t, webhook.Traceparent(traced), b.store.published("acme", "y").Traceparent)
}
