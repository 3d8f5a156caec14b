package api

import (
	"net/http"
	"net/netip"
)

// egressView tells where deliveries come from.
type egressView struct {
	// Addresses are single addresses and networks in CIDR form, as the operator set them.
	Addresses []string `json:"addresses"`
}

// getEgress is GET /v1/egress.
func (s *Server) getEgress(w http.ResponseWriter, _ *http.Request, _ *call) error {
	view := egressView{Addresses: []string{}}
	for _, p := range s.opts.EgressAddresses {
		view.Addresses = append(view.Addresses, addressText(p))
	}
	return writeJSON(w, http.StatusOK, view)
}

// addressText writes a network of one address without its length, as firewalls take both.
func addressText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
