package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/gorilla/mux"

	"waybill/webhook"
)

// confinement is what the caller may see of its tenant; nil: everything that its scopes say.
func (c caller) confinement() webhook.Confinement {
	if portal := c.portal(); portal != nil {
		return portal.Confinement
	}
	return nil
}

// confine answers for a confined caller that what the path names does not exist, where the caller may not see it. It is the one place
// that looks at paths; lists are confined by the filters of the store, and what a body names by its handler. A variable that it does not
// know hides everything, so who adds one decides here.
func (s *Server) confine(r *http.Request, c *call) error {
	if c.confinement() == nil {
		return nil
	}
	for name, text := range mux.Vars(r) {
		var err error
		switch name {
		case "tenant", "dialect", "type":
		case "attempt": // it is looked for below its delivery
		case "endpoint":
			err = s.confinePathEndpoint(r, c)
		case "delivery":
			err = s.confineDelivery(r, c)
		case "event":
			err = s.confineEvent(r, c)
		case "recovery":
			err = s.confineRecovery(r, c)
		default:
			err = nothingNamed(name, text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// nothingNamed is what the store says of an id that nothing has.
func nothingNamed(what, id string) error {
	return webhook.Errorf(webhook.CodeNotFound, "there is no %s %q", what, id)
}

// sees reports whether a confined caller may see an endpoint. One that is deleted nobody sees, nor its deliveries.
func (s *Server) sees(ctx context.Context, c *call, id webhook.EndpointID) (bool, error) {
	if c.confinement() == nil {
		return true, nil
	}
	e, err := s.store.Endpoint(ctx, c.tenant.ID, id)
	if webhook.ErrorCode(err) == webhook.CodeNotFound {
		return false, nil
	}
	return err == nil && c.confinement().CoversFilter(e.Filter), err
}

// confineTo answers CodeNotFound, as for the thing that what and name tell, unless the caller sees the endpoint.
func (s *Server) confineTo(ctx context.Context, c *call, id webhook.EndpointID, what, name string) error {
	visible, err := s.sees(ctx, c, id)
	if err == nil && !visible {
		return nothingNamed(what, name)
	}
	return err
}

func (s *Server) confinePathEndpoint(r *http.Request, c *call) error {
	id, err := pathID[webhook.EndpointID](r, "endpoint")
	if err != nil {
		return err
	}
	return s.confineTo(r.Context(), c, id, "endpoint", id.String())
}

func (s *Server) confineDelivery(r *http.Request, c *call) error {
	d, err := s.findDelivery(r, c)
	if err != nil {
		return err
	}
	return s.confineTo(r.Context(), c, d.EndpointID, "delivery", d.ID.String())
}

func (s *Server) confineRecovery(r *http.Request, c *call) error {
	id, err := pathID[webhook.RecoveryID](r, "recovery")
	if err != nil {
		return err
	}
	found, err := s.store.Recovery(r.Context(), c.tenant.ID, id)
	if err != nil {
		return err
	}
	return s.confineTo(r.Context(), c, found.EndpointID, "recovery", id.String())
}

func (s *Server) confineEvent(r *http.Request, c *call) error {
	id, err := pathText(r, "event")
	if err != nil {
		return err
	}
	e, err := s.store.Event(r.Context(), c.tenant.ID, id)
	if err == nil && !c.confinement().CoversEvent(e.Attributes) {
		return nothingNamed("event", id)
	}
	return err
}

// confineHistory leaves out the deliveries to endpoints that the caller may not see.
func (s *Server) confineHistory(ctx context.Context, c *call, h *webhook.History) error {
	if c.confinement() == nil {
		return nil
	}
	visible, err := s.store.EndpointsWithin(ctx, c.tenant.ID, c.confinement())
	if err != nil {
		return err
	}
	h.Deliveries = slices.DeleteFunc(slices.Clone(h.Deliveries), func(d webhook.DeliveryHistory) bool {
		return !slices.Contains(visible, d.EndpointID)
	})
	return nil
}

// confineTest gives a test without attributes those that the endpoint gets, because the example's belong to somebody else. The filter
// of an endpoint that a confined caller sees has a value for each.
func (c *call) confineTest(attributes map[string]string, e *webhook.Endpoint) map[string]string {
	out := map[string]string{}
	for name, value := range attributes {
		out[name] = value
	}
	for name := range c.confinement() {
		if values := e.Filter[name]; len(values) > 0 {
			out[name] = values[0]
		}
	}
	return out
}
