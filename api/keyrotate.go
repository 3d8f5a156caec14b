package api

import (
	"net/http"
	"time"

	"waybill/store"
	"waybill/webhook"
)

type keyRotation struct {
	// Overlap is how long the old key stays valid.
	Overlap *webhook.Duration `json:"overlap"`
	// ExpiresAt is the new key's; nil: as long after its creation as with the old one.
	ExpiresAt *moment `json:"expires_at"`
}

// rotateKey is POST /v1/tenants/{tenant}/keys/{key}/rotate: a new key in the place of one that stays valid for a while.
func (s *Server) rotateKey(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathID[webhook.KeyID](r, "key")
	if err != nil {
		return err
	}
	var in keyRotation
	if err := decodeOptional(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	overlap := webhook.DefaultKeyOverlap
	if in.Overlap != nil {
		overlap = time.Duration(*in.Overlap)
	}
	if overlap < 0 || overlap > webhook.MaxKeyOverlap {
		return invalid("rotation", webhook.FieldError{Field: "overlap", Detail: "is from 0s to 168h"})
	}
	old, err := s.store.APIKey(r.Context(), c.tenant.ID, id)
	if err != nil {
		return err
	}
	next := s.successor(old, in.ExpiresAt.orNil(), c)
	if err := c.checkKey(next); err != nil {
		return err
	}
	text, err := s.newKey()
	if err != nil {
		return err
	}
	until := next.CreatedAt.Add(overlap)
	if old.ExpiresAt != nil && old.ExpiresAt.Before(until) {
		until = *old.ExpiresAt
	}
	hash := hashKey(text)
	show := func() (made, error) { return made{view: keyView{next, text, &until}}, nil }
	return s.create(w, r, c, &in, show, func(once *store.Once) error {
		if err := s.store.RotateAPIKey(r.Context(), old.ID, until, next, hash[:], once); err != nil {
			return err
		}
		s.forgetKeys([]webhook.KeyID{old.ID})
		return nil
	})
}

// successor returns the key that takes the place of an old one. It lives as long as the old one was to live, unless the caller says
// when it ends.
func (s *Server) successor(old *webhook.APIKey, expires *time.Time, c *call) *webhook.APIKey {
	next := &webhook.APIKey{
		ID: webhook.NewID[webhook.KeyID](s.opts.NewUUID()), TenantID: old.TenantID, Name: old.Name, Scopes: old.Scopes,
		AllowCIDRs: old.AllowCIDRs, CreatedAt: s.now(), ExpiresAt: expires, CreatedBy: c.name(),
	}
	if expires == nil && old.ExpiresAt != nil {
		at := next.CreatedAt.Add(old.ExpiresAt.Sub(old.CreatedAt))
		next.ExpiresAt = &at
	}
	return next
}
