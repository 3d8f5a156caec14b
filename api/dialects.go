package api

import (
	"maps"
	"net/http"
	"slices"

	"github.com/gorilla/mux"

	"waybill/webhook"
)

// listDialects is GET /v1/dialects. It has no pages, because there are few dialects.
func (s *Server) listDialects(w http.ResponseWriter, _ *http.Request, _ *call) error {
	all := list[webhook.Dialect]{Data: []webhook.Dialect{}}
	for _, name := range slices.Sorted(maps.Keys(s.dialects)) {
		all.Data = append(all.Data, showDialect(s.dialects[name]))
	}
	return writeJSON(w, http.StatusOK, all)
}

// getDialect is GET /v1/dialects/{dialect}.
func (s *Server) getDialect(w http.ResponseWriter, r *http.Request, _ *call) error {
	name := mux.Vars(r)["dialect"]
	d, ok := s.dialects[name]
	if !ok {
		return webhook.Errorf(webhook.CodeNotFound, "there is no dialect %q", name)
	}
	return writeJSON(w, http.StatusOK, showDialect(d))
}

// showDialect returns the dialect as in its file, with empty lists where the file has none.
func showDialect(d *webhook.Dialect) webhook.Dialect {
	out := *d
	if out.EventTypes == nil {
		out.EventTypes = []webhook.EventType{}
	}
	if out.Signatures == nil {
		out.Signatures = []webhook.Signature{}
	}
	if out.Headers == nil {
		out.Headers = map[string]string{}
	}
	return out
}
