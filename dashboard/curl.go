package dashboard

import (
	"bytes"
	"maps"
	"net/textproto"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// curl is a command that sends the request of an attempt again, from a person's own machine.
type curl struct {
	Command string
	// File says that the command reads the body from the file, because it cannot stand in a command line.
	File string
	// Redacted says that values are missing which the log does not keep.
	Redacted bool
}

// maxCommandBytes is how large a body may be in a command line. Linux takes 128 KiB, but nobody reads that.
const maxCommandBytes = 8 << 10

// redactedValue stands in the log for a header's value that is a secret.
const redactedValue = "[redacted]"

// Headers that curl makes by itself.
var curlMakes = []string{"Host", "Content-Length"}

// curlOf writes the command. It sends what was sent and nothing besides.
func curlOf(a *attempt, sent []byte) *curl {
	if a.URL == "" {
		return nil // an earlier version recorded it
	}
	out := &curl{}
	parts := []string{"curl -i --globoff --path-as-is " + quoteShell(a.URL)}
	given := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(a.RequestHeaders)) {
		value := a.RequestHeaders[name]
		given[textproto.CanonicalMIMEHeaderKey(name)] = true
		out.Redacted = out.Redacted || value == redactedValue
		switch {
		case slices.Contains(curlMakes, textproto.CanonicalMIMEHeaderKey(name)):
		case value == "":
			parts = append(parts, "-H "+quoteShell(name+";")) // so curl sends one without a value
		default:
			parts = append(parts, "-H "+quoteShell(name+": "+value))
		}
	}
	for _, name := range []string{"Accept", "Content-Type", "User-Agent"} {
		if !given[name] {
			parts = append(parts, "-H "+quoteShell(name+":")) // so curl leaves its own out
		}
	}
	if canType(sent) {
		parts = append(parts, "--data-raw "+quoteShell(string(sent)))
	} else {
		out.File = a.ID.String() + "-request.txt"
		parts = append(parts, "--data-binary "+quoteShell("@"+out.File))
	}
	out.Command = strings.Join(parts, " \\\n  ")
	return out
}

// canType reports whether a body can be pasted into a terminal and arrive as it is.
func canType(b []byte) bool {
	return len(b) <= maxCommandBytes && utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool {
		return r != '\n' && unicode.IsControl(r) || isDirection(r)
	})
}

// quoteShell writes a text so that a POSIX shell reads it as one word, byte for byte.
func quoteShell(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
