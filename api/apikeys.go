package api

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"waybill/store"
	"waybill/webhook"
)

type keyInput struct {
	Name       string          `json:"name"`
	Scopes     []webhook.Scope `json:"scopes"`
	ExpiresAt  *moment         `json:"expires_at"`
	AllowCIDRs []string        `json:"allow_cidrs"`
}

// keyView is an API key as shown. Key, its text, is only in the answer to the creation.
type keyView struct {
	*webhook.APIKey
	Key string `json:"key,omitempty"`
	// PreviousValidUntil is only in the answer to a rotation.
	PreviousValidUntil *time.Time `json:"previous_valid_until,omitempty"`
}

// createKey is POST /v1/tenants/{tenant}/keys.
func (s *Server) createKey(w http.ResponseWriter, r *http.Request, c *call) error {
	var in keyInput
	if err := decode(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	return s.create(w, r, c, &in, func() (*creation, error) { return s.planKey(r.Context(), c, &in) })
}

func (s *Server) planKey(ctx context.Context, c *call, in *keyInput) (*creation, error) {
	key := &webhook.APIKey{
		ID: webhook.NewID[webhook.KeyID](s.opts.NewUUID()), TenantID: c.tenant.ID,
		Name: in.Name, Scopes: in.Scopes, CreatedAt: s.now(), ExpiresAt: in.ExpiresAt.orNil(), CreatedBy: c.name(),
	}
	var err error
	if key.AllowCIDRs, err = readCIDRs(in.AllowCIDRs); err != nil {
		return nil, err
	}
	if c.key != nil {
		key.Inherit(c.key)
	}
	if err := c.checkKey(key); err != nil {
		return nil, err
	}
	slices.Sort(key.Scopes)
	key.Scopes = slices.Compact(key.Scopes)
	text, err := s.newKey()
	if err != nil {
		return nil, err
	}
	hash := hashKey(text)
	return &creation{
		show: func() (made, error) { return made{view: keyView{APIKey: key, Key: text}}, nil },
		do: func(once *store.Once) error {
			return s.store.CreateAPIKey(ctx, key, hash[:], c.tenant.LimitsInForce().Keys, once)
		},
	}, nil
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
	q := newQuery(r, "made")
	made := q.flag("made")
	if err := q.err(); err != nil {
		return err
	}
	ids := []webhook.KeyID{id}
	if made != nil && *made {
		ids, err = s.store.RevokeMadeKeys(r.Context(), c.tenant.ID, id, s.now())
	} else {
		err = s.store.RevokeAPIKey(r.Context(), c.tenant.ID, id, s.now())
	}
	if err != nil {
		return err
	}
	s.forgetKeys(ids)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// forgetKeys removes changed keys, and the sessions that they made, from the cache of this process. Other processes notice within keyStaleness.
func (s *Server) forgetKeys(ids []webhook.KeyID) {
	for hash, key := range s.keys.All() {
		if slices.Contains(ids, key.ID) {
			s.keys.Invalidate(hash)
		}
	}
	for hash, found := range s.sessions.All() {
		if slices.Contains(ids, found.KeyID) {
			s.sessions.Invalidate(hash)
		}
	}
}

// checkKey checks a key that the caller makes.
func (c *call) checkKey(made *webhook.APIKey) error {
	if err := made.Validate(); err != nil {
		return err
	}
	if c.key != nil {
		return c.key.CheckMakes(made)
	}
	return nil
}

// readCIDRs reads networks such as 192.0.2.0/24. An address alone is a network of one.
func readCIDRs(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	var problems []webhook.FieldError
	for i, text := range texts {
		p, ok := webhook.ParseNetwork(text)
		if !ok {
			problems = append(problems, webhook.FieldError{
				Field: fmt.Sprintf("allow_cidrs[%d]", i), Detail: "is no network, such as 192.0.2.0/24 or 2001:db8::/32, and no address",
			})
			continue
		}
		out = append(out, p)
	}
	return out, invalid("key", problems...)
}
