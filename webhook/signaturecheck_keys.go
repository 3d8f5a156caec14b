package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// candidateKey is a key with which a signature may have been made.
type candidateKey struct {
	choice SecretChoice
	secret Secret
	key    []byte
	// note says which mistake makes this key of the secret; "": it is the right one.
	note string
}

// sign is HMAC-SHA256.
func (k *candidateKey) sign(text []byte) []byte {
	mac := hmac.New(sha256.New, k.key)
	mac.Write(text)
	return mac.Sum(nil)
}

// verifies reports whether raw is the key's signature of the text.
func (k *candidateKey) verifies(algorithm Algorithm, text, raw []byte) bool {
	if algorithm == Ed25519 {
		return ed25519.Verify(k.key, text, raw)
	}
	return hmac.Equal(k.sign(text), raw)
}

// Words for how the key is read.
const (
	readText   = "the key is the secret's text as shown, whsec_ included"
	readBase64 = "the key is what the base64 after whsec_ decodes to"
	readPublic = "the public key verifies"
)

func (k KeyReading) words(algorithm Algorithm) string {
	switch {
	case algorithm == Ed25519:
		return readPublic
	case k == KeyText:
		return readText
	default:
		return readBase64
	}
}

// candidateKeys returns the right keys of an algorithm, the current one's first, and those of the usual mistakes.
func (r *received) candidateKeys(algorithm Algorithm, reading KeyReading) (right, mistaken []candidateKey) {
	for _, of := range []candidateKey{{choice: CurrentSecret, secret: r.Keys.Current}, {choice: PreviousSecret, secret: r.Keys.Previous}} {
		if of.secret.IsZero() || of.secret.IsEd25519() != (algorithm == Ed25519) {
			continue
		}
		if algorithm == Ed25519 {
			if public, err := of.secret.PublicKey(); err == nil {
				of.key = public.key
				right = append(right, of)
			}
			continue
		}
		key, err := of.secret.key(reading)
		if err == nil {
			of.key = key
			right = append(right, of)
		}
		for _, m := range misreadings(of.secret.text, reading) {
			of.key, of.note = m.key, m.note
			mistaken = append(mistaken, of)
		}
	}
	return right, mistaken
}

// rightOf returns the right key of the secret of which somebody read another one.
func rightOf(right []candidateKey, mistaken *candidateKey) *candidateKey {
	for i := range right {
		if right[i].choice == mistaken.choice {
			return &right[i]
		}
	}
	return &right[0]
}

// misreadings are the keys that people read from a secret by mistake.
func misreadings(text string, reading KeyReading) []candidateKey {
	bare, hasPrefix := strings.CutPrefix(text, SecretPrefix)
	decoded, err := base64.StdEncoding.DecodeString(bare)
	var out []candidateKey
	switch reading {
	case KeyText:
		if hasPrefix {
			out = append(out, candidateKey{key: []byte(bare), note: "signed with the secret without whsec_; " + readText})
		}
		if err == nil {
			out = append(out, candidateKey{key: decoded, note: "signed with what the base64 of the secret decodes to; " + readText})
		}
	default:
		out = append(out,
			candidateKey{key: []byte(text), note: "signed with the secret's text; " + readBase64},
			candidateKey{key: []byte(bare), note: "signed with the secret's text without whsec_; " + readBase64})
	}
	return append(out, candidateKey{key: []byte(text + "\n"), note: "signed with the secret and a line break after it; take the line break away"})
}

// signs reports whether a secret signs at the moment, in a header that can list signatures or not.
func (r *received) signs(choice SecretChoice, list bool) bool {
	if choice == CurrentSecret {
		return true
	}
	if list {
		return r.Keys.overlaps(r.At)
	}
	return r.Keys.single(r.At) == r.Keys.Previous
}
