package api

import (
	"net/http"

	"waybill/webhook"
)

// getDelivery is GET /v1/tenants/{tenant}/deliveries/{delivery}.
func (s *Server) getDelivery(w http.ResponseWriter, r *http.Request, c *call) error {
	d, err := s.findDelivery(r, c)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, c.showDelivery(d))
}

func (s *Server) findDelivery(r *http.Request, c *call) (*webhook.Delivery, error) {
	id, err := pathID[webhook.DeliveryID](r, "delivery")
	if err != nil {
		return nil, err
	}
	return s.store.Delivery(r.Context(), c.tenant.ID, id)
}
