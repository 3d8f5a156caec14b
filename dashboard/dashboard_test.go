package dashboard

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 5, 27, 12, 0, 0, 0, time.UTC)

// fakeAPI answers by method and path.
type fakeAPI map[string]func(w http.ResponseWriter, r *http.Request)

func (f fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if handle := f[r.Method+" "+r.URL.Path]; handle != nil {
		handle(w, r)
		return
	}
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(`{"status":404,"title":"Not found","detail":"there is nothing at this path","code":"not_found"}`))
}

func says(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func newTest(t *testing.T, o Options) *Dashboard {
	t.Helper()
	o.SigningKeys = [][]byte{[]byte("a key that signs the cookies here"), []byte("one that signed them before this")}
	o.Now = func() time.Time { return noon }
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	d := New(o)
	t.Cleanup(d.Close)
	return d
}

func (d *Dashboard) answer(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

func postForm(path string, values url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

const (
	adminSession = `{"actor":"admin","kind":"admin","scopes":["publish","read","manage"]}`
	unauthorized = `{"status":401,"title":"A valid API key is needed","detail":"the API key is unknown, revoked or expired","code":"unauthorized"}`
)

// The cookie is a credential: scripts and other sites do not get it, it ends with the session, and one without our signature is none.
func TestDashboard_SignIn(t *testing.T) {
	t.Parallel()
	var asked []string
	api := fakeAPI{
		"POST /v1/sessions": func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.Header.Get("Authorization"))
			says(http.StatusCreated, `{"token":"wbs_secret","expires_at":"2026-05-28T00:00:00Z"}`)(w, r)
		},
		"GET /v1/session": says(http.StatusOK, adminSession),
		"GET /v1/tenants": says(http.StatusOK, `{"data":[]}`),
	}
	d := newTest(t, Options{API: api, PublicURL: "https://waybill.example.com"})

	w := d.answer(postForm("/sign-in", url.Values{"key": {" the key "}, "next": {"/tenants?cursor=x"}}))
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, "/tenants?cursor=x", w.Header().Get("Location"))
	require.Equal(t, []string{"Bearer the key"}, asked)
	cookie := w.Result().Cookies()[0]
	require.Equal(t, "__Host-waybill_session", cookie.Name)
	require.True(t, cookie.HttpOnly && cookie.Secure && cookie.SameSite == http.SameSiteStrictMode, cookie.String())
	require.Equal(t, time.Date(2026, 5, 28, 0, 0, 0, 0, time.UTC), cookie.Expires.UTC())

	r := httptest.NewRequest(http.MethodGet, "/tenants", http.NoBody)
	r.AddCookie(cookie)
	require.Equal(t, http.StatusOK, d.answer(r).Code)

	for _, forged := range []string{"wbs_secret", "wbs_secret.", "wbs_other" + strings.TrimPrefix(cookie.Value, "wbs_secret")} {
		r := httptest.NewRequest(http.MethodGet, "/tenants", http.NoBody)
		r.AddCookie(&http.Cookie{Name: cookie.Name, Value: forged})
		w := d.answer(r)
		require.Equal(t, "/sign-in?next=%2Ftenants", w.Header().Get("Location"), forged)
	}

	old := httptest.NewRequest(http.MethodGet, "/tenants", http.NoBody)
	old.AddCookie(&http.Cookie{Name: cookie.Name, Value: sign(d.opts.SigningKeys[1], "wbs_secret")})
	require.Equal(t, http.StatusOK, d.answer(old).Code, "signed before the keys were rotated")
}

// Whoever guesses is slowed down, and only he.
func TestDashboard_SignInAttempts(t *testing.T) {
	t.Parallel()
	address := netip.MustParseAddr("192.0.2.1")
	d := newTest(t, Options{
		API:           fakeAPI{"POST /v1/sessions": says(http.StatusUnauthorized, unauthorized)},
		ClientAddress: func(*http.Request) netip.Addr { return address },
	})
	for range attemptsAtOnce {
		w := d.answer(postForm("/sign-in", url.Values{"key": {"guess"}}))
		require.Equal(t, http.StatusUnauthorized, w.Code)
		require.Contains(t, w.Body.String(), "unknown, revoked or expired")
	}
	w := d.answer(postForm("/sign-in", url.Values{"key": {"guess"}}))
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Contains(t, w.Body.String(), "Wait 6 s")
	address = netip.MustParseAddr("192.0.2.2")
	require.Equal(t, http.StatusUnauthorized, d.answer(postForm("/sign-in", url.Values{"key": {"guess"}})).Code)
}

// A form of another site does nothing, and a page is in no frame.
func TestDashboard_OtherSites(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: fakeAPI{"POST /v1/sessions": says(http.StatusCreated, `{"token":"t"}`)}})
	r := postForm("/sign-in", url.Values{"key": {"k"}})
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	refusal := d.answer(r)
	require.Equal(t, http.StatusForbidden, refusal.Code)
	require.Contains(t, refusal.Body.String(), "Nothing was done")
	require.Contains(t, refusal.Header().Get("Content-Security-Policy"), "default-src 'none'")

	w := d.answer(httptest.NewRequest(http.MethodGet, "/sign-in", http.NoBody))
	policy := w.Header().Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.Contains(t, policy, "frame-ancestors 'none'")
	require.NotContains(t, policy, "unsafe")
}

func TestNextPage(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"/tenants/acme?x=1": "/tenants/acme?x=1", "": "/", "https://evil.example": "/", "//evil.example": "/", `/\evil.example`: "/",
		"javascript:alert(1)": "/", "/a\nb": "/", "tenants": "/", "/%2F/evil.example": "/%2F/evil.example",
	} {
		require.Equal(t, want, nextPage(next), next)
	}
}

// Assets stay in the browser for ever, because another content has another address.
func TestAssets(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: fakeAPI{}})
	r := httptest.NewRequest(http.MethodGet, d.assets.url("style.css"), http.NoBody)
	r.Header.Set("Accept-Encoding", "gzip")
	w := d.answer(r)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "gzip", w.Header().Get("Content-Encoding"))
	require.Contains(t, w.Header().Get("Cache-Control"), "immutable")
	require.Equal(t, http.StatusNotFound, d.answer(httptest.NewRequest(http.MethodGet, "/assets/000000000000/style.css", http.NoBody)).Code)
}

func TestReadableOn(t *testing.T) {
	t.Parallel()
	require.Equal(t, "#ffffff", readableOn("#2450d6"))
	require.Equal(t, "#000000", readableOn("#ffd400"))
}
