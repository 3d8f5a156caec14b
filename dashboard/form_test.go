package dashboard

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// No page acts on a form that it could not read as a whole.
func TestForms_Unreadable(t *testing.T) {
	t.Parallel()
	var changed []string
	known := tenantAPI(t, adminSession, "rheo", nil)
	d := newTest(t, Options{API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			changed = append(changed, r.Method+" "+r.URL.Path)
		}
		known.ServeHTTP(w, r)
	})})
	variable := regexp.MustCompile(`\{([a-z]+)(:[^}]*)?\}`)
	forms := 0
	for _, rt := range d.routes() {
		if rt.method != http.MethodPost {
			continue
		}
		forms++
		path := variable.ReplaceAllString(strings.Replace(rt.path, "{tenant}", "acme", 1), "x")
		for name, sent := range map[string]struct {
			kind, body string
			status     int
		}{
			"broken": {"application/x-www-form-urlencoded", "act=rotate&secret=%zz", http.StatusBadRequest},
			"large":  {"application/x-www-form-urlencoded", "reason=" + strings.Repeat("x", maxFormBytes), http.StatusRequestEntityTooLarge},
			"JSON":   {"application/json", `{"reason":"x"}`, http.StatusBadRequest},
			"parts":  {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"reason\"\r\n\r\nx\r\n--b--\r\n", http.StatusBadRequest},
		} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(sent.body))
			r.Header.Set("Content-Type", sent.kind)
			require.Equal(t, sent.status, d.signed(r).Code, "%s: %s", path, name)
		}
	}
	require.Greater(t, forms, 20)
	require.Empty(t, changed)
}

// Whoever goes back and sends a form with something else can do so: it is a new form then, and not for ever one that was sent before.
func TestForms_SentBefore(t *testing.T) {
	t.Parallel()
	onceField := regexp.MustCompile(`name="once" value="([^"]+)"`)
	for path, taken := range map[string]string{
		"/tenants/acme/new-key":         "POST /v1/tenants/acme/keys",
		"/tenants/acme/new-portal-link": "POST /v1/tenants/acme/portal-links",
		"/tenants/acme/new-endpoint":    "POST /v1/tenants/acme/endpoints",
		"/tenants/acme/keys/x/rotate":   "POST /v1/tenants/acme/keys/x/rotate",
		"/new-tenant":                   "POST /v1/tenants",
		"/tenants/acme/publish":         "POST /v1/tenants/acme/events",
		pagePath + "/secret":            "POST " + endpointPath + "/rotate-secret",
		pagePath + "/recover":           "POST /v1/tenants/acme/recoveries",
	} {
		code := "idempotency_conflict"
		if path == "/tenants/acme/publish" {
			code = "event_id_conflict"
		}
		d := newTest(t, Options{API: tenantAPI(t, adminSession, "standard", fakeAPI{
			taken:                 says(http.StatusConflict, `{"status":409,"title":"The idempotency key is taken","detail":"the Idempotency-Key was used for another request","code":"`+code+`"}`),
			"GET /v1/dialects":    says(http.StatusOK, `{"data":[]}`),
			"GET " + endpointPath: says(http.StatusOK, disabledEndpoint),
		})})
		w := d.post(path, url.Values{"once": {"SENT"}, "type": {"item.sold"}, "data": {"{}"}, "act": {"rotate"}, "step": {"start"}})
		require.Equal(t, http.StatusConflict, w.Code, path)
		require.Contains(t, w.Body.String(), "This form was sent before", path)
		if path == pagePath+"/recover" {
			continue // it is counted anew, which makes the key
		}
		found := onceField.FindStringSubmatch(w.Body.String())
		require.NotEmpty(t, found, path)
		require.NotEqual(t, "SENT", found[1], path)
	}
	d := newTest(t, Options{API: tenantAPI(t, adminSession, "standard", fakeAPI{
		"POST /v1/tenants/acme/events": says(http.StatusConflict, `{"status":409,"title":"The event id is taken","detail":"choose another","code":"event_id_conflict"}`),
	})})
	w := d.post("/tenants/acme/publish", url.Values{"once": {"SENT"}, "id": {"order-1"}, "data": {"{}"}})
	require.Contains(t, w.Body.String(), "The event id is taken", "the person chose it")
}

