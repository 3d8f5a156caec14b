package schemas_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/schemas"
)

// says returns the violations as text.
func says(found []schemas.Violation) string {
	texts := make([]string, len(found))
	for i, v := range found {
		texts[i] = v.Path + " " + v.Detail
	}
	return strings.Join(texts, "; ")
}

func TestCompileOwn(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{
		`{}`, `true`, `{"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"https://acme.example/order.json","type":"object"}`,
		`{"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}}`, `{"$ref":"#a","$defs":{"x":{"$anchor":"a"}}}`,
		`{"properties":{"$ref":{"type":"string"},"$id":{},"format":{"const":"regex"}}}`,
		`{"$ref":"#/$defs/a~0b~1c","$defs":{"a~b/c":{}}}`,
		`{"$ref":"#/$defs/a%25b","$defs":{"a%b":{}}}`,
		`{"$defs":{"node":{"properties":{"next":{"$ref":"#/$defs/node"}}}},"$ref":"#/$defs/node"}`, // a list: the same, one deeper
		`{"pattern":"^[a-z]{1,63}$","patternProperties":{"^x-":true}}`, `{"minimum":-1e300,"enum":[1,2.5,"a",null,{"a":[]}]}`,
		`{"dependencies":{"a":["b"],"c":{"required":["d"]}}}`,
	} {
		_, wrong := schemas.CompileOwn([]byte(schema))
		require.Empty(t, wrong, schema)
	}
	for schema, want := range map[string]string{
		`{`:                               "schema is not JSON",
		`{"type":"objekt"}`:               "schema/type",
		`{"properties":{"a":{"type":7}}}`: "schema/properties/a/type",
		`[]`:                              "schema is a list",
		`{"$ref":"https://x.example/y"}`:  "schema has the $ref \"https://x.example/y\" at #, which leads out of the schema",
		`{"$ref":"other.json#/a"}`:        "leads out of the schema",
		`{"$ref":"file:///etc/passwd"}`:   "leads out of the schema",
		`{"$ref":"https://json-schema.org/draft/2020-12/schema"}`: "leads out of the schema",
		`{"$ref":"#/$defs/none"}`:                                 "leads nowhere",
		`{"$ref":"#none"}`:                                        "leads nowhere",
		`{"$ref":"#/%zz"}`:                                        "is not a reference",
		`{"items":{"$dynamicRef":"#a"}}`:                          "has a $dynamicRef at #/items",
		`{"items":{"$id":"https://x"}}`:                           "has a $id at #/items, which is possible at its top only",
		`{"$schema":"http://json-schema.org/draft-07/schema#"}`:   "of another draft than 2020-12",
		`{"pattern":"(?=a)"}`:                                     "which is not a regular expression of RE2",
		`{"patternProperties":{"a(":true}}`:                       "which is not a regular expression of RE2",
		`{"format":"regex"}`:                                      "has the format regex",
		`{"$ref":"#"}`:                                            "refers to itself without end",
		`{"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"not":{"$ref":"#"}}}}`:                                                         "refers to itself without end",
		`{"$ref":"#/$defs/n","$defs":{"n":{"properties":{"a":{"$ref":"#/$defs/n"}},"patternProperties":{"a":{"$ref":"#/$defs/n"}}}}}`: "looks at a value too often",
		`{"const":1e999999999}`: "has the number 1e999999999",
	} {
		_, wrong := schemas.CompileOwn([]byte(schema))
		require.Contains(t, says(wrong), want, schema)
	}
}

// chain is n schemas in $defs, each made by text with the name of the next one.
func chain(n int, text string) string {
	var defs []string
	for i := range n {
		defs = append(defs, fmt.Sprintf(`"d%d":%s`, i, strings.ReplaceAll(text, "NEXT", fmt.Sprintf("#/$defs/d%d", i+1))))
	}
	return `{"$ref":"#/$defs/d0","$defs":{` + strings.Join(defs, ",") + fmt.Sprintf(`,"d%d":{"type":"null"}}}`, n)
}

