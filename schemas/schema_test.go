package schemas_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/schemas"
)

var time2026 = time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC)

func compile(t testing.TB, schema string) *schemas.Schema {
	t.Helper()
	s, err := schemas.Compile("test/thing.done", []byte(schema))
	require.NoError(t, err)
	return s
}

func TestSchema_Check(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, schema, data, want string }{
		{"anything", `{}`, `[1, null, {"a": "b"}]`, ""},
		{"type", `{"type":"object"}`, `[]`, "data is a list, not an object"},
		{"types", `{"type":["string","integer","null"]}`, `true`, "data is true or false, not null, a whole number or text"},
		{"whole number", `{"type":"integer"}`, `1.0`, ""},
		{"below", `{"properties":{"a":{"properties":{"b":{"type":"null"}}}}}`, `{"a":{"b":{}}}`, "data/a/b is an object, not null"},
		{"item", `{"items":{"type":"string"}}`, `["a",1]`, "data/1 is a number, not text"},
		{"name with a slash", `{"properties":{"a/b~c":{"type":"null"}}}`, `{"a/b~c":1}`, "data/a~1b~0c is a number, not null"},
		{"required", `{"required":["b","a"]}`, `{}`, "data/a is required; data/b is required"},
		{"required beside", `{"dependentRequired":{"a":["b"]}}`, `{"a":1}`, `data/b is required where there is "a"`},
		{"not allowed", `{"additionalProperties":false}`, `{"x":1}`, "data/x is not allowed"},
		{"name", `{"propertyNames":{"maxLength":1}}`, `{"xy":1}`, `data has a member named "xy" where that is not allowed`},
		{"const", `{"const":"<a>"}`, `"b"`, `data is "b", not "<a>"`},
		{"enum", `{"enum":["a",1,null]}`, `2`, `data is 2, not "a", 1 or null`},
		{"long value", `{"const":1}`, `"` + strings.Repeat("é", 100) + `"`, `data is "` + strings.Repeat("é", 59) + `..., not 1`},
		{"pattern", `{"pattern":"^a+$"}`, `"b"`, `data is "b", which does not match ^a+$`},
		{"format", `{"format":"uuid"}`, `"3fa85f64-..."`, `data is "3fa85f64-...", which is not of the format uuid`},
		{"minimum", `{"minimum":0}`, `-0.001`, "data is below 0"},
		{"maximum", `{"maximum":0.25}`, `1e400`, "data is above 0.25"},
		{"exclusive", `{"exclusiveMinimum":1,"exclusiveMaximum":1}`, `1`, "data is not above 1; data is not below 1"},
		{"multiple", `{"multipleOf":0.01}`, `0.001`, "data is not a multiple of 0.01"},
		{"short", `{"minLength":2}`, `"é"`, "data is 1 characters long; at least 2 are needed"},
		{"long", `{"maxLength":1}`, `"ab"`, "data is 2 characters long; at most 1 fit"},
		{"few", `{"minItems":1}`, `[]`, "data has 0 items; at least 1 are needed"},
		{"many", `{"maxItems":1}`, `[1,2]`, "data has 2 items; at most 1 fit"},
		{"few members", `{"minProperties":1}`, `{}`, "data has 0 members; at least 1 are needed"},
		{"many members", `{"maxProperties":0}`, `{"a":1}`, "data has 1 members; at most 0 fit"},
		{"twice", `{"uniqueItems":true}`, `[1,2,1.0]`, "data has the same item at 0 and 2"},
		{"contains", `{"contains":{"const":1}}`, `[2]`, "data lacks an item that is needed"},
		{"any", `{"anyOf":[{"type":"string"},{"type":"null"}]}`, `1`, "data fits none of the possible forms"},
		{"one of none", `{"oneOf":[{"type":"string"}]}`, `1`, "data fits none of the possible forms"},
		{"one of two", `{"oneOf":[{},{}]}`, `1`, "data fits more than one of the forms that exclude each other"},
		{"all, told once", `{"allOf":[{"required":["a"]},{"required":["a"]}]}`, `{}`, "data/a is required"},
		{"not", `{"not":{"type":"number"}}`, `1`, "data is what the schema excludes"},
		{"reference within", `{"$ref":"#/$defs/a","$defs":{"a":{"type":"null"}}}`, `1`, "data is a number, not null"},
		{"big whole number", `{"type":"integer","const":12345678901234567890123}`, `12345678901234567890123`, ""},
		{"big numbers differ", `{"const":12345678901234567890123}`, `12345678901234567890124`, "data is 12345678901234567890124, not 12345678901234567890123"},
		{"not JSON", `{}`, `{"a":}`, "data is not JSON: invalid character '}' looking for beginning of value"},
		{"nothing", `{}`, ``, "data is not JSON: EOF"},
		{"more than one", `{}`, `1 2`, "data is not JSON: invalid character after top-level value"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, told(compile(t, tc.schema).Check([]byte(tc.data))))
		})
	}
}