// A form that is older than what it changes says so, and saves when it is sent again.
func TestSettings_ChangedMeanwhile(t *testing.T) {
	t.Parallel()
	stored, name := `"2"`, ""
	api := tenantAPI(t, adminSession, "standard", fakeAPI{
		"GET /v1/tenants/acme": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", stored)
			says(http.StatusOK, `{"id":"acme","name":"Theirs","dialect":"standard"}`)(w, r)
		},
		"PATCH /v1/tenants/acme": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("If-Match") != stored {
				says(http.StatusPreconditionFailed, `{"status":412,"title":"It was changed since","detail":"its ETag is \"2\"","code":"precondition_failed"}`)(w, r)
				return
			}
			var in struct{ Name string }
			_ = json.NewDecoder(r.Body).Decode(&in)
			name = in.Name
			says(http.StatusOK, `{}`)(w, r)
		},
	})
	d := newTest(t, Options{API: api})
	require.Contains(t, d.page(t, "/tenants/acme/settings"), `name="etag" value="&#34;2&#34;"`)
	w := d.post("/tenants/acme/settings", url.Values{"name": {"Mine"}, "etag": {`"1"`}})
	require.Equal(t, http.StatusPreconditionFailed, w.Code)
	require.Contains(t, w.Body.String(), "Somebody else changed these settings")
	require.Contains(t, w.Body.String(), `value="Mine"`)
	require.Contains(t, w.Body.String(), `name="etag" value="&#34;2&#34;"`)
	require.Empty(t, name)
	require.Equal(t, http.StatusSeeOther, d.post("/tenants/acme/settings", url.Values{"name": {"Mine"}, "etag": {`"2"`}}).Code)
	require.Equal(t, "Mine", name)
}

// Saving an event type loses nothing that the form did not show, and replaces nothing that the person did not see.
func TestEventTypes_Save(t *testing.T) {
	t.Parallel()
	const path = "/v1/tenants/acme/event-types/"
	var saved string
	api := tenantAPI(t, adminSession, "standard", fakeAPI{
		"GET " + path + "item.sold": says(http.StatusOK, `{"type":"item.sold","source":"tenant","description":"Sold.","updated_at":"2026-05-27T10:00:00Z",
			"example":{"data":{"id":1},"attributes":{"shop":"42","auction":"a=b"}}}`),
		"PUT " + path + "item.sold": func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			saved = string(body)
		},
		"PUT " + path + "item.new": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) },
	})
	d := newTest(t, Options{API: api})
	page := d.page(t, "/tenants/acme/event-types/item.sold/edit")
	require.Contains(t, page, "auction=a=b\nshop=42\n</textarea>")
	require.Contains(t, page, `name="updated_at" value="2026-05-27T10:00:00Z"`)
	form := url.Values{
		"type": {"item.sold"}, "known": {"item.sold"}, "updated_at": {"2026-05-27T10:00:00Z"}, "description": {"Sold!"},
		"example.data": {`{"id":1}`}, "example.attributes": {"auction=a=b\r\nshop=42\r\n"},
	}
	require.Equal(t, http.StatusSeeOther, d.post("/tenants/acme/new-event-type", form).Code)
	require.JSONEq(t, `{"description":"Sold!","deprecated":false,"example":{"data":{"id":1},"attributes":{"shop":"42","auction":"a=b"}}}`, saved)

	saved = ""
	form.Set("updated_at", "2026-05-27T09:00:00Z")
	w := d.post("/tenants/acme/new-event-type", form)
	require.Equal(t, http.StatusPreconditionFailed, w.Code)
	require.Contains(t, w.Body.String(), "Somebody else changed this event type")
	require.Contains(t, w.Body.String(), `name="updated_at" value="2026-05-27T10:00:00Z"`, "sent again it is saved")
	w = d.post("/tenants/acme/new-event-type", url.Values{"type": {"item.sold"}, "description": {"Another"}})
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Contains(t, w.Body.String(), "is in the catalogue already")
	require.Empty(t, saved)
	require.Equal(t, http.StatusSeeOther, d.post("/tenants/acme/new-event-type", url.Values{"type": {"item.new"}, "description": {"New"}}).Code)
}
