package dashboard

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// A link that was opened before, as by going back in the browser, says what to do, and ends the session of nobody.
func TestPortal_LinkOpenedTwice(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: tenantAPI(t, portalSession, "rheo", fakeAPI{
		"POST /v1/portal-sessions": says(http.StatusUnauthorized, unauthorized),
	})})
	w := d.signed(postForm("/portal", url.Values{"token": {"wbl_used"}}))
	require.Equal(t, http.StatusGone, w.Code)
	require.Contains(t, w.Body.String(), "This link does not open any more")
	require.NotContains(t, w.Body.String(), "API key is needed")
	require.Empty(t, w.Result().Cookies(), "the session stays")
}

// Browsers send no cookie along with a link of another site. The page comes back to itself, which brings the cookie; whoever is signed in
// stays so.
func TestDashboard_LinkFromAnotherSite(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: tenantAPI(t, adminSession, "rheo", nil)})
	r := httptest.NewRequest(http.MethodGet, "/tenants/acme/endpoints?q=%22x", http.NoBody)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Sec-Fetch-Dest", "document")
	w := d.answer(r)
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), `<meta http-equiv="refresh" content="0">`)
	require.Contains(t, w.Body.String(), `href="/tenants/acme/endpoints?q=%22x"`)
	require.Empty(t, w.Result().Cookies())

	r.Header.Set("Sec-Fetch-Site", "same-origin")
	w = d.answer(r)
	require.Equal(t, "/sign-in?next=%2Ftenants%2Facme%2Fendpoints%3Fq%3D%2522x", w.Header().Get("Location"), "nobody is signed in")
}

// A part of a page that is refreshed when the session has ended makes the page ask, and does not become the page to sign in.
func TestDashboard_SessionEndsUnderAPage(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: fakeAPI{"GET /v1/session": says(http.StatusUnauthorized, unauthorized)}, FrameAncestors: []string{"https://acme.example"}})
	part := httptest.NewRequest(http.MethodGet, "/tenants/acme", http.NoBody)
	part.Header.Set("HX-Request", "true")
	w := d.signed(part)
	require.Equal(t, http.StatusNoContent, w.Code)
	require.Equal(t, "true", w.Header().Get("HX-Refresh"))

	framed := httptest.NewRequest(http.MethodGet, "/tenants/acme", http.NoBody)
	framed.Header.Set("Sec-Fetch-Dest", "iframe")
	w = d.signed(framed)
	require.Contains(t, w.Body.String(), "The session has ended")
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "frame-ancestors https://acme.example")
	require.Empty(t, w.Header().Get("X-Frame-Options"))
	require.NotContains(t, w.Body.String(), "<form", "nothing to type a key into")
}

// Whoever came by a link is not sent to a page that asks for a key, which no frame would show.
func TestPortal_Leave(t *testing.T) {
	t.Parallel()
	ended := false
	d := newTest(t, Options{FrameAncestors: []string{"https://acme.example"}, API: tenantAPI(t, portalSession, "rheo", fakeAPI{
		"DELETE /v1/session": func(w http.ResponseWriter, _ *http.Request) { ended = true; w.WriteHeader(http.StatusNoContent) },
	})})
	w := d.signed(postForm("/sign-out", nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.True(t, ended)
	require.Contains(t, w.Body.String(), "Open the dashboard again where you came from.")
	require.NotContains(t, w.Body.String(), "sign-out")
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "frame-ancestors https://acme.example")
	require.Negative(t, w.Result().Cookies()[0].MaxAge)
}
