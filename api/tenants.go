package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"waybill/store"
	"waybill/webhook"
)

type tenantInput struct {
	ID                string                `json:"id"`
	Name              string                `json:"name"`
	Dialect           string                `json:"dialect"`
	ContactEmail      string                `json:"contact_email"`
	URL               string                `json:"url"`
	AllowUnknownTypes bool                  `json:"allow_unknown_types"`
	Express           bool                  `json:"express"`
	VerifyEndpoints   bool                  `json:"verify_endpoints"`
	Retry             *webhook.RetryPolicy  `json:"retry"`
	Retention         *webhook.Duration     `json:"retention"`
	Limits            *webhook.TenantLimits `json:"limits"`
	Branding          *webhook.Branding     `json:"branding"`
	Metadata          map[string]string     `json:"metadata"`
	Secret            string                `json:"secret"`
}

type tenantPatch struct {
	Name              optional[string]               `json:"name"`
	ContactEmail      optional[string]               `json:"contact_email"`
	URL               optional[string]               `json:"url"`
	AllowUnknownTypes optional[bool]                 `json:"allow_unknown_types"`
	Express           optional[bool]                 `json:"express"`
	VerifyEndpoints   optional[bool]                 `json:"verify_endpoints"`
	Retry             optional[webhook.RetryPolicy]  `json:"retry"`
	Retention         optional[webhook.Duration]     `json:"retention"`
	Limits            optional[webhook.TenantLimits] `json:"limits"`
	Branding          optional[webhook.Branding]     `json:"branding"`
	Metadata          optional[map[string]string]    `json:"metadata"`
}

// authorize refuses fields that only the administrator may set, because they use resources that all tenants share, or protect others
// from the tenant.
func (p *tenantPatch) authorize(c *call) error {
	var refused []webhook.FieldError
	for _, f := range []struct {
		name string
		set  bool
	}{{"express", p.Express.given}, {"limits", p.Limits.given}, {"verify_endpoints", p.VerifyEndpoints.given}} {
		if f.set && !c.admin {
			refused = append(refused, webhook.FieldError{Field: f.name, Detail: "may be set only by the administrator"})
		}
	}
	if len(refused) == 0 {
		return nil
	}
	err := webhook.Errorf(webhook.CodeForbidden, "%s %s", refused[0].Field, refused[0].Detail)
	err.Fields = refused
	return err
}

func (p *tenantPatch) apply(t *webhook.Tenant) {
	p.Name.into(&t.Name)
	p.ContactEmail.into(&t.ContactEmail)
	p.URL.into(&t.URL)
	p.AllowUnknownTypes.into(&t.AllowUnknownTypes)
	p.Express.into(&t.Express)
	p.VerifyEndpoints.into(&t.VerifyEndpoints)
	p.Retry.intoPointer(&t.Retry)
	p.Retention.intoPointer(&t.Retention)
	p.Limits.intoPointer(&t.Limits)
	p.Branding.intoPointer(&t.Branding)
	p.Metadata.into(&t.Metadata)
}

// tenantView is a tenant as shown, with the limits in force. Secret is only in the answer to the creation.
type tenantView struct {
	*webhook.Tenant
	Limits webhook.TenantLimits `json:"limits"`
	Secret string               `json:"secret,omitempty"`
}

func showTenant(t *webhook.Tenant) tenantView {
	return tenantView{Tenant: t, Limits: t.LimitsInForce()}
}

// createTenant is POST /v1/tenants.
func (s *Server) createTenant(w http.ResponseWriter, r *http.Request, c *call) error {
	var in tenantInput
	if err := decode(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	return s.create(w, r, c, &in, func() (*creation, error) { return s.planTenant(r.Context(), &in) })
}

func (s *Server) planTenant(ctx context.Context, in *tenantInput) (*creation, error) {
	t := &webhook.Tenant{
		ID: in.ID, Name: in.Name, Dialect: in.Dialect, ContactEmail: in.ContactEmail, URL: in.URL,
		AllowUnknownTypes: in.AllowUnknownTypes, Express: in.Express, Retry: in.Retry, Retention: in.Retention, Limits: in.Limits,
		VerifyEndpoints: in.VerifyEndpoints, Branding: in.Branding, Metadata: in.Metadata, CreatedAt: s.now(),
	}
	if err := t.Validate(nil); err != nil {
		return nil, err
	}
	d, err := s.knownDialect(t.Dialect)
	if err != nil {
		return nil, err
	}
	secret, err := s.secretFor(d, webhook.SecretOfTenant, d.Algorithms()[0], in.Secret)
	if err != nil {
		return nil, err
	}
	return &creation{
		show: func() (made, error) {
			view := showTenant(t)
			view.Secret = secret.Reveal()
			etag, err := tenantETag(t)
			return made{location: "/v1/tenants/" + t.ID, etag: etag, view: view}, err
		},
		do: func(once *store.Once) error { return s.store.CreateTenant(ctx, t, secret, once) },
	}, nil
}

func (s *Server) knownDialect(name string) (*webhook.Dialect, error) {
	d, ok := s.dialects[name]
	if !ok {
		known := strings.Join(slices.Sorted(maps.Keys(s.dialects)), ", ")
		return nil, invalid("tenant", webhook.FieldError{Field: "dialect", Detail: "is not a known dialect; known are " + known})
	}
	return d, nil
}

// listTenants is GET /v1/tenants.
func (s *Server) listTenants(w http.ResponseWriter, r *http.Request, _ *call) error {
	q := newQuery(r, "dialect", "q", metadataPrefix, "limit", "cursor")
	page := q.page(nil)
	f := store.TenantFilter{Dialect: q.values.Get("dialect"), Text: q.values.Get("q"), Metadata: q.members(metadataPrefix), Page: more(page)}
	if err := q.err(); err != nil {
		return err
	}
	found, err := s.store.Tenants(r.Context(), f)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, pagedPart(found, page, func(t *webhook.Tenant) string { return t.ID }, showTenant))
}

// getTenant is GET /v1/tenants/{tenant}. It reads the tenant again, because the one in the call may be stale.
func (s *Server) getTenant(w http.ResponseWriter, r *http.Request, c *call) error {
	t, err := s.store.Tenant(r.Context(), c.tenant.ID)
	if err != nil {
		return err
	}
	if c.portal() != nil { // what the platform keeps of its customer for itself
		shown := *t
		shown.ContactEmail, shown.Metadata = "", nil
		t = &shown
	}
	return s.writeTenant(w, t)
}

// updateTenant is PATCH /v1/tenants/{tenant}.
func (s *Server) updateTenant(w http.ResponseWriter, r *http.Request, c *call) error {
	var in tenantPatch
	if err := decode(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	if err := in.authorize(c); err != nil {
		return err
	}
	matches, err := ifMatch(r, tenantETag)
	if err != nil {
		return err
	}
	t, err := s.store.UpdateTenant(r.Context(), c.tenant.ID, func(t *webhook.Tenant) error {
		if err := matches(t); err != nil {
			return err
		}
		stored := *t
		in.apply(t)
		return t.Validate(&stored)
	})
	if err != nil {
		return err
	}
	s.tenants.Invalidate(t.ID)
	return s.writeTenant(w, t)
}

// revealTenantSecret is GET /v1/tenants/{tenant}/secret.
func (s *Server) revealTenantSecret(w http.ResponseWriter, r *http.Request, c *call) error {
	if _, err := s.secretOwner(r, c); err != nil {
		return err
	}
	keys, err := s.store.TenantSecret(r.Context(), c.tenant.ID)
	if err != nil {
		return err
	}
	return s.writeSecret(w, c, keys)
}
