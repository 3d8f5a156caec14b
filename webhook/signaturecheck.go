package webhook

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits of what VerifySignature is given, which SignatureCheck.Validate checks.
const (
	MaxCheckedBodyBytes = 256 << 10
	MaxCheckedHeaders   = 100
)

// SignatureTolerance is how far the timestamp that a signature covers may be from the receiver's clock, as the libraries of Standard
// Webhooks have it.
const SignatureTolerance = 5 * time.Minute

// maxChecked is how many signatures of one header are looked at. Waybill sends two at most.
const maxChecked = 10

// SignatureCheck is a request as a receiver got it, and what its sender knows.
type SignatureCheck struct {
	// Dialect is the tenant's. Also is a second one that signs beside it; nil: there is none.
	Dialect, Also *Dialect
	Keys          SigningKeys
	// URL is the endpoint's. Only message signatures need it.
	URL string
	// Headers are those of the request, in any order. Those that nothing is verified with may be missing.
	Headers []Header
	Body    []byte
	// Sent is the body that was sent, where it is known; nil: it is not. It is only for the reasons.
	Sent []byte
	// At is the receiver's clock.
	At time.Time
	// ShowExpected shows each expected signature whole. That lets the reader sign any body, so it is for those who may see the secret;
	// others see its beginning.
	ShowExpected bool
}

// SignatureReport says what was verified, and how. It never has a key.
type SignatureReport struct {
	// Valid is whether a receiver accepts the request: each signature header that it has lists a valid signature, and the timestamp is
	// within the tolerance.
	Valid      bool               `json:"valid"`
	Signatures []SignatureFinding `json:"signatures"`
	// Tolerance is nil where no signature covers a timestamp.
	Tolerance *ToleranceFinding `json:"tolerance,omitempty"`
}

// SignatureFinding is about one signature.
type SignatureFinding struct {
	Header string `json:"header"`
	// Profile is the name of the tenant's dialect, "also_sign_as " and the name of the second one, or "message signature".
	Profile   string    `json:"profile"`
	Algorithm Algorithm `json:"algorithm"`
	Encoding  Encoding  `json:"encoding"`
	// Valid is about the signature, not about its age.
	Valid bool `json:"valid"`
	// Reason is a sentence in plain words. Of a signature that is not valid it names the likely mistake.
	Reason string `json:"reason"`
	// Key is which secret signed, and KeyFingerprint that secret's Fingerprint; "": none that is known.
	Key            SecretChoice    `json:"key,omitempty"`
	KeyFingerprint string          `json:"key_fingerprint,omitempty"`
	Steps          []SignatureStep `json:"steps"`
	// dated says that the signature covers the timestamp.
	dated bool
}

// SignatureStep is one step of the way to the verdict, with its result.
type SignatureStep struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// ToleranceFinding is how old the timestamp is that a signature covers.
type ToleranceFinding struct {
	OK bool `json:"ok"`
	// DifferenceS is the receiver's clock minus the timestamp, in seconds.
	DifferenceS int64 `json:"difference_s"`
}

// Validate checks the limits. The error is CodeInvalid and names headers.NAME or body.
func (c *SignatureCheck) Validate() error {
	var found problems
	if len(c.Body) > MaxCheckedBodyBytes {
		found.addf("body", "is at most %d bytes, not %d", MaxCheckedBodyBytes, len(c.Body))
	}
	if len(c.Headers) > MaxCheckedHeaders {
		found.addf("headers", "are at most %d, not %d", MaxCheckedHeaders, len(c.Headers))
		return found.err("check")
	}
	seen := map[string]bool{}
	for _, h := range c.Headers {
		lower := strings.ToLower(h.Name)
		switch {
		case !headerPattern.MatchString(h.Name):
			found.addf("headers."+Cut(h.Name, 128), "is not a header name")
		case seen[lower]:
			found.addf("headers."+h.Name, "is there twice; upper and lower case do not differ")
		case len(h.Value) > maxHeaderBytes || !IsLine(strings.TrimSpace(h.Value)):
			found.addf("headers."+h.Name, "is one line of text, at most %d bytes", maxHeaderBytes)
		}
		seen[lower] = true
	}
	return found.err("check")
}

