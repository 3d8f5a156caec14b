package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"waybill/webhook"
)

// functions are what templates may call besides methods of the call.
func functions(a assets) template.FuncMap {
	return template.FuncMap{
		"asset":    a.url,
		"when":     when,
		"ms":       duration,
		"count":    count,
		"percent":  percent,
		"spell":    spell,
		"pretty":   pretty,
		"shorten":  shorten,
		"visible":  visible,
		"sentence": sentence,
		"headers":  headerLines,
		"dict":     dict,
		"json":     jsonText,
		"list":     func(items ...string) []string { return items },
		"many":     many,
		"less":     func(a, b int) int { return a - b },
	}
}

// moment is a time as a page shows it: the text is relative to now, and the script adds the viewer's own zone.
type moment struct{ ISO, Text, UTC string }

// when takes a time.Time or a *time.Time; nil and zero give nil. now is the page's moment.
func when(c *call, at any) *moment {
	t, ok := at.(time.Time)
	if p, isPointer := at.(*time.Time); isPointer && p != nil {
		t, ok = *p, true
	}
	if !ok || t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &moment{ISO: t.Format(time.RFC3339Nano), Text: relative(t.Sub(c.now)), UTC: t.Format("2006-01-02 15:04:05.000") + " UTC"}
}

// relative says how far a moment is from now: above 0 it is to come.
func relative(d time.Duration) string {
	switch {
	case d > -5*time.Second && d < 5*time.Second:
		return "now"
	case d > 0:
		return "in " + largest(d)
	default:
		return largest(-d) + " ago"
	}
}

// largest spells a duration above 0 in its largest unit.
func largest(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / unit.length); n > 0 {
			return plural(n, unit.name)
		}
	}
	return plural(int(d/time.Second), "second")
}

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return strconv.Itoa(n) + " " + unit + "s"
}

// many writes a number of things: "1 delivery", "1,500 deliveries".
func many(n any, one, several string) string {
	if text := count(n); text != "1" {
		return text + " " + several
	}
	return "1 " + one
}

// spell writes a duration as people do: "2 h 30 min". Zero is "at once".
func spell(d time.Duration) string {
	if d <= 0 {
		return "at once"
	}
	if d < time.Second {
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	}
	var parts []string
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / unit.length; n > 0 && len(parts) < 2 {
			parts = append(parts, strconv.Itoa(int(n))+" "+unit.name)
			d -= n * unit.length
		}
	}
	return strings.Join(parts, " ")
}

// duration writes milliseconds.
func duration(ms int64) string {
	if ms == 0 {
		return "<1 ms"
	}
	if ms < 10_000 {
		return strconv.FormatInt(ms, 10) + " ms"
	}
	return strconv.FormatFloat(float64(ms)/1000, 'f', 1, 64) + " s"
}

// count writes an integer, or what a pointer to one points to, with separators of thousands.
func count(n any) string {
	text := fmt.Sprint(reflect.Indirect(reflect.ValueOf(n)))
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// percent writes a share; what is not quite all is not 100 %.
func percent(share *float64) string {
	switch {
	case share == nil:
		return "none yet"
	case *share > 0.999 && *share < 1:
		return "99.9 %"
	default:
		return strconv.FormatFloat(*share*100, 'f', 1, 64) + " %"
	}
}

// maxIndented is how large JSON may become that is indented. A few thousand brackets, each within the one before, would become hundreds of
// megabytes of spaces, and so would many short values within a few dozen.
const maxIndented = 4 << 20

// pretty indents JSON; any other text stays as it is.
func pretty(text string) string {
	if indented(text) > maxIndented {
		return text
	}
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(text), "", "  "); err != nil {
		return text
	}
	return out.String()
}

// indented is how large a text becomes at most, counting the brackets and commas within strings too.
func indented(text string) int {
	size, deep := len(text), 0
	for i := range len(text) {
		switch text[i] {
		case '[', '{':
			deep++
			size += 1 + 2*deep
		case ']', '}':
			deep = max(deep-1, 0)
			size += 1 + 2*deep
		case ',':
			size += 1 + 2*deep
		case ':':
			size++
		}
	}
	return size
}

// shorten cuts a text at so many characters.
func shorten(length int, text string) string {
	if utf8.RuneCountInString(text) <= length {
		return text
	}
	return string([]rune(text)[:length]) + "…"
}

// sentence writes what the API says as a sentence: its texts begin small and have no full stop at their end.
func sentence(text string) string {
	if text == "" || strings.ContainsRune(".!?", rune(text[len(text)-1])) {
		return text
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:] + "."
}

// dict hands several values to a template: "name", value, "name", value.
func dict(pairs ...any) (map[string]any, error) {
	out := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		out[name] = pairs[i+1]
	}
	return out, nil
}

// jsonText writes a value as JSON into an attribute, for a script to read.
func jsonText(value any) (string, error) {
	text, err := json.Marshal(value)
	return string(text), err
}

// Word is what the tenant's platform calls a status.
func (c *call) Word(s webhook.Status) string {
	if c.Dialect != nil && c.Dialect.StatusWords[s] != "" {
		return c.Dialect.StatusWords[s]
	}
	return string(s)
}
