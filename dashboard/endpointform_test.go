package dashboard

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const newEndpointPath = "/tenants/acme/new-endpoint"

// Add, select, save: the API gets what was written, and the secret is shown once, in the answer itself.
func TestEndpointForm_Create(t *testing.T) {
	t.Parallel()
	var asked, once string
	api := tenantAPI(t, adminSession, "auction-excellence", fakeAPI{"POST " + endpointsPath: func(w http.ResponseWriter, r *http.Request) {
		once = r.Header.Get("Idempotency-Key")
		keeps(http.StatusCreated, `{"id":"`+endpointID+`","url":"https://a.example/hook","event_types":["item.*"],"status":"enabled","secret":"whsec_shown"}`, &asked)(w, r)
	}})
	d := newTest(t, Options{API: api})
	page := d.page(t, newEndpointPath)
	require.Contains(t, page, `name="event_types" value="item.*"`)
	require.Contains(t, page, `name="filter.auction_id"`)
	require.Contains(t, page, `deprecated`)

	w := d.signed(postForm(newEndpointPath, url.Values{
		"once": {"ONCE"}, "url": {"https://a.example/hook"}, "description": {"two\r\nlines"}, "event_types": {"item.*", "listing.ended"}, "other_types": {"order.confirmed, item.*"},
		"filter.auction_id": {"9b2f6c1e-0d3a-4c58-8f41-7a5de2b90c13\r\n\r\n 0b2f6c1e-0d3a-4c58-8f41-7a5de2b90c13 "}, "headers": {"X-Api-Key: a:b\r\nX-Team: red\r\n"},
		"timeout": {"7s"}, "retry": {"schedule"}, "retry.schedule": {"1s, 2m 3h"}, "retry.jitter": {"0.1"}, "auto_disable": {"own"}, "auto_disable.failures": {"ten"},
		"auth": {"basic"}, "auth.username": {"u"}, "auth.password": {"p"}, "auth.token": {"left from another choice"}, "metadata": {"team: billing"}, "disabled": {"true"},
		"signing.message_signatures": {"on"}, "secret": {"whsec_brought"}, "also_sign_as.dialect": {"standard"}, "also_sign_as.until": {"2026-06-01T10:30"},
		"verification.method": {"cloudevents"}, "verification.origin": {"events.example.com"},
	}))
	require.Equal(t, http.StatusCreated, w.Code, w.Body.String())
	require.Equal(t, "ONCE", once)
	require.JSONEq(t, `{"url":"https://a.example/hook","description":"two\nlines","event_types":["item.*","listing.ended","order.confirmed"],
		"filter":{"auction_id":["9b2f6c1e-0d3a-4c58-8f41-7a5de2b90c13","0b2f6c1e-0d3a-4c58-8f41-7a5de2b90c13"]},"headers":{"X-Api-Key":"a:b","X-Team":"red"},"timeout":"7s",
		"retry":{"schedule":["1s","2m","3h"],"jitter":0.1},"auto_disable":{"failures":"ten"},"auth":{"type":"basic","username":"u","password":"p"},"metadata":{"team":"billing"},
		"disabled":true,"signing":{"message_signatures":true},"secret":"whsec_brought","also_sign_as":{"dialect":"standard","until":"2026-06-01T10:30:00Z"},
		"verification":{"method":"cloudevents","origin":"events.example.com"}}`, asked)
	require.Contains(t, w.Body.String(), ">whsec_shown</code>")
	require.Contains(t, w.Body.String(), pagePath+`/test"`, "the next step is a test")
	require.NotContains(t, strings.Join(w.Header().Values("Set-Cookie"), ""), "whsec", "a secret is in no cookie")
}

