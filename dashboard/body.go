package dashboard

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxShownBytes is how much of a body a page shows. The whole is a file.
	maxShownBytes = 16 << 10
	// maxShownBinary is how much of one that is no text.
	maxShownBinary = 512
)

// body is a body of a request or an answer as a page shows it.
type body struct {
	// Pretty is the JSON with indents; "" where it is none, or the same as Raw. Raw is as it came, but for what has no shape of its own.
	Pretty, Raw string
	Bytes       int
	// Binary says that it is no text: Raw has its first bytes in hexadecimal.
	Binary bool
	// Cut says that the page does not show all, and Partial that the log does not have all.
	Cut, Partial bool
	// Href is the whole, as a file.
	Href string
}

func decodeBody(text, encoding string) ([]byte, error) {
	if encoding != "base64" {
		return []byte(text), nil
	}
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("read a body of the API: %w", err)
	}
	return content, nil
}

func newBody(content []byte, href string) *body {
	b := &body{Bytes: len(content), Href: href}
	if !utf8.Valid(content) {
		b.Binary, b.Cut = true, len(content) > maxShownBinary
		b.Raw = hex.Dump(content[:min(len(content), maxShownBinary)])
		return b
	}
	text := string(content)
	b.Raw = visible(cutText(maxShownBytes, text))
	if nice := pretty(text); nice != text {
		b.Pretty = visible(cutText(maxShownBytes, nice))
		b.Cut = len(nice) > maxShownBytes
	}
	b.Cut = b.Cut || len(text) > maxShownBytes
	return b
}

// cutText cuts a text to so many bytes, between two characters.
func cutText(limit int, text string) string {
	if len(text) <= limit {
		return text
	}
	end := limit
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// headerLines writes headers as lines, by name.
func headerLines(headers map[string]string) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		out.WriteString(name + ": " + headers[name] + "\n")
	}
	return out.String()
}

// visible gives a shape to characters that have none: those that command a terminal, and those that turn the order of a line around, so
// that nobody reads something else than what is there.
func visible(text string) string {
	var out strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || r == '\t':
			out.WriteRune(r)
		case unicode.IsControl(r), isDirection(r):
			fmt.Fprintf(&out, "⟨U+%04X⟩", r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// isDirection reports whether a character changes in which direction a line is read (Unicode Standard Annex 9, section 2).
func isDirection(r rune) bool {
	return r == 0x061c || r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