// Each limit holds what is within it and refuses what is one beyond.
func TestCompileOwn_Limits(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat(`{"not":`, n) + "true" + strings.Repeat("}", n) }
	properties := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"p%d":true`, i))
		}
		return `{"properties":{` + strings.Join(all, ",") + `}}`
	}
	sized := func(n int) string { return `{"title":"` + strings.Repeat("x", n-len(`{"title":""}`)) + `"}` }
	for name, tc := range map[string]struct {
		good, bad string
		want      string
	}{
		"bytes":    {sized(64 << 10), sized(64<<10 + 1), "has 65537 bytes; at most 65536 fit"},
		"depth":    {nested(63), nested(64), "is nested deeper than 64"},
		"schemas":  {properties(1999), properties(2000), "is made of more than 2000 schemas"},
		"pattern":  {`{"pattern":"` + strings.Repeat("a", 500) + `"}`, `{"pattern":"` + strings.Repeat("a", 501) + `"}`, "more than 500 bytes"},
		"size":     {`{"pattern":"a{900}"}`, `{"pattern":"(ab){900}"}`, "whose repetitions make it too large"},
		"number":   {`{"const":1` + strings.Repeat("0", 39) + `}`, `{"const":1` + strings.Repeat("0", 40) + `}`, "more than 40 characters"},
		"exponent": {`{"const":1e-400}`, `{"const":1e-401}`, "exponents are from -400 to 400"},
		"chain":    {chain(98, `{"$ref":"NEXT"}`), chain(100, `{"$ref":"NEXT"}`), "more than 100 schemas for one value"},
	} {
		_, wrong := schemas.CompileOwn([]byte(tc.good))
		require.Empty(t, wrong, name)
		_, wrong = schemas.CompileOwn([]byte(tc.bad))
		require.Contains(t, says(wrong), tc.want, name)
	}
}

// Schemas and data that would take minutes, or all memory, are refused or answered at once, the one as the other.
func TestOwnSchema_Hostile(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, 30) + "1" + strings.Repeat("}", 30)
	list := func(item string, n int) string { return "[" + strings.Repeat(item+",", n) + item + "]" }
	var enum []string
	for i := range 5000 {
		enum = append(enum, fmt.Sprintf("%d.5", i))
	}
	for name, tc := range map[string]struct{ schema, data string }{
		"twice of twice, for one value":    {chain(90, `{"allOf":[{"$ref":"NEXT"},{"$ref":"NEXT"}]}`), `1`},
		"twice, for each member below":     {`{"$ref":"#/$defs/n","$defs":{"n":{"properties":{"a":{"$ref":"#/$defs/n"}},"additionalProperties":true,"patternProperties":{"a":{"$ref":"#/$defs/n"}}}}}`, deep},
		"thrice, in a not, and it fails":   {`{"not":{"$ref":"#/$defs/n"},"$defs":{"n":{"type":["object"],"patternProperties":{"a":{"$ref":"#/$defs/n"},"^a":{"$ref":"#/$defs/n"},"a$":{"$ref":"#/$defs/n"}}}}}`, deep},
		"by dependent schemas":             {`{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","dependentSchemas":{"a":{"properties":{"a":{"$ref":"#/$defs/n"}}},"b":true},"properties":{"a":{"$ref":"#/$defs/n"}}}}}`, deep},
		"items and contains":               {`{"$ref":"#/$defs/n","$defs":{"n":{"type":"array","items":{"$ref":"#/$defs/n"},"contains":{"$ref":"#/$defs/n"}}}}`, strings.Repeat("[", 31) + strings.Repeat("]", 31)},
		"unevaluated":                      {`{"unevaluatedProperties":{"$ref":"#"},"anyOf":[{"properties":{"a":{"$ref":"#"}}},{"properties":{"b":true}}]}`, deep},
		"a large enum of numbers":          {`{"items":{"enum":[` + strings.Join(enum, ",") + `]}}`, list("7777.5", 30_000)},
		"a pattern with many ways":         {`{"items":{"pattern":"(a?){450}b"}}`, list(`"`+strings.Repeat("a", 10_000)+`"`, 20)},
		"many patterns for many names":     {`{"patternProperties":{` + manyPatterns(500) + `}}`, "{" + manyMembers(8000) + "}"},
		"equal items":                      {`{"uniqueItems":true,"items":{"$ref":"#"}}`, list(list("1", 100), 500)},
		"everything is wrong":              {`{"items":{"type":"string"}}`, list("1", 100_000)},
		"everything is wrong, and is told": {`{"items":{"enum":["` + strings.Repeat("x", 1000) + `","y"]}}`, list("1", 60_000)},
		"data nested without end":          {`{"$ref":"#/$defs/n","$defs":{"n":{"items":{"$ref":"#/$defs/n"}}}}`, strings.Repeat("[", 9000) + strings.Repeat("]", 9000)},
		"a number without end":             {`{"multipleOf":0.01}`, strings.Repeat("7", 200_000)},
		"a number of a large exponent":     {`{"multipleOf":0.01,"minimum":1e400}`, `1e999999999`},
		"required without end":             {`{"items":{"required":[` + strings.Repeat(`"abcdef",`, 4000) + `"a"]}}`, list("{}", 60_000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own, wrong := schemas.CompileOwn([]byte(tc.schema))
			if wrong != nil {
				require.Len(t, wrong, 1)
				return
			}
			require.LessOrEqual(t, len(own.Check([]byte(tc.data))), 20)
		})
	}
}

