package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

func TestAudit_Filters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	query := "actor=key_1&action=endpoint.updated&target=ep_1&since=2026-05-27T12:00:00Z&until=2026-05-27T13:00:00Z&limit=10"
	b.call(b.key("acme", webhook.ScopeManage), "GET", "/v1/tenants/acme/audit?"+query, "").want(200)
	b.admin("GET", "/v1/audit?tenant=other&"+query, "").want(200)
	b.admin("GET", "/v1/audit", "").want(200)
	since := time.Date(2026, 5, 27, 12, 0, 0, 0, time.UTC)
	f := store.AuditFilter{
		TenantID: "acme", Actor: "key_1", Action: "endpoint.updated", Target: "ep_1", Since: since, Until: since.Add(time.Hour), Page: store.Page{Limit: 11},
	}
	others := f
	others.TenantID = "other"
	require.Equal(t, []store.AuditFilter{f, others, {Page: store.Page{Limit: 51}}}, b.store.auditFilters)

	b.lenient = true
	p := b.admin("GET", "/v1/tenants/acme/audit?tenant=other&since=yesterday&cursor=x", "").problem(422, webhook.CodeInvalid)
	require.ElementsMatch(t, []string{"tenant", "since", "cursor"}, p.fields())
}

// A workflow that is asked for an attempt writes nothing by itself, so the API writes who asked: also where the workflow did not
// answer in time, and not where it refused.
func TestRetry_IsNoted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.endpoint("acme")
	delivery := b.publish("acme", `{"type":"a.b","data":1}`)
	path := "/v1/tenants/acme/deliveries/" + delivery + "/retry"

	a := b.admin("POST", path, `{"reason":"because"}`).want(202)
	require.Equal(t, []webhook.AuditEntry{{
		TenantID: "acme", Actor: "admin", Address: "192.0.2.1", RequestID: a.header.Get("X-Request-Id"), Action: "delivery.retried", Target: delivery + " because",
	}}, b.store.audit)

	b.engine.retry = func() error { return webhook.Errorf(webhook.CodeConflict, "about to be canceled") }
	b.admin("POST", path, "").problem(409, webhook.CodeConflict)
	require.Len(t, b.store.audit, 1)
	b.engine.retry = func() error { return webhook.Errorf(webhook.CodeUnavailable, "no answer in time") }
	b.admin("POST", path, "").problem(503, webhook.CodeUnavailable)
	require.Len(t, b.store.audit, 2)
}
