package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

// inQuarantine puts rows aside, newest first; the first one is cut.
func (b *testBundle) inQuarantine() {
	at := time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC)
	id := "order-1"
	b.store.quarantine = []store.QuarantinedRow{
		{Position: 9, TenantID: "acme", EventType: "a.b", Code: webhook.CodeTooLarge, Reason: "too large", Bytes: 50_000_000, Cut: true, CreatedAt: at, QuarantinedAt: at},
		{
			Position: 7, TenantID: "acme", EventID: &id, EventType: "a.b", Code: webhook.CodeInvalid, Reason: "not in order",
			Errors: []webhook.FieldError{{Field: "data", Detail: "is required"}}, Bytes: 12, CreatedAt: at, QuarantinedAt: at,
			Data: []byte(`{ "n" : 1 }`), Attributes: []byte(`{"a":"b"}`),
		},
		{Position: 3, Code: webhook.CodeNotFound, CreatedAt: at, QuarantinedAt: at},
	}
}

func TestQuarantine_List(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, object{"data": []any{}}, into[object](b.admin("GET", "/v1/quarantine", "").want(200)))
	b.inQuarantine()
	first := into[object](b.admin("GET", "/v1/quarantine?limit=2", "").want(200))
	require.Len(t, first["data"], 2)
	require.Equal(t, object{
		"position": 9.0, "tenant": "acme", "event_id": nil, "event_type": "a.b", "code": "payload_too_large", "reason": "too large", "errors": []any{},
		"bytes": 50_000_000.0, "cut": true, "created_at": "2026-05-27T14:32:00Z", "quarantined_at": "2026-05-27T14:32:00Z",
	}, first["data"].([]any)[0])
	rest := into[object](b.admin("GET", "/v1/quarantine?limit=2&cursor="+first["next_cursor"].(string), "").want(200))
	require.Len(t, rest["data"], 1)
	require.NotContains(t, rest, "next_cursor")
	for _, query := range []string{"cursor=x", "cursor=YQ", "limit=0", "tenant=acme"} {
		b.admin("GET", "/v1/quarantine?"+query, "").problem(422, webhook.CodeInvalid)
	}
}

func TestQuarantine_Row(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.inQuarantine()
	row := into[object](b.admin("GET", "/v1/quarantine/7", "").want(200))
	require.Equal(t, `{ "n" : 1 }`, row["data"], "as written")
	require.Equal(t, []any{object{"field": "data", "detail": "is required"}}, row["errors"])

	b.admin("POST", "/v1/quarantine/9/retry", "").problem(409, webhook.CodeConflict)
	require.Empty(t, b.admin("POST", "/v1/quarantine/7/retry", "").want(202).body)
	require.Empty(t, b.admin("DELETE", "/v1/quarantine/9", "").want(204).body)
	for _, gone := range []string{"7", "9", "0", "-1", "07", "x", "99999999999999999999"} {
		b.admin("GET", "/v1/quarantine/"+gone, "").problem(404, webhook.CodeNotFound)
		b.admin("POST", "/v1/quarantine/"+gone+"/retry", "").problem(404, webhook.CodeNotFound)
		b.admin("DELETE", "/v1/quarantine/"+gone, "").problem(404, webhook.CodeNotFound)
	}
	require.Len(t, b.store.quarantine, 1)
}

// The key of a tenant sees no row, whatever its scopes, because it is unknown who wrote a row.
func TestQuarantine_AdminOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.inQuarantine()
	key := b.key("acme", webhook.ScopePublish, webhook.ScopeRead, webhook.ScopeManage)
	b.call(key, "GET", "/v1/quarantine", "").problem(403, webhook.CodeForbidden)
	b.call(key, "GET", "/v1/quarantine/7", "").problem(403, webhook.CodeForbidden)
	b.call(key, "POST", "/v1/quarantine/7/retry", "").problem(403, webhook.CodeForbidden)
	b.call(key, "DELETE", "/v1/quarantine/7", "").problem(403, webhook.CodeForbidden)
	require.Len(t, b.store.quarantine, 3)
}
