package dashboard

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// schemaRow is a field of a JSON Schema as a person reads it.
type schemaRow struct {
	// Field is the path of the field: "buyer.address.city", "items[].sku".
	Field    string
	Type     string
	Required bool
	// Rule says what else must hold: the values it may have, its format, its bounds.
	Rule        string
	Description string
}

// Bounds of a table: a schema may be deep and wide.
const (
	maxSchemaDepth = 6
	maxSchemaRows  = 200
)

// schema are the keywords of a JSON Schema that a table can show.
type schema struct {
	Type        any                        `json:"type"`
	Description string                     `json:"description"`
	Properties  map[string]json.RawMessage `json:"properties"`
	Items       json.RawMessage            `json:"items"`
	Required    []string                   `json:"required"`
	Enum        []json.RawMessage          `json:"enum"`
	Const       json.RawMessage            `json:"const"`
	Format      string                     `json:"format"`
	Pattern     string                     `json:"pattern"`
	Minimum     json.RawMessage            `json:"minimum"`
	Maximum     json.RawMessage            `json:"maximum"`
	Above       json.RawMessage            `json:"exclusiveMinimum"`
	Below       json.RawMessage            `json:"exclusiveMaximum"`
	MinLength   json.RawMessage            `json:"minLength"`
	MaxLength   json.RawMessage            `json:"maxLength"`
	Ref         string                     `json:"$ref"`
}

// schemaTable lists the fields of a JSON Schema in the order of their names. What a table cannot show, such as alternatives, is in the
// schema's text, which the page has too.
func schemaTable(raw json.RawMessage) []schemaRow {
	var rows []schemaRow
	addFields(&rows, raw, "", 0)
	return rows
}

func addFields(rows *[]schemaRow, raw json.RawMessage, prefix string, depth int) {
	var s schema
	if depth > maxSchemaDepth || json.Unmarshal(raw, &s) != nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if len(*rows) >= maxSchemaRows {
			return
		}
		addField(rows, s.Properties[name], prefix+name, slices.Contains(s.Required, name), depth)
	}
}

func addField(rows *[]schemaRow, raw json.RawMessage, path string, required bool, depth int) {
	var s schema
	if json.Unmarshal(raw, &s) != nil { // true or false: anything, or nothing
		*rows = append(*rows, schemaRow{Field: path, Type: "any", Required: required})
		return
	}
	*rows = append(*rows, schemaRow{Field: path, Type: s.typeText(), Required: required, Rule: s.rule(), Description: s.Description})
	addFields(rows, raw, path+".", depth+1)
	if len(s.Items) > 0 {
		addFields(rows, s.Items, path+"[].", depth+1)
	}
}

// typeText is "string", or "string or null".
func (s *schema) typeText() string {
	switch t := s.Type.(type) {
	case string:
		return t
	case []any:
		var names []string
		for _, name := range t {
			if text, ok := name.(string); ok {
				names = append(names, text)
			}
		}
		return strings.Join(names, " or ")
	}
	if s.Ref != "" {
		return s.Ref
	}
	return "any"
}

// rule spells the bounds of a value.
func (s *schema) rule() string {
	var parts []string
	add := func(words string, value json.RawMessage) {
		if len(value) > 0 {
			parts = append(parts, words+string(value))
		}
	}
	add("is ", s.Const)
	if len(s.Enum) > 0 {
		var values []string
		for _, value := range s.Enum {
			values = append(values, string(value))
		}
		parts = append(parts, "one of "+strings.Join(values, ", "))
	}
	if s.Format != "" {
		parts = append(parts, s.Format)
	}
	if s.Pattern != "" {
		parts = append(parts, "matches "+s.Pattern)
	}
	add("at least ", s.Minimum)
	add("at most ", s.Maximum)
	add("above ", s.Above)
	add("below ", s.Below)
	add("at least so many characters: ", s.MinLength)
	add("at most so many characters: ", s.MaxLength)
	return strings.Join(parts, "; ")
}
