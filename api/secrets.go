package api

import (
	"context"
	"net/http"
	"time"

	"waybill/store"
	"waybill/webhook"
)

type rotateInput struct {
	Secret   string            `json:"secret"`
	Overlap  *webhook.Duration `json:"overlap"`
	SwitchAt *moment           `json:"switch_at"`
	// Algorithm is that of the new secret; "": as before.
	Algorithm webhook.Algorithm `json:"algorithm"`
}

// secretView tells of signing secrets. Secret is only in the answers to a reveal and to a rotation.
type secretView struct {
	Secret string `json:"secret,omitempty"`
	// PublicKey is in place of Secret where a rotation made an Ed25519 key: a receiver needs no more.
	PublicKey   string `json:"public_key,omitempty"`
	Fingerprint string `json:"fingerprint"`
	// PreviousValidUntil is until when the secret before it signs too, or alone before SwitchAt; nil: it does not sign.
	PreviousValidUntil *time.Time `json:"previous_valid_until,omitempty"`
	// PreviousFingerprint is there while a test can be signed with the secret before it.
	PreviousFingerprint string     `json:"previous_fingerprint,omitempty"`
	SwitchAt            *time.Time `json:"switch_at,omitempty"`
}

// showSecrets shows everything but the secrets.
func (c *call) showSecrets(k *webhook.SigningKeys, now time.Time) secretView {
	out := secretView{Fingerprint: k.Current.Fingerprint(), PreviousValidUntil: c.dialect.PreviousSignsUntil(k, now)}
	if k.HasPrevious(now) {
		out.PreviousFingerprint = k.Previous.Fingerprint()
		if k.SwitchAt != nil && now.Before(*k.SwitchAt) {
			out.SwitchAt = k.SwitchAt
		}
	}
	return out
}

// secretOwner returns whose secret a path names. CodeNotFound: it has none, because its dialect's secrets are not its own.
func (s *Server) secretOwner(r *http.Request, c *call) (store.SecretOwner, error) {
	owner := store.SecretOwner{Tenant: c.tenant.ID}
	if !hasPath(r, "endpoint") {
		return owner, c.ownsSecret(webhook.SecretOfTenant)
	}
	var err error
	if owner.Endpoint, err = pathID[webhook.EndpointID](r, "endpoint"); err != nil {
		return owner, err
	}
	if err := c.ownsSecret(webhook.SecretOfEndpoint); err != nil {
		if _, missing := s.store.Endpoint(r.Context(), c.tenant.ID, owner.Endpoint); missing != nil {
			return owner, missing
		}
		return owner, err
	}
	return owner, nil
}

// ownsSecret reports who else has the secret, if it is not owner.
func (c *call) ownsSecret(owner webhook.SecretScope) error {
	switch {
	case c.dialect.Secret.Scope == owner:
		return nil
	case owner == webhook.SecretOfTenant:
		return webhook.Errorf(webhook.CodeNotFound, "in the dialect %s each endpoint has its own secret; ask for the endpoint's", c.dialect.Name)
	default:
		return webhook.Errorf(webhook.CodeNotFound,
			"in the dialect %s all endpoints share the tenant's secret; GET /v1/tenants/%s/secret shows it", c.dialect.Name, c.tenant.ID)
	}
}

