package dashboard

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	acme          = `{"id":"acme","name":"Acme","dialect":"standard"}`
	manageSession = `{"actor":"key_1","kind":"key","tenant":"acme","scopes":["publish","read","manage"]}`
	portalSession = `{"actor":"pln_1","kind":"portal","tenant":"acme","scopes":["read","manage"]}`
	hostile       = `<script>alert(1)</script>`
)

// post sends a form of somebody who is signed in.
func (d *Dashboard) post(path string, values url.Values) *httptest.ResponseRecorder {
	return d.signed(postForm(path, values))
}

// open is the page at a path, whatever its status.
func (d *Dashboard) open(path string) *httptest.ResponseRecorder {
	return d.signed(httptest.NewRequest(http.MethodGet, path, http.NoBody))
}

func TestOverview(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: tenantAPI(t, readerSession, "standard", fakeAPI{
		"GET /v1/tenants/acme/stats": says(http.StatusOK, `{"window":"24h","deliveries":{"delivered":1440000,"held":3},"attempts":10,"success_rate":0.9996,"series":[]}`),
		"GET /v1/tenants/acme/endpoints": says(http.StatusOK,
			`{"data":[{"id":"ep_01970000000070028000000000000001","url":"https://a.example/`+hostile+`","status":"disabled","disabled":{"at":"2026-05-27T11:00:00Z","by":"failures","reason":"10 attempts failed"}}]}`),
		"GET /v1/tenants/acme/deliveries": says(http.StatusOK, `{"data":[]}`),
	})})
	w := d.open("/tenants/acme")
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	page := w.Body.String()
	require.Contains(t, page, "1,440,000")
	require.Contains(t, page, "1,000 a minute")
	require.Contains(t, page, "99.9 %", "what is not all is not 100 %")
	require.Contains(t, page, "10 attempts failed")
	require.Contains(t, page, "1 hour ago")
	require.NotContains(t, page, hostile)
	require.NotContains(t, page, "API keys", "a key that only reads sees no keys")
	require.NotContains(t, page, "Add an endpoint")
}

// The text of a new key is on the page that follows its creation, and a form that the API refuses comes back as it was.
func TestKeys(t *testing.T) {
	t.Parallel()
	var sent string
	api := tenantAPI(t, manageSession, "standard", fakeAPI{
		"POST /v1/tenants/acme/keys": keeps(http.StatusCreated, `{"id":"key_01970000000070028000000000000001","name":"shop","key":"wbk_secret"}`, &sent),
	})
	d := newTest(t, Options{API: api})
	w := d.post("/tenants/acme/new-key", url.Values{
		"name": {"shop"}, "scopes": {"publish", "read"}, "allow_cidrs": {"192.0.2.0/24\r\n\r\n2001:db8::/32"}, "expires_at": {"2026-06-01T10:00"},
	})
	require.Contains(t, w.Body.String(), "wbk_secret")
	require.JSONEq(t, `{"name":"shop","scopes":["publish","read"],"allow_cidrs":["192.0.2.0/24","2001:db8::/32"],"expires_at":"2026-06-01T10:00:00Z"}`, sent)

	api["POST /v1/tenants/acme/keys"] = says(http.StatusUnprocessableEntity,
		`{"status":422,"title":"A field is not acceptable","detail":"the key has errors","code":"invalid","errors":[{"field":"allow_cidrs[0]","detail":"is no network"}]}`)
	w = d.post("/tenants/acme/new-key", url.Values{"name": {"shop"}, "scopes": {"read"}, "allow_cidrs": {"nonsense"}})
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Contains(t, w.Body.String(), "is no network")
	require.Contains(t, w.Body.String(), ">nonsense</textarea>")
	require.Contains(t, w.Body.String(), `value="read" checked`)
}

// What only an operator may set is in no form of others, and not sent for them whatever they post.
func TestSettings(t *testing.T) {
	t.Parallel()
	for session, operator := range map[string]bool{manageSession: false, adminSession: true} {
		var sent string
		d := newTest(t, Options{API: tenantAPI(t, session, "standard", fakeAPI{"PATCH /v1/tenants/acme": keeps(http.StatusOK, acme, &sent)})})
		require.Equal(t, operator, contains(d.open("/tenants/acme/settings"), "Express"))
		w := d.post("/tenants/acme/settings", url.Values{"name": {"Acme"}, "branding.accent_color": {"#112233"}, "express": {"true"}})
		require.Equal(t, "/tenants/acme/settings", w.Header().Get("Location"))
		require.Contains(t, sent, `"branding":{"accent_color":"#112233"}`)
		require.Equal(t, operator, strings.Contains(sent, `"express":true`))
	}
	for _, session := range []string{readerSession, portalSession} {
		d := newTest(t, Options{API: tenantAPI(t, session, "standard", nil)})
		require.Equal(t, http.StatusNotFound, d.open("/tenants/acme/settings").Code)
	}
}

func contains(w *httptest.ResponseRecorder, text string) bool {
	return w.Code == http.StatusOK && strings.Contains(w.Body.String(), text)
}

