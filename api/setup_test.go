package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/schemas"
	"waybill/webhook"
)

const adminKey = "the-admin-key-0123456789"

// fakeEngine is a func-field fake; a nil field answers as an engine that knows nothing and minds nothing.
type fakeEngine struct {
	store   *memStore
	mu      sync.Mutex
	told    []string
	history func(tenant, event string) (*webhook.History, error)
	retry   func() error
	// retryHangs says that RetryNow answers when its time is over.
	retryHangs bool
	cancel     func() error
	wake       func() error
	// challenge is what the receivers have proven; nil: that they want the deliveries.
	challenge func() (*webhook.Proof, error)
	ready     func() error
}

func (f *fakeEngine) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, fmt.Sprintf(format, args...))
}

func (f *fakeEngine) History(_ context.Context, tenant, event string) (*webhook.History, error) {
	if f.history == nil {
		return nil, webhook.Errorf(webhook.CodeNotFound, "no workflow")
	}
	return f.history(tenant, event)
}

func (f *fakeEngine) DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error) {
	e, changed, err := f.store.DisableEndpoint(ctx, tenant, id, change)
	if changed {
		f.note("disabled %s %s %s", tenant, id, change.Reason)
	}
	return e, err
}

func (f *fakeEngine) EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error) {
	e, changed, err := f.store.EnableEndpoint(ctx, tenant, id, change)
	if changed {
		f.note("enabled %s %s", tenant, id)
	}
	return e, err
}

func (f *fakeEngine) ChallengeEndpoint(ctx context.Context, tenant string, id webhook.EndpointID) (*webhook.Proof, error) {
	if _, err := f.store.Endpoint(ctx, tenant, id); err != nil {
		return nil, err
	}
	if f.challenge == nil {
		return &webhook.Proof{Method: webhook.VerifyToken}, nil
	}
	return f.challenge()
}

func (f *fakeEngine) VerifyEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, proof webhook.Proof) (*webhook.Endpoint, error) {
	f.note("verified %s %s", tenant, id)
	return f.store.UpdateEndpoint(ctx, tenant, id, func(e *webhook.Endpoint) error {
		e.Unverified, e.VerifiedAt, e.AllowedRate = false, &proof.At, proof.AllowedRate
		return nil
	})
}

func (f *fakeEngine) DeleteEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time, checks ...func(*webhook.Endpoint) error) error {
	return f.store.DeleteEndpoint(ctx, tenant, id, at, checks...)
}

func (f *fakeEngine) RetryNow(ctx context.Context, tenant, event string, id webhook.EndpointID, reason string) error {
	f.note("retry %s %s %s %s", tenant, event, id, reason)
	if f.retryHangs {
		<-ctx.Done()
		return webhook.Errorf(webhook.CodeUnavailable, "the delivery engine does not answer")
	}
	return orNil(f.retry)
}

func (f *fakeEngine) CancelDelivery(_ context.Context, tenant, event string, id webhook.EndpointID, reason string) error {
	f.note("cancel %s %s %s %s", tenant, event, id, reason)
	return orNil(f.cancel)
}

func (f *fakeEngine) WakeQueue(_ context.Context, tenant string, id webhook.EndpointID) error {
	f.note("wake %s %s", tenant, id)
	return orNil(f.wake)
}

func (f *fakeEngine) TellErased(_ context.Context, tenant, event string) error {
	f.note("erased %s %s", tenant, event)
	return orNil(f.wake)
}

func (f *fakeEngine) StartErasure(_ context.Context, tenant string) error {
	f.note("erase %s", tenant)
	return orNil(f.wake)
}

func (f *fakeEngine) Ready(context.Context) error { return orNil(f.ready) }