// rotateSecret is POST .../rotate-secret of a tenant and of an endpoint. A repetition by Idempotency-Key rotates once.
func (s *Server) rotateSecret(w http.ResponseWriter, r *http.Request, c *call) error {
	var in rotateInput
	if err := decodeOptional(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	return s.create(w, r, c, &in, func() (*creation, error) { return s.planRotation(r, c, &in) })
}

func (s *Server) planRotation(r *http.Request, c *call, in *rotateInput) (*creation, error) {
	owner, err := s.secretOwner(r, c)
	if err != nil {
		return nil, err
	}
	algorithm, changed, err := s.rotatedAlgorithm(r, c, owner, in.Algorithm)
	if err != nil {
		return nil, err
	}
	secret, err := s.secretFor(c.dialect, c.dialect.Secret.Scope, algorithm, in.Secret)
	if err != nil {
		return nil, err
	}
	now := s.now()
	if err := s.checkReadable(r.Context(), owner, secret, now); err != nil {
		return nil, err
	}
	rotation, err := c.dialect.NewRotation(secret, in.Overlap, in.SwitchAt.orNil(), now)
	if err != nil {
		return nil, err
	}
	if changed {
		rotation.Algorithm = algorithm
	}
	var keys webhook.SigningKeys
	return &creation{
		show: func() (made, error) { return made{status: http.StatusOK, view: c.showRotated(&keys, now)}, nil },
		do: func(once *store.Once) error {
			return s.store.RotateSecret(r.Context(), owner, rotation, &keys, once)
		},
	}, nil
}

// showRotated shows the new secret, or its public key where a receiver needs no more.
func (c *call) showRotated(keys *webhook.SigningKeys, now time.Time) secretView {
	view := c.showSecrets(keys, now)
	if public, err := keys.Current.PublicKey(); err == nil {
		view.PublicKey = public.String()
	} else {
		view.Secret = keys.Current.Reveal()
	}
	return view
}

// rotatedAlgorithm returns the algorithm of the secret that a rotation makes, and whether it is another than before.
func (s *Server) rotatedAlgorithm(r *http.Request, c *call, owner store.SecretOwner, asked webhook.Algorithm) (webhook.Algorithm, bool, error) {
	if fault := c.dialect.AlgorithmFault(asked); asked != "" && fault != "" {
		return "", false, invalid("rotation", webhook.FieldError{Field: "algorithm", Detail: fault})
	}
	if owner.Endpoint.IsZero() {
		return c.dialect.Algorithms()[0], false, nil
	}
	e, err := s.store.Endpoint(r.Context(), c.tenant.ID, owner.Endpoint)
	if err != nil {
		return "", false, err
	}
	before, _ := webhook.SigningOf(e.Signing, c.dialect)
	if asked == "" || asked == before {
		return before, false, nil
	}
	return asked, true, s.checkRotated(e, asked)
}

// checkRotated refuses an algorithm with which the endpoint could not be signed as its second dialect.
func (s *Server) checkRotated(e *webhook.Endpoint, algorithm webhook.Algorithm) error {
	if e.AlsoSignAs == nil {
		return nil
	}
	if other, ok := s.dialects[e.AlsoSignAs.Dialect]; ok && !other.SignsWith(algorithm) {
		return invalid("rotation", webhook.FieldError{Field: "algorithm",
			Detail: "is not one that the dialect " + other.Name + " signs with, as which the endpoint is signed too: end also_sign_as first"})
	}
	return nil
}

// checkReadable refuses a secret that a second dialect cannot read, because what it signs would lack that dialect's signatures.
func (s *Server) checkReadable(ctx context.Context, owner store.SecretOwner, secret webhook.Secret, now time.Time) error {
	names, err := s.store.SecondDialects(ctx, owner, now)
	if err != nil {
		return err
	}
	for _, name := range names {
		if other, ok := s.dialects[name]; ok && !other.CanSign(now, webhook.SigningKeys{Current: secret}) {
			return invalid("rotation", webhook.FieldError{Field: "secret", Detail: "is not one that the dialect " + name +
				" can read, as which requests are signed too: bring " + webhook.SecretPrefix + " and base64, or end also_sign_as first"})
		}
	}
	return nil
}

// retireSecret is POST .../retire-secret of a tenant and of an endpoint.
func (s *Server) retireSecret(w http.ResponseWriter, r *http.Request, c *call) error {
	owner, err := s.secretOwner(r, c)
	if err != nil {
		return err
	}
	if err := decodeOptional(w, r, s.opts.MaxBodyBytes, &struct{}{}); err != nil {
		return err
	}
	keys, err := s.store.RetireSecret(r.Context(), owner)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, c.showSecrets(keys, s.now()))
}

// writeSecret answers with a revealed secret, and tells of a rotation that is not over.
func (s *Server) writeSecret(w http.ResponseWriter, c *call, keys *webhook.SigningKeys) error {
	if keys.Current.IsZero() { // made before its dialect's secrets were its own
		return webhook.Errorf(webhook.CodeNotFound, "there is no signing secret")
	}
	view := c.showSecrets(keys, s.now())
	view.Secret = keys.Current.Reveal()
	return writeJSON(w, http.StatusOK, view)
}

// testSecret checks which secret a test asks for. CodeConflict: it wants the previous one, and there is none.
func (s *Server) testSecret(r *http.Request, c *call, id webhook.EndpointID, choice webhook.SecretChoice) error {
	switch choice {
	case "", webhook.CurrentSecret:
		return nil
	case webhook.PreviousSecret:
	default:
		return invalid("request", webhook.FieldError{Field: "secret", Detail: `must be "current" or "previous"`})
	}
	owner := store.SecretOwner{Tenant: c.tenant.ID}
	if c.dialect.Secret.Scope == webhook.SecretOfEndpoint {
		owner.Endpoint = id
	}
	keys, err := s.store.SigningKeys(r.Context(), owner)
	if err != nil {
		return err
	}
	if !keys.HasPrevious(s.now()) {
		return webhook.Errorf(webhook.CodeConflict, "there is no previous secret: none was rotated, or its overlap is over")
	}
	return nil
}
