package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

// setAside puts so many events aside and returns their keys, oldest first.
func (b *testBundle) setAside(n int) []webhook.EventKey {
	b.t.Helper()
	at := time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC)
	var keys []webhook.EventKey
	for i := range n {
		key := webhook.NewID[webhook.EventKey]([16]byte{15: byte(i + 1)})
		keys = append(keys, key)
		b.store.setAside = append(b.store.setAside, store.SetAside{
			EventKey: key, TenantID: "acme", EventID: "order-1", EventType: "order.confirmed", Tries: 10, Error: "the engine refuses it", At: &at,
		})
	}
	return keys
}

func TestListDispatches(t *testing.T) {
	t.Parallel()
	b := setup(t)
	list := into[object](b.admin("GET", "/v1/dispatches", "").want(200))
	require.Equal(t, object{"data": []any{}}, list)

	keys := b.setAside(3)
	first := into[object](b.admin("GET", "/v1/dispatches?limit=2", "").want(200))
	require.Len(t, first["data"], 2)
	require.Equal(t, object{
		"id": keys[0].String(), "tenant": "acme", "event_id": "order-1", "event_type": "order.confirmed", "tries": 10.0,
		"error": "the engine refuses it", "set_aside_at": "2026-05-27T14:32:00Z",
	}, first["data"].([]any)[0])
	rest := into[object](b.admin("GET", "/v1/dispatches?limit=2&cursor="+first["next_cursor"].(string), "").want(200))
	require.Len(t, rest["data"], 1)
	require.Equal(t, keys[2].String(), rest["data"].([]any)[0].(object)["id"])
	require.NotContains(t, rest, "next_cursor")
	b.admin("GET", "/v1/dispatches?cursor=x", "").problem(422, webhook.CodeInvalid)
	b.admin("GET", "/v1/dispatches?tenant=acme", "").problem(422, webhook.CodeInvalid)
}

func TestRetryDispatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := "/v1/dispatches/" + b.setAside(1)[0].String() + "/retry"
	released := into[object](b.admin("POST", path, "").want(202))
	require.Equal(t, 0.0, released["tries"])
	require.Nil(t, released["set_aside_at"])
	b.admin("POST", path, "").problem(404, webhook.CodeNotFound)
	b.admin("POST", "/v1/dispatches/order-1/retry", "").problem(404, webhook.CodeNotFound)
	require.Empty(t, into[object](b.admin("GET", "/v1/dispatches", "").want(200))["data"])
}

// The key of a tenant does not see other tenants' events, whatever its scopes.
func TestDispatches_AdminOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	key := b.key("acme", webhook.ScopePublish, webhook.ScopeRead, webhook.ScopeManage)
	id := b.setAside(1)[0].String()
	b.call(key, "GET", "/v1/dispatches", "").problem(403, webhook.CodeForbidden)
	b.call(key, "POST", "/v1/dispatches/"+id+"/retry", "").problem(403, webhook.CodeForbidden)
	require.Len(t, b.store.setAside, 1)
}
