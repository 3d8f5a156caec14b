package api

import (
	"context"
	"net/http"
	"time"

	"waybill/store"
	"waybill/webhook"
)

type endpointInput struct {
	URL          string                `json:"url"`
	EventTypes   []string              `json:"event_types"`
	Filter       map[string][]string   `json:"filter"`
	Description  string                `json:"description"`
	Headers      map[string]string     `json:"headers"`
	Auth         *webhook.AuthText     `json:"auth"`
	Retry        *webhook.RetryPolicy  `json:"retry"`
	Timeout      *webhook.Duration     `json:"timeout"`
	AutoDisable  *webhook.AutoDisable  `json:"auto_disable"`
	Signing      *webhook.Signing      `json:"signing"`
	AlsoSignAs   *webhook.AlsoSignAs   `json:"also_sign_as"`
	Metadata     map[string]string     `json:"metadata"`
	Verification *webhook.Verification `json:"verification"`
	Disabled     bool                  `json:"disabled"`
	Secret       string                `json:"secret"`
}

type endpointPatch struct {
	URL          optional[string]               `json:"url"`
	EventTypes   optional[[]string]             `json:"event_types"`
	Filter       optional[map[string][]string]  `json:"filter"`
	Description  optional[string]               `json:"description"`
	Headers      optional[map[string]string]    `json:"headers"`
	Auth         optional[webhook.AuthText]     `json:"auth"`
	Retry        optional[webhook.RetryPolicy]  `json:"retry"`
	Timeout      optional[webhook.Duration]     `json:"timeout"`
	AutoDisable  optional[webhook.AutoDisable]  `json:"auto_disable"`
	Signing      optional[webhook.Signing]      `json:"signing"`
	AlsoSignAs   optional[webhook.AlsoSignAs]   `json:"also_sign_as"`
	Metadata     optional[map[string]string]    `json:"metadata"`
	Verification optional[webhook.Verification] `json:"verification"`
}

func (p *endpointPatch) apply(e *webhook.Endpoint) {
	p.URL.into(&e.URL)
	p.EventTypes.into(&e.EventTypes)
	p.Filter.into(&e.Filter)
	p.Description.into(&e.Description)
	p.Headers.into(&e.Headers)
	if p.Auth.given {
		e.Auth = p.Auth.value.Auth()
	}
	p.Retry.intoPointer(&e.Retry)
	p.Timeout.intoPointer(&e.Timeout)
	p.AutoDisable.intoPointer(&e.AutoDisable)
	before := e.Signing
	p.Signing.intoPointer(&e.Signing)
	e.Signing = e.Signing.KeepAlgorithm(before)
	p.AlsoSignAs.intoPointer(&e.AlsoSignAs)
	p.Metadata.into(&e.Metadata)
	p.Verification.intoPointer(&e.Verification)
}

// endpointView is an endpoint as shown. Its Headers replace those of Endpoint. Secret is only in the answer to the
// creation.
type endpointView struct {
	*webhook.Endpoint
	Status   string        `json:"status"`
	Disabled *disabledView `json:"disabled,omitempty"`
	// AutoDisableInForce is the endpoint's rule or the dialect's; {"off": true} where there is none.
	AutoDisableInForce webhook.AutoDisable `json:"auto_disable_in_force"`
	Headers            map[string]string   `json:"headers,omitempty"`
	// Signing is what is in force.
	Signing webhook.Signing `json:"signing"`
	// PublicKey is only in the answer to the creation, in place of Secret where the algorithm is Ed25519.
	PublicKey    string            `json:"public_key,omitempty"`
	Secret       string            `json:"secret,omitempty"`
	Verification *verificationView `json:"verification,omitempty"`
	// Stats is only in a list that was asked for them.
	Stats *endpointStats `json:"stats,omitempty"`
	// Test is only in the answer to an enabling with a test.
	Test *testResult `json:"test,omitempty"`
}