// What is wrong is said beside its field, and the form keeps what was written, but no password.
func TestEndpointForm_Wrong(t *testing.T) {
	t.Parallel()
	api := tenantAPI(t, adminSession, "standard", fakeAPI{"POST " + endpointsPath: says(http.StatusUnprocessableEntity, `{"status":422,"title":"A field is wrong","detail":"endpoint: url is no URL","code":"invalid","errors":[
		{"field":"url","detail":"is no URL"},{"field":"headers.Host","detail":"is reserved"},{"field":"retry.schedule[1]","detail":"is from 1s to 168h"},{"field":"auth.password","detail":"is required"}]}`)})
	d := newTest(t, Options{API: api})
	w := d.signed(postForm(newEndpointPath, url.Values{
		"url": {`"><script>alert(1)</script>`}, "headers": {"Host: x"}, "event_types": {"item.sold"}, "other_types": {"my.type"}, "retry": {"schedule"}, "retry.schedule": {"1s, 0s"},
		"auth": {"basic"}, "auth.username": {"somebody"}, "auth.password": {"hunter2"}, "secret": {"whsec_brought"},
	}))
	page := w.Body.String()
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.NotContains(t, page, "<script>alert")
	require.NotContains(t, page, "hunter2")
	require.NotContains(t, page, "whsec_brought")
	for _, want := range []string{
		`value="&#34;&gt;&lt;script&gt;`, `<span class="wrong">url is no URL</span>`, `<span class="wrong">headers.Host is reserved</span>`, `>Host: x</textarea>`,
		`value="item.sold" checked`, `value="my.type"`, `value="schedule" checked`, `value="1s, 0s"`, `value="basic" checked`, `value="somebody"`, "<details class=\"fold\" open><summary>Retries",
	} {
		require.Contains(t, page, want)
	}
	require.Equal(t, 1, strings.Count(page, `<span class="wrong">retry.schedule[1]`), "beside its field, and once")
	require.Less(t, strings.Index(page, `name="url"`), strings.Index(page, `<span class="wrong">url is no URL`))
}

// Endpoints of a dialect with one type and one header have a form that asks for one.
func TestEndpointForm_OneTypeOneHeader(t *testing.T) {
	t.Parallel()
	var asked string
	api := tenantAPI(t, adminSession, "tradevine", fakeAPI{"POST " + endpointsPath: keeps(http.StatusCreated, `{"id":"`+endpointID+`","url":"https://a.example","status":"enabled"}`, &asked)})
	d := newTest(t, Options{API: api})
	page := d.page(t, newEndpointPath)
	require.Contains(t, page, `type="radio" name="event_types" value="item.sold"`)
	for _, other := range []string{`value="*"`, `value="item.*"`, `name="other_types"`, `<textarea name="headers"`, `name="secret"`} {
		require.NotContains(t, page, other)
	}
	w := d.signed(postForm(newEndpointPath, url.Values{"url": {"https://a.example"}, "event_types": {"item.sold"}, "header.name": {" X-Key "}, "header.value": {"v"}}))
	require.Contains(t, w.Body.String(), "the secret that all endpoints of Acme share")
	require.Contains(t, asked, `"headers":{"X-Key":"v"}`)
	require.Contains(t, asked, `"event_types":["item.sold"]`)
}

// A portal session with a filter adds endpoints with that filter alone: it is there already, and there is no field to widen it.
func TestEndpointForm_LockedFilter(t *testing.T) {
	t.Parallel()
	const one, several = `["11111111-0000-4000-8000-000000000000"]`, `["11111111-0000-4000-8000-000000000000","22222222-0000-4000-8000-000000000000"]`
	for values, want := range map[string]string{
		one:     `<input type="hidden" name="filter.auction_id" value="11111111-0000-4000-8000-000000000000">`,
		several: `<input type="checkbox" name="filter.auction_id" value="22222222-0000-4000-8000-000000000000" checked>`,
	} {
		session := `{"actor":"pln_1","kind":"portal","tenant":"acme","scopes":["read","manage"],"filter":{"auction_id":` + values + `}}`
		var asked string
		d := newTest(t, Options{API: tenantAPI(t, session, "auction-excellence", fakeAPI{"POST " + endpointsPath: keeps(http.StatusCreated, `{"id":"`+endpointID+`","status":"enabled"}`, &asked)})})
		page := d.page(t, newEndpointPath)
		require.Contains(t, page, want)
		require.NotContains(t, page, `<textarea name="filter.auction_id"`)
		d.signed(postForm(newEndpointPath, url.Values{"filter.auction_id": {"11111111-0000-4000-8000-000000000000"}}))
		require.Contains(t, asked, `"filter":{"auction_id":["11111111-0000-4000-8000-000000000000"]}`)
	}
}

