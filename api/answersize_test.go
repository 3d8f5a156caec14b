package api_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/webhook"
)

// mostAnswer is what any answer to a refused request stays below.
const mostAnswer = 32 << 10

// repeat returns n texts made of a format and a number, separated by commas.
func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// The answer lists at most twenty field errors in few bytes, however many there are.
func TestErrors_AnswersAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.tenant("rheo", "one")
	long := strings.Repeat("x", 250_000)
	odd := strings.Repeat(`\u0001`, 40_000)
	const endpoint = `{"url":"https://r.example","event_types":["*"],`
	for name, tc := range map[string]struct{ path, body string }{
		"unknown fields":          {"/acme/events", `{` + repeat(20_000, `"x%d":1`) + `}`},
		"a long unknown field":    {"/acme/events", `{"` + long + `":1}`},
		"odd unknown fields":      {"/acme/events", `{` + repeat(500, `"`+strings.Repeat(`\u0001`, 80)+`%d":1`) + `}`},
		"a long id":               {"/acme/events", `{"type":"a.b","data":1,"id":"` + odd + `"}`},
		"a long type":             {"/acme/events", `{"type":"` + odd + `","data":1}`},
		"a long moment":           {"/acme/events", `{"type":"a.b","data":1,"occurred_at":"` + long + `"}`},
		"many attributes":         {"/acme/events", `{"type":"a.b","data":1,"attributes":{` + repeat(800, `"%d`+strings.Repeat("a", 290)+`":"x"`) + `}}`},
		"attributes of no text":   {"/acme/events", `{"type":"a.b","data":1,"attributes":{` + repeat(20_000, `"a%d":1`) + `}}`},
		"a long unknown type":     {"/rheo/events", `{"type":"a.` + strings.Repeat("x", 120) + `","data":1}`},
		"data against its schema": {"/rheo/events", `{"type":"item.sold","data":{` + repeat(20_000, `"x%d":1`) + `}}`},
		"many event types":        {"/acme/endpoints", `{"url":"https://r.example","event_types":[` + repeat(30_000, `"?%d"`) + `]}`},
		"event types of no text":  {"/acme/endpoints", `{"url":"https://r.example","event_types":[` + repeat(40_000, `%d`) + `]}`},
		"a long URL":              {"/acme/endpoints", `{"url":"` + odd + `","event_types":["*"]}`},
		"a long scheme":           {"/acme/endpoints", `{"url":"` + long + `://x","event_types":["*"]}`},
		"many headers":            {"/acme/endpoints", endpoint + `"headers":{` + repeat(20_000, `"?%d":"x"`) + `}}`},
		"many filters":            {"/acme/endpoints", endpoint + `"filter":{` + repeat(20_000, `"a%d":[]`) + `}}`},
		"a long schedule":         {"/acme/endpoints", endpoint + `"retry":{"schedule":[` + repeat(20_000, `"%dx"`) + `]}}`},
		"a duration of no text":   {"/acme/endpoints", endpoint + `"timeout":[` + repeat(40_000, `%d`) + `]}`},
		"many scopes":             {"/acme/keys", `{"name":"n","scopes":[` + repeat(20_000, `"s%d"`) + `]}`},
		"a number of many digits": {"/acme/endpoints", endpoint + `"retry":{"exponential":{"first":"1s","factor":2,"retries":1.` + strings.Repeat("1", 200_000) + `}}}`},
		"one deep name":           {"/acme/endpoints", endpoint + `"filter":{"` + long + `":[1,2,3,4,5,6,7,8,9]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			a := b.admin("POST", "/v1/tenants"+tc.path, tc.body)
			require.Equal(t, 422, a.status, "%.300s", a.body)
			require.Less(t, len(a.body), mostAnswer)
			require.LessOrEqual(t, len(into[problem](a).Errors), webhook.MaxFieldErrors)
		})
	}
}

// Quoted parts of the request line and of headers are shortened too.
func TestErrors_AnswersToLongLinesAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	long := strings.Repeat("%01", 20_000)
	var unknown url.Values = map[string][]string{}
	for i := range 5000 {
		unknown.Set(fmt.Sprint("x", i), "1")
	}
	for _, tc := range []struct {
		method, path string
		headers      []string
		status       int
	}{
		{"GET", "/v1/tenants/acme/events/" + long, nil, 404},
		{"GET", "/v1/tenants/acme/endpoints/" + long, nil, 404},
		{"GET", "/v1/tenants/" + long, nil, 404},
		{"GET", "/v1/dialects/" + long, nil, 404},
		{"GET", "/v1/tenants/acme/deliveries?" + unknown.Encode(), nil, 422},
		{"GET", "/v1/tenants/acme/deliveries?endpoint=" + long + "&since=" + long, nil, 422},
		{strings.Repeat("X", 60_000), "/v1/tenants", nil, 405},
		{"POST", "/v1/tenants/acme/events", []string{"Content-Type", strings.Repeat("\"", 60_000)}, 415},
		{"POST", "/v1/tenants/acme/events", []string{"Content-Encoding", strings.Repeat("x", 60_000)}, 415},
	} {
		a := b.admin(tc.method, tc.path, `{}`, tc.headers...).want(tc.status)
		require.Less(t, len(a.body), mostAnswer)
	}
}

// A schema may find what it likes, the answer is bounded; and so is that to a batch, whose every event is wrong.
func TestErrors_AnswerToBatchIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) {
		o.Schemas = schemasFunc(func(string, string, []byte) error {
			err := webhook.Errorf(webhook.CodeSchemaViolation, "data breaks its schema")
			for i := range 1000 {
				err.Fields = append(err.Fields, webhook.FieldError{Field: fmt.Sprint("data/", i), Detail: strings.Repeat("x", 1000)})
			}
			return err
		})
	})
	b.tenant("rheo", "one")
	b.lenient = true
	a := b.admin("POST", "/v1/tenants/rheo/events", `{"type":"item.sold","data":{}}`).want(422)
	require.Len(t, into[problem](a).Errors, webhook.MaxFieldErrors)
	require.Less(t, len(a.body), mostAnswer)

	a = b.admin("POST", "/v1/tenants/rheo/events/batch", `{"events":[`+repeat(500, `{"type":"item.sold","data":{},"id":"e%d"}`)+`]}`).want(200)
	results := into[struct{ Results []struct{ Problem problem } }](a).Results
	require.Len(t, results, 500)
	listed := 0
	for _, r := range results {
		require.NotEmpty(t, r.Problem.Detail)
		listed += len(r.Problem.Errors)
	}
	require.Equal(t, 500, listed, "as many as events, the first ones")
	require.Less(t, len(a.body), 500*1000)

	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, b.publishing("/events/batch", strings.NewReader(`{"events":[`+repeat(500, `{`+strings.Repeat(`"x":1,`, 80)+`"y%d":1}`)+`]}`)))
	require.Less(t, w.Body.Len(), 500*1000)
}
