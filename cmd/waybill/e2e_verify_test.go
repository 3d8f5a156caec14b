package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The files named e2e_verify_ are receivers as a partner would write them from the platform's document alone.

// member is one member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// members reads a JSON object in the order in which it is written.
func members(object []byte) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("%s is not a JSON object", object)
	}
	var out []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: fmt.Sprint(name)}
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	_, err := d.Token()
	return out, err
}

// envelope reads a body that has to have these members, in this order and no others.
func envelope(body []byte, names ...string) (map[string]json.RawMessage, error) {
	found, err := members(body)
	if err != nil {
		return nil, err
	}
	var order []string
	values := map[string]json.RawMessage{}
	for _, m := range found {
		order = append(order, m.name)
		values[m.name] = m.value
	}
	if !slices.Equal(order, names) {
		return nil, fmt.Errorf("the members are %q, not %q", order, names)
	}
	return values, nil
}

// text reads a JSON string.
func text(value json.RawMessage) string {
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return "not a string: " + string(value)
	}
	return s
}

var (
	isoSeconds = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$`)
	uuidForm   = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

// header expects a header to be there once, with exactly this value.
func header(h http.Header, name, value string) error {
	if got := h.Values(name); len(got) != 1 || got[0] != value {
		return fmt.Errorf("the header %s is %q, not %q", name, got, value)
	}
	return nil
}

// recent expects Unix seconds that are not far from now.
func recent(seconds string) error {
	var at int64
	if _, err := fmt.Sscanf(seconds, "%d", &at); err != nil || fmt.Sprint(at) != seconds {
		return fmt.Errorf("%q are not Unix seconds", seconds)
	}
	if off := time.Since(time.Unix(at, 0)).Abs(); off > 10*time.Second {
		return fmt.Errorf("%s are %s from now", seconds, off)
	}
	return nil
}

// same reports whether two JSON texts differ in nothing but white space.
func same(a, b []byte) bool {
	var one, two bytes.Buffer
	return json.Compact(&one, a) == nil && json.Compact(&two, b) == nil && strings.TrimSpace(one.String()) == strings.TrimSpace(two.String())
}
