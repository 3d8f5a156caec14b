package dashboard

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// A link of somebody else must not put an operator into a session that he believes is his: who signed in with a key is asked, also where
// the browser sent no cookie to the page of the link, because another site led there.
func TestPortal_AsksBeforeItReplaces(t *testing.T) {
	t.Parallel()
	var opened string
	api := tenantAPI(t, adminSession, "rheo", fakeAPI{
		"POST /v1/portal-sessions": keeps(http.StatusCreated, `{"token":"wbs_new","expires_at":"2026-05-28T00:00:00Z","tenant":"acme"}`, &opened),
	})
	d := newTest(t, Options{API: api})
	require.Contains(t, d.answer(httptest.NewRequest(http.MethodGet, "/portal/wbl_1", http.NoBody)).Body.String(), "data-submit")
	for _, w := range []*httptest.ResponseRecorder{d.open("/portal/wbl_1"), d.post("/portal", url.Values{"token": {"wbl_1"}})} {
		require.Equal(t, http.StatusOK, w.Code)
		require.Contains(t, w.Body.String(), "You are signed in as <code>admin</code>")
		require.Contains(t, w.Body.String(), `value="wbl_1"`)
		require.NotContains(t, w.Body.String(), "data-submit")
		require.Empty(t, w.Result().Cookies())
	}
	require.Empty(t, opened, "the link is not used up")
	w := d.post("/portal", url.Values{"token": {"wbl_1"}, "replace": {"true"}})
	require.Equal(t, "/tenants/acme", w.Header().Get("Location"))
	require.JSONEq(t, `{"token":"wbl_1"}`, opened)

	api["GET /v1/session"] = says(http.StatusOK, portalSession)
	require.Contains(t, d.open("/portal/wbl_2").Body.String(), "data-submit", "a platform's button opens one link after the other")
	require.Equal(t, http.StatusSeeOther, d.post("/portal", url.Values{"token": {"wbl_2"}}).Code)
}

// Only the cookie of a portal that is in a frame goes to other sites, and there apart for each; no operator's ever does.
func TestSession_CookieInFrames(t *testing.T) {
	t.Parallel()
	const (
		ofPortal   = `{"token":"wbs_new","expires_at":"2026-05-28T00:00:00Z","tenant":"acme"}`
		ofOperator = `{"token":"wbs_new","expires_at":"2026-05-28T00:00:00Z"}`
	)
	for name, tt := range map[string]struct {
		path, answer, dest string
		framed             bool
	}{
		"a portal in a frame":                             {"/portal", ofPortal, "iframe", true},
		"a portal in a window":                            {"/portal", ofPortal, "document", false},
		"a sign-in link in a frame":                       {"/portal", ofOperator, "iframe", false},
		"a key, where a portal was open in another tab":   {"/sign-in", ofOperator, "document", false},
		"a key, where a portal was open in another frame": {"/sign-in", ofOperator, "iframe", false},
	} {
		d := newTest(t, Options{
			API: tenantAPI(t, portalSession, "rheo", fakeAPI{
				"POST /v1/portal-sessions": says(http.StatusCreated, tt.answer), "POST /v1/sessions": says(http.StatusCreated, tt.answer),
			}),
			PublicURL: "https://waybill.example.com", FrameAncestors: []string{"https://acme.example"},
		})
		r := postForm(tt.path, url.Values{"token": {"wbl_1"}, "key": {"k"}})
		r.Header.Set("Sec-Fetch-Dest", tt.dest)
		cookie := d.signed(r).Result().Cookies()[0]
		require.Equal(t, tt.framed, cookie.Partitioned, name)
		require.Equal(t, tt.framed, cookie.SameSite == http.SameSiteNoneMode, name)
		require.True(t, tt.framed || cookie.SameSite == http.SameSiteStrictMode, name)
	}
}

// In a frame there is no page to type a key into.
func TestSignIn_NotInAFrame(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: fakeAPI{}, FrameAncestors: []string{"https://acme.example"}})
	r := httptest.NewRequest(http.MethodGet, "/sign-in", http.NoBody)
	r.Header.Set("Sec-Fetch-Dest", "iframe")
	w := d.answer(r)
	require.Contains(t, w.Body.String(), "The session has ended")
	require.NotContains(t, w.Body.String(), "<form")
}

// What was done is told to the person by this host alone, once, on the page that follows.
func TestFlash(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{
		API:       tenantAPI(t, adminSession, "rheo", fakeAPI{"GET /v1/tenants": says(http.StatusOK, `{"data":[]}`), "POST /v1/tenants": says(http.StatusCreated, `{}`)}),
		PublicURL: "https://waybill.example.com",
	})
	cookie := d.post("/new-tenant", url.Values{"id": {"acme"}}).Result().Cookies()[0]
	require.Equal(t, "__Host-waybill_flash", cookie.Name)
	read := func(name, dest string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/tenants", http.NoBody)
		r.AddCookie(&http.Cookie{Name: name, Value: cookie.Value})
		r.Header.Set("Sec-Fetch-Dest", dest)
		return d.signed(r)
	}
	part := read(cookie.Name, "empty")
	require.NotContains(t, part.Body.String(), "The tenant is made")
	require.Empty(t, part.Result().Cookies(), "a part of another tab leaves it for the page")
	require.NotContains(t, read("waybill_flash", "document").Body.String(), "The tenant is made", "a host below the same domain set it")
	page := read(cookie.Name, "document")
	require.Contains(t, page.Body.String(), "The tenant is made")
	require.Negative(t, page.Result().Cookies()[0].MaxAge)
}