// storedEndpoint has everything that an endpoint can have.
const storedEndpoint = `{"id":"` + endpointID + `","url":"https://a.example/hook","event_types":["item.*","my.type"],"filter":{"shop":["1","2"],"region":["eu"]},"description":"two\nlines",
	"headers":{"X-Api-Key":"k","X-Team":"red"},"auth":{"type":"oauth2"},"retry":RETRY,"timeout":"1.5s","auto_disable":{"failures":40},"also_sign_as":{"dialect":"rheo","until":"2026-06-01T10:30:00Z"},
	"metadata":{"team":"billing"},"status":"enabled","auto_disable_in_force":{"failures":40},"signing":{"algorithm":"hmac-sha256","message_signatures":true},
	"verification":{"method":"cloudevents","origin":"events.example.com","credentials":true},"streak":{"failures":0}}`

// fieldsOf is what a browser sends for a form that nobody changed.
func fieldsOf(t *testing.T, d *Dashboard, e string) url.Values {
	t.Helper()
	c := &call{Dashboard: d, w: httptest.NewRecorder(), r: httptest.NewRequest(http.MethodGet, "/", http.NoBody), Session: &session{}}
	require.NoError(t, c.findTenant("acme"))
	var stored endpoint
	require.NoError(t, json.Unmarshal([]byte(e), &stored))
	return c.endpointValues(&stored)
}

// A change sends what was changed and nothing else: what was left, above all the credentials, stays as it is.
func TestEndpointForm_Edit(t *testing.T) {
	t.Parallel()
	for _, retry := range []string{
		`null`, `{"policy":"table-5"}`, `{"schedule":[]}`, `{"schedule":["1s","1h30m"],"jitter":0.25,"retry_after_max":"1h"}`,
		`{"exponential":{"first":"1s","factor":1.5,"retries":5,"cap":"1h"}}`, `{"exponential":{"first":"500ms","factor":2,"retries":0}}`,
	} {
		stored := strings.Replace(storedEndpoint, "RETRY", retry, 1)
		var patch, match string
		api := tenantAPI(t, adminSession, "standard", fakeAPI{
			"GET " + endpointPath: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("ETag", `"v1"`)
				says(http.StatusOK, stored)(w, r)
			},
			"PATCH " + endpointPath: func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				patch, match = string(body), r.Header.Get("If-Match")
				says(http.StatusOK, stored)(w, r)
			},
		})
		d := newTest(t, Options{API: api})
		page := d.page(t, pagePath+"/edit")
		require.Contains(t, page, `value="keep" checked`, "stored credentials are kept unless others are written")
		require.Contains(t, page, "region: eu\nshop: 1\nshop: 2\n")

		fields := fieldsOf(t, d, stored)
		fields.Set("etag", `"v1"`)
		w := d.signed(postForm(pagePath+"/edit", fields))
		require.Equal(t, http.StatusSeeOther, w.Code, w.Body.String())
		require.Empty(t, patch, "%s: nothing was changed", retry)

		fields.Set("url", "https://b.example")
		fields.Set("headers", "")
		require.Equal(t, pagePath, d.signed(postForm(pagePath+"/edit", fields)).Header().Get("Location"))
		require.JSONEq(t, `{"url":"https://b.example","headers":null}`, patch)
		require.Equal(t, `"v1"`, match)

		patch = ""
		fields.Set("auth", "")
		fields.Set("etag", `"v0"`)
		w = d.signed(postForm(pagePath+"/edit", fields))
		require.Equal(t, http.StatusPreconditionFailed, w.Code)
		require.Contains(t, w.Body.String(), "Somebody else changed this endpoint")
		require.Contains(t, w.Body.String(), `value="https://b.example"`)
		require.Empty(t, patch)

		fields.Set("etag", `"v1"`)
		d.signed(postForm(pagePath+"/edit", fields))
		require.JSONEq(t, `{"url":"https://b.example","headers":null,"auth":null}`, patch)
	}
}
