package schemas

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Bounds of a check against a schema that a tenant wrote.
const (
	// maxDataDepth is how deep data may be nested.
	maxDataDepth = 32
	// maxDataNumber is how many characters a number in it may have.
	maxDataNumber = 1000
	// maxUnits is what one check may cost; see node.weigh. It takes some tenths of a second at most.
	maxUnits = 200_000
	// largeUnits is what a check costs that waits for its turn.
	largeUnits = 20_000
	// leastSize is how many values any schema must be able to check.
	leastSize = 100
	// bytesPerUnit is how many bytes of data cost as much as a value.
	bytesPerUnit = 16
)

// OwnSchema is a compiled schema that a tenant wrote, with what its checks cost. It is safe for concurrent use.
type OwnSchema struct {
	schema *Schema
	// subschemas are how many schemas it is made of, and weight what it costs to check one value.
	subschemas, weight int
}

// CompileOwn is Compile for a schema that a tenant wrote, within bounds, so that neither its compilation nor any check is long or
// takes much memory. Every wrong place is a violation, with a path that begins with "schema"; nil when there is none.
func CompileOwn(schema []byte) (*OwnSchema, []Violation) {
	if len(schema) > MaxSchemaBytes {
		return nil, []Violation{{"schema", fmt.Sprintf("has %d bytes; at most %d fit", len(schema), MaxSchemaBytes)}}
	}
	doc, err := decode(schema)
	if err != nil {
		return nil, []Violation{{"schema", "is not JSON: " + err.Error()}}
	}
	own := &OwnSchema{}
	if own.subschemas, own.weight, err = measure(doc); err != nil {
		return nil, []Violation{{"schema", err.Error()}}
	}
	if own.weight > maxUnits/leastSize {
		return nil, []Violation{{"schema", "looks at a value too often: schemas that it refers to, or that are in an allOf and the like, multiply"}}
	}
	own.schema, err = compile("own", doc)
	var broken *jsonschema.SchemaValidationError
	var how *jsonschema.ValidationError
	switch {
	case err == nil:
		return own, nil
	case errors.As(err, &broken) && errors.As(broken.Err, &how):
		return nil, violations("schema", findings(how))
	default:
		return nil, []Violation{{"schema", "is not a JSON Schema: " + err.Error()}}
	}
}

// Check is Schema.Check. Data that would cost too much to check is a violation: it is too large for a schema that checks each of
// its values so often.
func (o *OwnSchema) Check(data []byte) []Violation {
	v, _, wrong := o.read(data)
	if wrong != nil {
		return wrong
	}
	return o.check(v)
}

// read decodes data and tells what its check costs.
func (o *OwnSchema) read(data []byte) (v any, units int, wrong []Violation) {
	v, err := decode(data)
	if err != nil {
		return nil, 0, []Violation{{"data", "is not JSON: " + err.Error()}}
	}
	size, err := measureData(v, 1)
	if err != nil {
		return nil, 0, []Violation{{"data", err.Error()}}
	}
	size += len(data) / bytesPerUnit
	if size > maxUnits/o.weight {
		return nil, 0, []Violation{{"data", fmt.Sprintf("is too large to be checked: the schema looks at a value up to %d times", o.weight)}}
	}
	return v, size * o.weight, nil
}

func (o *OwnSchema) check(v any) []Violation {
	found, err := o.schema.findIn(v)
	if err != nil {
		return []Violation{{"data", "cannot be checked"}}
	}
	return violations("data", found)
}

// measureData counts the values of data, and refuses what a check could take long for.
func measureData(v any, depth int) (int, error) {
	if depth > maxDataDepth {
		return 0, fmt.Errorf("is nested deeper than %d, which data of a tenant's own event type cannot be", maxDataDepth)
	}
	n := 1
	switch v := v.(type) {
	case json.Number:
		if len(v) > maxDataNumber {
			return 0, fmt.Errorf("has a number of more than %d characters", maxDataNumber)
		}
	case []any:
		for _, item := range v {
			below, err := measureData(item, depth+1)
			if err != nil {
				return 0, err
			}
			n += below
		}
	case map[string]any:
		for _, member := range v {
			below, err := measureData(member, depth+1)
			if err != nil {
				return 0, err
			}
			n += below
		}
	}
	return n, nil
}

// maxKept is how many subschemas the compiled schemas of all tenants together may have: about 2 KiB each.
const maxKept = 20_000

// Own checks data against schemas that tenants wrote. It keeps the compiled ones, within a bound.
type Own struct {
	mu         sync.Mutex
	compiled   map[[sha256.Size]byte]*OwnSchema
	subschemas int
	// large lets few large checks run at a time, because of the memory that each may take.
	large chan struct{}
}

// NewOwn returns an Own that keeps nothing yet.
func NewOwn() *Own {
	return &Own{compiled: map[[sha256.Size]byte]*OwnSchema{}, large: make(chan struct{}, 2)}
}

// Check is OwnSchema.Check with a schema whose SHA-256 is sum.
func (o *Own) Check(sum [sha256.Size]byte, schema, data []byte) []Violation {
	s, ok := o.find(sum)
	if !ok {
		var wrong []Violation
		if s, wrong = CompileOwn(schema); wrong != nil { // an earlier version took it
			return []Violation{{"data", "cannot be checked, because the schema of its event type is refused by now: store it again"}}
		}
		o.keep(sum, s)
	}
	v, units, wrong := s.read(data)
	if wrong != nil {
		return wrong
	}
	if units > largeUnits {
		o.large <- struct{}{}
		defer func() { <-o.large }()
	}
	return s.check(v)
}

func (o *Own) find(sum [sha256.Size]byte) (*OwnSchema, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s, ok := o.compiled[sum]
	return s, ok
}

// keep begins anew when there is no room, which is rare: the schemas that are in use are compiled again.
func (o *Own) keep(sum [sha256.Size]byte, s *OwnSchema) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.compiled[sum]; ok {
		return
	}
	if o.subschemas += s.subschemas; o.subschemas > maxKept {
		clear(o.compiled)
		o.subschemas = s.subschemas
	}
	o.compiled[sum] = s
}
