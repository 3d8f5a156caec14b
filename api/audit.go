package api

import (
	"net/http"

	"waybill/store"
	"waybill/webhook"
)

// asActor returns the request as one whose changes the caller makes, so that the store can write who did it. Only routes that change
// something, or show a secret, pay for it: those of managers and of the administrator, and what else is no GET and no publication.
func (s *Server) asActor(r *http.Request, c *call, rt route) *http.Request {
	needed := rt.access.ofKeys()
	if needed == publish || rt.method == http.MethodGet && needed != manage && needed != adminOnly {
		return r
	}
	return r.WithContext(store.WithActor(r.Context(), store.Actor{Name: c.name(), Address: s.addressText(r), RequestID: infoOf(r).id}))
}

// listTenantAudit is GET /v1/tenants/{tenant}/audit, newest first.
func (s *Server) listTenantAudit(w http.ResponseWriter, r *http.Request, c *call) error {
	q := newQuery(r, "actor", "action", "target", "since", "until", "limit", "cursor")
	return s.writeAudit(w, r, q, c.tenant.ID)
}

// listAudit is GET /v1/audit: the entries of all tenants, and of none.
func (s *Server) listAudit(w http.ResponseWriter, r *http.Request, _ *call) error {
	q := newQuery(r, "tenant", "actor", "action", "target", "since", "until", "limit", "cursor")
	return s.writeAudit(w, r, q, q.values.Get("tenant"))
}

func (s *Server) writeAudit(w http.ResponseWriter, r *http.Request, q *query, tenant string) error {
	page := q.page(new(webhook.AuditID))
	f := store.AuditFilter{
		TenantID: tenant, Actor: q.values.Get("actor"), Action: q.values.Get("action"), Target: q.values.Get("target"),
		Since: q.time("since"), Until: q.time("until"), Page: more(page),
	}
	q.before(f.Since, f.Until)
	if err := q.err(); err != nil {
		return err
	}
	found, err := s.store.Audit(r.Context(), f)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, pagedPart(found, page,
		func(e *webhook.AuditEntry) string { return e.ID.String() },
		func(e *webhook.AuditEntry) *webhook.AuditEntry { return e }))
}
