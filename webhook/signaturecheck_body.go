package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// candidateBody is a body that may have been sent in place of the one given.
type candidateBody struct {
	bytes []byte
	// note says what happened to it on the way.
	note string
}

// What becomes of a body on the way.
const (
	noteRewritten = "the body is not byte for byte what was sent: its JSON has the same meaning, so it was parsed and written again"
	noteSpace     = "the body is not byte for byte what was sent: white space at its beginning or end differs"
	noteLines     = "the body is not byte for byte what was sent: its line breaks were changed"
)

// sentBodies returns the bodies that may have been sent in place of the one given: the one that was, if it is known, and otherwise
// those that Waybill might have written before somebody parsed them and wrote them again.
func (r *received) sentBodies() []candidateBody {
	if r.bodies != nil {
		return r.bodies
	}
	if r.Sent != nil && !bytes.Equal(r.Sent, r.Body) {
		r.bodies = append(r.bodies, candidateBody{r.Sent, difference(r.Sent, r.Body)})
	}
	add := func(body []byte, note string) {
		if body != nil && !bytes.Equal(body, r.Body) {
			r.bodies = append(r.bodies, candidateBody{body, note})
		}
	}
	add(bytes.TrimSpace(r.Body), noteSpace)
	add(append(bytes.TrimSpace(r.Body), '\n'), noteSpace)
	add(bytes.ReplaceAll(r.Body, []byte("\r\n"), []byte("\n")), noteLines)
	for _, body := range r.Dialect.rewritings(r.Body) {
		add(body, noteRewritten)
	}
	return r.bodies
}

// bodyNote finds the body that was sent in place of the one given, and says what happened to it; "": it is not found.
func (r *received) bodyNote(fits func(body []byte) bool) string {
	for _, b := range r.sentBodies() {
		if fits(b.bytes) {
			return b.note
		}
	}
	return ""
}

// difference says how a body differs from the one that was sent.
func difference(sent, given []byte) string {
	switch {
	case bytes.Equal(bytes.TrimSpace(sent), bytes.TrimSpace(given)):
		return noteSpace
	case bytes.Equal(sent, bytes.ReplaceAll(given, []byte("\r\n"), []byte("\n"))):
		return noteLines
	case sameJSON(sent, given):
		return noteRewritten
	}
	at := 0
	for at < len(sent) && at < len(given) && sent[at] == given[at] {
		at++
	}
	return fmt.Sprintf("the body is not what was sent: it has %d bytes where %d were sent, and differs from byte %d on", len(given), len(sent), at+1)
}

// sameJSON reports whether two texts are JSON of the same meaning.
func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

var unicodeEscape = regexp.MustCompile(`\\u[0-9a-fA-F]{4}(?:\\u[dD][c-fC-F][0-9a-fA-F]{2})?`)

// rewritings returns what Waybill may have sent where the given text is the same JSON in another form: without white space, with
// characters escaped or not, and with the envelope's members in the order of the dialect.
func (d *Dialect) rewritings(given []byte) [][]byte {
	var buf bytes.Buffer
	if json.Compact(&buf, given) != nil {
		return nil
	}
	compact := buf.Bytes()
	plain := bytes.ReplaceAll(compact, []byte(`\/`), []byte(`/`))
	plain = unicodeEscape.ReplaceAllFunc(plain, unescape)
	var ascii bytes.Buffer
	writeRaw(&ascii, plain, true)
	out := [][]byte{compact, plain, ascii.Bytes()}
	for _, text := range out[:3] {
		if ordered := d.inOrder(text); ordered != nil {
			out = append(out, ordered)
		}
	}
	return out
}

// unescape turns an escape into the character that it stands for, unless it has to be escaped in JSON.
func unescape(escape []byte) []byte {
	units := make([]uint16, 0, 2)
	for i := 2; i < len(escape); i += 6 {
		n, _ := strconv.ParseUint(string(escape[i:i+4]), 16, 16) // the pattern says so
		units = append(units, uint16(n))
	}
	text := string(utf16.Decode(units))
	if strings.ContainsAny(text, "\"\\\uFFFD") || text < " " {
		return escape
	}
	return []byte(text)
}

// inOrder writes the envelope's members in the order of the dialect; nil: they are others.
func (d *Dialect) inOrder(text []byte) []byte {
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		return nil
	}
	out := []byte{'{'}
	for _, f := range d.Envelope {
		value, ok := members[f.Name]
		if !ok {
			continue
		}
		delete(members, f.Name)
		if len(out) > 1 {
			out = append(out, ',')
		}
		name, _ := json.Marshal(f.Name) // a text always encodes
		out = append(append(append(out, name...), ':'), value...)
	}
	if len(members) > 0 {
		return nil
	}
	return append(out, '}')
}
