package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gorilla/mux"
	"github.com/maypok86/otter/v2"

	"waybill/store"
	"waybill/webhook"
)

const (
	// keySetAge is how long receivers, and caches on the way, may keep a tenant's public keys, in seconds.
	keySetAge = "60"
	// keySetStaleness is how long this process answers with the same set.
	keySetStaleness = 2 * time.Second
	// maxKeySetBytes bounds the sets that are kept. That of 10,000 endpoints, the most that a tenant has, is about 2 MB.
	maxKeySetBytes = 16 << 20
	// maxUnreadable is how many secrets that cannot be read one line of the log names.
	maxUnreadable = 10
)

type publicKeyView struct {
	PublicKey string      `json:"public_key"`
	JWK       webhook.JWK `json:"jwk"`
}

// getPublicKey is GET /v1/tenants/{tenant}/endpoints/{endpoint}/public-key.
func (s *Server) getPublicKey(w http.ResponseWriter, r *http.Request, c *call) error {
	e, err := s.pathEndpoint(r, c)
	if err != nil {
		return err
	}
	shared := c.dialect.Secret.Scope == webhook.SecretOfTenant
	found, err := s.store.KeySet(r.Context(), store.KeySet{Tenant: c.tenant.ID, Endpoint: e.ID, Shared: shared})
	if err != nil {
		return err
	}
	keys := []publicKeyView{}
	for _, key := range s.publicKeys(found) {
		keys = append(keys, publicKeyView{key.String(), key.JWK()})
	}
	if len(keys) == 0 {
		algorithm, _ := webhook.SigningOf(e.Signing, c.dialect)
		return webhook.Errorf(webhook.CodeNotFound, "the endpoint is signed with %s, whose secret has no public key", algorithm)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"keys": keys})
}

// getKeySet is GET /v1/tenants/{tenant}/.well-known/jwks.json. It does not tell whether there is such a tenant. Anybody may ask, as often
// as he likes, so that the secrets of a tenant are opened once in keySetStaleness.
func (s *Server) getKeySet(w http.ResponseWriter, r *http.Request, _ *call) error {
	set := emptyKeySet
	t, d, err := s.findTenant(r.Context(), mux.Vars(r)["tenant"])
	if err == nil {
		set, err = s.keySets.Get(r.Context(), t.ID, otter.LoaderFunc[string, []byte](func(ctx context.Context, _ string) ([]byte, error) {
			return s.keySet(ctx, t, d)
		}))
	}
	if err != nil && webhook.ErrorCode(err) != webhook.CodeNotFound {
		return err
	}
	w.Header().Set("Cache-Control", "public, max-age="+keySetAge)
	writeBody(w, http.StatusOK, "application/json", set)
	return nil
}

func newKeySets() *otter.Cache[string, []byte] {
	return otter.Must(&otter.Options[string, []byte]{
		MaximumWeight:    maxKeySetBytes,
		Weigher:          func(tenant string, set []byte) uint32 { return uint32(len(tenant) + len(set)) }, //nolint:gosec // a set of all endpoints has a few MB
		ExpiryCalculator: otter.ExpiryWriting[string, []byte](keySetStaleness),
	})
}

// jwkSet is a JWK Set (RFC 7517, section 5).
type jwkSet struct {
	Keys []webhook.JWK `json:"keys"`
}

// emptyKeySet is the answer for a tenant that there is not.
var emptyKeySet = mustMarshal(jwkSet{[]webhook.JWK{}})

// keySet encodes the set of a tenant.
func (s *Server) keySet(ctx context.Context, t *webhook.Tenant, d *webhook.Dialect) ([]byte, error) {
	var unreadable []error
	found, err := s.store.KeySet(ctx, store.KeySet{
		Tenant: t.ID, Every: d.Algorithms()[0] == webhook.Ed25519, Shared: d.Secret.Scope == webhook.SecretOfTenant,
		Unreadable: func(err error) { unreadable = append(unreadable, err) },
	})
	if err != nil {
		return nil, err
	}
	if n := len(unreadable); n > 0 {
		s.log.LogAttrs(ctx, slog.LevelError, "signing secrets cannot be read; their public keys are left out of the tenant's",
			slog.String("tenant", t.ID), slog.Int("secrets", n), slog.String("error", errors.Join(unreadable[:min(n, maxUnreadable)]...).Error()))
	}
	set := jwkSet{[]webhook.JWK{}}
	for _, key := range s.publicKeys(found) {
		set.Keys = append(set.Keys, key.JWK())
	}
	return marshal(set)
}

func (s *Server) publicKeys(of []webhook.SigningKeys) []webhook.PublicKey {
	var out []webhook.PublicKey
	for i := range of {
		out = append(out, of[i].PublicKeys(s.now())...)
	}
	return out
}
