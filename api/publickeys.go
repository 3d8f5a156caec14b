package api

import (
	"net/http"

	"github.com/gorilla/mux"

	"waybill/store"
	"waybill/webhook"
)

// keySetAge is how long receivers may keep a tenant's public keys, in seconds. A receiver that gets a keyid that it does not know asks
// again anyway.
const keySetAge = "300"

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

// getKeySet is GET /v1/tenants/{tenant}/.well-known/jwks.json. It does not tell whether there is such a tenant.
func (s *Server) getKeySet(w http.ResponseWriter, r *http.Request, _ *call) error {
	set := struct {
		Keys []webhook.JWK `json:"keys"`
	}{[]webhook.JWK{}}
	t, d, err := s.findTenant(r.Context(), mux.Vars(r)["tenant"])
	if err != nil && webhook.ErrorCode(err) != webhook.CodeNotFound {
		return err
	}
	if err == nil {
		found, err := s.store.KeySet(r.Context(), store.KeySet{
			Tenant: t.ID, Every: d.Algorithms()[0] == webhook.Ed25519, Shared: d.Secret.Scope == webhook.SecretOfTenant,
		})
		if err != nil {
			return err
		}
		for _, key := range s.publicKeys(found) {
			set.Keys = append(set.Keys, key.JWK())
		}
	}
	w.Header().Set("Cache-Control", "public, max-age="+keySetAge)
	return writeJSON(w, http.StatusOK, set)
}

func (s *Server) publicKeys(of []webhook.SigningKeys) []webhook.PublicKey {
	var out []webhook.PublicKey
	for i := range of {
		out = append(out, of[i].PublicKeys(s.now())...)
	}
	return out
}
