package api

import (
	"context"
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
	return s.create(w, r, c, &in, func() (*creation, error) { return s.planKeyRotation(r.Context(), c, id, &in) })
}

func (s *Server) planKeyRotation(ctx context.Context, c *call, id webhook.KeyID, in *keyRotation) (*creation, error) {
	overlap := webhook.DefaultKeyOverlap
	if in.Overlap != nil {
		overlap = time.Duration(*in.Overlap)
	}
	if overlap < 0 || overlap > webhook.MaxKeyOverlap {
		return nil, invalid("rotation", webhook.FieldError{Field: "overlap", Detail: "is from 0s to 168h"})
	}
	old, err := s.store.APIKey(ctx, c.tenant.ID, id)
	if err != nil {
		return nil, err
	}
	next := s.successor(old, in.ExpiresAt.orNil(), c)
	if err := c.checkKey(next); err != nil {
		return nil, err
	}
	text, err := s.newKey()
	if err != nil {
		return nil, err
	}
	until := next.CreatedAt.Add(overlap)
	if old.ExpiresAt != nil && old.ExpiresAt.Before(until) {
		until = *old.ExpiresAt
	}
	hash := hashKey(text)
	return &creation{
		show: func() (made, error) { return made{view: keyView{next, text, &until}}, nil },
		do: func(once *store.Once) error {
			if err := s.store.RotateAPIKey(ctx, old.ID, until, next, hash[:], c.tenant.LimitsInForce().Keys, once); err != nil {
				return err
			}
			s.forgetKeys([]webhook.KeyID{old.ID})
			return nil
		},
	}, nil
}

// successor returns the key that takes the place of an old one. Unless the caller says when it ends, it lives as long as the old one was
// to live, and no longer than a key that makes it.
func (s *Server) successor(old *webhook.APIKey, expires *time.Time, c *call) *webhook.APIKey {
	next := &webhook.APIKey{
		ID: webhook.NewID[webhook.KeyID](s.opts.NewUUID()), TenantID: old.TenantID, Name: old.Name, Scopes: old.Scopes,
		AllowCIDRs: old.AllowCIDRs, CreatedAt: s.now(), ExpiresAt: expires, CreatedBy: c.name(),
	}
	if expires != nil {
		return next
	}
	if old.ExpiresAt != nil {
		at := next.CreatedAt.Add(old.ExpiresAt.Sub(old.CreatedAt))
		next.ExpiresAt = &at
	}
	if c.key != nil && next.Outlives(c.key) {
		next.ExpiresAt = c.key.ExpiresAt
	}
	return next
}
