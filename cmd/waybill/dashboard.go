package main

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"waybill/api"
	"waybill/dashboard"
)

// maxFrameAncestors bounds a header that every page of a portal has.
const maxFrameAncestors = 20

// checkDashboard checks what only pages use.
func (s *settings) checkDashboard(wrong func(variable, format string, args ...any)) {
	s.TemporalUIURL = strings.TrimRight(s.TemporalUIURL, "/")
	if s.TemporalUIURL != "" && !isPublicURL(s.TemporalUIURL) {
		wrong("WAYBILL_TEMPORAL_UI_URL", "is an http or https URL without user name, query and fragment, such as https://temporal.example.com")
	}
	if len(s.FrameAncestors) > maxFrameAncestors {
		wrong("WAYBILL_FRAME_ANCESTORS", "has at most %d origins, not %d", maxFrameAncestors, len(s.FrameAncestors))
	}
	for _, text := range s.FrameAncestors {
		if !isOrigin(text) {
			wrong("WAYBILL_FRAME_ANCESTORS", "is a list of origins such as https://shop.example.com, and %q is none", text)
		}
	}
}

// isOrigin reports whether text is a scheme and a host, as a policy for content names one. What separates values there is no part of it.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.Scheme+"://"+u.Host == text &&
		!strings.ContainsAny(text, " ;,'\"")
}

// newDashboard returns the pages, which ask the API of this process.
func (p *process) newDashboard(server *api.Server) (*dashboard.Dashboard, error) {
	keys, err := cookieKeys(p.settings)
	if err != nil {
		return nil, err
	}
	return dashboard.New(dashboard.Options{
		API: server, ClientAddress: server.ClientAddress, SigningKeys: keys, PublicURL: p.PublicURL,
		TemporalURL: p.TemporalUIURL, TemporalNamespace: p.TemporalNamespace, FrameAncestors: p.FrameAncestors,
		Logger: p.log, Now: p.clock.now,
	}), nil
}

// cookieKeys derives the keys of cookies from the encryption keys, so that every process accepts the cookies of all others.
func cookieKeys(s *settings) ([][]byte, error) {
	var keys [][]byte
	for _, key := range s.keys {
		derived, err := hkdf.Key(sha256.New, key.Key[:], nil, "waybill dashboard cookie", sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("derive the key of cookies: %w", err)
		}
		keys = append(keys, derived)
	}
	return keys, nil
}

// apiPaths are the paths of the API besides those below /v1.
var apiPaths = []string{"/healthz", "/readyz", "/metrics", "/openapi.yaml", "/openapi.json"}

// besides serves the pages where the API has no paths.
func besides(server, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1" || strings.HasPrefix(r.URL.Path, "/v1/") || slices.Contains(apiPaths, r.URL.Path) {
			server.ServeHTTP(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	})
}
