package dashboard

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	readerSession = `{"actor":"key_r","kind":"key","tenant":"acme","scopes":["read"]}`
	endpointID    = "ep_0197122f3c4b7d1e8f00112233445566"
	endpointsPath = "/v1/tenants/acme/endpoints"
	endpointPath  = endpointsPath + "/" + endpointID
	pagePath      = "/tenants/acme/endpoints/" + endpointID
)

// tenantAPI answers what every page of a tenant asks, and what is given besides.
func tenantAPI(t *testing.T, session, dialect string, besides fakeAPI) fakeAPI {
	t.Helper()
	text, err := os.ReadFile("../schemas/dialects/" + dialect + ".json")
	require.NoError(t, err)
	api := fakeAPI{
		"GET /v1/session":                  says(http.StatusOK, session),
		"GET /v1/tenants/acme":             says(http.StatusOK, `{"id":"acme","name":"Acme","dialect":"`+dialect+`"}`),
		"GET /v1/dialects/" + dialect:      says(http.StatusOK, string(text)),
		"GET /v1/tenants/acme/event-types": says(http.StatusOK, `{"data":[{"type":"item.sold","source":"dialect","description":"Sold."},{"type":"listing.created","source":"dialect"},{"type":"listing.ended","source":"tenant","deprecated":true}]}`),
		"GET /v1/tenants/acme/deliveries":  says(http.StatusOK, `{"data":[]}`),
		"GET " + endpointPath + "/stats":   says(http.StatusOK, `{"window":"24h","deliveries":{"held":312,"pending":2,"retrying":5},"attempts":0,"series":[]}`),
	}
	maps.Copy(api, besides)
	return api
}

// signed is a request of somebody who is signed in.
func (d *Dashboard) signed(r *http.Request) *httptest.ResponseRecorder {
	r.AddCookie(&http.Cookie{Name: d.cookieName(sessionCookie), Value: sign(d.opts.SigningKeys[0], "wbs_test")})
	return d.answer(r)
}

func (d *Dashboard) page(t *testing.T, path string) string {
	t.Helper()
	w := d.signed(httptest.NewRequest(http.MethodGet, path, http.NoBody))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	return w.Body.String()
}

// keeps says a text and keeps the query and the body that it was asked with.
func keeps(status int, answer string, asked *string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*asked = r.URL.RawQuery + string(body)
		says(status, answer)(w, r)
	}
}

// The list shows at a glance which endpoints work; its filters are in the address and are the API's.
func TestEndpoints_List(t *testing.T) {
	t.Parallel()
	var asked string
	api := tenantAPI(t, readerSession, "standard", fakeAPI{"GET " + endpointsPath: keeps(http.StatusOK, `{"data":[
		{"id":"`+endpointID+`","url":"https://a.example/<b>","event_types":["a","b","c","d.*","e"],"description":"Billing","status":"enabled","streak":{"failures":7},
		 "stats":{"delivered":9,"failed":1,"success_rate":0.9,"p95_ms":120,"series":[{"at":"2026-05-27T10:00:00Z","delivered":9,"failed":0},{"at":"2026-05-27T11:00:00Z","delivered":0,"failed":1}]}},
		{"id":"ep_0197122f3c4b7d1e8f00112233445567","url":"https://b.example","event_types":["*"],"status":"disabled","stats":{"delivered":0,"failed":0,"series":[{"at":"2026-05-27T10:00:00Z","delivered":0,"failed":0}]}}],
		"next_cursor":"more"}`, &asked)})
	d := newTest(t, Options{API: api})

	page := d.page(t, "/tenants/acme/endpoints?status=enabled&trouble=true&q=bill&failing=")
	require.Equal(t, "q=bill&stats=24h&status=enabled&trouble=true", asked)
	for _, want := range []string{
		`href="` + pagePath + `">Billing`, "https://a.example/&lt;b&gt;", "7 failed in a row", "90.0 %", "120 ms", "and 2 more",
		`aria-label="9 attempts delivered and 1 failed"`, "nothing sent", `data-status="disabled"`, `cursor=more`, `value="bill"`, `<option selected>enabled`,
	} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "new-endpoint", "a session that only reads has no button to add one")
}

// Who has no endpoint yet is told how to begin.
func TestEndpoints_Empty(t *testing.T) {
	t.Parallel()
	api := tenantAPI(t, adminSession, "rheo", fakeAPI{"GET " + endpointsPath: says(http.StatusOK, `{"data":[]}`)})
	d := newTest(t, Options{API: api})
	require.Contains(t, d.page(t, "/tenants/acme/endpoints"), `href="/tenants/acme/new-endpoint">Add the first endpoint`)
	page := d.page(t, "/tenants/acme/endpoints?failing=true")
	require.Contains(t, page, "No endpoint fits")
	require.NotContains(t, page, "Add the first endpoint")

	api["GET "+endpointsPath] = says(http.StatusOK, `{"data":[],"next_cursor":"more"}`)
	page = d.page(t, "/tenants/acme/endpoints?failing=true")
	require.Contains(t, page, "No endpoint fits so far", "a search that is not over has found nothing yet")
	require.Contains(t, page, "cursor=more")

	api["GET "+endpointsPath] = says(http.StatusUnprocessableEntity, `{"status":422,"title":"A field is wrong","detail":"status is enabled, disabled or unverified","code":"invalid","errors":[{"field":"status","detail":"is enabled, disabled or unverified"}]}`)
	w := d.signed(httptest.NewRequest(http.MethodGet, "/tenants/acme/endpoints?status=paused", http.NoBody))
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Contains(t, w.Body.String(), "is enabled, disabled or unverified")
}

