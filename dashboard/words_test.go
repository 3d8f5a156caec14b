package dashboard

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSentence(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "the link has ended": "The link has ended.", "Try again.": "Try again.", "why?": "why?", "übel": "Übel.",
	} {
		require.Equal(t, want, sentence(text))
	}
}

// The first sentence of a description is told, and an abbreviation ends none.
func TestEventType_Summary(t *testing.T) {
	t.Parallel()
	for description, want := range map[string]string{
		"Fired if it fails (e.g. an expired token). More.": "Fired if it fails (e.g. an expired token).", "One. two is next.": "One.", "Alone": "Alone",
	} {
		require.Equal(t, want, eventType{Description: description}.Summary())
	}
}

func TestOverview_PerMinute(t *testing.T) {
	t.Parallel()
	for delivered, want := range map[int64]string{0: "0", 1: "less than 0.1", 144: "0.1", 1440: "1", 3600: "2.5", 14_400_000: "10,000"} {
		o := overview{Window: "24h", Stats: &endpointStats{}}
		o.Stats.Deliveries.Delivered = delivered
		require.Equal(t, want, o.PerMinute())
	}
}

// What is in trouble names its endpoint, and says where the rest is; a session that may only look is told so, and by whom it came.
func TestOverview_Trouble(t *testing.T) {
	t.Parallel()
	const failed = `{"data":[{"id":"dlv_0197122f3c4b7d1e8f00112233445566","endpoint_id":"ep_0197122f3c4b7d1e8f00112233445566","event_type":"item.sold","status":"retrying","test":true}]}`
	api := tenantAPI(t, `{"actor":"pln_1","kind":"portal","tenant":"acme","scopes":["read"],"expires_at":"2026-05-27T13:00:00Z"}`, "rheo", fakeAPI{
		"GET /v1/tenants/acme/stats":      says(http.StatusOK, `{"window":"24h","deliveries":{},"series":[]}`),
		"GET /v1/tenants/acme/endpoints":  says(http.StatusOK, `{"data":[`+disabledEndpoint+`],"next_cursor":"more"}`),
		"GET " + endpointPath:             says(http.StatusOK, disabledEndpoint),
		"GET /v1/tenants/acme/deliveries": says(http.StatusOK, failed),
	})
	d := newTest(t, Options{API: api})
	page := d.page(t, "/tenants/acme")
	require.Contains(t, page, `<bdi title="https://a.example/hook">a.example</bdi>`)
	require.Contains(t, page, `href="/tenants/acme/endpoints?trouble=true"`)
	require.Contains(t, page, "By a portal link")
	require.Contains(t, page, "in 1 hour")
	require.NotContains(t, page, "pln_1")

	api["GET /v1/tenants/acme/endpoints"] = says(http.StatusOK, `{"data":[]}`)
	require.Contains(t, d.page(t, "/tenants/acme"), "Ask whoever gave you the link for one that may.")
	require.NotContains(t, d.page(t, "/tenants/acme"), "new-endpoint")
}

// An entry says in words who acted where no person did, and leads to what it is about.
func TestAudit_Entries(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: tenantAPI(t, adminSession, "rheo", fakeAPI{
		"GET /v1/tenants/acme/audit": says(http.StatusOK, `{"data":[
			{"tenant":"acme","actor":"failures","action":"endpoint.disabled","target":"ep_1","after":{"status":"disabled"}},
			{"tenant":"acme","actor":"key_1","action":"key.created","target":"key_2"}]}`),
	})})
	page := d.page(t, "/tenants/acme/audit")
	require.Contains(t, page, "Waybill, because attempts failed")
	require.Contains(t, page, `<a href="/tenants/acme/endpoints/ep_1"><code>ep_1</code></a>`)
	require.Contains(t, page, `<code>key_1</code>`)
	require.Contains(t, page, `<td><code>key_2</code></td>`)
}
