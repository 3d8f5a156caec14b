package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Headers of HTTP Message Signatures (RFC 9421) and of the digest that they cover (RFC 9530).
const (
	headerDigest         = "Content-Digest"
	headerSignatureInput = "Signature-Input"
	headerSignature      = "Signature"
)

// messageSignatures returns the headers that sign the request as RFC 9421 says: method, authority, path, query, media type, a digest
// of the body, and the dialect's headers that differ between deliveries. After a rotation there are two signatures, sig1 of the current
// secret and sig2 of the previous one, until the overlap ends.
func (d *Dialect) messageSignatures(r *Request) ([]Header, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, fmt.Errorf("the endpoint's URL cannot be read, so it cannot be signed") // the cause quotes it
	}
	digest := sha256.Sum256(r.Body)
	m := message{digest: "sha-256=:" + base64.StdEncoding.EncodeToString(digest[:]) + ":"}
	m.cover("@method", "POST")
	m.cover("@authority", authority(u))
	m.cover("@path", pathOf(u))
	m.cover("@query", "?"+u.RawQuery)
	m.cover("content-type", d.contentType())
	m.cover("content-digest", m.digest)
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		if value := d.Headers[name]; isTemplate(value) {
			m.cover(strings.ToLower(name), strings.TrimSpace(Template(value).text(r.value)))
		}
	}
	if err := m.sign("sig1", r.Keys.Current, d.messageKey(), r.At.Unix()); err != nil {
		return nil, err
	}
	if r.Keys.overlaps(r.At) {
		if err := m.sign("sig2", r.Keys.Previous, d.messageKey(), r.At.Unix()); err != nil {
			return nil, err
		}
	}
	return []Header{
		{headerDigest, m.digest},
		{headerSignatureInput, strings.Join(m.inputs, ", ")},
		{headerSignature, strings.Join(m.signatures, ", ")},
	}, nil
}

// messageKey is how the key of a message signature is read: as that of the dialect's first signature.
func (d *Dialect) messageKey() KeyReading { return d.Signatures[0].Key }

func (d *Dialect) contentType() string {
	for name, value := range d.Headers {
		if strings.EqualFold(name, "Content-Type") {
			return value
		}
	}
	return ""
}

// message collects what the signatures of a request cover, and the signatures.
type message struct {
	digest             string
	names, lines       []string
	inputs, signatures []string
}

func (m *message) cover(name, value string) {
	m.names = append(m.names, `"`+name+`"`)
	m.lines = append(m.lines, `"`+name+`": `+value+"\n")
}

// sign adds a signature (RFC 9421, section 2.5).
func (m *message) sign(label string, secret Secret, reading KeyReading, created int64) error {
	var sign func(base []byte) []byte
	var id string
	algorithm := HMACSHA256
	if secret.IsEd25519() {
		key, err := secret.ed25519Key()
		if err != nil {
			return err
		}
		public, _ := secret.PublicKey()
		algorithm, id = Ed25519, public.ID()
		sign = func(base []byte) []byte { return ed25519.Sign(key, base) }
	} else {
		key, err := secret.key(reading)
		if err != nil {
			return err
		}
		id = secret.Fingerprint()
		sign = func(base []byte) []byte {
			mac := hmac.New(sha256.New, key)
			mac.Write(base)
			return mac.Sum(nil)
		}
	}
	params := fmt.Sprintf(`(%s);created=%d;keyid="%s";alg="%s"`, strings.Join(m.names, " "), created, id, algorithm)
	base := strings.Join(m.lines, "") + `"@signature-params": ` + params
	m.inputs = append(m.inputs, label+"="+params)
	m.signatures = append(m.signatures, label+"=:"+base64.StdEncoding.EncodeToString(sign([]byte(base)))+":")
	return nil
}

// authority is the host in lower case, with the port unless it is the scheme's (RFC 9421, section 2.2.3).
func authority(u *url.URL) string {
	host, port := strings.ToLower(u.Host), map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	return strings.TrimSuffix(host, port)
}

// pathOf is the path as sent; an empty one is sent as a slash.
func pathOf(u *url.URL) string {
	if path := u.EscapedPath(); path != "" {
		return path
	}
	return "/"
}
