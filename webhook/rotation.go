package webhook

import (
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of a secret that is brought along. Where it is read as base64, its key has as many bytes as Standard Webhooks 1.0.0 asks for.
const (
	MinSecretBytes = 8
	MaxSecretBytes = 256

	minSecretKeyBytes = 24
	maxSecretKeyBytes = 64
)

// ImportSecret returns the secret with a text that was brought along, if it is a key of the algorithm and the dialect can read it. The
// error is CodeInvalid, names field and does not quote the text.
func (d *Dialect) ImportSecret(field, text string, algorithm Algorithm) (Secret, error) {
	var found problems
	if len(text) < MinSecretBytes || len(text) > MaxSecretBytes {
		found.addf(field, "is %d to %d bytes long", MinSecretBytes, MaxSecretBytes)
	} else if !utf8.ValidString(text) || !IsLine(text) || strings.TrimSpace(text) != text {
		found.addf(field, "is one line of text, without control characters and without space around it")
	} else if algorithm == Ed25519 {
		if err := SecretFromText(text).CheckEd25519(); err != nil {
			found.addf(field, "is no Ed25519 key: %s and the base64 of 32 bytes, the seed, or of 64, the seed and its public key", PrivateKeyPrefix)
		}
	} else if SecretFromText(text).IsEd25519() {
		found.addf(field, "begins like an Ed25519 key, with %s, and signs with %s", PrivateKeyPrefix, algorithm)
	} else if d.readsBase64() && !isBase64Secret(text) {
		found.addf(field, "is %s and the base64 of %d to %d bytes in the dialect %s", SecretPrefix, minSecretKeyBytes, maxSecretKeyBytes, d.Name)
	}
	return SecretFromText(text), found.err("secret")
}

func (d *Dialect) readsBase64() bool {
	for i := range d.Signatures {
		if d.Signatures[i].Key == KeyBase64 {
			return true
		}
	}
	return false
}

func isBase64Secret(text string) bool {
	encoded, ok := strings.CutPrefix(text, SecretPrefix)
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	return ok && err == nil && len(key) >= minSecretKeyBytes && len(key) <= maxSecretKeyBytes
}

// Rotation replaces a signing secret.
type Rotation struct {
	Secret Secret
	// Until is when the secret before it ends; nil: at once.
	Until *time.Time
	// SwitchAt is until when the secret before it signs alone in headers of one signature; nil: it does not.
	SwitchAt *time.Time
	// Algorithm is that of the new secret, where it differs from the one before; "": as before.
	Algorithm Algorithm
	// At is now.
	At time.Time
}

// NewRotation checks how a secret is to be replaced. overlap is how long the secret before it stays valid, 0 to MaxOverlap; nil:
// DefaultOverlap, or until switchAt if that is later. switchAt is only for a dialect with a header of one signature, and within
// the overlap. The error is CodeInvalid.
func (d *Dialect) NewRotation(secret Secret, overlap *Duration, switchAt *time.Time, now time.Time) (*Rotation, error) {
	var found problems
	length := DefaultOverlap
	switch {
	case overlap != nil:
		if length = overlap.Std(); length < 0 || length > MaxOverlap {
			found.addf("overlap", "is from 0s to %s, not %s", Duration(MaxOverlap), *overlap)
		}
	case switchAt != nil:
		length = max(length, switchAt.Sub(now))
	}
	if switchAt != nil {
		switch {
		case !d.signsSingly():
			found.addf("switch_at", "is for headers of one signature; those of the dialect %s list the signatures of both secrets until the overlap ends", d.Name)
		case !switchAt.After(now):
			found.addf("switch_at", "is in the past; leave it out to switch at once")
		case switchAt.Sub(now) > MaxOverlap:
			found.addf("switch_at", "is at most %s from now", Duration(MaxOverlap))
		case switchAt.Sub(now) > length:
			found.addf("switch_at", "is after the end of the overlap")
		}
	}
	if err := found.err("rotation"); err != nil {
		return nil, err
	}
	r := &Rotation{Secret: secret, SwitchAt: switchAt, At: now}
	if length > 0 {
		until := now.Add(length).Truncate(time.Microsecond)
		r.Until = &until
	}
	return r, nil
}

// signsSingly reports whether a header has one signature only.
func (d *Dialect) signsSingly() bool {
	for i := range d.Signatures {
		if !d.Signatures[i].List {
			return true
		}
	}
	return false
}

// PreviousSignsUntil returns until when the previous secret signs; nil: it does not sign any more.
func (d *Dialect) PreviousSignsUntil(k *SigningKeys, now time.Time) *time.Time {
	if k.overlaps(now) {
		for i := range d.Signatures {
			if d.Signatures[i].List {
				return k.PreviousUntil
			}
		}
	}
	if d.signsSingly() && k.single(now) != k.Current {
		return k.SwitchAt
	}
	return nil
}

// Rotate replaces the current secret. CodeConflict: the secret before the current one is still valid, and a third would end it without
// anybody having asked for that. Without an overlap both end. CodeInvalid: the new secret is the current one.
func (k *SigningKeys) Rotate(r *Rotation) error {
	if k.HasPrevious(r.At) && r.Until != nil {
		return Errorf(CodeConflict, "the secret before the current one is valid until %s; end it first with retire-secret, or rotate with the overlap 0s, which ends both",
			k.PreviousUntil.UTC().Format(time.RFC3339))
	}
	if r.Algorithm == "" && r.Secret.IsEd25519() != k.Current.IsEd25519() {
		return Errorf(CodeConflict, "the algorithm was changed at this moment; rotate again")
	}
	if r.Secret == k.Current {
		var found problems
		found.addf("secret", "is the current one; give another one, or leave it out to have one made")
		return found.err("rotation")
	}
	if r.Until == nil {
		*k = SigningKeys{Current: r.Secret}
		return nil
	}
	*k = SigningKeys{Current: r.Secret, Previous: k.Current, PreviousUntil: r.Until, SwitchAt: r.SwitchAt}
	return nil
}

// HasPrevious reports whether the previous secret is valid at a moment: it may sign, and a test can be signed with it.
func (k *SigningKeys) HasPrevious(at time.Time) bool { return k.overlaps(at) }

// SecretChoice names one of two secrets.
type SecretChoice string

// The choices. "" is both, or what a rotation says.
const (
	CurrentSecret  SecretChoice = "current"
	PreviousSecret SecretChoice = "previous"
)

// Only returns keys of which the chosen secret alone signs, in every header. Without a previous secret that is the current one.
func (k *SigningKeys) Only(choice SecretChoice) SigningKeys {
	switch {
	case choice == PreviousSecret && !k.Previous.IsZero():
		return SigningKeys{Current: k.Previous}
	case choice == "":
		return *k
	default:
		return SigningKeys{Current: k.Current}
	}
}
