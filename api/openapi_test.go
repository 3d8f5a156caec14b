package api_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"waybill/schemas"
	"waybill/webhook"
)

// spec is schemas/openapi.yaml, made strict: what it does not list may not be in an answer.
type spec struct {
	doc    *openapi3.T
	router routers.Router
	// mu guards the validator, which fills in schemas as it goes.
	mu sync.Mutex
}

var sharedSpec = sync.OnceValues(func() (*spec, error) {
	doc, err := openapi3.NewLoader().LoadFromData(schemas.OpenAPI)
	if err != nil {
		return nil, err
	}
	for _, s := range doc.Components.Schemas {
		closeSchema(s)
	}
	router, err := gorillamux.NewRouter(doc)
	return &spec{doc: doc, router: router}, err
})

func loadSpec(t *testing.T) *spec {
	t.Helper()
	s, err := sharedSpec()
	require.NoError(t, err)
	return s
}

// closeSchema forbids members that the schema does not list, here and below. A schema without constraints admits null,
// which the validator forgets beside a reference.
func closeSchema(s *openapi3.SchemaRef) {
	if s == nil || s.Ref != "" || s.Value == nil {
		return
	}
	if s.Value.IsEmpty() {
		s.Value.Type = &openapi3.Types{"null", "boolean", "number", "string", "array", "object"}
	}
	if v := s.Value; len(v.Properties) > 0 && v.AdditionalProperties.Schema == nil {
		no := false
		v.AdditionalProperties.Has = &no
	}
	for _, p := range s.Value.Properties {
		closeSchema(p)
	}
	closeSchema(s.Value.Items)
	closeSchema(s.Value.AdditionalProperties.Schema)
}

// check holds an answer to the spec, and the request too when it was accepted, unless lenient.
func (s *spec) check(t *testing.T, r *http.Request, body string, a *answer, lenient bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	route, params, err := s.router.FindRoute(r)
	if err != nil {
		return // no such route: a test of 404 and 405
	}
	options := &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
	request := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request, Status: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), Options: options,
	})
	require.NoError(t, err, "%s %s answered %d %s", r.Method, r.URL.Path, a.status, a.body)
	if a.status < 300 && !lenient {
		r.Body = io.NopCloser(strings.NewReader(body))
		require.NoError(t, openapi3filter.ValidateRequest(t.Context(), request), "%s %s accepted %s", r.Method, r.URL.Path, body)
	}
}

func TestOpenAPI_IsValid(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(schemas.OpenAPI)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()), "examples included")
}

func TestOpenAPI_MatchesRouter(t *testing.T) {
	t.Parallel()
	b := setup(t)

	type access struct {
		scope  string
		portal bool
	}
	routed := map[string]access{}
	for _, rt := range b.server.Routes() {
		routed[rt.Method+" "+rt.Path] = access{rt.Access, rt.Portal}
	}
	described := map[string]access{}
	ids := map[string]bool{}
	for path, item := range b.spec.doc.Paths.Map() {
		for method, op := range item.Operations() {
			scope, _ := op.Extensions["x-scope"].(string)
			portal, _ := op.Extensions["x-portal"].(bool)
			described[method+" "+path] = access{scope, portal}
			require.NotEmpty(t, op.Summary, "%s %s", method, path)
			require.False(t, ids[op.OperationID], "operationId %q is there twice", op.OperationID)
			ids[op.OperationID] = true
		}
	}
	require.Equal(t, routed, described, "routes, their scopes, and whether portal sessions may use them")
}

// What generators of clients and old readers of YAML stumble over.
func TestOpenAPI_SuitsGenerators(t *testing.T) {
	t.Parallel()
	doc := loadSpec(t).doc
	names := map[string]bool{}
	once := func(name string) {
		require.False(t, names[name], "%s names two components: generators make one type of each", name)
		names[name] = true
	}
	for name := range doc.Components.Schemas {
		once(name)
	}
	for name := range doc.Components.Parameters {
		once(name)
	}
	for name := range doc.Components.Responses {
		once(name)
	}
	for name := range doc.Components.RequestBodies {
		once(name)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			require.NotNil(t, op.Responses.Value("4XX"), "%s %s", method, path)
			require.NotNil(t, op.Responses.Default(), "%s %s", method, path)
		}
	}
	var tree any
	require.NoError(t, yaml.Unmarshal(schemas.OpenAPI, &tree))
	walkSchemas(t, "", tree)
}

// walkSchemas finds an enum without a type, a default, and what YAML 1.1 takes for a boolean.
func walkSchemas(t *testing.T, path string, node any) {
	t.Helper()
	switch node := node.(type) {
	case map[string]any:
		_, isEnum := node["enum"].([]any)
		if isEnum || node["const"] != nil {
			require.Contains(t, node, "type", "%s: without a type it becomes an interface{}", path)
		}
		value, isDefault := node["default"]
		_, isResponse := value.(map[string]any)
		require.False(t, isDefault && !isResponse, "%s: a default makes the field required in TypeScript", path)
		for name, child := range node {
			walkSchemas(t, path+"/"+name, child)
		}
	case []any:
		for i, child := range node {
			walkSchemas(t, fmt.Sprint(path, "/", i), child)
		}
	}
}

// YAML 1.1, which many tools still read, takes bare on, off, yes and no for booleans.
func TestOpenAPI_QuotesWhatYAML11Misreads(t *testing.T) {
	t.Parallel()
	bare := regexp.MustCompile(`(?i)[\[{,:\-]\s*(on|off|yes|no|y|n)\s*([,:\]}]|$)`)
	for i, line := range strings.Split(string(schemas.OpenAPI), "\n") {
		if m := bare.FindString(line); m != "" || regexp.MustCompile(`(?i)^\s*(on|off|yes|no|y|n):`).MatchString(line) {
			t.Errorf("line %d: quote %q in %s", i+1, m, line)
		}
	}
}

func TestOpenAPI_ListsEveryCode(t *testing.T) {
	t.Parallel()
	code := loadSpec(t).doc.Components.Schemas["ProblemDetails"].Value.Properties["code"].Value
	for _, c := range []webhook.Code{
		webhook.CodeMalformed, webhook.CodeInvalid, webhook.CodeUnauthorized, webhook.CodeForbidden, webhook.CodeNotFound,
		webhook.CodeConflict, webhook.CodeEventIDConflict, webhook.CodeRecipientLimit, webhook.CodeUnknownEventType, webhook.CodeSchemaViolation,
		webhook.CodeTooLarge, webhook.CodeBacklogFull, webhook.CodeRateLimited, webhook.CodeOverloaded, webhook.CodeUnavailable, webhook.CodeInternal, webhook.CodeUnsupportedMedia, webhook.CodeMethodNotAllowed,
	} {
		require.Contains(t, code.Enum, string(c))
	}
}