// VerifySignature verifies every signature that a request carries and says how, step by step. c has passed Validate. It looks at no
// clock and does no I/O. For 256 KiB it takes some tens of milliseconds where a signature is not valid, because it tries the
// usual mistakes.
func VerifySignature(c *SignatureCheck) *SignatureReport {
	r := newReceived(c)
	out := &SignatureReport{Signatures: []SignatureFinding{}}
	for i := range c.Dialect.Signatures {
		out.Signatures = append(out.Signatures, r.checkHeader(c.Dialect, c.Dialect.Name, &c.Dialect.Signatures[i])...)
	}
	if c.Also != nil {
		for i := range c.Also.Signatures {
			if s := &c.Also.Signatures[i]; !c.Dialect.sets(s.Header) {
				out.Signatures = append(out.Signatures, r.checkHeader(c.Also, "also_sign_as "+c.Also.Name, s)...)
			}
		}
	}
	if !c.Dialect.sets(headerSignature) {
		out.Signatures = append(out.Signatures, r.checkMessage()...)
	}
	if len(out.Signatures) == 0 {
		out.Signatures = r.nothingGiven()
	}
	out.Tolerance = r.tolerance
	out.judge(r.late)
	return out
}

// judge says whether the whole is valid, and of each dated signature that is valid that its timestamp is not.
func (r *SignatureReport) judge(late string) {
	accepted := map[string]bool{}
	for i := range r.Signatures {
		f := &r.Signatures[i]
		accepted[f.Header] = accepted[f.Header] || f.Valid
		if f.Valid && f.dated && late != "" {
			f.Reason = "the signature is right, but " + late
		}
	}
	r.Valid = late == ""
	for _, ok := range accepted {
		r.Valid = r.Valid && ok
	}
}

// nothingGiven tells which headers are missing.
func (r *received) nothingGiven() []SignatureFinding {
	var out []SignatureFinding
	for i := range r.Dialect.Signatures {
		s := &r.Dialect.Signatures[i]
		out = append(out, SignatureFinding{
			Header: s.Header, Profile: r.Dialect.Name, Algorithm: s.Algorithm, Encoding: s.Encoding,
			Reason: fmt.Sprintf("the header %s is not among those given, nor is another signature", s.Header), Steps: []SignatureStep{},
		})
	}
	return out
}

// received is a SignatureCheck with what was read from it.
type received struct {
	*SignatureCheck
	// values are what the placeholders of templates stand for in this request.
	values map[string]string
	bodies []candidateBody

	tolerance *ToleranceFinding
	// late says what is wrong with the timestamp; "": nothing, or there is none.
	late string
}

func newReceived(c *SignatureCheck) *received {
	r := &received{SignatureCheck: c, values: map[string]string{}}
	for _, d := range []*Dialect{c.Dialect, c.Also} {
		if d != nil {
			r.readHeaders(d)
		}
	}
	r.readEnvelope()
	return r
}

// header returns the value of a header without the space around it.
func (r *received) header(name string) (string, bool) {
	i := slices.IndexFunc(r.Headers, func(h Header) bool { return strings.EqualFold(h.Name, name) })
	if i < 0 {
		return "", false
	}
	return strings.TrimSpace(r.Headers[i].Value), true
}

// Delivery returns what the request says it is: the event's id and the delivery's, "" and zero where it does not tell.
func (c *SignatureCheck) Delivery() (eventID string, id DeliveryID) {
	values := newReceived(c).values
	_ = id.UnmarshalText([]byte(deliveryMark{}.prefix() + strings.ReplaceAll(values["delivery_id"], "-", ""))) // zero where it is none
	return values["event_id"], id
}

// date notes the timestamp that a signature covers.
func (r *received) date(seconds int64) {
	difference := r.At.Unix() - seconds
	r.tolerance = &ToleranceFinding{OK: difference <= int64(SignatureTolerance.Seconds()) && -difference <= int64(SignatureTolerance.Seconds()), DifferenceS: difference}
	switch {
	case r.tolerance.OK:
	case seconds > 100_000_000_000:
		r.late = "the timestamp is in milliseconds where seconds are expected"
	case difference > 0:
		r.late = fmt.Sprintf("the timestamp is %s old, and receivers refuse more than %d minutes", inWords(difference), int(SignatureTolerance.Minutes()))
	default:
		r.late = fmt.Sprintf("the timestamp is %s ahead of the clock, and receivers refuse more than %d minutes", inWords(-difference), int(SignatureTolerance.Minutes()))
	}
}

// inWords says how long so many seconds are, in the largest unit that there are two of.
func inWords(seconds int64) string {
	for _, unit := range []struct {
		name    string
		seconds int64
	}{{"days", 86400}, {"hours", 3600}, {"minutes", 60}} {
		if n := seconds / unit.seconds; n >= 2 {
			return fmt.Sprintf("%d %s", n, unit.name)
		}
	}
	return fmt.Sprintf("%d seconds", seconds)
}
