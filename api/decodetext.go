package api

import (
	"bytes"
	"encoding/json"
	"iter"
	"reflect"
	"strings"
	"time"

	"waybill/webhook"
)

// jsonSpace is the white space of JSON.
const jsonSpace = " \t\r\n"

// optional is a member of a merge patch (RFC 7396): left out, null, or a value.
type optional[T any] struct {
	given bool
	value *T
}

// readJSON is what tells null from a member that was left out.
func (o *optional[T]) readJSON(d *decoder, path string, text []byte) {
	o.given = true
	if string(text) == "null" {
		return
	}
	o.value = new(T)
	d.value(path, text, reflect.ValueOf(o.value).Elem())
}

// into sets the field when the member was given; null sets the zero value.
func (o optional[T]) into(field *T) {
	if o.given {
		*field = o.orZero()
	}
}

// intoPointer is into for a field where nil means "not set".
func (o optional[T]) intoPointer(field **T) {
	if o.given {
		*field = o.value
	}
}

func (o optional[T]) orZero() T {
	if o.value == nil {
		var zero T
		return zero
	}
	return *o.value
}

// members yields the members of a JSON object in valid JSON text, each value without the white space around it.
func members(text []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for rest := inside(text); len(rest) > 0; {
			name := rest[:stringEnd(rest)]
			rest = bytes.TrimLeft(rest[len(name):], jsonSpace+":")
			end := valueEnd(rest)
			if !yield(unquote(name), rest[:end:end]) {
				return
			}
			rest = bytes.TrimLeft(rest[end:], jsonSpace+",")
		}
	}
}

// elements yields the elements of a JSON array in valid JSON text.
func elements(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := inside(text); len(rest) > 0; {
			end := valueEnd(rest)
			if !yield(rest[:end:end]) {
				return
			}
			rest = bytes.TrimLeft(rest[end:], jsonSpace+",")
		}
	}
}

// inside returns what stands between the brackets.
func inside(text []byte) []byte { return bytes.Trim(text[1:len(text)-1], jsonSpace) }

// stringEnd returns the length of the JSON string that text starts with.
func stringEnd(text []byte) int {
	i := 1
	for text[i] != '"' {
		if text[i] == '\\' {
			i++
		}
		i++
	}
	return i + 1
}

// valueEnd returns the length of the JSON value that text starts with.
func valueEnd(text []byte) int {
	if text[0] != '{' && text[0] != '[' && text[0] != '"' {
		if end := bytes.IndexAny(text, jsonSpace+",]}"); end >= 0 {
			return end
		}
		return len(text)
	}
	depth := 0
	for i := 0; ; i++ {
		switch text[i] {
		case '"':
			i += stringEnd(text[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if depth == 0 {
			return i + 1
		}
	}
}

// unquote reads a JSON string that is known to be valid.
func unquote(text []byte) string {
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text[1 : len(text)-1])
	}
	var s string
	_ = json.Unmarshal(text, &s)
	return s
}

var rawType = reflect.TypeFor[json.RawMessage]()

// kindNames says what a Go kind is in JSON.
var kindNames = map[reflect.Kind]string{
	reflect.String: "text", reflect.Bool: "true or false",
	reflect.Int: "a number", reflect.Int64: "a number", reflect.Float64: "a number",
}

// kindOf says what a JSON value is.
func kindOf(text []byte) string {
	switch text[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "text"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

func fieldNamed(v reflect.Value, name string) reflect.Value {
	for i := range v.NumField() {
		if jsonName(v.Type().Field(i)) == name {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

func fieldNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = jsonName(t.Field(i))
	}
	return names
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// unmarshalDetail says in a caller's words why a value could not be read.
func unmarshalDetail(target any, err error) string {
	switch target.(type) {
	case *time.Time:
		return `is a moment in RFC 3339 such as "2026-05-27T14:32:00Z"`
	case *webhook.Duration:
		return "is not acceptable: " + err.Error()
	default:
		return "is not acceptable"
	}
}
