package api

// Route is what tests see of a route.
type Route struct{ Method, Path, Access string }

// Routes lists the routes that the server has.
func (s *Server) Routes() []Route {
	var out []Route
	for _, rt := range s.routes() {
		out = append(out, Route{rt.method, rt.path, string(rt.access)})
	}
	return out
}
