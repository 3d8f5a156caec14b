package schemas

import (
	"encoding/json"
	"fmt"
	"regexp/syntax"
	"strconv"
	"strings"
)

// Bounds of a schema that a tenant wrote. They hold its compilation to some milliseconds and some megabytes.
const (
	// MaxSchemaBytes is the size of its text.
	MaxSchemaBytes = 64 << 10
	// maxSchemaDepth is how deep its JSON is nested.
	maxSchemaDepth = 64
	// maxSubschemas is how many schemas it is made of.
	maxSubschemas = 2000
	// maxPatternBytes and maxPatternSize bound a regular expression: its text, and the instructions that it is compiled to.
	maxPatternBytes = 500
	maxPatternSize  = 1000
	// maxNumberBytes bounds a number in it, and maxNumberExponent its exponent, because every comparison computes with all digits.
	maxNumberBytes    = 40
	maxNumberExponent = 400
	// maxChain is how many schemas one value can lead to by $ref, allOf and the like, one after the other.
	maxChain = 100
)

// bounds looks through a schema and gathers what its checks cost.
type bounds struct {
	doc any
	// nodes are the schemas by their JSON Pointer.
	nodes map[string]*node
	// anchors are the pointers of the schemas that a $ref can name.
	anchors map[string]string
}

// node is one schema, and which other schemas a check of a value against it leads to.
type node struct {
	// cost is what the check itself takes, in units of checks.
	cost int
	refs []string // of the same value, to be resolved
	same []*node  // for the same value
	// one is for members of the value: each is checked against at most one of them.
	one []*node
	// members and items are for every member, or item.
	members, items []*node
	// first are for the first items, one each.
	first []*node

	chain int // how long the longest chain of same is; -1 while it is measured
	// weights has, by depth below the value, how many units each value there costs; see weigh.
	weights []int
}

// measure returns what a check against a schema costs: units for each value, at most. The error completes a sentence about the
// schema, and says what is beyond the bounds.
func measure(doc any) (subschemas, weight int, err error) {
	b := &bounds{doc: doc, nodes: map[string]*node{}, anchors: map[string]string{}}
	if err := checkValues(doc, 1); err != nil {
		return 0, 0, err
	}
	root, err := b.schema(doc, "", true)
	if err != nil {
		return 0, 0, err
	}
	if err := b.resolve(); err != nil {
		return 0, 0, err
	}
	for at, n := range b.nodes {
		if err := n.measureChain(); err != nil {
			return 0, 0, fmt.Errorf("%w at #%s", err, at)
		}
	}
	for depth := range maxDataDepth + 1 {
		weight = max(weight, root.weigh(depth))
	}
	return len(b.nodes), weight, nil
}

