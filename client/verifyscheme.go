package client

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// signed is which text a signature covers.
type signed int

const (
	// signsBody is the raw body.
	signsBody signed = iota
	// signsID is the id of the event.
	signsID
	// signsAll is the id, the timestamp and the raw body, with dots between them.
	signsAll
)

// scheme is one signature header of a dialect.
type scheme struct {
	header string
	// prefix is before each signature.
	prefix string
	signs  signed
	// standard is base64 of a key that is base64 after whsec_, and a list of signatures; otherwise hexadecimal digits, of the secret's
	// text as a key.
	standard bool
}

// ed25519Prefix is before a signature of Standard Webhooks that a public key verifies.
const ed25519Prefix = "v1a,"

// mostSignatures bounds what is looked at of a header. Waybill sends two at most.
const mostSignatures = 10

var standardHeader = scheme{header: "webhook-signature", prefix: "v1,", signs: signsAll, standard: true}

// dialects are the signature headers of each dialect, as schemas/dialects has them; a test compares.
var dialects = map[string][]scheme{
	DialectStandard:  {standardHeader},
	DialectRheo:      {{header: "X-Rheo-Signature", prefix: "sha256="}},
	DialectTradevine: {{header: "X-Tradevine-Hmac-SHA256"}},
	// Its own header covers the event's id alone, so the standard one has to protect the body.
	DialectTradly:            {standardHeader, {header: "X-Tradly-Signature", signs: signsID}},
	DialectAuctionExcellence: {{header: "X-Webhook-Signature", prefix: "sha256="}},
}

// given returns the signatures of a header.
func (v *verification) given(s *scheme) ([]string, error) {
	text, err := v.one(s.header)
	if err != nil {
		return nil, err
	}
	given := []string{text}
	if s.standard {
		given = strings.Fields(text)
		given = given[:min(len(given), mostSignatures)]
	}
	for _, one := range given {
		if strings.HasPrefix(one, s.prefix) || s.standard && strings.HasPrefix(one, ed25519Prefix) {
			return given, nil
		}
	}
	return nil, &VerifyError{Reason: ErrMalformed, Header: s.header, Detail: "it does not begin with " + s.prefix}
}

// verifyKey is a key that verifies: HMAC's, or a public one.
type verifyKey struct {
	hmac   []byte
	public ed25519.PublicKey
}

// keys reads the secrets as the header's scheme does.
func (s *scheme) keys(secrets []string) ([]verifyKey, error) {
	out := make([]verifyKey, 0, len(secrets))
	for _, secret := range secrets {
		secret = strings.TrimSpace(secret)
		key, detail := verifyKey{hmac: []byte(secret)}, ""
		if s.standard {
			key, detail = standardKey(secret)
		}
		if !s.standard && strings.HasPrefix(secret, "whpk_") {
			detail = "it is a public key, and the dialect signs with a secret"
		}
		if secret == "" {
			detail = "it is empty"
		}
		if detail != "" {
			return nil, &VerifyError{Reason: ErrBadSecret, Detail: detail}
		}
		out = append(out, key)
	}
	return out, nil
}

// standardKey reads a secret or a public key of Standard Webhooks. detail says what is wrong with it.
func standardKey(secret string) (key verifyKey, detail string) {
	if text, ok := strings.CutPrefix(secret, "whpk_"); ok {
		public, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(public) != ed25519.PublicKeySize {
			return key, "it is not the base64 of an Ed25519 public key after whpk_"
		}
		return verifyKey{public: public}, ""
	}
	if strings.HasPrefix(secret, "whsk_") {
		return key, "it is a private key, which only the sender has: a receiver needs the public key, whpk_..."
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	switch {
	case err != nil:
		return key, "it is not base64 after whsec_"
	case len(text) == 0: // which anybody could sign with
		return key, "it is empty after whsec_"
	}
	return verifyKey{hmac: text}, ""
}

// signed reports whether a text of the header is the key's signature of the message.
func (k *verifyKey) signed(s *scheme, message []byte, text string) bool {
	if k.public != nil {
		encoded, ok := strings.CutPrefix(text, ed25519Prefix)
		signature, err := base64.StdEncoding.DecodeString(encoded)
		return ok && err == nil && ed25519.Verify(k.public, message, signature)
	}
	mac := hmac.New(sha256.New, k.hmac)
	mac.Write(message)
	sum := mac.Sum(nil)
	expected := s.prefix + hex.EncodeToString(sum)
	if s.standard {
		expected = s.prefix + base64.StdEncoding.EncodeToString(sum)
	}
	return hmac.Equal([]byte(expected), []byte(text))
}

// advice is what is usually wrong.
func (s *scheme) advice() string {
	if s.signs == signsID {
		return "the secret is another one, or the header is of another event"
	}
	return "the secret is another one, or the body is not the raw one: JSON that was parsed and written again has other bytes"
}
