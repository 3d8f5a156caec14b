package webhook

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// match reads the values of a template's placeholders from a text that was made of it.
func (t Template) match(text string) (map[string]string, bool) {
	var pattern strings.Builder
	var names []string
	pattern.WriteString(`^`)
	rest := string(t)
	for {
		before, after, ok := strings.Cut(rest, "{")
		pattern.WriteString(regexp.QuoteMeta(before))
		if !ok {
			break
		}
		name, tail, _ := strings.Cut(after, "}")
		names = append(names, name)
		pattern.WriteString(`(.*?)`)
		rest = tail
	}
	pattern.WriteString(`$`)
	re, err := regexp.Compile(pattern.String())
	if err != nil {
		return nil, false // a template of another alphabet than UTF-8
	}
	found := re.FindStringSubmatch(text)
	if found == nil {
		return nil, false
	}
	out := map[string]string{}
	for i, name := range names {
		out[name] = found[i+1]
	}
	return out, true
}

// uses reports whether the template has a placeholder.
func (t Template) uses(name string) bool { return strings.Contains(string(t), "{"+name+"}") }

// literal is the template's text before its first placeholder.
func (t Template) literal() string {
	before, _, _ := strings.Cut(string(t), "{")
	return before
}

// readHeaders reads values from the headers that a dialect fills in.
func (r *received) readHeaders(d *Dialect) {
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		if !isTemplate(d.Headers[name]) {
			continue
		}
		given, ok := r.header(name)
		if !ok {
			continue
		}
		found, _ := Template(d.Headers[name]).match(given)
		for placeholder, value := range found {
			r.learn(placeholder, value)
		}
	}
}

// readEnvelope reads values from the body, where the headers do not have them.
func (r *received) readEnvelope() {
	var members map[string]json.RawMessage
	if json.Unmarshal(r.Body, &members) != nil {
		return
	}
	for _, f := range r.Dialect.Envelope {
		name, ok := map[Source]string{FromEventID: "event_id", FromDeliveryID: "delivery_id", FromType: "type"}[f.From]
		var value string
		if ok && json.Unmarshal(members[f.Name], &value) == nil {
			r.learn(name, value)
		}
	}
}

// learn keeps the first value of a placeholder.
func (r *received) learn(name, value string) {
	if _, known := r.values[name]; !known && value != "" {
		r.values[name] = value
	}
}

// missing returns the header that a placeholder of a template is read from and that was not given; "": nothing is missing.
func (r *received) missing(d *Dialect, t Template, given map[string]string) string {
	for _, name := range inputPlaceholders {
		if !t.uses(name) || name == "body" || r.values[name] != "" || given[name] != "" {
			continue
		}
		for _, header := range slices.Sorted(maps.Keys(d.Headers)) {
			if Template(d.Headers[header]).uses(name) {
				return "the signature covers the header " + header + ", which is not among those given"
			}
		}
		return "the signature covers the " + strings.ReplaceAll(name, "_", " ") + ", which the body does not have"
	}
	return ""
}

// text fills in a template with a body. given has the values that the signature's own header carries.
func (r *received) text(t Template, given map[string]string, body []byte) []byte {
	var out []byte
	t.expand(func(name string) []byte {
		if name == "body" {
			return body
		}
		if value, ok := given[name]; ok {
			return []byte(value)
		}
		return []byte(r.values[name])
	}, func(part []byte) { out = append(out, part...) })
	return out
}
