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

// secretFor returns the signing secret of something new: the one that was brought along, or a random one for the algorithm where given is
// "". It is the zero secret if the dialect's secrets do not belong to owner.
func (s *Server) secretFor(d *webhook.Dialect, owner webhook.SecretScope, algorithm webhook.Algorithm, given string) (webhook.Secret, error) {
	if d.Secret.Scope != owner {
		if given != "" {
			return webhook.Secret{}, invalid("request", webhook.FieldError{Field: "secret",
				Detail: "is the " + string(d.Secret.Scope) + "'s in the dialect " + d.Name + ", so it is given there"})
		}
		return webhook.Secret{}, nil
	}
	if given != "" {
		return d.ImportSecret("secret", given, algorithm)
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
func (s *Server) newKey() (string, error) { return s.newToken("wbk_") }

// newToken returns a text with a prefix that nobody can guess.
func (s *Server) newToken(prefix string) (string, error) {
	b, err := s.random(keyBytes)
	return prefix + base64.RawURLEncoding.EncodeToString(b), err
}
