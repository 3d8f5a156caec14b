package webhook

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Signing is what an endpoint chooses of how its requests are signed. Zero values mean what the dialect says.
type Signing struct {
	// Algorithm is that of the endpoint's key, one of the dialect's Algorithms. It is chosen at the creation.
	Algorithm Algorithm `json:"algorithm,omitempty"`
	// MessageSignatures adds HTTP Message Signatures (RFC 9421) with a Content-Digest (RFC 9530).
	MessageSignatures *bool `json:"message_signatures,omitempty"`
}

// AlsoSignAs is a second dialect whose signatures an endpoint's requests carry, while its receiver moves from one's headers to the
// other's. The body stays that of the tenant's dialect, and the secret is the same.
type AlsoSignAs struct {
	Dialect string `json:"dialect"`
	// Until is when it ends.
	Until time.Time `json:"until"`
}

// MaxAlsoSign is how far ahead the end of AlsoSignAs may be.
const MaxAlsoSign = 366 * 24 * time.Hour

// Algorithms returns the algorithms that an endpoint of the dialect can choose, the default first. There is one alone where the
// tenant's endpoints share a secret.
func (d *Dialect) Algorithms() []Algorithm {
	out := []Algorithm{d.algorithm()}
	if d.Secret.Scope != SecretOfTenant && out[0] != Ed25519 && d.SignsWith(Ed25519) {
		out = append(out, Ed25519)
	}
	return out
}

// algorithm is the default, that of all signatures.
func (d *Dialect) algorithm() Algorithm {
	if len(d.Signatures) == 0 {
		return HMACSHA256
	}
	return d.Signatures[0].Algorithm
}

// SignsWith reports whether each signature of the dialect can be made with a key of the algorithm.
func (d *Dialect) SignsWith(a Algorithm) bool {
	return !slices.ContainsFunc(d.Signatures, func(s Signature) bool { return s.Algorithm != a && (a != Ed25519 || s.Ed25519 == "") })
}

// SigningOf returns what is in force for an endpoint that chose e, nil: nothing.
func SigningOf(e *Signing, d *Dialect) (algorithm Algorithm, messages bool) {
	algorithm, messages = d.algorithm(), d.MessageSignatures
	if e == nil {
		return algorithm, messages
	}
	if e.Algorithm != "" {
		algorithm = e.Algorithm
	}
	if e.MessageSignatures != nil {
		messages = *e.MessageSignatures
	}
	return algorithm, messages
}

// KeepAlgorithm returns s with the algorithm of before where s names none, nil where nothing is chosen: what changes the rest leaves the
// algorithm.
func (s *Signing) KeepAlgorithm(before *Signing) *Signing {
	var out Signing
	if s != nil {
		out = *s
	}
	if out.Algorithm == "" && before != nil {
		out.Algorithm = before.Algorithm
	}
	if out == (Signing{}) {
		return nil
	}
	return &out
}

// AlsoIn returns the second dialect that signs at a moment; nil: none. It fails when that dialect is not loaded.
func (a *AlsoSignAs) AlsoIn(dialects map[string]*Dialect, at time.Time) (*Dialect, error) {
	if a == nil || !at.Before(a.Until) {
		return nil, nil
	}
	if d, ok := dialects[a.Dialect]; ok {
		return d, nil
	}
	return nil, Errorf(CodeInternal, "the dialect %q is not loaded", a.Dialect)
}

func (e *Endpoint) validateSigning(l Limits, found *problems) {
	d := l.Dialect
	algorithm, messages := SigningOf(e.Signing, d)
	if fault := d.AlgorithmFault(algorithm); fault != "" {
		found.addf("signing.algorithm", "%s", fault)
		return
	}
	if l.Stored != nil {
		if before, _ := SigningOf(l.Stored.Signing, d); before != algorithm {
			found.addf("signing.algorithm", "is chosen at the creation; create another endpoint, and delete this one once its receiver has moved")
		}
	}
	if messages {
		e.validateMessageSignatures(d, found)
	}
	if e.AlsoSignAs != nil && (l.Stored == nil || !e.AlsoSignAs.equal(l.Stored.AlsoSignAs)) {
		e.AlsoSignAs.validate(l, algorithm, found)
	}
}

// validateMessageSignatures refuses what could not be verified.
func (e *Endpoint) validateMessageSignatures(d *Dialect, found *problems) {
	if name := d.setsOneOf(headerDigest, headerSignatureInput, headerSignature); name != "" {
		found.addf("signing.message_signatures", "is not possible, because the dialect %s has a header %s of its own", d.Name, name)
	}
	if u, err := url.Parse(e.URL); err == nil && strings.ContainsFunc(u.Host, func(r rune) bool { return r > '~' }) {
		found.addf("url", "has a host with letters beyond ASCII, which a message signature cannot cover; write it as receivers see it, such as xn--bcher-kva.example")
	}
}

