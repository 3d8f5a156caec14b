package webhook

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

const messageProfile = "message signature"

// checkMessage verifies the HTTP Message Signatures (RFC 9421) of the request, if it has any.
func (r *received) checkMessage() []SignatureFinding {
	inputs, hasInput := r.header(headerSignatureInput)
	signatures, hasSignature := r.header(headerSignature)
	if !hasInput && !hasSignature {
		return nil
	}
	if !hasInput || !hasSignature {
		name := map[bool]string{true: headerSignature, false: headerSignatureInput}[hasInput]
		return []SignatureFinding{r.messageFinding("the header " + name + " is not among those given: a message signature is in both Signature-Input and Signature")}
	}
	of := map[string]string{}
	for _, m := range dictionary(signatures) {
		of[m.label] = m.value
	}
	members := dictionary(inputs)
	if len(members) == 0 {
		return []SignatureFinding{r.messageFinding("the header Signature-Input lists no signature")}
	}
	var out []SignatureFinding
	for _, m := range members[:min(maxChecked, len(members))] {
		out = append(out, r.checkLabel(m.label, m.value, of))
	}
	return out
}

func (r *received) messageFinding(reason string) SignatureFinding {
	return SignatureFinding{
		Header: headerSignature, Profile: messageProfile, Algorithm: r.Dialect.algorithm(), Encoding: EncodeBase64, Reason: reason, Steps: []SignatureStep{},
	}
}

// member is one of a dictionary (RFC 9651, section 3.2), its value as written.
type member struct{ label, value string }

// dictionary splits the members of a dictionary. Commas within quotes and parentheses separate nothing.
func dictionary(text string) []member {
	var out []member
	for _, part := range splitOutside(text, ',') {
		label, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if ok {
			out = append(out, member{label, value})
		}
	}
	return out
}

// splitOutside splits a text at a separator that is not within quotes or parentheses.
func splitOutside(text string, separator byte) []string {
	var out []string
	begin, depth, quoted := 0, 0, false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == separator && depth == 0:
			out = append(out, text[begin:i])
			begin = i + 1
		}
	}
	return append(out, text[begin:])
}

// inputPattern is what a signature covers, and its parameters.
var inputPattern = regexp.MustCompile(`^\(((?:"[^"]*" ?)*)\)((?:;[a-z]+=(?:"[^"]*"|\d+))*)$`)

// messageCheck is the check of one message signature.
type messageCheck struct {
	*received
	finding SignatureFinding
	url     *url.URL
	params  map[string]string
	// digest is what is wrong with Content-Digest; "": nothing, or it is not covered.
	digest string
}

// checkLabel verifies the signature of a label, of which input says what it covers.
func (r *received) checkLabel(label, input string, signatures map[string]string) SignatureFinding {
	m := &messageCheck{received: r, finding: r.messageFinding(""), params: map[string]string{}}
	m.step("covered", label+"="+input)
	covered := inputPattern.FindStringSubmatch(input)
	if covered == nil {
		m.finding.Reason = `Signature-Input cannot be read: it is label=("name" ...);parameter=value, and covers what Waybill covers`
		return m.finding
	}
	for _, p := range splitOutside(covered[2], ';') {
		if name, value, ok := strings.Cut(p, "="); ok {
			m.params[name] = strings.Trim(value, `"`)
		}
	}
	if created, err := strconv.ParseInt(m.params["created"], 10, 64); err == nil {
		m.finding.dated = true
		m.date(created)
	}
	if m.params["alg"] == string(Ed25519) || m.params["alg"] == string(HMACSHA256) {
		m.finding.Algorithm = Algorithm(m.params["alg"])
	}
	var err error
	if m.url, err = url.Parse(m.URL); err != nil {
		m.finding.Reason = "the endpoint's URL cannot be read, so that nothing can be verified with it" // the cause quotes it
		return m.finding
	}
	base, reason := m.base(covered[1], input)
	if reason != "" {
		m.finding.Reason = reason
		return m.finding
	}
	value, ok := signatures[label]
	if !ok {
		m.finding.Reason = "the header Signature has no " + label + ", which Signature-Input lists"
		return m.finding
	}
	m.verify(base, value)
	return m.finding
}

func (m *messageCheck) step(name, value string) {
	m.finding.Steps = append(m.finding.Steps, SignatureStep{name, strings.ToValidUTF8(value, "\uFFFD")})
}

