package api

import (
	"encoding/base64"
	"fmt"
	"io"

	"waybill/webhook"
)

// keyBytes is how many random bytes an API key has.
const keyBytes = 32

func (s *Server) random(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.opts.Random, b); err != nil {
		return nil, fmt.Errorf("draw random bytes: %w", err)
	}
	return b, nil
}

// newSecret returns a new signing secret for the algorithm if the dialect's secrets belong to owner, otherwise the zero secret.
func (s *Server) newSecret(d *webhook.Dialect, owner webhook.SecretScope, algorithm webhook.Algorithm) (webhook.Secret, error) {
	if d.Secret.Scope != owner {
		return webhook.Secret{}, nil
	}
	if algorithm == webhook.Ed25519 {
		seed, err := s.random(webhook.Ed25519SeedBytes)
		if err != nil {
			return webhook.Secret{}, err
		}
		return webhook.NewEd25519Secret(seed), nil
	}
	key, err := s.random(webhook.SecretBytes)
	if err != nil {
		return webhook.Secret{}, err
	}
	return webhook.NewSecret(key), nil
}

// newKey returns the text of a new API key.
func (s *Server) newKey() (string, error) {
	b, err := s.random(keyBytes)
	return "wbk_" + base64.RawURLEncoding.EncodeToString(b), err
}