// disabledView says when an endpoint was disabled, by whom and why.
type disabledView struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// showEndpoint shows the values of custom headers, which often are keys, only to callers who may change them.
func (c *call) showEndpoint(e *webhook.Endpoint) endpointView {
	v := endpointView{Endpoint: e, Status: "enabled", AutoDisableInForce: webhook.AutoDisable{Off: true}, Headers: e.Headers}
	if rule := webhook.AutoDisableOf(e.AutoDisable, c.dialect); rule != nil {
		v.AutoDisableInForce = *rule
	}
	algorithm, messages := webhook.SigningOf(e.Signing, c.dialect)
	v.Signing = webhook.Signing{Algorithm: algorithm, MessageSignatures: &messages}
	if e.DisabledAt != nil {
		v.Status, v.Disabled = "disabled", &disabledView{*e.DisabledAt, e.DisabledBy, e.DisabledReason}
	}
	if e.Unverified {
		v.Status = statusUnverified
	}
	v.Verification = showVerification(e)
	if !c.manages() {
		v.Headers = make(map[string]string, len(e.Headers))
		for name := range e.Headers {
			v.Headers[name] = "[redacted]"
		}
	}
	return v
}

// createdDisabled is the reason of an endpoint that was created disabled.
const createdDisabled = "created disabled"