// checkValues checks the depth and the numbers of the whole text.
func checkValues(v any, depth int) error {
	if depth > maxSchemaDepth {
		return fmt.Errorf("is nested deeper than %d", maxSchemaDepth)
	}
	switch v := v.(type) {
	case json.Number:
		return checkNumber(string(v))
	case []any:
		for _, item := range v {
			if err := checkValues(item, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, member := range v {
			if err := checkValues(member, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkNumber(text string) error {
	if len(text) > maxNumberBytes {
		return fmt.Errorf("has a number of more than %d characters", maxNumberBytes)
	}
	_, digits, ok := strings.Cut(strings.ToLower(text), "e")
	if !ok {
		return nil
	}
	if n, err := strconv.Atoi(digits); err != nil || n > maxNumberExponent || n < -maxNumberExponent {
		return fmt.Errorf("has the number %s; exponents are from -%d to %[2]d", text, maxNumberExponent)
	}
	return nil
}

// refused are keywords that make what a schema means depend on how it was reached, or on another draft.
var refused = []string{"$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"}

// schema reads the schema at a JSON Pointer, and those in it.
func (b *bounds) schema(v any, at string, root bool) (*node, error) {
	if n, ok := b.nodes[at]; ok {
		return n, nil
	}
	n := &node{cost: 1}
	if b.nodes[at] = n; len(b.nodes) > maxSubschemas {
		return nil, fmt.Errorf("is made of more than %d schemas", maxSubschemas)
	}
	obj, ok := v.(map[string]any)
	if !ok {
		return n, nil // true, false, or what the compiler refuses
	}
	if err := b.checkKeywords(obj, at, root); err != nil {
		return nil, err
	}
	if ref, ok := obj["$ref"].(string); ok {
		n.refs = append(n.refs, ref)
	}
	if anchor, ok := obj["$anchor"].(string); ok {
		b.anchors[anchor] = at
	}
	var err error
	if n.cost, err = ownCost(obj); err != nil {
		return nil, fmt.Errorf("%w at #%s", err, at)
	}
	return n, b.below(n, obj, at)
}

func (b *bounds) checkKeywords(obj map[string]any, at string, root bool) error {
	for _, keyword := range refused {
		if _, ok := obj[keyword]; ok {
			return fmt.Errorf("has a %s at #%s, which is not possible here", keyword, at)
		}
	}
	for _, keyword := range []string{"$schema", "$id"} {
		if _, ok := obj[keyword]; ok && !root {
			return fmt.Errorf("has a %s at #%s, which is possible at its top only", keyword, at)
		}
	}
	if draft, ok := obj["$schema"].(string); ok && strings.TrimSuffix(draft, "#") != "https://json-schema.org/draft/2020-12/schema" {
		return fmt.Errorf("is of another draft than 2020-12")
	}
	if obj["format"] == "regex" {
		return fmt.Errorf("has the format regex at #%s, which is not possible here", at)
	}
	return nil
}

// below reads the schemas in a schema, each into the list of node that says what is checked against it.
func (b *bounds) below(n *node, obj map[string]any, at string) error {
	type place struct {
		keyword string
		list    *[]*node
	}
	var forgotten []*node // what only a $ref leads to
	for _, p := range []place{
		{"not", &n.same}, {"if", &n.same}, {"then", &n.same}, {"else", &n.same},
		{"additionalProperties", &n.members}, {"unevaluatedProperties", &n.members}, {"propertyNames", &n.members},
		{"items", &n.items}, {"contains", &n.items}, {"unevaluatedItems", &n.items}, {"additionalItems", &n.items},
	} {
		if v, ok := obj[p.keyword]; ok {
			if err := b.add(p.list, v, at+"/"+p.keyword); err != nil {
				return err
			}
		}
	}
	for _, p := range []place{{"allOf", &n.same}, {"anyOf", &n.same}, {"oneOf", &n.same}, {"prefixItems", &n.first}} {
		list, _ := obj[p.keyword].([]any)
		for i, v := range list {
			if err := b.add(p.list, v, at+"/"+p.keyword+"/"+strconv.Itoa(i)); err != nil {
				return err
			}
		}
	}
	for _, p := range []place{
		{"dependentSchemas", &n.same}, {"dependencies", &n.same}, {"properties", &n.one}, {"patternProperties", &n.members},
		{"$defs", &forgotten}, {"definitions", &forgotten},
	} {
		members, _ := obj[p.keyword].(map[string]any)
		for name, v := range members {
			if err := b.add(p.list, v, at+"/"+p.keyword+"/"+pointerEscape.Replace(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bounds) add(list *[]*node, v any, at string) error {
	n, err := b.schema(v, at, false)
	*list = append(*list, n)
	return err
}

// ownCost is what a check of one value takes, without the schemas below. One unit takes well under a microsecond.
func ownCost(obj map[string]any) (int, error) {
	size := 0
	patterns, _ := obj["patternProperties"].(map[string]any)
	for pattern := range patterns {
		n, err := patternSize(pattern)
		if err != nil {
			return 0, err
		}
		size += n
	}
	if pattern, ok := obj["pattern"].(string); ok {
		n, err := patternSize(pattern)
		if err != nil {
			return 0, err
		}
		size += n
	}
	required, _ := obj["required"].([]any)
	cost := 1 + size/16 + (countValues(obj["enum"])+countValues(obj["const"]))/4 + len(required)/8 + countValues(obj["dependentRequired"])/8
	if obj["uniqueItems"] == true {
		cost += 16
	}
	return cost, nil
}

func countValues(v any) int {
	n := 1
	switch v := v.(type) {
	case nil:
		return 0
	case []any:
		for _, item := range v {
			n += countValues(item)
		}
	case map[string]any:
		for _, member := range v {
			n += countValues(member)
		}
	}
	return n
}

// patternSize returns how many instructions a regular expression is compiled to. They grow with its repetitions, and the time that
// a match takes grows with them.
func patternSize(pattern string) (int, error) {
	if len(pattern) > maxPatternBytes {
		return 0, fmt.Errorf("has a pattern of more than %d bytes", maxPatternBytes)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, fmt.Errorf("has the pattern %s, which is not a regular expression of RE2", shown(pattern))
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, fmt.Errorf("has the pattern %s, which is not a regular expression of RE2", shown(pattern))
	}
	if len(program.Inst) > maxPatternSize {
		return 0, fmt.Errorf("has the pattern %s, whose repetitions make it too large", shown(pattern))
	}
	return len(program.Inst), nil
}