// Data that a producer wrote is text on the page and in the file, whatever it is.
func TestEvent_Hostile(t *testing.T) {
	t.Parallel()
	long := make([]byte, 2*maxShownBytes)
	for i := range long {
		long[i] = 'x'
	}
	data := `{"a":"` + hostile + `","b":"` + string(long) + `"}`
	d := newTest(t, Options{API: tenantAPI(t, manageSession, "standard", fakeAPI{
		"GET /v1/tenants/acme/events/evt_1":            says(http.StatusOK, `{"id":"evt_1","type":"order.confirmed","data":`+data+`,"attributes":{"<b>":"</dl>"}}`),
		"GET /v1/tenants/acme/events/evt_1/deliveries": says(http.StatusOK, `{"data":[]}`),
	})})
	w := d.open("/tenants/acme/events/evt_1")
	require.Equal(t, http.StatusOK, w.Code)
	require.NotContains(t, w.Body.String(), hostile)
	require.NotContains(t, w.Body.String(), "<b>")
	require.Less(t, w.Body.Len(), 2*maxShownBytes)
	require.Contains(t, w.Body.String(), "Download all of it")

	w = d.open("/tenants/acme/events/evt_1/data")
	require.Equal(t, data, w.Body.String())
	require.Contains(t, w.Header().Get("Content-Disposition"), "attachment")
	require.Contains(t, w.Header().Get("Content-Type"), "text/plain")
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
}

// Text that is no JSON never reaches the API, and the form says where it stops to be.
func TestPublish(t *testing.T) {
	t.Parallel()
	var sent string
	d := newTest(t, Options{API: tenantAPI(t, manageSession, "standard", fakeAPI{
		"POST /v1/tenants/acme/events": keeps(http.StatusAccepted, `{"id":"evt_9","deliveries":[{},{}]}`, &sent),
	})})
	w := d.post("/tenants/acme/publish", url.Values{"type": {"order.confirmed"}, "data": {`{"n":`}})
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Contains(t, w.Body.String(), "unexpected end of JSON input")
	require.Empty(t, sent)

	w = d.post("/tenants/acme/publish", url.Values{"type": {"order.confirmed"}, "data": {`{"n": 1e400}`}, "attributes": {"shop = north"}})
	require.Equal(t, "/tenants/acme/events/evt_9", w.Header().Get("Location"))
	require.Contains(t, sent, `"attributes":{"shop":"north"}`)
	require.Contains(t, sent, `1e400`, "numbers are not read and written again")
}

func TestSchemaTable(t *testing.T) {
	t.Parallel()
	rows := schemaTable(json.RawMessage(`{"type":"object","required":["id","lines"],"properties":{
		"id":{"type":"string","format":"uuid","description":"The order."},
		"status":{"enum":["open","closed"]},
		"lines":{"type":"array","items":{"type":"object","required":["sku"],"properties":{"sku":{"type":"string"},"n":{"type":["integer","null"],"minimum":1}}}},
		"any":true}}`))
	require.Equal(t, []schemaRow{
		{Field: "any", Type: "any"},
		{Field: "id", Type: "string", Required: true, Rule: "uuid", Description: "The order."},
		{Field: "lines", Type: "array", Required: true},
		{Field: "lines[].n", Type: "integer or null", Rule: "at least 1"},
		{Field: "lines[].sku", Type: "string", Required: true},
		{Field: "status", Type: "any", Rule: `one of "open", "closed"`},
	}, rows)

	deep := `{"type":"string"}`
	for range 100 {
		deep = `{"properties":{"a":` + deep + `}}`
	}
	require.Len(t, schemaTable(json.RawMessage(deep)), maxSchemaDepth+1)
}

// What a person erases or revokes is told before, with its numbers.
func TestConfirmations(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: tenantAPI(t, adminSession, "standard", fakeAPI{
		"GET /v1/tenants/acme/events/evt_1":            says(http.StatusOK, `{"id":"evt_1"}`),
		"GET /v1/tenants/acme/events/evt_1/deliveries": says(http.StatusOK, `{"data":[{},{}]}`),
		"DELETE /v1/tenants/acme": says(http.StatusUnprocessableEntity,
			`{"status":422,"title":"A field is not acceptable","detail":"the request has errors","code":"invalid","errors":[{"field":"confirm","detail":"is the id of the tenant"}]}`),
	})})
	require.Contains(t, d.open("/tenants/acme/events/evt_1/erase").Body.String(), "2 deliveries are canceled")
	require.Contains(t, d.open("/tenants/acme/keys/key_1/revoke").Body.String(), "cannot be undone")
	w := d.post("/tenants/acme/erase", url.Values{"confirm": {"other"}})
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Contains(t, w.Body.String(), "is the id of the tenant")
}

// A session finds no page whose buttons the API would refuse.
func TestVisitors(t *testing.T) {
	t.Parallel()
	refusing := fakeAPI{"GET /v1/tenants/acme/keys": says(http.StatusOK, `{"data":[]}`), "GET /v1/tenants/acme/audit": says(http.StatusOK, `{"data":[]}`)}
	open := func(session, path string) int {
		d := newTest(t, Options{API: tenantAPI(t, session, "standard", refusing)})
		return d.open("/tenants/acme/" + path).Code
	}
	for _, path := range []string{"keys", "new-key", "new-portal-link", "audit", "settings", "new-event-type"} {
		require.Equal(t, http.StatusOK, open(manageSession, path), path)
		require.Equal(t, http.StatusNotFound, open(readerSession, path), path)
		require.Equal(t, http.StatusNotFound, open(portalSession, path), path)
	}
	require.Equal(t, http.StatusOK, open(manageSession, "publish"))
	require.Equal(t, http.StatusNotFound, open(portalSession, "publish"))
}
