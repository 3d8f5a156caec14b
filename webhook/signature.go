package webhook

import (
	"cmp"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// SecretPrefix starts every signing secret (Standard Webhooks 1.0.0, "Signature scheme").
const SecretPrefix = "whsec_"

// SecretBytes is how many random bytes a generated secret has; the standard asks for 24 to 64.
const SecretBytes = 32

// Secret is a signing secret: "whsec_" and base64, an Ed25519 key ("whsk_" and base64), or a text that was brought along. It prints as a placeholder everywhere; only Reveal returns its text.
type Secret struct{ text string }

// NewSecret returns the secret for random key bytes.
func NewSecret(key []byte) Secret {
	return Secret{SecretPrefix + base64.StdEncoding.EncodeToString(key)}
}

// SecretFromText returns the secret with the given text.
func SecretFromText(text string) Secret { return Secret{text} }

// Reveal returns the text. Use it only for a signature or for an answer that shows the secret.
func (s Secret) Reveal() string { return s.text }

// String hides the secret.
func (s Secret) String() string { return "[secret]" }

// Format hides the secret from every verb, %#v and %d too.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue hides the secret from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Secret) key(reading KeyReading) ([]byte, error) {
	if reading == KeyText {
		return []byte(s.text), nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.text, SecretPrefix))
	if err != nil {
		return nil, fmt.Errorf("the signing secret is not base64 after %s", SecretPrefix)
	}
	return key, nil
}

// Request has everything that the headers of one attempt depend on.
type Request struct {
	EventID    string
	EventType  string
	DeliveryID DeliveryID
	Body       []byte
	// At is when the attempt starts; the headers carry it in Unix seconds.
	At   time.Time
	Keys SigningKeys
	// Custom are the endpoint's own headers.
	Custom map[string]string
	// URL is where the request goes. Only message signatures need it.
	URL string
	// MessageSignatures adds HTTP Message Signatures.
	MessageSignatures bool
	// Also is a second dialect whose signatures are added; nil: none.
	Also *Dialect
	// Traceparent is sent where the dialect says so; "": none.
	Traceparent Traceparent
}

// Header is one request header.
type Header struct{ Name, Value string }

// RequestHeaders returns the headers of an attempt: the trace's, the endpoint's, the dialect's and its signatures. Later ones take
// precedence, so that an endpoint may have a traceparent of its own. It fails only when a secret that signs cannot be read as the dialect says.
func (d *Dialect) RequestHeaders(r Request) ([]Header, error) {
	out := make([]Header, 0, len(r.Custom)+len(d.Headers)+len(d.Signatures)+1)
	if d.Traceparent && r.Traceparent != "" {
		out = append(out, Header{"traceparent", string(r.Traceparent)})
	}
	for name, value := range r.Custom {
		out = append(out, Header{name, value})
	}
	for name, value := range d.Headers {
		out = append(out, Header{name, Template(value).text(r.value)})
	}
	for _, s := range d.Signatures {
		value, err := s.sign(r)
		if err != nil {
			return nil, err
		}
		out = append(out, Header{s.Header, value})
	}
	var err error
	if r.Also != nil {
		if out, err = d.alsoHeaders(r.Also, &r, out); err != nil {
			return nil, err
		}
	}
	if r.MessageSignatures {
		signatures, err := d.messageSignatures(&r)
		if err != nil {
			return nil, err
		}
		out = append(out, signatures...)
	}
	return out, nil
}

// sign returns the header's value: one signature, or the current secret's and the previous one's with a space between them where
// the header can list signatures and both are valid.
func (s Signature) sign(r Request) (string, error) {
	if !s.List {
		return s.signWith(r.Keys.single(r.At), r)
	}
	value, err := s.signWith(r.Keys.Current, r)
	if err != nil || !r.Keys.overlaps(r.At) {
		return value, err
	}
	previous, err := s.signWith(r.Keys.Previous, r)
	return value + " " + previous, err
}

func (s Signature) signWith(secret Secret, r Request) (string, error) {
	raw, format, err := s.raw(secret, &r)
	if err != nil {
		return "", err
	}
	var encoded string
	switch s.Encoding {
	case EncodeBase64:
		encoded = base64.StdEncoding.EncodeToString(raw)
	default:
		encoded = hex.EncodeToString(raw)
	}
	return format.text(func(name string) []byte {
		if name == "signature" {
			return []byte(encoded)
		}
		return r.value(name)
	}), nil
}

// raw returns the signature and the format that it is written in. What the secret is decides the algorithm, where the signature has a
// choice: during a rotation from one to the other both sign.
func (s *Signature) raw(secret Secret, r *Request) ([]byte, Template, error) {
	if s.Algorithm == Ed25519 || s.Ed25519 != "" && secret.IsEd25519() {
		key, err := secret.ed25519Key()
		if err != nil {
			return nil, "", err
		}
		var input []byte
		s.Input.expand(r.value, func(b []byte) { input = append(input, b...) })
		return ed25519.Sign(key, input), cmp.Or(s.Ed25519, s.Format), nil
	}
	key, err := secret.key(s.Key)
	if err != nil {
		return nil, "", err
	}
	mac := hmac.New(sha256.New, key)
	s.Input.expand(r.value, func(b []byte) { mac.Write(b) })
	return mac.Sum(nil), s.Format, nil
}

func (r Request) value(name string) []byte {
	switch name {
	case "body":
		return r.Body
	case "event_id":
		return []byte(r.EventID)
	case "delivery_id":
		return []byte(r.DeliveryID.UUID())
	case "type":
		return []byte(r.EventType)
	case "timestamp":
		return strconv.AppendInt(nil, r.At.Unix(), 10)
	default:
		return nil
	}
}

func (t Template) text(value func(string) []byte) string {
	var b strings.Builder
	t.expand(value, func(part []byte) { b.Write(part) })
	return b.String()
}
