package webhook

import (
	"strings"
	"unicode"
)

// obeyedByTerminals reports whether a character does something other than to stand there: a control character, or one that
// shows the text after it in another order (the embeddings, overrides and isolates of Unicode's Annex 9). Texts of others are
// shown by terminals, logs and mails.
func obeyedByTerminals(r rune) bool {
	return unicode.IsControl(r) || '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069'
}

// IsLine reports whether text is one line that shows as what it is.
func IsLine(text string) bool { return !strings.ContainsFunc(text, obeyedByTerminals) }

// notLine is what is wrong with a text that is no line.
const notLine = "has a line break or another control character"

// CleanLine returns text of somebody else as one line that shows as what it is, valid UTF-8 (Postgres refuses NUL) and at most
// most bytes long. Each character that IsLine refuses becomes a space.
func CleanLine(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if obeyedByTerminals(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}

// Cut returns text if it is at most most bytes long, otherwise its beginning and "...".
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// isLines is IsLine for a text that may have several lines and tabs.
func isLines(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && obeyedByTerminals(r) })
}
