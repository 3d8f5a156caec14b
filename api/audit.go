package api

import (
	"net/http"

	"waybill/store"
)

// asActor returns the request as one whose changes the caller makes, so that the store can write who did it. Only routes that change
// something, or show a secret, pay for it: those of managers and of the administrator.
func (s *Server) asActor(r *http.Request, c *call, needed access) *http.Request {
	if needed != manage && needed != adminOnly {
		return r
	}
	return r.WithContext(store.WithActor(r.Context(), store.Actor{Name: c.name(), Address: s.addressText(r), RequestID: infoOf(r).id}))
}