// createEndpoint is POST /v1/tenants/{tenant}/endpoints.
func (s *Server) createEndpoint(w http.ResponseWriter, r *http.Request, c *call) error {
	var in endpointInput
	if err := decode(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	return s.create(w, r, c, &in, func() (*creation, error) { return s.planEndpoint(r.Context(), c, &in) })
}

func (s *Server) planEndpoint(ctx context.Context, c *call, in *endpointInput) (*creation, error) {
	e := s.newEndpoint(c, in)
	own, err := s.ownTypeNames(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := s.checkEndpoint(e, nil, c, own); err != nil {
		return nil, err
	}
	if err := c.confinement().CheckFilter(e.Filter); err != nil {
		return nil, err
	}
	algorithm, _ := webhook.SigningOf(e.Signing, c.dialect)
	secret, err := s.secretFor(c.dialect, webhook.SecretOfEndpoint, algorithm, in.Secret)
	if err != nil {
		return nil, err
	}
	if err := s.checkAlsoSignAs(ctx, c, webhook.EndpointID{}, e.AlsoSignAs, secret); err != nil {
		return nil, err
	}
	return &creation{
		show: func() (made, error) {
			view := c.showEndpoint(e)
			view.Secret = secret.Reveal()
			if public, err := secret.PublicKey(); err == nil { // receivers verify with it, and need no secret
				view.Secret, view.PublicKey = "", public.String()
			}
			etag, err := c.endpointETag(e)
			return made{location: "/v1/tenants/" + c.tenant.ID + "/endpoints/" + e.ID.String(), etag: etag, view: view}, err
		},
		do: func(once *store.Once) error {
			return s.store.CreateEndpoint(ctx, e, secret, c.tenant.MaxEndpoints(c.dialect), once)
		},
	}, nil
}

// newEndpoint returns what the request describes.
func (s *Server) newEndpoint(c *call, in *endpointInput) *webhook.Endpoint {
	now := s.now()
	e := &webhook.Endpoint{
		ID: webhook.NewID[webhook.EndpointID](s.opts.NewUUID()), TenantID: c.tenant.ID,
		URL: in.URL, EventTypes: in.EventTypes, Filter: in.Filter, Description: in.Description,
		Headers: in.Headers, Auth: in.Auth.Auth(), Retry: in.Retry, Timeout: in.Timeout, AutoDisable: in.AutoDisable, Metadata: in.Metadata,
		Signing: in.Signing.KeepAlgorithm(nil), AlsoSignAs: in.AlsoSignAs, Verification: in.Verification,
		CreatedAt: now, UpdatedAt: now,
	}
	if in.Disabled {
		e.DisabledAt, e.DisabledBy, e.DisabledReason = &now, c.name(), createdDisabled
	}
	if e.EventTypes == nil && c.dialect.Endpoints.Max == 1 {
		e.EventTypes = []string{"*"} // the only endpoint gets every event
	}
	return e
}

// checkEndpoint checks an endpoint before it is stored; stored is the endpoint before the change; nil at its creation. own are
// the names of the tenant's own event types.
func (s *Server) checkEndpoint(e, stored *webhook.Endpoint, c *call, own []string) error {
	e.Normalize(c.dialect)
	return e.Validate(webhook.Limits{
		Dialect: c.dialect, Dialects: s.dialects, Now: s.now(), AllowHTTP: s.opts.AllowHTTP, AllowUnknownTypes: c.tenant.AllowUnknownTypes, OwnTypes: own, Operator: c.tenant.Operator,
		Stored:       stored,
		CheckAddress: s.checkAddress(c.tenant.ID), ReservedHeaders: s.reserved,
	})
}

// checkAddress returns the check of a tenant's hosts and ports; nil: there is none.
func (s *Server) checkAddress(tenant string) func(host string, port uint16) error {
	if s.opts.CheckAddress == nil {
		return nil
	}
	return func(host string, port uint16) error { return s.opts.CheckAddress(tenant, host, port) }
}

// listEndpoints is GET /v1/tenants/{tenant}/endpoints.
func (s *Server) listEndpoints(w http.ResponseWriter, r *http.Request, c *call) error {
	q := newQuery(r, "status", "event_type", "failing", "trouble", "stats", "q", metadataPrefix, "limit", "cursor")
	page := q.page(new(webhook.EndpointID))
	f := store.EndpointFilter{
		EventType: q.eventType("event_type"), Failing: q.flag("failing"), Trouble: q.flag("trouble"), Text: q.values.Get("q"), Metadata: q.members(metadataPrefix),
		Within: c.confinement(), Page: more(page),
	}
	switch q.values.Get("status") {
	case "":
	case "enabled":
		f.Disabled = new(false)
	case "disabled":
		f.Disabled, f.Unverified = new(true), new(false)
	case statusUnverified:
		f.Unverified = new(true)
	default:
		q.add("status", "is enabled, disabled or unverified")
	}
	var window webhook.StatsWindow
	stats := q.values.Has("stats")
	if stats {
		window = q.window("stats", "")
	}
	if err := q.err(); err != nil {
		return err
	}
	found, err := s.store.Endpoints(r.Context(), c.tenant.ID, f)
	if err != nil {
		return err
	}
	show := c.showEndpoint
	if stats {
		if show, err = s.showWithStats(r.Context(), c, found.Items[:min(page.Limit, len(found.Items))], window); err != nil {
			return err
		}
	}
	return writeJSON(w, http.StatusOK, pagedPart(found, page,
		func(e *webhook.Endpoint) string { return e.ID.String() }, show))
}

// pathEndpoint finds the endpoint that the path names.
func (s *Server) pathEndpoint(r *http.Request, c *call) (*webhook.Endpoint, error) {
	id, err := pathID[webhook.EndpointID](r, "endpoint")
	if err != nil {
		return nil, err
	}
	return s.store.Endpoint(r.Context(), c.tenant.ID, id)
}

// getEndpoint is GET /v1/tenants/{tenant}/endpoints/{endpoint}.
func (s *Server) getEndpoint(w http.ResponseWriter, r *http.Request, c *call) error {
	e, err := s.pathEndpoint(r, c)
	if err != nil {
		return err
	}
	return s.writeEndpoint(w, c, e)
}

// updateEndpoint is PATCH /v1/tenants/{tenant}/endpoints/{endpoint}.
func (s *Server) updateEndpoint(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathID[webhook.EndpointID](r, "endpoint")
	if err != nil {
		return err
	}
	var in endpointPatch
	if err := decode(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	matches, err := ifMatch(r, c.endpointETag)
	if err != nil {
		return err
	}
	own, err := s.ownTypeNames(r.Context(), c)
	if err != nil {
		return err
	}
	if err := s.checkAlsoSignAs(r.Context(), c, id, in.AlsoSignAs.value); err != nil {
		return err
	}
	e, err := s.store.UpdateEndpoint(r.Context(), c.tenant.ID, id, func(e *webhook.Endpoint) error {
		if err := matches(e); err != nil {
			return err
		}
		if !c.confinement().CoversFilter(e.Filter) { // somebody has changed it a moment ago
			return nothingNamed("endpoint", id.String())
		}
		stored := *e
		in.apply(e)
		e.UpdatedAt = s.now()
		if err := s.checkEndpoint(e, &stored, c, own); err != nil {
			return err
		}
		return c.confinement().CheckFilter(e.Filter)
	})
	if err != nil {
		return err
	}
	if e.Unverified {
		s.wakeQueue(r, c, e.ID) // it holds what waits
	}
	return s.writeEndpoint(w, c, e)
}

// deleteEndpoint is DELETE /v1/tenants/{tenant}/endpoints/{endpoint}.
func (s *Server) deleteEndpoint(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathID[webhook.EndpointID](r, "endpoint")
	if err != nil {
		return err
	}
	matches, err := ifMatch(r, c.endpointETag)
	if err != nil {
		return err
	}
	if err := s.engine.DeleteEndpoint(r.Context(), c.tenant.ID, id, s.now(), matches); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