const disabledEndpoint = `{"id":"` + endpointID + `","url":"https://a.example/hook","event_types":["listing.*"],"description":"","status":"disabled",
	"disabled":{"at":"2026-05-27T11:00:00Z","by":"failures","reason":"10 attempts in a row failed"},"auto_disable_in_force":{"failures":10,"span":"10m"},
	"headers":{"X-Api-Key":"very secret"},"auth":{"type":"oauth2"},"signing":{"algorithm":"hmac-sha256","message_signatures":false},"retry":{"policy":"table-5"},
	"streak":{"failures":10,"since":"2026-05-27T10:00:00Z"},"created_at":"2026-05-01T00:00:00Z"}`

// The page of an endpoint says what it is, how it does, and why: who disabled it, which errors there are, what signed.
func TestEndpoint_Page(t *testing.T) {
	t.Parallel()
	hostile := `<img src=x onerror=alert(1)>\u001b[31m\u202e` + strings.Repeat("w", 400)
	var queries []string
	api := tenantAPI(t, adminSession, "rheo", fakeAPI{
		"GET " + endpointPath: says(http.StatusOK, disabledEndpoint),
		"GET " + endpointPath + "/stats": says(http.StatusOK, `{"window":"7d","deliveries":{"held":312},"attempts":40,"success_rate":0.25,"duration_ms":{"p50":12,"p95":340,"p99":900},
			"series":[{"at":"2026-05-27T10:00:00Z","delivered":10,"failed":30}]}`),
		"GET /v1/tenants/acme/deliveries": func(w http.ResponseWriter, r *http.Request) {
			queries = append(queries, r.URL.RawQuery)
			const failed = `{"id":"dlv_0197122f3c4b7d1e8f00112233445566","event_id":"evt_1","event_type":"listing.created","endpoint_id":"` + endpointID + `","status":"held","attempts":3,
				"last_attempt":{"number":3,"started_at":"2026-05-27T11:00:00Z","duration_ms":20,"status_code":500,"error_class":"http_status","error":"`
			says(http.StatusOK, `{"data":[`+failed+hostile+`"}},`+failed+`earlier"}}]}`)(w, r)
		},
		"GET /v1/tenants/acme/deliveries/dlv_0197122f3c4b7d1e8f00112233445566/attempts": says(http.StatusOK, `{"data":[{"number":3,"signed_with":["1a2b3c4d"]}]}`),
	})
	d := newTest(t, Options{API: api})
	page := d.page(t, pagePath+"?window=7d")
	require.Equal(t, []string{"endpoint=" + endpointID + "&limit=10", "endpoint=" + endpointID + "&limit=100&status=retrying%2Cheld%2Cexhausted&test=false"}, queries)
	for _, want := range []string{
		"by Waybill, because its attempts failed", "10 attempts in a row failed", "Held: 312 deliveries.", pagePath + `/enable"`,
		"25.0 %", "340 ms", "+12 h", "6 attempts over 14 h 36 min", "oauth2", "<code>X-Api-Key</code>", "1a2b3c4d",
		"?endpoint=" + endpointID + "&amp;error_class=http_status&amp;status_code=500", `<td class="number">2</td>`, "&lt;img src=x",
	} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "very secret", "a header's value is often a key")
	require.NotContains(t, page, "<img src=x")
	require.NotContains(t, page, pagePath+`/disable"`)

	api["GET /v1/session"] = says(http.StatusOK, readerSession)
	page = d.page(t, pagePath)
	for _, act := range []string{"/enable", "/edit", "/test", "/secret", "/delete", "/recover"} {
		require.NotContains(t, page, pagePath+act, "a session that only reads has no such button")
	}
}

// Whoever verifies with a public key finds it on the page, without anything being revealed.
func TestEndpoint_PublicKey(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: tenantAPI(t, readerSession, "standard", fakeAPI{
		"GET " + endpointPath:                 says(http.StatusOK, strings.Replace(disabledEndpoint, "hmac-sha256", "ed25519", 1)),
		"GET " + endpointPath + "/public-key": says(http.StatusOK, `{"keys":[{"public_key":"whpk_now"}]}`),
	})})
	require.Contains(t, d.page(t, pagePath), "<code>whpk_now</code>")
}

// A window that does not exist is the API's to refuse, and an endpoint that does not exist is a page that says so.
func TestEndpoint_NotFound(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: tenantAPI(t, adminSession, "rheo", nil)})
	for _, path := range []string{"", "/edit", "/test", "/secret", "/disable", "/enable", "/verify", "/delete", "/recover"} {
		w := d.signed(httptest.NewRequest(http.MethodGet, pagePath+path, http.NoBody))
		require.Equal(t, http.StatusNotFound, w.Code, path)
	}
	for _, act := range []string{"edit", "test", "secret", "disable", "enable", "verify", "delete", "recover"} {
		r := postForm(pagePath+"/"+act, url.Values{})
		require.Equal(t, http.StatusNotFound, d.signed(r).Code, act)
	}
}

// Whose session ends between the page and its form signs in again.
func TestEndpoint_SessionEnds(t *testing.T) {
	t.Parallel()
	api := tenantAPI(t, adminSession, "rheo", fakeAPI{"GET " + endpointPath: says(http.StatusOK, disabledEndpoint)})
	for path, call := range map[string]string{
		newEndpointPath: "POST " + endpointsPath, pagePath + "/test": "POST " + endpointPath + "/test", pagePath + "/disable": "POST " + endpointPath + "/disable",
		pagePath + "/recover": "POST /v1/tenants/acme/recoveries", pagePath + "/secret": "GET " + endpointPath + "/secret",
	} {
		api[call] = says(http.StatusUnauthorized, unauthorized)
		d := newTest(t, Options{API: api})
		w := d.signed(postForm(path, url.Values{}))
		require.Equal(t, "/sign-in?next=%2F", w.Header().Get("Location"), path)
	}
}
