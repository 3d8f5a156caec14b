package webhook

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"time"
)

// Prefixes of Ed25519 keys as text (Standard Webhooks 1.0.0, "Signature scheme"). What follows is base64.
const (
	PrivateKeyPrefix = "whsk_"
	PublicKeyPrefix  = "whpk_"
)

// Ed25519SeedBytes is how many random bytes an Ed25519 key is made of.
const Ed25519SeedBytes = ed25519.SeedSize

// NewEd25519Secret returns the secret of an Ed25519 key for Ed25519SeedBytes random bytes: "whsk_" and the base64 of seed and public
// key.
func NewEd25519Secret(seed []byte) Secret {
	return Secret{PrivateKeyPrefix + base64.StdEncoding.EncodeToString(ed25519.NewKeyFromSeed(seed))}
}

// IsEd25519 reports whether the secret is written as an Ed25519 key.
func (s Secret) IsEd25519() bool { return strings.HasPrefix(s.text, PrivateKeyPrefix) }

// ed25519Key reads the private key, without looking whether its two halves belong together. A seed alone is a key, too.
func (s Secret) ed25519Key() (ed25519.PrivateKey, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.text, PrivateKeyPrefix))
	switch {
	case err != nil || !s.IsEd25519():
		return nil, errors.New("the signing secret is not base64 after " + PrivateKeyPrefix)
	case len(key) == ed25519.SeedSize:
		return ed25519.NewKeyFromSeed(key), nil
	case len(key) != ed25519.PrivateKeySize:
		return nil, errors.New("the signing secret is no Ed25519 key: it has neither 32 bytes (the seed) nor 64 (seed and public key)")
	}
	return key, nil
}

// CheckEd25519 says what is wrong with an Ed25519 key; nil: nothing. Signatures with a public key of another seed would tell the seed.
func (s Secret) CheckEd25519() error {
	key, err := s.ed25519Key()
	if err == nil && !bytes.Equal(key, ed25519.NewKeyFromSeed(key.Seed())) {
		return errors.New("the signing secret is no Ed25519 key: its public key is not that of its seed")
	}
	return err
}

// PublicKey is an Ed25519 key with which receivers verify.
type PublicKey struct{ key ed25519.PublicKey }

// PublicKey returns the public key of an Ed25519 secret. It fails when the secret is none.
func (s Secret) PublicKey() (PublicKey, error) {
	key, err := s.ed25519Key()
	if err != nil {
		return PublicKey{}, err
	}
	return PublicKey{key.Public().(ed25519.PublicKey)}, nil
}

// String returns the key as Standard Webhooks writes it: "whpk_" and base64.
func (k PublicKey) String() string {
	return PublicKeyPrefix + base64.StdEncoding.EncodeToString(k.key)
}

// PublicKeys returns the public keys of the secrets that sign at a moment, the current one's first. An HMAC secret has none.
func (k *SigningKeys) PublicKeys(at time.Time) []PublicKey {
	var out []PublicKey
	if key, err := k.Current.PublicKey(); err == nil {
		out = append(out, key)
	}
	if k.overlaps(at) || k.single(at) != k.Current {
		if key, err := k.Previous.PublicKey(); err == nil {
			out = append(out, key)
		}
	}
	return out
}

// JWK is a public key in the form of RFC 7517 and RFC 8037.
type JWK struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	KeyID     string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
}

// JWK returns the key as a JWK. Its id is the thumbprint (RFC 7638), which is also the keyid of message signatures.
func (k PublicKey) JWK() JWK {
	return JWK{KeyType: "OKP", Curve: "Ed25519", X: base64.RawURLEncoding.EncodeToString(k.key), KeyID: k.ID(), Use: "sig", Algorithm: "EdDSA"}
}

// ID returns the thumbprint of the key (RFC 7638, with the members of RFC 8037, section 2).
func (k PublicKey) ID() string {
	members := `{"crv":"Ed25519","kty":"OKP","x":"` + base64.RawURLEncoding.EncodeToString(k.key) + `"}`
	sum := sha256.Sum256([]byte(members))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
