package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/webhook"
)

func TestDecode_Malformed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	for name, tc := range map[string]struct{ body, detail string }{
		"no body":         {"", "is empty"},
		"blank":           {" \n ", "is empty"},
		"cut off":         {`{"type":"a.b"`, "unexpected EOF, at line 1, column 14"},
		"bare word":       {"{\n  \"type\": nope}", "line 2, column 12 (byte 13)"},
		"trailing":        {`{"type":"a.b","data":1} {}`, "text after the end of the value, at line 1, column 25"},
		"trailing comma":  {`{"type":"a.b","data":1,}`, "invalid character ',' at start of value, at line 1, column 23"},
		"half a value":    {`{"type":"a.b","data":{"x":[1,{]}}`, "invalid character ']'"},
		"name unquoted":   {`{type:"a.b"}`, "invalid character 'y'"},
		"number cut off":  {`{"type":"a.b","data":1.}`, "invalid character '}'"},
		"comment":         {`{"type":"a.b","data":1 /* x */}`, "invalid character '/'"},
		"bad UTF-8":       {"{\"type\":\"a.b\",\"data\":\"\xff\"}", "not UTF-8, at line 1, column 23"},
		"byte order mark": {"\ufeff{}", "invalid character"},
		"list":            {`[]`, "is a list; send a JSON object"},
		"text":            {`"x"`, "is text; send a JSON object"},
		"null":            {`null`, "is null; send a JSON object"},
		"too deep":        {`{"type":"a.b","data":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "}", "exceeded max depth"},
	} {
		t.Run(name, func(t *testing.T) {
			p := b.admin("POST", "/v1/tenants/acme/events", tc.body).problem(400, webhook.CodeMalformed)
			require.Contains(t, p.Detail, tc.detail)
		})
	}
	require.Empty(t, b.store.events)
}

func TestDecode_Fields(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	for path, cases := range map[string]map[string]string{
		"/v1/tenants/acme/events": {
			`{"type":5,"data":1}`:                                          "type: is text, not a number",
			`{"type":{},"data":1}`:                                         "type: is text, not an object",
			`{"type":"a.b","data":1,"color":2}`:                            "color: is not a known field; known are type, data, id, occurred_at, attributes, metadata",
			`{"Type":"a.b","type":"a.b","data":1}`:                         "Type: is not a known field; known are type, data, id, occurred_at, attributes, metadata",
			`{"type":"a.b","type":"a.c","data":1}`:                         "type: is given twice",
			`{"type":"a.b","\u0074ype":"a.c","data":1}`:                    "type: is given twice",
			`{"type":"a.b","data":1,"occurred_at":"yesterday"}`:            `occurred_at: is a moment in RFC 3339 such as "2026-05-27T14:32:00Z"`,
			`{"type":"a.b","data":1,"occurred_at":"2026-05-27T14:32:60Z"}`: `occurred_at: is a moment in RFC 3339 such as "2026-05-27T14:32:00Z"`,
			`{"type":"a.b","data":1,"occurred_at":17}`:                     `occurred_at: is a moment in RFC 3339 such as "2026-05-27T14:32:00Z"`,
			`{"type":"a.b","data":1,"attributes":["x"]}`:                   "attributes: is an object, not a list",
			`{"type":"a.b","data":1,"attributes":{"x":1}}`:                 "attributes.x: is text, not a number",
			`{"type":"a.b","data":1,"attributes":{"x":"1","x":"2"}}`:       "attributes.x: is given twice",
			`{"type":"a.b","data":1,"attributes":{"x":"a\u0000b"}}`:        "attributes.x: has a NUL character",
			`{"type":"a.b","data":1,"attributes":{"a\u0000b":"x"}}`:        "attributes: has a name with a NUL character",
			`{"type":"a.b","data":1,"id":""}`:                              `id: is 1 to 150 letters, digits and _ . : + = @ ~ -, no dot first, not ""`,
			`{"type":"a.b"}`:                                               "data: is required",
			`{"data":1}`:                                                   `type: is a dot-separated name such as "order.confirmed", not ""`,
			`{"type":"a.b","data":1,"occurred_at":"0001-01-01T00:00:00Z"}`: "occurred_at: is from 1970 to 9999",
		},
		"/v1/tenants/acme/endpoints": {
			`{"url":"https://r.example","event_types":"a"}`:                                                        "event_types: is a list, not text",
			`{"url":"https://r.example","event_types":[1]}`:                                                        "event_types[0]: is text, not a number",
			`{"url":"https://r.example","event_types":["*",null]}`:                                                 "event_types[1]: is null",
			`{"url":"https://r.example","event_types":["*"],"timeout":10}`:                                         `timeout: is a duration, text such as "10s", not 10`,
			`{"url":"https://r.example","event_types":["*"],"retry":{"schedule":["1s","soon"]}}`:                   `retry.schedule[1]: is a duration such as "10s" or "1h30m", not "soon"`,
			`{"url":"https://r.example","event_types":["*"],"retry":{"polciy":"table-5"}}`:                         "retry.polciy: is not a known field; known are policy, schedule, exponential, jitter, retry_after_max",
			`{"url":"https://r.example","event_types":["*"],"retry":{"exponential":{"first":"1s","factor":"2"}}}`:  "retry.exponential.factor: is a number, not text",
			`{"url":"https://r.example","event_types":["*"],"retry":{"exponential":{"first":"1s","retries":1.5}}}`: "retry.exponential.retries: does not take 1.5",
			`{"url":"https://r.example","event_types":["*"],"filter":{"a":"b"}}`:                                   "filter.a: is a list, not text",
			`{"url":"https://r.example","event_types":["*"],"id":"ep_x"}`:                                          "id: is not a known field; known are url, event_types, filter, description, headers, auth, retry, timeout, auto_disable, signing, also_sign_as, metadata, verification, disabled, secret",
		},
		"/v1/tenants": {
			`{"id":"x","name":"N","dialect":"standard","allow_unknown_types":"yes"}`: "allow_unknown_types: is true or false, not text",
			`{"id":"x","name":"N","dialect":"klingon"}`:                              "dialect: is not a known dialect; known are asymmetric, auction, choice, one, shared, standard",
			`{"id":"x","name":"N","dialect":"standard","retry":{}}`:                  `retry: needs exactly one of "policy", "schedule" and "exponential"`,
		},
	} {
		for body, want := range cases {
			t.Run(body, func(t *testing.T) {
				p := b.admin("POST", path, body).problem(422, webhook.CodeInvalid)
				require.NotEmpty(t, p.Errors)
				require.Equal(t, want, p.Errors[0].Field+": "+p.Errors[0].Detail)
				require.Contains(t, p.Detail, p.Errors[0].Field+" "+p.Errors[0].Detail)
			})
		}
	}
}

func TestDecode_ListsEveryProblem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	p := b.admin("POST", "/v1/tenants/acme/endpoints", `{"url":1,"event_types":2,"x":3}`).problem(422, webhook.CodeInvalid)
	require.Equal(t, []string{"url", "event_types", "x"}, p.fields())

	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, `"%d%s":1,`, i, strings.Repeat("é", 1000))
	}
	a := b.call(adminKey, "POST", "/v1/tenants/acme/events/batch", `{`+many.String()+`"events":[]}`)
	p = a.problem(422, webhook.CodeInvalid)
	require.Len(t, p.Errors, 20)
	require.Less(t, len(a.body), 20_000)
}

func TestDecode_Media(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	const body = `{"type":"a.b","data":1}`
	for _, header := range [][2]string{
		{"Content-Type", "application/x-www-form-urlencoded"}, {"Content-Type", ""}, {"Content-Type", "application/json; charset=latin1"},
		{"Content-Type", ";"}, {"Content-Encoding", "gzip"},
	} {
		b.admin("POST", "/v1/tenants/acme/events", body, header[0], header[1]).problem(415, webhook.CodeUnsupportedMedia)
	}
	b.admin("POST", "/v1/tenants/acme/events", body, "Content-Type", "application/json; charset=UTF-8").want(202)
}

func TestDecode_TooLarge(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.MaxBodyBytes, o.MaxBatchBytes = 100, 200 })
	b.tenant("acme", "standard")
	exact := `{"type":"a.b","data":"` + strings.Repeat("x", 76) + `"}`
	require.Len(t, exact, 100)
	b.admin("POST", "/v1/tenants/acme/events", exact).want(202)

	p := b.admin("POST", "/v1/tenants/acme/events", exact+" ").problem(413, webhook.CodeTooLarge)
	require.Contains(t, p.Detail, "100 bytes")
	b.admin("POST", "/v1/tenants/acme/events/batch", `{"events":[`+strings.Repeat(" ", 200)+`]}`).problem(413, webhook.CodeTooLarge)
}

// TestDecode_KeepsData publishes data in every shape and compares the bytes.
func TestDecode_KeepsData(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	for i, data := range []string{
		`null`, `true`, `0`, `-1.50e+10`, `12345678901234567890.10`, `""`, `"a\"b\\"`, `"\\"`, `"}],:"`, `"\u00e9 é 😀 \ud83d\ude00 \u0000"`, `"half of a pair: \ud83d"`,
		`[]`, `{}`, `[ ]`, "{ \"b\" : 1 ,\n\t\"a\":[ 1 , {\"x\" :\"}\"} ] , \"a\": 2 }", `"<script>&amp;\/"`, `[[[[]]],"]"]`, `{"data":{"type":"x"}}`,
	} {
		for _, around := range []string{"", " ", "\r\n\t "} {
			id := fmt.Sprintf("e%d-%d", i, len(around))
			event := fmt.Sprintf(`{"data":%s%s%s,"id":"%s" ,"type":"a.b"}`, around, data, around, id)
			b.admin("POST", "/v1/tenants/acme/events", event).want(202)
			require.Equal(t, data, string(b.store.published("acme", id).Event.Data))
			require.Equal(t, data, string(b.store.published("acme", id).Body.Data()), "what is delivered")

			batch := fmt.Sprintf(`{"events" : [ {"type":"a.b","data":1},%s%s%s ]}`, around, strings.Replace(event, id, id+"b", 1), around)
			b.admin("POST", "/v1/tenants/acme/events/batch", batch).want(200)
			require.Equal(t, data, string(b.store.published("acme", id+"b").Event.Data), "in a batch")
		}
	}
}

func TestDecode_NullIsLeftOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.lenient = true
	b.admin("POST", "/v1/tenants", `{"id":"acme","name":"N","dialect":"standard","contact_email":null,"retry":null,"allow_unknown_types":null}`).want(201)
	require.Empty(t, b.store.tenants["acme"].ContactEmail)
	p := b.admin("POST", "/v1/tenants", `{"id":"acme","name":null,"dialect":"standard"}`).problem(422, webhook.CodeInvalid)
	require.Equal(t, []string{"name"}, p.fields())
}

// TestDecode_LongList sends a batch with an item every other byte: what is made of it must not be a hundred times as large.
func TestDecode_LongList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	const items = 4_000_000
	p := b.admin("POST", "/v1/tenants/acme/events/batch", `{"events":[`+strings.Repeat("1,", items-1)+`1]}`).problem(422, webhook.CodeInvalid)
	require.Equal(t, "has more than 10000 items", p.Errors[0].Detail)
	b.admin("POST", "/v1/tenants/acme/events/batch", `{"events":[`+strings.Repeat("1,", items-1)+`}`).problem(400, webhook.CodeMalformed)
}

// In a list, and under a name that the caller chose, a null is nothing that could be left out.
func TestDecode_NullOfACollection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.lenient = true
	for body, field := range map[string]string{
		`{"url":"https://r.example","event_types":["*"],"headers":{"X-A":null}}`:     "headers.X-A",
		`{"url":"https://r.example","event_types":["*"],"filter":{"region":null}}`:   "filter.region",
		`{"url":"https://r.example","event_types":["*"],"filter":{"region":[null]}}`: "filter.region[0]",
		`{"url":"https://r.example","event_types":["*",null]}`:                       "event_types[1]",
	} {
		p := b.admin("POST", "/v1/tenants/acme/endpoints", body).problem(422, webhook.CodeInvalid)
		require.Equal(t, []string{field}, p.fields(), body)
		require.Contains(t, p.Detail, field+" is null")
	}
	p := b.admin("POST", "/v1/tenants/acme/events", `{"type":"a.b","data":1,"attributes":{"region":null}}`).problem(422, webhook.CodeInvalid)
	require.Equal(t, []string{"attributes.region"}, p.fields())
}

func TestDecode_NothingIsKnown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	r := into[object](b.admin("POST", "/v1/tenants/acme/recoveries", `{"endpoint_id":"`+b.endpoint("acme")+`"}`).want(201))["id"].(string)
	b.lenient = true
	p := b.admin("POST", "/v1/tenants/acme/recoveries/"+r+"/cancel", `{"reason":"x"}`).problem(422, webhook.CodeInvalid)
	require.Equal(t, "request: reason is not a known field; none is known here", p.Detail)
}
