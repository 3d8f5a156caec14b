package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// A database that answers is used; one that does not, or answers something else, is told of.
func TestReachVulnerabilities(t *testing.T) {
	t.Parallel()
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/index/db.json" {
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(there.Close)
	require.NoError(t, reachVulnerabilities(t.Context(), there.URL+"/"))
	require.NoError(t, reachVulnerabilities(t.Context(), "file:///db"))
	require.ErrorContains(t, reachVulnerabilities(t.Context(), there.URL+"/elsewhere"), "404")
	there.Close()
	require.Error(t, reachVulnerabilities(t.Context(), there.URL))
}