func manyPatterns(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`"(a|b|c|d|e)*x%d":true`, i)
	}
	return strings.Join(all, ",")
}

func manyMembers(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`"abcdeabcdeabcdeabcde%d":1`, i)
	}
	return strings.Join(all, ",")
}

// What people write is checked, as large as an event may be.
func TestOwnSchema_OrdinaryData(t *testing.T) {
	t.Parallel()
	own, wrong := schemas.CompileOwn([]byte(`{
		"type":"object","required":["order_id","lines"],"additionalProperties":false,
		"properties":{"order_id":{"type":"integer"},"status":{"enum":["new","paid","sent"]},"email":{"type":"string","format":"email","maxLength":254},
			"lines":{"type":"array","items":{"$ref":"#/$defs/line"}}},
		"$defs":{"line":{"type":"object","required":["sku"],"properties":{"sku":{"type":"string","pattern":"^[A-Z0-9-]{1,20}$"},"price":{"type":"number","minimum":0},
			"discount":{"oneOf":[{"type":"null"},{"type":"number"},{"type":"string"}]}}}}}`))
	require.Empty(t, wrong)
	lines := strings.TrimSuffix(strings.Repeat(`{"sku":"CHAIR-01","price":19.90,"discount":null},`, 5000), ",")
	data := `{"order_id":1,"status":"paid","email":"a@b.example","lines":[` + lines + `]}`
	require.Greater(t, len(data), 240_000)
	require.Empty(t, says(own.Check([]byte(data))))
	require.Equal(t, `data/lines/4999/sku is "chair", which does not match ^[A-Z0-9-]{1,20}$`,
		says(own.Check([]byte(strings.Replace(data, `"CHAIR-01","price":19.90,"discount":null}]`, `"chair"}]`, 1)))))
	require.Equal(t, "data/lines is required; data/x is not allowed", says(own.Check([]byte(`{"order_id":1,"x":2}`))))
	require.Contains(t, says(own.Check([]byte(`{`))), "data is not JSON")

	tree, wrong := schemas.CompileOwn([]byte(`{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#"}},"name":{"type":"string"}},"required":["name"]}`))
	require.Empty(t, wrong)
	require.Empty(t, says(tree.Check([]byte(`{"name":"a","children":[{"name":"b","children":[{"name":"c"}]}]}`))))
	require.Equal(t, "data/children/0/children/0/name is required", says(tree.Check([]byte(`{"name":"a","children":[{"name":"b","children":[{}]}]}`))))
}

// A schema that looks at each value often is for small data.
func TestOwnSchema_TooLarge(t *testing.T) {
	t.Parallel()
	own, wrong := schemas.CompileOwn([]byte(chain(8, `{"allOf":[{"$ref":"NEXT"},{"$ref":"NEXT"}]}`)))
	require.Empty(t, wrong)
	require.Empty(t, own.Check([]byte(`null`)))
	require.Contains(t, says(own.Check([]byte(`[`+strings.Repeat("1,", 300)+`1]`))), "data is too large to be checked: the schema looks at a value up to")
}

// The compiled schemas are kept, and as many checks may run as there are callers.
func TestOwn(t *testing.T) {
	t.Parallel()
	own := schemas.NewOwn()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			schema := fmt.Appendf(nil, `{"type":"array","items":{"const":%d}}`, i)
			sum := sha256.Sum256(schema)
			for range 3 {
				if found := own.Check(sum, schema, fmt.Appendf(nil, "[%d%s]", i, strings.Repeat(fmt.Sprintf(",%d", i), 8000))); found != nil {
					t.Errorf("%v", found)
				}
				if found := own.Check(sum, schema, []byte(`[-1]`)); len(found) != 1 {
					t.Errorf("%v", found)
				}
			}
		})
	}
	wg.Wait()
	require.Contains(t, says(own.Check([32]byte{}, []byte(`{"type":"objekt"}`), []byte(`1`))), "store it again")
}
