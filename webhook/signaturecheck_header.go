package webhook

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// How much of a signed text, and of another's expected signature, is shown.
const (
	shownText      = 2 << 10
	shownSignature = 8
)

// checkHeader verifies what a header of a dialect lists. A header that was not given has nothing to verify.
func (r *received) checkHeader(d *Dialect, profile string, s *Signature) []SignatureFinding {
	given, ok := r.header(s.Header)
	if !ok {
		return nil
	}
	texts := []string{given}
	if s.List && given != "" {
		texts = strings.Fields(given)
		texts = texts[:min(maxChecked, len(texts))]
	}
	var out []SignatureFinding
	for _, text := range texts {
		out = append(out, r.checkOne(d, profile, s, text))
	}
	return out
}

// headerCheck is the check of one signature of a header.
type headerCheck struct {
	*received
	*Signature
	finding SignatureFinding
	format  Template
	// given are the values in the header's own text, the signature among them. fault is what is wrong with how it is written.
	given map[string]string
	fault string
	raw   []byte
}

func (r *received) checkOne(d *Dialect, profile string, s *Signature, text string) SignatureFinding {
	h := &headerCheck{received: r, Signature: s, format: s.Format, finding: SignatureFinding{
		Header: s.Header, Profile: profile, Algorithm: s.Algorithm, Encoding: s.Encoding, dated: s.Input.uses("timestamp"),
	}}
	if s.Ed25519 != "" && strings.HasPrefix(text, s.Ed25519.literal()) && s.Ed25519.literal() != "" {
		h.format, h.finding.Algorithm = s.Ed25519, Ed25519
	}
	h.step("header", s.Header+": "+text)
	h.given, h.fault = takeSignature(h.format, text)
	if h.finding.dated {
		h.readDate()
	}
	if missing := r.missing(d, s.Input, h.given); missing != "" {
		h.finding.Reason = missing
		return h.finding
	}
	h.verify()
	return h.finding
}

func (h *headerCheck) step(name, value string) {
	h.finding.Steps = append(h.finding.Steps, SignatureStep{name, strings.ToValidUTF8(value, "\uFFFD")})
}

// readDate reads the timestamp that the signature covers.
func (h *headerCheck) readDate() {
	text := cmp.Or(h.given["timestamp"], h.values["timestamp"])
	if text == "" {
		return
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		h.late = "the timestamp is not Unix seconds: " + Cut(text, 64)
		return
	}
	h.date(seconds)
}

// verify looks for the key and the text of which the given signature is.
func (h *headerCheck) verify() {
	algorithm := h.finding.Algorithm
	text := h.text(h.Input, h.given, h.Body)
	h.showText(string(h.Input), text)
	h.step("key", h.Key.words(algorithm))
	right, mistaken := h.candidateKeys(algorithm, h.Key)
	if len(right) == 0 {
		h.finding.Reason = h.otherAlgorithm()
		return
	}
	var writing string
	if h.raw, writing = decodeSignature(h.given["signature"], h.Encoding, algorithm); h.raw == nil {
		h.compare(&right[0], text)
		h.finding.Reason = joined(h.fault, writing)
		return
	}
	key, note := h.find(right, mistaken, text)
	if key == nil {
		h.compare(&right[0], text)
		h.finding.Reason = joined(h.fault, writing, h.unknown())
		return
	}
	h.finding.Key, h.finding.KeyFingerprint = key.choice, key.secret.Fingerprint()
	ended := ""
	if !h.signs(key.choice, h.List) {
		ended = h.notAnyMore()
	}
	faults := joined(h.fault, writing, note, ended)
	h.finding.Valid = faults == ""
	h.finding.Reason = cmp.Or(faults, h.rightReason(key.choice))
	h.compare(rightOf(right, key), text)
}

// find returns the key that made the signature, and which mistake was made with it; "": none.
func (h *headerCheck) find(right, mistaken []candidateKey, text []byte) (*candidateKey, string) {
	for _, keys := range [][]candidateKey{right, mistaken} {
		for i := range keys {
			if keys[i].verifies(h.finding.Algorithm, text, h.raw) {
				return &keys[i], keys[i].note
			}
		}
	}
	for i := range right {
		key := &right[i]
		if h.Input.uses("body") {
			note := h.bodyNote(func(body []byte) bool {
				return key.verifies(h.finding.Algorithm, h.text(h.Input, h.given, body), h.raw)
			})
			if note != "" {
				return key, note
			}
		}
		for _, other := range otherInputs {
			if other != h.Input && key.verifies(h.finding.Algorithm, h.text(other, h.given, h.Body), h.raw) {
				return key, fmt.Sprintf("signed was %s where %s is to be signed", other, h.Input)
			}
		}
	}
	return nil, ""
}

