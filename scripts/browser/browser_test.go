package browser_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/scripts/browser"
)

// faulty is a site whose every page has one thing that must be noticed; "/" has none.
func faulty(t *testing.T) string {
	t.Helper()
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	pages := map[string]string{
		"/":          `<main><h1>Fine</h1><label>Name <input name="n"></label><a href="/next">Next</a></main>`,
		"/next":      `<main><h1>The next page</h1></main>`,
		"/console":   `<script src="/console.js"></script>`,
		"/exception": `<script src="/exception.js"></script>`,
		"/inline":    `<p style="color: red">inline</p>`,
		"/elsewhere": `<link rel="stylesheet" href="` + elsewhere.URL + `/x.css">`,
		"/missing":   `<script src="/none.js"></script>`,
		"/refused":   `<main><h1>A page that says no</h1></main>`,
		"/unnamed":   `<main><h1>No name</h1><button></button></main>`,
	}
	scripts := map[string]string{"/console.js": `console.error("this is wrong")`, "/exception.js": `nothing.at.all()`}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if script, ok := scripts[r.URL.Path]; ok {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write([]byte(script))
			return
		}
		page, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path != "/elsewhere" {
			w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'")
		}
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
		_, _ = w.Write([]byte(`<!DOCTYPE html><html lang="en"><title>A page</title>` + page))
	}))
	t.Cleanup(site.Close)
	return site.URL
}

// What a page must not do is noticed, and a page that does none of it is not blamed.
func TestTab_Faults(t *testing.T) {
	t.Parallel()
	b, err := browser.Start("../..")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	site := faulty(t)
	for path, want := range map[string]string{
		"/": "", "/refused": "",
		"/console": "this is wrong", "/exception": "nothing is not defined", "/inline": "the policy for content",
		"/elsewhere": "a request to elsewhere", "/missing": "404",
	} {
		tab, err := b.Open(site)
		require.NoError(t, err)
		require.NoError(t, tab.Go(path))
		faults := tab.Faults()
		if want == "" {
			require.Empty(t, faults, path)
		} else {
			require.NotEmpty(t, faults, path)
			require.Contains(t, strings.Join(faults, "\n"), want)
		}
		tab.Close()
	}

	tab, err := b.Open(site)
	require.NoError(t, err)
	defer tab.Close()
	require.NoError(t, tab.Go("/"))
	require.NoError(t, tab.Fill("Name", "Ada"))
	var name string
	require.NoError(t, tab.Run("document.querySelector('input').value", &name))
	require.Equal(t, "Ada", name)
	found, err := tab.Examine()
	require.NoError(t, err)
	require.Empty(t, found)
	require.NoError(t, tab.Press("Next"))
	require.NoError(t, tab.See("The next page"))
	require.NoError(t, tab.Go("/unnamed"))
	found, err = tab.Examine()
	require.NoError(t, err)
	require.NotEmpty(t, found)
	require.Equal(t, "button-name", found[0].ID)
}