// base is the text that is signed (RFC 9421, section 2.5). reason says what is missing.
func (m *messageCheck) base(covered, params string) (base []byte, reason string) {
	var text bytes.Buffer
	for name := range strings.FieldsSeq(covered) {
		name = strings.Trim(name, `"`)
		value, ok := m.component(name)
		if !ok {
			return nil, "the signature covers " + name + ", which is not among the headers given"
		}
		fmt.Fprintf(&text, "%q: %s\n", name, value)
		if name == "content-digest" {
			m.digest = m.digestFault(value)
		}
	}
	text.WriteString(`"@signature-params": ` + params)
	return text.Bytes(), ""
}

// component is the value of what a signature covers. What a header does not say is the endpoint's URL's.
func (m *messageCheck) component(name string) (string, bool) {
	switch name {
	case "@method":
		return "POST", true
	case "@authority":
		return authority(m.url), true
	case "@path":
		return pathOf(m.url), true
	case "@query":
		return "?" + m.url.RawQuery, true
	case "@scheme":
		return m.url.Scheme, true
	default:
		return m.header(name)
	}
}

// digestFault says what is wrong with a Content-Digest (RFC 9530).
func (m *messageCheck) digestFault(value string) string {
	is := func(body []byte) bool {
		sum := sha256.Sum256(body)
		return strings.Contains(value, "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	}
	switch {
	case is(m.Body):
		return ""
	case !strings.Contains(value, "sha-256=:"):
		return "Content-Digest has no sha-256=:...: of the body"
	}
	return "Content-Digest is not that of the body: " + cmp.Or(m.bodyNote(is), "the body is not what was sent")
}

// verify looks for the key that made the signature.
func (m *messageCheck) verify(base []byte, value string) {
	m.finding.Steps = append(m.finding.Steps, textSteps(base)...)
	reading, algorithm := m.Dialect.messageKey(), m.finding.Algorithm
	m.step("key", reading.words(algorithm))
	right, mistaken := m.candidateKeys(algorithm, reading)
	if len(right) == 0 {
		m.finding.Reason = "the endpoint has no key of the algorithm " + string(algorithm)
		return
	}
	text, ok := strings.CutPrefix(value, ":")
	text, closed := strings.CutSuffix(text, ":")
	fault := ""
	if !ok || !closed {
		fault = "the signature is not between two colons"
	}
	raw, writing := decodeSignature(text, EncodeBase64, algorithm)
	if raw == nil {
		m.compare(&right[0], base, text)
		m.finding.Reason = joined(fault, writing)
		return
	}
	for _, keys := range [][]candidateKey{right, mistaken} {
		for i := range keys {
			if keys[i].verifies(algorithm, base, raw) {
				m.found(&keys[i], joined(fault, writing, keys[i].note, m.digest))
				m.compare(rightOf(right, &keys[i]), base, text)
				return
			}
		}
	}
	m.compare(&right[0], base, text)
	m.finding.Reason = joined(fault, writing, m.digest, m.unknown(right))
}

// found says what the signature of a key is worth. faults are what is wrong with it.
func (m *messageCheck) found(key *candidateKey, faults string) {
	m.finding.Key, m.finding.KeyFingerprint = key.choice, key.secret.Fingerprint()
	if !m.signs(key.choice, true) {
		faults = joined(faults, m.notAnyMore())
	}
	m.finding.Valid = faults == ""
	m.finding.Reason = cmp.Or(faults, m.rightReason(key.choice))
}

// unknown is the reason where no key fits.
func (m *messageCheck) unknown(right []candidateKey) string {
	for i := range right {
		id := right[i].secret.Fingerprint()
		if public, err := right[i].secret.PublicKey(); err == nil {
			id = public.ID()
		}
		if id == m.params["keyid"] {
			return "the key is the endpoint's by its keyid, but the signature is not of this request: a covered header is not what was sent, or the endpoint's URL has changed since"
		}
	}
	return "no key of the endpoint has the keyid " + Cut(m.params["keyid"], 64) + ", and none made the signature"
}

// compare shows what is expected beside what is given.
func (m *messageCheck) compare(key *candidateKey, base []byte, given string) {
	raw, _ := base64.StdEncoding.DecodeString(given)
	equal := key.verifies(m.finding.Algorithm, base, raw)
	if m.finding.Algorithm == Ed25519 {
		m.step("public key", PublicKey{key.key}.String())
	} else {
		m.step("expected", m.shown(encodeSignature(key.sign(base), EncodeBase64), equal))
	}
	m.step("given", given)
	m.step("compare", agreement(equal))
}