// otherInputs are texts that people sign by mistake.
var otherInputs = []Template{"{body}", "{event_id}", "{timestamp}.{body}", "{event_id}.{body}", "{event_id}.{timestamp}.{body}", "{event_id}{timestamp}{body}", "{event_id}.{timestamp}"}

// unknown is the reason where nothing fits.
func (h *headerCheck) unknown() string {
	switch {
	case !h.Input.uses("body"):
		return fmt.Sprintf("no secret of the endpoint made the signature: the secret is another one, or the signature is of another %s", h.Input)
	case h.Sent == nil:
		return "no secret of the endpoint made the signature: the secret is another one, or the body or another signed value is not what was sent"
	case bytes.Equal(h.Sent, h.Body):
		return "the body is what was sent, but no secret of the endpoint made the signature: the secret is another one, or the signature is of another delivery or attempt"
	default:
		return difference(h.Sent, h.Body) + "; and no secret of the endpoint made the signature of either"
	}
}

// otherAlgorithm is the reason where the endpoint has no key of the signature's algorithm.
func (h *headerCheck) otherAlgorithm() string {
	if h.finding.Algorithm == Ed25519 {
		return "the signature is Ed25519, and the endpoint's key is a secret for HMAC-SHA256"
	}
	return "the signature is HMAC-SHA256, and the endpoint signs with Ed25519, which its public key verifies"
}

// notAnyMore is what is wrong with a signature of the previous secret that does not sign at the moment.
func (r *received) notAnyMore() string {
	if until := r.Keys.PreviousUntil; until != nil && !r.At.Before(*until) {
		return "the secret is the previous one, which ended at " + until.UTC().Format(time.RFC3339)
	}
	return "the secret is the previous one, which does not sign this header any more"
}

func (r *received) rightReason(choice SecretChoice) string {
	if choice == PreviousSecret && r.Keys.PreviousUntil != nil {
		return "the signature is right; it is of the previous secret, which is valid until " + r.Keys.PreviousUntil.UTC().Format(time.RFC3339)
	}
	return "the signature is right"
}

// showText shows what is signed.
func (h *headerCheck) showText(template string, text []byte) {
	h.step("signed text, as a template", template)
	h.finding.Steps = append(h.finding.Steps, textSteps(text)...)
}

// textSteps show a signed text, shortened, with its length and SHA-256.
func textSteps(text []byte) []SignatureStep {
	sum := sha256.Sum256(text)
	return []SignatureStep{
		{"signed text", Cut(strings.ToValidUTF8(string(text[:min(len(text), shownText+4)]), "\uFFFD"), shownText)},
		{"bytes of the signed text", strconv.Itoa(len(text))},
		{"SHA-256 of the signed text", hex.EncodeToString(sum[:])},
	}
}

// compare shows what is expected beside what is given. A public key tells no expected signature.
func (h *headerCheck) compare(key *candidateKey, text []byte) {
	given := h.given["signature"]
	if h.finding.Algorithm == Ed25519 {
		h.step("public key", PublicKey{key.key}.String())
		h.step("given", given)
		h.step("compare", agreement(key.verifies(Ed25519, text, h.raw)))
		return
	}
	expected := encodeSignature(key.sign(text), h.Encoding)
	equal := expected == given
	h.step("expected", h.format.text(func(name string) []byte {
		if name == "signature" {
			return []byte(h.shown(expected, equal))
		}
		return []byte(cmp.Or(h.given[name], h.values[name]))
	}))
	h.step("given", given)
	h.step("compare", agreement(equal))
}

// shown is an expected signature, which only those see whole who may sign, unless it was given.
func (r *received) shown(expected string, given bool) string {
	if given || r.ShowExpected {
		return expected
	}
	return expected[:shownSignature] + "..."
}

func agreement(equal bool) string {
	if equal {
		return "they agree"
	}
	return "they differ"
}

func encodeSignature(raw []byte, as Encoding) string {
	if as == EncodeBase64 {
		return base64.StdEncoding.EncodeToString(raw)
	}
	return hex.EncodeToString(raw)
}

// joined joins the sentences that are there.
func joined(sentences ...string) string {
	var out []string
	for _, s := range sentences {
		if s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, "; ")
}
