package dashboard

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

const conflict = `{"status":409,"title":"The state forbids it","detail":"the receiver did not accept the test: status 500","code":"conflict"}`

// What reaches far says first what it will do, with numbers, and says why when it is refused.
func TestEndpoint_Acts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		act, call     string
		fields        url.Values
		body          string
		says          []string
		after, refuse string
	}{
		{"disable", "POST " + endpointPath + "/disable", url.Values{"reason": {"moving"}}, `{"reason":"moving"}`, []string{"7 deliveries that are under way are held", "canceled after 3 d"}, pagePath, "refused"},
		{"enable", "POST " + endpointPath + "/enable", url.Values{"test": {"true"}}, `{"test":true}`, []string{"312 held deliveries are sent", `name="test" value="true" checked`}, pagePath, "refused"},
		{"enable", "POST " + endpointPath + "/enable", url.Values{}, `{"test":false}`, nil, pagePath, "refused"},
		{"verify", "POST " + endpointPath + "/verify", url.Values{}, ``, []string{"random token"}, pagePath, "refused"},
		{"delete", "DELETE " + endpointPath, url.Values{}, ``, []string{"319 deliveries that wait are canceled"}, "/tenants/acme/endpoints", ""},
	} {
		var asked string
		api := tenantAPI(t, adminSession, "rheo", fakeAPI{"GET " + endpointPath: says(http.StatusOK, disabledEndpoint), tt.call: keeps(http.StatusNoContent, "", &asked)})
		d := newTest(t, Options{API: api})
		page := d.page(t, pagePath+"/"+tt.act)
		for _, want := range tt.says {
			require.Contains(t, page, want, tt.act)
		}
		w := d.signed(postForm(pagePath+"/"+tt.act, tt.fields))
		require.Equal(t, http.StatusSeeOther, w.Code, tt.act)
		require.Equal(t, tt.after, w.Header().Get("Location"), tt.act)
		require.Equal(t, tt.body, asked, tt.act)
		if tt.refuse != "" {
			api[tt.call] = says(http.StatusConflict, conflict)
			w = d.signed(postForm(pagePath+"/"+tt.act, tt.fields))
			require.Equal(t, http.StatusConflict, w.Code, tt.act)
			require.Contains(t, w.Body.String(), "The receiver did not accept the test: status 500.", tt.act)
			require.Contains(t, w.Body.String(), `id="confirm"`, tt.act)
		}
	}
}

// The secret is shown when somebody asks for it, which is an act of its own, and is in no address.
func TestEndpoint_Secret(t *testing.T) {
	t.Parallel()
	var reveals int
	var rotation, once string
	api := tenantAPI(t, adminSession, "rheo", fakeAPI{
		"GET " + endpointPath: says(http.StatusOK, disabledEndpoint),
		"GET " + endpointPath + "/secret": func(w http.ResponseWriter, r *http.Request) {
			reveals++
			says(http.StatusOK, `{"secret":"whsec_current","fingerprint":"1a2b3c4d","previous_fingerprint":"99887766","switch_at":"2026-05-28T00:00:00Z"}`)(w, r)
		},
		"POST " + endpointPath + "/rotate-secret": func(w http.ResponseWriter, r *http.Request) {
			once = r.Header.Get("Idempotency-Key")
			keeps(http.StatusOK, `{"secret":"whsec_new","fingerprint":"aabbccdd"}`, &rotation)(w, r)
		},
		"POST " + endpointPath + "/retire-secret": says(http.StatusOK, `{"fingerprint":"1a2b3c4d"}`),
	})
	d := newTest(t, Options{API: api})
	page := d.page(t, pagePath+"/secret")
	require.Zero(t, reveals, "to look at the page reveals nothing")
	require.Contains(t, page, "leaves an audit entry")
	require.Contains(t, page, `name="switch_at"`, "Rheo's header has room for one signature")

	page = d.signed(postForm(pagePath+"/secret", url.Values{"act": {"reveal"}})).Body.String()
	for _, want := range []string{"whsec_current", "1a2b3c4d", "99887766", "in 12 hours", "/retire-secret"} {
		require.Contains(t, page, want)
	}
	page = d.signed(postForm(pagePath+"/secret", url.Values{"act": {"rotate"}, "once": {"ONCE"}, "overlap": {"2h"}, "switch_at": {"2026-05-28T01:00"}, "secret": {""}})).Body.String()
	require.Contains(t, page, "whsec_new")
	require.JSONEq(t, `{"overlap":"2h","switch_at":"2026-05-28T01:00:00Z"}`, rotation)
	require.Equal(t, "ONCE", once)
	page = d.page(t, pagePath+"/retire-secret")
	require.Contains(t, page, `<input type="hidden" name="act" value="retire">`)
	require.Contains(t, page, "refuses what follows")
	require.Contains(t, d.signed(postForm(pagePath+"/secret", url.Values{"act": {"retire"}})).Body.String(), "The previous secret signs no more.")

	api["POST "+endpointPath+"/rotate-secret"] = says(http.StatusConflict, conflict)
	w := d.signed(postForm(pagePath+"/secret", url.Values{"act": {"rotate"}}))
	require.Equal(t, http.StatusConflict, w.Code)
	require.NotContains(t, w.Body.String(), "The secret is rotated")

	api["GET /v1/session"] = says(http.StatusOK, readerSession)
	require.Equal(t, http.StatusNotFound, d.signed(httptest.NewRequest(http.MethodGet, pagePath+"/secret", http.NoBody)).Code)
}

