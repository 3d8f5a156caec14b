package api

import "time"

// Route is what tests see of a route.
type Route struct {
	Method, Path, Access string
	// Portal says that a portal session may use it.
	Portal bool
}

// Routes lists the routes that the server has.
func (s *Server) Routes() []Route {
	var out []Route
	for _, rt := range s.routes() {
		out = append(out, Route{rt.method, rt.path, string(rt.access.ofKeys()), rt.access.forPortals()})
	}
	return out
}

// InflightBytes returns how many bytes of request bodies the server holds.
func (s *Server) InflightBytes() int64 { return s.inflight.bytes() }

// SetInflightWait sets how long a request waits for room, before the first request.
func (s *Server) SetInflightWait(d time.Duration) { s.inflight.wait = d }

// CrowdChecks takes all the room for the verifying of signatures.
func (s *Server) CrowdChecks() {
	for range maxChecks {
		s.checks <- struct{}{}
	}
}

// CrowdTests makes as many calls wait for their tests as may.
func (s *Server) CrowdTests() {
	for range maxTests {
		s.tests.all <- struct{}{}
	}
}