func told(found []schemas.Violation) string {
	texts := make([]string, len(found))
	for i, v := range found {
		texts[i] = v.Path + " " + v.Detail
	}
	return strings.Join(texts, "; ")
}

// TestSchema_Check_HugeExponents sends numbers that would take seconds, or a panic, if they were computed with.
func TestSchema_Check_HugeExponents(t *testing.T) {
	t.Parallel()
	s := compile(t, `{"items":{"type":"integer","minimum":0,"maximum":1e99}}`)
	for number, want := range map[string]string{
		`1e1000000`: "is above", `1e1000001`: "is above", `1E+99999999999999999999`: "is above", `-12.5e2000000`: "is below",
		`0e2000000`: "", `-0.0E-2000000`: "", `1e-2000000`: "not a whole number", `1e20`: "", `5e-1`: "not a whole number",
	} {
		got := told(s.Check([]byte(`[` + number + `]`)))
		if want == "" {
			require.Empty(t, got, number)
		} else {
			require.Contains(t, got, want, number)
		}
	}
	deep := compile(t, `{"properties":{"a":{"items":{"properties":{"b":{"minimum":0}}}}}}`)
	require.Equal(t, "data/a/0/b is below 0", told(deep.Check([]byte(`{"a":[{"b":-1e2000000}]}`))))
}

func TestSchema_Check_TellsTwentyAtMost(t *testing.T) {
	t.Parallel()
	found := compile(t, `{"items":{"type":"string"}}`).Check([]byte(`[` + strings.Repeat("1,", 99) + `1]`))
	require.Len(t, found, 20)
}

func TestSchema_Check_Concurrently(t *testing.T) {
	t.Parallel()
	s := compile(t, `{"type":"object","required":["a"],"properties":{"a":{"type":"number","minimum":0}}}`)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if s.Check([]byte(`{"a":1}`)) != nil || len(s.Check([]byte(`{"a":-1}`))) != 1 {
					t.Error("another answer under load")
				}
			}
		})
	}
	wg.Wait()
}

func TestCompile_Refuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ schema, want string }{
		"not JSON":           {`{`, "is not JSON"},
		"wrong keyword":      {`{"type":"text"}`, "type"},
		"wrong pattern":      {`{"pattern":"("}`, "("},
		"another draft":      {`{"$schema":"http://json-schema.org/draft-07/schema#"}`, "another draft"},
		"an address":         {`{"$ref":"https://example.com/s.json"}`, "outside itself"},
		"a file":             {`{"$ref":"file:///etc/passwd"}`, "outside itself"},
		"a file beside":      {`{"$ref":"other.json"}`, "outside itself"},
		"by way of its id":   {`{"$id":"https://example.com/a/","properties":{"x":{"$ref":"b.json"}}}`, "outside itself"},
		"a meta-schema":      {`{"$schema":"https://example.com/meta"}`, "outside itself"},
		"nowhere":            {`{"$ref":"#/$defs/none"}`, "none"},
		"a dynamic one, too": {`{"items":{"$dynamicRef":"https://example.com/s.json#x"}}`, "outside itself"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := schemas.Compile("rheo/item.sold", []byte(tc.schema))
			require.ErrorContains(t, err, "schema rheo/item.sold: ")
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// BenchmarkSchema_Check is on the way of every event that is published.
func BenchmarkSchema_Check(b *testing.B) {
	s := compile(b, `{"type":"object","required":["salePrice"],"properties":{"salePrice":{"type":"number","minimum":0}}}`)
	data := []byte(`{"externalId":"ERP_PART_12345","platform":"tradera","salePrice":1100,"currency":"SEK","traderaAdId":"398271634"}`)
	b.ReportAllocs()
	for b.Loop() {
		if s.Check(data) != nil {
			b.Fatal("does not fit")
		}
	}
}