func orNil(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

type schemasFunc func(dialect, eventType string, data []byte) error

func (f schemasFunc) Validate(dialect, eventType string, data []byte) error {
	return f(dialect, eventType, data)
}

func (f schemasFunc) ValidateOwn(own *webhook.OwnType, data []byte) error {
	if own.Schema == nil {
		return nil
	}
	return f("", own.Type, data)
}

func (f schemasFunc) CheckSchema(schema []byte) error {
	if bytes.Contains(schema, []byte(`"bad"`)) {
		return webhook.NewInvalid("event type", webhook.FieldError{Field: "schema/type", Detail: "is bad"})
	}
	return nil
}

// wantSalePrice stands for the JSON Schema of the dialect "one".
func wantSalePrice(dialect, eventType string, data []byte) error {
	if !bytes.Contains(data, []byte(`"salePrice"`)) {
		err := webhook.Errorf(webhook.CodeSchemaViolation, "data of %s breaks its schema", eventType)
		err.Fields = []webhook.FieldError{{Field: "data/salePrice", Detail: "is required"}}
		return err
	}
	return nil
}

// The dialects of the tests: "standard" has no catalogue; "one" has one endpoint per tenant and a catalogue; "shared"
// has the tenant's secret, one exact type per endpoint and one custom header; "auction" wants an attribute; "asymmetric" signs with
// Ed25519, and endpoints of "choice" can.
func testDialects(t *testing.T) map[string]*webhook.Dialect {
	t.Helper()
	const common = `"title":"T","description":"D","time_format":"seconds","ascii_only":false,
		"signatures":[{"header":"X-Signature","format":"sha256={signature}","algorithm":"hmac-sha256","encoding":"hex","input":"{body}","key":"text"}],
		"headers":{"Content-Type":"application/json"},"timeout":"10s","https_only":true,"gone_disables":false,"hold_for":"72h",
		"retry":{"policy":"exponential-5"},
		"envelope":[{"name":"id","from":"event_id"},{"name":"type","from":"type"},{"name":"data","from":"data"}]`
	files := map[string]string{
		"standard": `"secret":{"scope":"endpoint"},"endpoints":{"max_headers":5},"event_types":[]`,
		"one": `"secret":{"scope":"endpoint"},"endpoints":{"max":1,"max_headers":0},"event_types":[
			{"type":"listing.created","description":"","schema":{},"example":{"data":{"salePrice":0}}},
			{"type":"item.sold","description":"","schema":{},"example":{"data":{"salePrice":1100}}}]`,
		"shared": `"secret":{"scope":"tenant"},"endpoints":{"max_event_types":1,"max_headers":1},"event_types":[
			{"type":"product.created","description":"","schema":{},"example":{"data":{"salePrice":1}}}]`,
		"auction": `"secret":{"scope":"endpoint"},"endpoints":{"max_headers":0},
			"attributes":{"auction_id":{"required":true,"format":"uuid"}},"event_id_pattern":"^evt_",
			"status_words":{"delivered":"success","exhausted":"failed"},"auto_disable":{"failures":10,"span":"10m"},
			"alerts":{"on":["exhausted"],"subject":"about {tenant_url}","min_interval":"1h"},"event_types":[
			{"type":"submission.created","description":"","schema":{},"example":{"data":{"salePrice": 1},"attributes":{"auction_id":"3fa85f64-5717-4562-b3fc-2c963f66afa6"}}}]`,
	}
	const signed = `"secret":{"scope":"endpoint"},"endpoints":{"max_headers":5},"event_types":[],
		"signatures":[{"header":"webhook-signature","encoding":"base64","input":"{event_id}.{timestamp}.{body}","key":"base64",`
	files["asymmetric"] = signed + `"algorithm":"ed25519","format":"v1a,{signature}"}]`
	files["choice"] = signed + `"algorithm":"hmac-sha256","format":"v1,{signature}","ed25519":"v1a,{signature}"}]`
	out := map[string]*webhook.Dialect{}
	for name, rest := range files {
		d, err := webhook.ParseDialect(fmt.Appendf(nil, `{"name":%q,%s,%s}`, name, common, rest))
		require.NoError(t, err)
		out[name] = d
	}
	return out
}

// logBuffer is what the server logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

var secretPattern = regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+|wb[ksl]_[A-Za-z0-9_-]+|` + regexp.QuoteMeta(adminKey))

// testBundle is a server with its fakes.
type testBundle struct {
	t      *testing.T
	server *api.Server
	store  *memStore
	engine *fakeEngine
	log    *logBuffer
	spec   *spec
	// lenient is for requests that the server accepts although the spec does not list them.
	lenient bool
}

// setup starts a server. When the test ends, no secret may be in its log.
func setup(t *testing.T, change ...func(*api.Options)) *testBundle {
	t.Helper()
	var count atomic.Uint32
	newUUID := func() [16]byte {
		n := count.Add(1)
		return [16]byte{0x01, 0x97, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	}
	b := &testBundle{t: t, store: newMemStore(newUUID), log: &logBuffer{}, spec: loadSpec(t)}
	b.engine = &fakeEngine{store: b.store}
	options := api.Options{
		Store: b.store, Engine: b.engine, Schemas: schemasFunc(wantSalePrice), Dialects: testDialects(t),
		AdminKeys: []api.AdminKey{{Key: adminKey}}, OpenAPI: schemas.OpenAPI,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") }),
		Logger:  slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:     func() time.Time { return time.Date(2026, 5, 27, 14, 32, 0, 123456789, time.UTC) },
		NewUUID: newUUID,
	}
	for _, f := range change {
		f(&options)
	}
	b.server = api.New(options)
	t.Cleanup(b.server.Close)
	t.Cleanup(func() { require.Empty(t, secretPattern.FindString(b.log.String()), "a secret in the log") })
	return b
}

// answer is what came back.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// call sends a request with a key. Body is JSON text; "" sends none. Header values come in pairs.
func (b *testBundle) call(key, method, path, body string, headers ...string) *answer {
	b.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return b.send(r, body)
}

// send sends a request and holds it and its answer to the spec.
func (b *testBundle) send(r *http.Request, body string) *answer {
	b.t.Helper()
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, r)
	a := &answer{b.t, w.Code, w.Header(), w.Body.Bytes()}
	b.spec.check(b.t, r, body, a, b.lenient)
	return a
}

// admin sends a request with the admin key.
func (b *testBundle) admin(method, path, body string, headers ...string) *answer {
	b.t.Helper()
	return b.call(adminKey, method, path, body, headers...)
}

// want requires a status.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	require.Equal(a.t, status, a.status, "%s", a.body)
	return a
}

// problem requires a problem document with the code and returns it.
func (a *answer) problem(status int, code webhook.Code) problem {
	a.t.Helper()
	a.want(status)
	require.Equal(a.t, "application/problem+json", a.header.Get("Content-Type"))
	p := into[problem](a)
	require.Equal(a.t, code, p.Code)
	require.Equal(a.t, status, p.Status)
	require.Equal(a.t, "urn:waybill:problem:"+string(code), p.Type)
	require.Equal(a.t, a.header.Get("X-Request-Id"), p.RequestID)
	return p
}

type problem struct {
	Type, Title, Detail string
	Status              int
	Code                webhook.Code
	RequestID           string `json:"request_id"`
	Errors              []webhook.FieldError
}

func (p problem) fields() []string {
	var out []string
	for _, e := range p.Errors {
		out = append(out, e.Field)
	}
	return out
}

// into reads the answer.
func into[T any](a *answer) T {
	a.t.Helper()
	var v T
	require.NoError(a.t, json.Unmarshal(a.body, &v), "%s", a.body)
	return v
}

type object = map[string]any

// tenant creates a tenant.
func (b *testBundle) tenant(id, dialect string) {
	b.t.Helper()
	b.admin("POST", "/v1/tenants", fmt.Sprintf(`{"id":%q,"name":"N","dialect":%q}`, id, dialect)).want(201)
}

// endpoint creates an endpoint that gets the event types (default: all) and returns its id.
func (b *testBundle) endpoint(tenant string, types ...string) string {
	b.t.Helper()
	if types == nil {
		types = []string{"*"}
	}
	list, err := json.Marshal(types)
	require.NoError(b.t, err)
	a := b.admin("POST", "/v1/tenants/"+tenant+"/endpoints", fmt.Sprintf(`{"url":"https://r.example/h","event_types":%s}`, list)).want(201)
	return into[object](a)["id"].(string)
}

// publish publishes an event and returns the id of its first delivery.
func (b *testBundle) publish(tenant, event string) string {
	b.t.Helper()
	a := b.admin("POST", "/v1/tenants/"+tenant+"/events", event).want(202)
	return into[object](a)["deliveries"].([]any)[0].(object)["id"].(string)
}

// key puts a key with scopes into the store and returns its text.
func (b *testBundle) key(tenant string, scopes ...webhook.Scope) string {
	b.t.Helper()
	id := b.store.uuid()
	text := fmt.Sprintf("wbk_%043x", id[8:])
	hash := sha256.Sum256([]byte(text))
	key := &webhook.APIKey{ID: webhook.NewID[webhook.KeyID](id), TenantID: tenant, Name: "k", Scopes: scopes}
	require.NoError(b.t, b.store.CreateAPIKey(b.t.Context(), key, hash[:], 0, nil))
	return text
}

func parseID[I any, P interface {
	*I
	UnmarshalText([]byte) error
}](t *testing.T, text string) I {
	t.Helper()
	var id I
	require.NoError(t, P(&id).UnmarshalText([]byte(text)))
	return id
}
