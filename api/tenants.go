package api

import (
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"waybill/webhook"
)

type tenantInput struct {
	ID                string               `json:"id"`
	Name              string               `json:"name"`
	Dialect           string               `json:"dialect"`
	ContactEmail      string               `json:"contact_email"`
	AllowUnknownTypes bool                 `json:"allow_unknown_types"`
	Express           bool                 `json:"express"`
	Retry             *webhook.RetryPolicy `json:"retry"`
}

type tenantPatch struct {
	Name              optional[string]              `json:"name"`
	ContactEmail      optional[string]              `json:"contact_email"`
	AllowUnknownTypes optional[bool]                `json:"allow_unknown_types"`
	Express           optional[bool]                `json:"express"`
	Retry             optional[webhook.RetryPolicy] `json:"retry"`
}

// tenantView is a tenant as shown; Secret only in the answer to its creation.
type tenantView struct {
	*webhook.Tenant
	Secret string `json:"secret,omitempty"`
}

func showTenant(t *webhook.Tenant) tenantView { return tenantView{Tenant: t} }

// secretView is the answer that reveals a signing secret.
type secretView struct {
	Secret string `json:"secret"`
}

// createTenant is POST /v1/tenants.
func (s *Server) createTenant(w http.ResponseWriter, r *http.Request, c *call) error {
	var in tenantInput
	if err := decode(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	t := &webhook.Tenant{
		ID: in.ID, Name: in.Name, Dialect: in.Dialect, ContactEmail: in.ContactEmail,
		AllowUnknownTypes: in.AllowUnknownTypes, Express: in.Express, Retry: in.Retry, CreatedAt: s.now(),
	}
	if err := t.Validate(); err != nil {
		return err
	}
	d, err := s.knownDialect(t.Dialect)
	if err != nil {
		return err
	}
	secret, err := s.newSecret(d, webhook.SecretOfTenant)
	if err != nil {
		return err
	}
	if err := s.store.CreateTenant(r.Context(), t, secret); err != nil {
		return err
	}
	s.audit(r, c, "tenant created", slog.String("tenant", t.ID))
	w.Header().Set("Location", "/v1/tenants/"+t.ID)
	return writeJSON(w, http.StatusCreated, tenantView{Tenant: t, Secret: secret.Reveal()})
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
	q := newQuery(r, "limit", "cursor")
	page := q.page(nil)
	if err := q.err(); err != nil {
		return err
	}
	found, err := s.store.Tenants(r.Context(), more(page))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, paged(found, page, func(t *webhook.Tenant) string { return t.ID }, showTenant))
}

// getTenant is GET /v1/tenants/{tenant}. It reads anew what the call may know from a moment ago.
func (s *Server) getTenant(w http.ResponseWriter, r *http.Request, c *call) error {
	t, err := s.store.Tenant(r.Context(), c.tenant.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, showTenant(t))
}

// updateTenant is PATCH /v1/tenants/{tenant}.
func (s *Server) updateTenant(w http.ResponseWriter, r *http.Request, c *call) error {
	var in tenantPatch
	if err := decode(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	t, err := s.store.UpdateTenant(r.Context(), c.tenant.ID, func(t *webhook.Tenant) error {
		in.Name.into(&t.Name)
		in.ContactEmail.into(&t.ContactEmail)
		in.AllowUnknownTypes.into(&t.AllowUnknownTypes)
		in.Express.into(&t.Express)
		in.Retry.intoPointer(&t.Retry)
		return t.Validate()
	})
	if err != nil {
		return err
	}
	s.tenants.Invalidate(t.ID)
	return writeJSON(w, http.StatusOK, showTenant(t))
}

// revealTenantSecret is GET /v1/tenants/{tenant}/secret.
func (s *Server) revealTenantSecret(w http.ResponseWriter, r *http.Request, c *call) error {
	if c.dialect.Secret.Scope != webhook.SecretOfTenant {
		return webhook.Errorf(webhook.CodeNotFound, "in the dialect %s each endpoint has its own secret; ask for the endpoint's", c.dialect.Name)
	}
	secret, err := s.store.TenantSecret(r.Context(), c.tenant.ID)
	if err != nil {
		return err
	}
	s.audit(r, c, "signing secret revealed")
	return writeJSON(w, http.StatusOK, secretView{secret.Reveal()})
}

// audit logs at info who did what, without any secret.
func (s *Server) audit(r *http.Request, c *call, what string, attrs ...slog.Attr) {
	attrs = append(attrs, slog.String("by", c.name()), slog.String("request_id", infoOf(r).id))
	if c.tenant != nil {
		attrs = append(attrs, slog.String("tenant", c.tenant.ID))
	}
	s.log.LogAttrs(r.Context(), slog.LevelInfo, what, attrs...)
}
