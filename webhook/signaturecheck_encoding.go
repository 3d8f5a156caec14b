package webhook

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// size is how many bytes a signature has.
func (a Algorithm) size() int {
	if a == Ed25519 {
		return ed25519.SignatureSize
	}
	return sha256.Size
}

// writings are the ways in which people write a signature. What each is called completes "it is ... where ... is expected".
var writings = []struct {
	name   string
	decode func(string) ([]byte, error)
	// as is the encoding that it is; "": none.
	as Encoding
}{
	{"hex in upper case", hex.DecodeString, ""},
	{"base64", base64.StdEncoding.Strict().DecodeString, EncodeBase64},
	{"base64 without its padding", base64.RawStdEncoding.DecodeString, ""},
	{"base64url", base64.URLEncoding.DecodeString, ""},
	{"base64url without its padding", base64.RawURLEncoding.DecodeString, ""},
}

// decodeSignature reads a signature. note says that it is written in another way than the encoding asks for; "": it is not. Without a
// signature it says what is wrong.
func decodeSignature(text string, want Encoding, algorithm Algorithm) (raw []byte, note string) {
	for _, w := range writings {
		raw, err := w.decode(text)
		if err != nil || len(raw) != algorithm.size() {
			continue
		}
		name, as := w.name, w.as
		if name == writings[0].name && text == strings.ToLower(text) {
			name, as = "hex", EncodeHex
		}
		switch {
		case as == want:
			return raw, ""
		case want == EncodeHex && name == writings[0].name:
			return raw, "the signature is written in upper case: write it in lower case, or compare the bytes"
		default:
			return raw, fmt.Sprintf("the signature is %s where %s is expected", name, want)
		}
	}
	return nil, wrongSize(text, want, algorithm)
}

func wrongSize(text string, want Encoding, algorithm Algorithm) string {
	decode := hex.DecodeString
	if want == EncodeBase64 {
		decode = base64.StdEncoding.DecodeString
	}
	raw, err := decode(text)
	switch {
	case text == "":
		return "the signature is empty"
	case err != nil:
		return fmt.Sprintf("the signature is not %s of %d bytes: it was cut, or is something else", want, algorithm.size())
	case len(raw) == 20 || len(raw) == 64:
		return fmt.Sprintf("the signature has %d bytes like one of SHA-%d; %s has %d", len(raw), map[int]int{20: 1, 64: 512}[len(raw)], algorithm, algorithm.size())
	default:
		return fmt.Sprintf("the signature has %d bytes, and %s has %d: it was cut, or is something else", len(raw), algorithm, algorithm.size())
	}
}

// labeled is a signature with a label before it, such as "sha256=" or "v1,".
var labeled = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_-]{0,15}[=,:] ?)(.+)$`)

// takeSignature finds the signature within a text of the format. note says that the text is not as the format asks for.
func takeSignature(format Template, text string) (found map[string]string, note string) {
	literal := format.literal()
	if found, ok := format.match(text); ok {
		if m := labeled.FindStringSubmatch(found["signature"]); m != nil && literal == "" {
			found["signature"] = m[2]
			return found, fmt.Sprintf("the header begins with %s, which this header does not have", strings.TrimSpace(m[1]))
		}
		return found, ""
	}
	if len(text) >= len(literal) && strings.EqualFold(text[:len(literal)], literal) {
		return map[string]string{"signature": text[len(literal):]}, fmt.Sprintf("the header begins with %s where %s is expected", text[:len(literal)], literal)
	}
	if m := labeled.FindStringSubmatch(text); m != nil {
		return map[string]string{"signature": m[2]}, fmt.Sprintf("the header begins with %s where %s is expected", strings.TrimSpace(m[1]), literal)
	}
	return map[string]string{"signature": text}, fmt.Sprintf("the header has no %s prefix", literal)
}
