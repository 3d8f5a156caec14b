package api

import (
	"net/http"
	"slices"

	"waybill/store"
	"waybill/webhook"
)

type keyInput struct {
	Name   string          `json:"name"`
	Scopes []webhook.Scope `json:"scopes"`
}

// keyView is an API key as shown. Key, its text, is only in the answer to the creation.
type keyView struct {
	*webhook.APIKey
	Key string `json:"key,omitempty"`
}

// createKey is POST /v1/tenants/{tenant}/keys.
func (s *Server) createKey(w http.ResponseWriter, r *http.Request, c *call) error {
	var in keyInput
	if err := decode(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	key := &webhook.APIKey{
		ID: webhook.NewID[webhook.KeyID](s.opts.NewUUID()), TenantID: c.tenant.ID,
		Name: in.Name, Scopes: in.Scopes, CreatedAt: s.now(),
	}
	if err := key.Validate(); err != nil {
		return err
	}
	slices.Sort(key.Scopes)
	key.Scopes = slices.Compact(key.Scopes)
	text, err := s.newKey()
	if err != nil {
		return err
	}
	hash := hashKey(text)
	show := func() (made, error) { return made{view: keyView{key, text}}, nil }
	return s.create(w, r, c, &in, show, func(once *store.Once) error {
		return s.store.CreateAPIKey(r.Context(), key, hash[:], once)
	})
}

// listKeys is GET /v1/tenants/{tenant}/keys.
func (s *Server) listKeys(w http.ResponseWriter, r *http.Request, c *call) error {
	q := newQuery(r, "limit", "cursor")
	page := q.page(new(webhook.KeyID))
	if err := q.err(); err != nil {
		return err
	}
	found, err := s.store.APIKeys(r.Context(), c.tenant.ID, more(page))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, paged(found, page,
		func(k *webhook.APIKey) string { return k.ID.String() },
		func(k *webhook.APIKey) keyView { return keyView{APIKey: k} }))
}

// revokeKey is DELETE /v1/tenants/{tenant}/keys/{key}.
func (s *Server) revokeKey(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathID[webhook.KeyID](r, "key")
	if err != nil {
		return err
	}
	if err := s.store.RevokeAPIKey(r.Context(), c.tenant.ID, id, s.now()); err != nil {
		return err
	}
	s.forgetKey(id)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// forgetKey removes a revoked key from the cache of this process. Other processes notice within keyStaleness.
func (s *Server) forgetKey(id webhook.KeyID) {
	for hash, key := range s.keys.All() {
		if key.ID == id {
			s.keys.Invalidate(hash)
		}
	}
}