// A platform whose endpoints share a secret shows and rotates it at one place, and no portal session does.
func TestTenant_Secret(t *testing.T) {
	t.Parallel()
	var rotation string
	api := tenantAPI(t, adminSession, "tradevine", fakeAPI{
		"GET /v1/tenants/acme/secret":         says(http.StatusOK, `{"secret":"whsec_shared","fingerprint":"1a2b3c4d"}`),
		"POST /v1/tenants/acme/rotate-secret": keeps(http.StatusOK, `{"secret":"whsec_new","fingerprint":"aabbccdd","previous_fingerprint":"1a2b3c4d"}`, &rotation),
		"POST /v1/tenants/acme/retire-secret": says(http.StatusOK, `{"fingerprint":"aabbccdd"}`),
	})
	d := newTest(t, Options{API: api})
	require.Contains(t, d.page(t, "/tenants/acme/settings"), `href="/tenants/acme/secret"`)
	require.NotContains(t, d.page(t, "/tenants/acme/secret"), "whsec_shared")
	page := d.signed(postForm("/tenants/acme/secret", url.Values{"act": {"reveal"}})).Body.String()
	require.Contains(t, page, "whsec_shared")
	require.NotContains(t, page, "retire-secret", "there is no previous one")
	page = d.signed(postForm("/tenants/acme/secret", url.Values{"act": {"rotate"}, "overlap": {"2h"}})).Body.String()
	require.Contains(t, page, "whsec_new")
	require.Contains(t, page, `href="/tenants/acme/retire-secret"`)
	require.JSONEq(t, `{"overlap":"2h"}`, rotation)
	require.Contains(t, d.page(t, "/tenants/acme/retire-secret"), `action="/tenants/acme/secret"`)

	api["GET /v1/session"] = says(http.StatusOK, portalSession)
	require.Equal(t, http.StatusNotFound, d.signed(httptest.NewRequest(http.MethodGet, "/tenants/acme/secret", http.NoBody)).Code)
}

// A test shows its answer on the same page: it waits for it, and what the receiver says is text.
func TestEndpoint_Test(t *testing.T) {
	t.Parallel()
	var asked string
	const id = "dlv_0197122f3c4b7d1e8f00112233445566"
	delivery := `{"id":"` + id + `","event_type":"item.sold","endpoint_id":"` + endpointID + `","status":"pending","attempts":0,"test":true}`
	api := tenantAPI(t, adminSession, "rheo", fakeAPI{
		"GET " + endpointPath:                   says(http.StatusOK, disabledEndpoint),
		"POST " + endpointPath + "/test":        keeps(http.StatusAccepted, `{"id":"evt_1","deliveries":[{"id":"`+id+`"}]}`, &asked),
		"GET /v1/tenants/acme/deliveries/" + id: func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, delivery) },
		"GET /v1/tenants/acme/deliveries/" + id + "/attempts": says(http.StatusOK, `{"data":[{"number":1,"status_code":500,"duration_ms":7,"error":"the receiver answered 500","request_headers":{"X-Rheo-Signature":"sha256=abc"},
			"response_headers":{"X-Evil":"<b>"},"response_body":"<script>alert(1)</script>"}]}`),
	})
	d := newTest(t, Options{API: api})
	page := d.page(t, pagePath+"/test")
	require.Less(t, indexOf(t, page, "<option>listing.created"), indexOf(t, page, "<option>item.sold"), "what it subscribes to comes first")

	w := d.signed(postForm(pagePath+"/test", url.Values{"type": {"item.sold"}, "secret": {"previous"}}))
	require.JSONEq(t, `{"type":"item.sold","secret":"previous"}`, asked)
	answer := w.Header().Get("Location")
	require.Equal(t, pagePath+"/test/"+id+"?secret=previous", answer)
	page = d.page(t, answer)
	require.Contains(t, page, `hx-trigger="every`)
	require.Contains(t, page, "Sending item.sold")

	delivery = `{"id":"` + id + `","event_type":"item.sold","endpoint_id":"` + endpointID + `","status":"exhausted","attempts":1,"test":true}`
	page = d.page(t, answer)
	require.NotContains(t, page, "hx-trigger")
	for _, want := range []string{"did not accept item.sold", "sha256=abc", "status 500, 7 ms", "&lt;script&gt;alert(1)", "X-Evil: &lt;b&gt;", "<option selected>item.sold", `value="previous" selected`} {
		require.Contains(t, page, want)
	}

	api["POST "+endpointPath+"/test"] = says(http.StatusConflict, `{"status":409,"title":"The state forbids it","detail":"there is no previous secret","code":"conflict"}`)
	w = d.signed(postForm(pagePath+"/test", url.Values{"type": {"item.sold"}}))
	require.Equal(t, http.StatusConflict, w.Code)
	require.Contains(t, w.Body.String(), "There is no previous secret.")
}
