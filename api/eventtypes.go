package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"waybill/webhook"
)

type eventTypeInput struct {
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema"`
	Example     *exampleInput   `json:"example"`
	Deprecated  bool            `json:"deprecated"`
}

type exampleInput struct {
	Data       json.RawMessage   `json:"data"`
	Attributes map[string]string `json:"attributes"`
}

// Sources of an event type.
const (
	sourceDialect = "dialect"
	sourceTenant  = "tenant"
	sourceWaybill = "waybill" // the operational events
)

// eventTypeView is an event type as shown. A list leaves Schema and Example out.
type eventTypeView struct {
	Type        string           `json:"type"`
	Source      string           `json:"source"`
	Description string           `json:"description"`
	Deprecated  bool             `json:"deprecated"`
	Schema      json.RawMessage  `json:"schema,omitempty"`
	Example     *webhook.Example `json:"example,omitempty"`
	CreatedAt   *time.Time       `json:"created_at,omitempty"`
	UpdatedAt   *time.Time       `json:"updated_at,omitempty"`
}

func showOwnType(own *webhook.OwnType) eventTypeView {
	return eventTypeView{
		Type: own.Type, Source: sourceTenant, Description: own.Description, Deprecated: own.Deprecated, Schema: own.Schema, Example: own.Example,
		CreatedAt: &own.CreatedAt, UpdatedAt: &own.UpdatedAt,
	}
}

func showEventType(source string, t *webhook.EventType) eventTypeView {
	return eventTypeView{Type: t.Type, Source: source, Description: t.Description, Schema: t.Schema, Example: &t.Example}
}

// given returns the event types that the tenant has without having added them, with their sources.
func (s *Server) given(c *call) []eventTypeView {
	var all []eventTypeView
	for i := range c.dialect.EventTypes {
		all = append(all, showEventType(sourceDialect, &c.dialect.EventTypes[i]))
	}
	if c.tenant.Operator {
		for i := range s.opts.Operational {
			all = append(all, showEventType(sourceWaybill, &s.opts.Operational[i]))
		}
	}
	return all
}

// listEventTypes is GET /v1/tenants/{tenant}/event-types: the dialect's, the tenant's own, and the operational ones that it gets, by
// name.
func (s *Server) listEventTypes(w http.ResponseWriter, r *http.Request, c *call) error {
	q := newQuery(r, "limit", "cursor")
	page := q.page(nil)
	if err := q.err(); err != nil {
		return err
	}
	own, err := s.store.OwnTypes(r.Context(), c.tenant.ID, more(page))
	if err != nil {
		return err
	}
	var all []eventTypeView
	for _, t := range s.given(c) {
		if t.Type > page.After {
			t.Schema, t.Example = nil, nil
			all = append(all, t)
		}
	}
	for i := range own {
		all = append(all, showOwnType(&own[i]))
	}
	// Where a dialect got a type later that the tenant had before, the dialect's counts.
	slices.SortStableFunc(all, func(a, b eventTypeView) int { return strings.Compare(a.Type, b.Type) })
	all = slices.CompactFunc(all, func(a, b eventTypeView) bool { return a.Type == b.Type })
	return writeJSON(w, http.StatusOK, paged(all, page, func(t *eventTypeView) string { return t.Type }, func(t *eventTypeView) eventTypeView { return *t }))
}

// getEventType is GET /v1/tenants/{tenant}/event-types/{type}.
func (s *Server) getEventType(w http.ResponseWriter, r *http.Request, c *call) error {
	name, err := pathText(r, "type")
	if err != nil {
		return err
	}
	for _, t := range s.given(c) {
		if t.Type == name {
			return writeJSON(w, http.StatusOK, t)
		}
	}
	own, err := s.store.OwnType(r.Context(), c.tenant.ID, name)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, showOwnType(own))
}

// putEventType is PUT /v1/tenants/{tenant}/event-types/{type}.
func (s *Server) putEventType(w http.ResponseWriter, r *http.Request, c *call) error {
	var in eventTypeInput
	if err := decode(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	now := s.now()
	own := &webhook.OwnType{Type: mux.Vars(r)["type"], Description: in.Description, Deprecated: in.Deprecated, CreatedAt: now, UpdatedAt: now}
	if in.Schema != nil && string(in.Schema) != "null" {
		own.SetSchema(in.Schema)
	}
	if in.Example != nil {
		own.Example = &webhook.Example{Data: compact(in.Example.Data), Attributes: in.Example.Attributes}
	}
	if err := own.Validate(c.tenant, c.dialect, s.schemas); err != nil {
		return err
	}
	created, err := s.store.PutOwnType(r.Context(), c.tenant.ID, own)
	if err != nil {
		return err
	}
	s.tenants.Invalidate(c.tenant.ID)
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return writeJSON(w, status, showOwnType(own))
}

// compact returns JSON text without white space, as in a body on the wire.
func compact(text json.RawMessage) json.RawMessage {
	var out bytes.Buffer
	if json.Compact(&out, text) != nil {
		return text // nested too deep, or not given: the check says so
	}
	return out.Bytes()
}

// deleteEventType is DELETE /v1/tenants/{tenant}/event-types/{type}.
func (s *Server) deleteEventType(w http.ResponseWriter, r *http.Request, c *call) error {
	name, err := pathText(r, "type")
	if err != nil {
		return err
	}
	err = s.store.DeleteOwnType(r.Context(), c.tenant.ID, name)
	if webhook.ErrorCode(err) == webhook.CodeNotFound && slices.ContainsFunc(s.given(c), func(t eventTypeView) bool { return t.Type == name }) {
		return webhook.Errorf(webhook.CodeConflict, "%q is not the tenant's own event type, so it cannot be deleted", name)
	}
	if err != nil {
		return err
	}
	s.tenants.Invalidate(c.tenant.ID)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// ownType returns the tenant's own event type of a publication; nil: it has none of this name, or the dialect
// has it, or it is operational.
func (s *Server) ownType(ctx context.Context, c *call, name string) (*webhook.OwnType, error) {
	if c.tenant.TypesVersion == 0 || !webhook.IsEventType(name) {
		return nil, nil
	}
	if _, ok := s.eventType(c, name); ok {
		return nil, nil
	}
	return s.store.KnownType(ctx, c.tenant, name)
}

// ownTypeNames returns the names of the tenant's own event types.
func (s *Server) ownTypeNames(ctx context.Context, c *call) ([]string, error) {
	if c.tenant.TypesVersion == 0 {
		return nil, nil
	}
	return s.store.OwnTypeNames(ctx, c.tenant.ID)
}