func (d *Dialect) setsOneOf(names ...string) string {
	for _, name := range names {
		if d.sets(name) {
			return name
		}
	}
	return ""
}

func (a *AlsoSignAs) equal(b *AlsoSignAs) bool {
	return b != nil && a.Dialect == b.Dialect && a.Until.Equal(b.Until)
}

func (a *AlsoSignAs) validate(l Limits, algorithm Algorithm, found *problems) {
	other, ok := l.Dialects[a.Dialect]
	switch {
	case !ok:
		found.addf("also_sign_as.dialect", "is not a dialect: %q", a.Dialect)
	case other.Name == l.Dialect.Name:
		found.addf("also_sign_as.dialect", "is the tenant's own, which signs anyway")
	case !other.SignsWith(algorithm):
		found.addf("also_sign_as.dialect", "cannot be %s: it does not sign with %s, of which the endpoint's key is", other.Name, algorithm)
	default:
		if name := l.Dialect.contradicts(other); name != "" {
			found.addf("also_sign_as.dialect", "cannot be %s: it gives the header %s another value than the dialect %s does", other.Name, name, l.Dialect.Name)
		}
	}
	if !a.Until.After(l.Now) || a.Until.Sub(l.Now) > MaxAlsoSign {
		found.addf("also_sign_as.until", "must be a moment to come, at most %d days ahead", int(MaxAlsoSign.Hours()/24))
	}
}

// contradicts returns a header that receivers of both dialects verify with and that the two write differently; "": there is none.
func (d *Dialect) contradicts(other *Dialect) string {
	for _, s := range other.Signatures {
		if d.sets(s.Header) && !slices.Contains(d.Signatures, s) {
			return s.Header
		}
	}
	for name, value := range other.Headers {
		if !isTemplate(value) {
			continue
		}
		for own, mine := range d.Headers {
			if strings.EqualFold(own, name) && mine != value {
				return name
			}
		}
		if slices.ContainsFunc(d.Signatures, func(s Signature) bool { return strings.EqualFold(s.Header, name) }) {
			return name
		}
	}
	return ""
}

// alsoHeaders returns the signatures of the second dialect and the headers that they or their receivers need. What the first dialect
// sends is the same there. The API refuses a secret that the second dialect cannot read; where a rotation and a change of also_sign_as
// came at the same moment, the receiver still has the signatures of the first, which the endpoint cannot do without.
func (d *Dialect) alsoHeaders(other *Dialect, r *Request, out []Header) ([]Header, error) {
	for name, value := range other.Headers {
		if isTemplate(value) && !d.sets(name) {
			out = append(out, Header{name, Template(value).text(r.value)})
		}
	}
	for i := range other.Signatures {
		s := &other.Signatures[i]
		if d.sets(s.Header) || !other.CanSign(r.At, r.Keys) {
			continue
		}
		value, err := s.sign(*r)
		if err != nil {
			return nil, fmt.Errorf("sign as %s: %w", other.Name, err)
		}
		out = append(out, Header{s.Header, value})
	}
	return out, nil
}

// CanSign reports whether the dialect can read its keys from the secrets that are valid at a moment.
func (d *Dialect) CanSign(at time.Time, keys ...SigningKeys) bool {
	for i := range keys {
		valid := []Secret{keys[i].Current}
		if keys[i].HasPrevious(at) {
			valid = append(valid, keys[i].Previous)
		}
		for _, secret := range valid {
			if !secret.IsZero() && slices.ContainsFunc(d.Signatures, func(s Signature) bool { return !s.reads(secret) }) {
				return false
			}
		}
	}
	return true
}

func (s *Signature) reads(secret Secret) bool {
	_, _, err := s.raw(secret, &Request{})
	return err == nil
}

// isTemplate reports whether a header's value differs between deliveries.
func isTemplate(value string) bool { return strings.Contains(value, "{") }

// AlgorithmFault says which algorithms the dialect has where it has not this one; "": it has.
func (d *Dialect) AlgorithmFault(algorithm Algorithm) string {
	possible := d.Algorithms()
	if slices.Contains(possible, algorithm) {
		return ""
	}
	texts := make([]string, len(possible))
	for i, a := range possible {
		texts[i] = string(a)
	}
	return fmt.Sprintf("is %s in the dialect %s, not %q", strings.Join(texts, " or "), d.Name, algorithm)
}
