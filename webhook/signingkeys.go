package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Limits of a rotation.
const (
	DefaultOverlap = 24 * time.Hour
	MaxOverlap     = 7 * 24 * time.Hour
)

// SigningKeys are the secrets that sign for an endpoint: its own, or its tenant's where the dialect says so.
type SigningKeys struct {
	Current Secret
	// Previous is the secret before the latest rotation, zero: none. In a header that can list signatures it signs beside Current
	// before PreviousUntil. In a header that has one signature it signs in place of Current before SwitchAt, nil: it does not.
	Previous                Secret
	PreviousUntil, SwitchAt *time.Time
}

// overlaps reports whether the previous secret signs beside the current one in a header that can list signatures.
func (k *SigningKeys) overlaps(at time.Time) bool {
	return !k.Previous.IsZero() && k.PreviousUntil != nil && at.Before(*k.PreviousUntil)
}

// single returns the secret that signs in a header of one signature.
func (k *SigningKeys) single(at time.Time) Secret {
	if !k.Previous.IsZero() && k.SwitchAt != nil && at.Before(*k.SwitchAt) {
		return k.Previous
	}
	return k.Current
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.text == "" }

// Fingerprint tells secrets apart without showing them: the first eight hexadecimal digits of the SHA-256 of the text; "" of the zero
// secret.
func (s Secret) Fingerprint() string {
	if s.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(s.text))
	return hex.EncodeToString(sum[:4])
}

// SignedWith returns the fingerprints of the secrets that sign the request, the current one's first.
func (d *Dialect) SignedWith(r *Request) []string {
	k := &r.Keys
	current, previous := d.signers(k, r.At)
	if r.Also != nil && r.Also.CanSign(r.At, *k) {
		c, p := r.Also.signers(k, r.At)
		current, previous = current || c, previous || p
	}
	if r.MessageSignatures {
		current, previous = true, previous || k.overlaps(r.At)
	}
	out := make([]string, 0, 2)
	if current && !k.Current.IsZero() {
		out = append(out, k.Current.Fingerprint())
	}
	if previous {
		out = append(out, k.Previous.Fingerprint())
	}
	return out
}

// signers reports which secrets the dialect's signatures need.
func (d *Dialect) signers(k *SigningKeys, at time.Time) (current, previous bool) {
	for i := range d.Signatures {
		if d.Signatures[i].List {
			current, previous = true, previous || k.overlaps(at)
		} else if k.single(at) == k.Current {
			current = true
		} else {
			previous = true
		}
	}
	return current, previous
}
