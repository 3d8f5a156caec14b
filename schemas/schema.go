package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is a compiled JSON Schema (2020-12). It is safe for concurrent use.
type Schema struct{ compiled *jsonschema.Schema }

// Violation is one difference between data and its schema.
type Violation struct {
	// Path leads to the value: "data", "data/salePrice", "data/items/0". As in a JSON Pointer, ~ and / within a name are
	// written ~0 and ~1.
	Path string
	// Detail completes a sentence that begins with the path: "is required", "is text, not a number".
	Detail string
}

// Compile reads a JSON Schema. Formats are asserted. A schema cannot refer to anything outside itself: no file and no
// address is ever loaded. name identifies the schema in errors.
func Compile(name string, schema []byte) (*Schema, error) {
	doc, err := decode(schema)
	if err != nil {
		return nil, fmt.Errorf("schema %s: is not JSON: %w", name, err)
	}
	return compile(name, doc)
}

func compile(name string, doc any) (*Schema, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(noLoader{})
	location := "schema:///" + url.PathEscape(name)
	if err := c.AddResource(location, doc); err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	compiled, err := c.Compile(location)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	if compiled.DraftVersion != 2020 {
		return nil, fmt.Errorf("schema %s: is of another draft than 2020-12", name)
	}
	return &Schema{compiled}, nil
}

// noLoader refuses to load what a schema refers to.
type noLoader struct{}

// Load fails.
func (noLoader) Load(string) (any, error) {
	return nil, errors.New("a schema cannot refer to anything outside itself")
}

// maxViolations bounds an answer. A client that sends a thousand wrong items learns enough from the first ones.
const maxViolations = 20

// Check returns what is wrong with data, ordered by path, at most 20 violations; nil when data fits the schema.
func (s *Schema) Check(data []byte) []Violation {
	found, err := s.find(data)
	if err != nil {
		return []Violation{{"data", "is not JSON: " + err.Error()}}
	}
	return violations("data", found)
}

func violations(root string, found []finding) []Violation {
	var out []Violation
	for _, f := range found {
		out = append(out, Violation{path(root, f.at), f.detail})
	}
	return out
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

func path(root string, at []string) string {
	var b strings.Builder
	b.WriteString(root)
	for _, step := range at {
		b.WriteByte('/')
		b.WriteString(pointerEscape.Replace(step))
	}
	return b.String()
}

// find returns an error only when data is not JSON.
func (s *Schema) find(data []byte) ([]finding, error) {
	v, err := decode(data)
	if err != nil {
		return nil, err
	}
	return s.findIn(v)
}

// findIn is find for data that is decoded. It changes v.
func (s *Schema) findIn(v any) ([]finding, error) {
	err := s.compiled.Validate(tame(v))
	if err == nil {
		return nil, nil
	}
	var broken *jsonschema.ValidationError
	if !errors.As(err, &broken) {
		return nil, err
	}
	return findings(broken), nil
}

func decode(data []byte) (any, error) {
	return jsonschema.UnmarshalJSON(bytes.NewReader(data))
}

// maxExponent is far larger than any number that a schema compares with.
const maxExponent = 1000

// tame replaces numbers like 1e999999, in place, by smaller ones with the same result. Computing with the original would
// take seconds, and from 1e1000001 on the validator panics.
func tame(v any) any {
	switch v := v.(type) {
	case json.Number:
		return tameNumber(v)
	case []any:
		for i, item := range v {
			v[i] = tame(item)
		}
	case map[string]any:
		for name, member := range v {
			switch member.(type) {
			case json.Number, []any, map[string]any:
				v[name] = tame(member)
			}
		}
	}
	return v
}

func tameNumber(n json.Number) json.Number {
	i := strings.IndexAny(string(n), "eE")
	if i < 0 {
		return n
	}
	mantissa, digits := string(n[:i]), string(n[i+1:])
	if strings.Trim(mantissa, "-0.") == "" {
		return "0"
	}
	exponent, err := strconv.Atoi(digits)
	switch {
	case err == nil && exponent >= -maxExponent && exponent <= maxExponent:
		return n
	case strings.HasPrefix(digits, "-"):
		return json.Number(fmt.Sprintf("%se-%d", mantissa, maxExponent))
	default:
		return json.Number(fmt.Sprintf("%se%d", mantissa, maxExponent))
	}
}
