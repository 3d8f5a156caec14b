package schemas

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// finding is a violation with its raw location.
type finding struct {
	at     []string
	detail string
}

// Bounds of what is looked at and put into words: hostile data could be wrong in hundreds of thousands of places.
const (
	maxLocated   = 10_000
	maxDescribed = 10 * maxViolations
)

// located is a violation that is not in words yet.
type located struct {
	at       []string
	describe func() string
}

// findings flattens the validator's tree. Where all alternatives of a schema fail, it reports the value once and not each
// alternative, because it is unknown which one was meant.
func findings(e *jsonschema.ValidationError) []finding {
	var found []located
	collect(e, &found)
	slices.SortStableFunc(found, func(a, b located) int { return slices.Compare(a.at, b.at) })
	var all []finding
	for _, f := range found[:min(len(found), maxDescribed)] {
		all = append(all, finding{f.at, f.describe()})
	}
	slices.SortFunc(all, func(a, b finding) int {
		return cmp.Or(slices.Compare(a.at, b.at), strings.Compare(a.detail, b.detail))
	})
	all = slices.CompactFunc(all, func(a, b finding) bool { return slices.Equal(a.at, b.at) && a.detail == b.detail })
	return all[:min(len(all), maxViolations)]
}

func collect(e *jsonschema.ValidationError, all *[]located) {
	add := func(describe func() string, below ...string) {
		if len(*all) < maxLocated {
			*all = append(*all, located{slices.Concat(e.InstanceLocation, below), describe})
		}
	}
	says := func(text string) func() string { return func() string { return text } }
	switch k := e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		for _, cause := range e.Causes {
			collect(cause, all)
		}
	case *kind.Required:
		for _, name := range k.Missing {
			add(says("is required"), name)
		}
	case *kind.DependentRequired:
		for _, name := range k.Missing {
			add(func() string { return fmt.Sprintf("is required where there is %s", shown(k.Prop)) }, name)
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			add(says("is not allowed"), name)
		}
	case *kind.PropertyNames:
		// The validator reuses the memory of this location, so the finding is reported at the root.
		if len(*all) < maxLocated {
			*all = append(*all, located{nil, func() string {
				return fmt.Sprintf("has a member named %s where that is not allowed", shown(k.Property))
			}})
		}
	default:
		add(func() string { return detail(e.ErrorKind) })
	}
}

// detail says what is wrong with one value.
func detail(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("is %s, not %s", typeNames[k.Got], either(k.Want, func(name string) string { return typeNames[name] }))
	case *kind.Const:
		return fmt.Sprintf("is %s, not %s", shown(k.Got), shown(k.Want))
	case *kind.Enum:
		return fmt.Sprintf("is %s, not %s", shown(k.Got), either(k.Want, shown))
	case *kind.Format:
		return fmt.Sprintf("is %s, which is not of the format %s", shown(k.Got), k.Want)
	case *kind.Pattern:
		return fmt.Sprintf("is %s, which does not match %s", shown(k.Got), k.Want)
	case *kind.Minimum:
		return "is below " + number(k.Want)
	case *kind.Maximum:
		return "is above " + number(k.Want)
	case *kind.ExclusiveMinimum:
		return "is not above " + number(k.Want)
	case *kind.ExclusiveMaximum:
		return "is not below " + number(k.Want)
	case *kind.MultipleOf:
		return "is not a multiple of " + number(k.Want)
	case *kind.OneOf:
		if len(k.Subschemas) > 1 {
			return "fits more than one of the forms that exclude each other"
		}
		return "fits none of the possible forms"
	case *kind.AnyOf:
		return "fits none of the possible forms"
	case *kind.FalseSchema:
		return "is not allowed"
	case *kind.Not:
		return "is what the schema excludes"
	default:
		return sizeDetail(k)
	}
}

// sizeDetail says what is wrong with a length or a count.
func sizeDetail(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.MinLength:
		return fmt.Sprintf("is %d characters long; at least %d are needed", k.Got, k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("is %d characters long; at most %d fit", k.Got, k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("has %d items; at least %d are needed", k.Got, k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("has %d items; at most %d fit", k.Got, k.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("has %d members; at least %d are needed", k.Got, k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("has %d members; at most %d fit", k.Got, k.Want)
	case *kind.UniqueItems:
		return fmt.Sprintf("has the same item at %d and %d", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains, *kind.MinContains:
		return "lacks an item that is needed"
	case *kind.MaxContains:
		return "has too many items of one kind"
	default:
		return fmt.Sprintf("breaks the schema's %q", strings.Join(k.KeywordPath(), "/"))
	}
}

var typeNames = map[string]string{
	"null": "null", "boolean": "true or false", "number": "a number", "integer": "a whole number",
	"string": "text", "array": "a list", "object": "an object",
}

// either lists alternatives: "a", "a or b", "a, b or c".
func either[T any](all []T, text func(T) string) string {
	texts := make([]string, len(all))
	for i, v := range all {
		texts[i] = text(v)
	}
	last := len(texts) - 1
	if last < 1 {
		return strings.Join(texts, "")
	}
	return strings.Join(texts[:last], ", ") + " or " + texts[last]
}

// maxShown is how many characters of a value an error repeats.
const maxShown = 60

// shown writes a value as JSON, cut when it is long.
func shown(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "a value"
	}
	text := []rune(strings.TrimSuffix(b.String(), "\n"))
	if len(text) > maxShown {
		return string(text[:maxShown]) + "..."
	}
	return string(text)
}

// number writes a bound in decimal, without trailing zeros.
func number(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	return strings.TrimRight(r.FloatString(20), "0")
}
