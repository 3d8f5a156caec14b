package webhook

import (
	"strings"
	"unicode"
)

// ObeyedByTerminals reports whether a character does something other than to stand there: a control character, or one that
// shows the text after it in another order (the embeddings, overrides and isolates of Unicode's Annex 9). Texts of others are
// shown by terminals, logs and mails.
func ObeyedByTerminals(r rune) bool {
	return unicode.IsControl(r) || '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069'
}

// IsLine reports whether text is one line that shows as what it is.
func IsLine(text string) bool { return !strings.ContainsFunc(text, ObeyedByTerminals) }

// notLine is what is wrong with a text that is no line.
const notLine = "has a line break or another control character"

// isLines is IsLine for a text that may have several lines and tabs.
func isLines(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && ObeyedByTerminals(r) })
}
