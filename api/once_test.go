package api_test

import (
	"cmp"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

// onceKey and onceAnswer are what memStore keeps of a store.Once.
type onceKey struct {
	scope string
	hash  [32]byte
}

type onceAnswer struct {
	digest [32]byte
	answer []byte
}

// repeats answers a request with a key that was used; nil: it may create.
func (m *memStore) repeats(once *store.Once) error {
	if once == nil {
		return nil
	}
	first, ok := m.once[onceKey{once.Scope, once.Hash}]
	switch {
	case !ok:
		return nil
	case first.digest != once.Digest:
		return webhook.Errorf(webhook.CodeIdempotencyConflict, "the key was used for another request")
	default:
		return &store.Repetition{Answer: first.answer}
	}
}

func (m *memStore) LookOnce(_ context.Context, once *store.Once) error {
	leave, err := m.enter("LookOnce")
	defer leave()
	return cmp.Or(err, m.repeats(once))
}

func (m *memStore) remember(once *store.Once) error {
	if once == nil {
		return nil
	}
	answer, err := once.Answer()
	m.once[onceKey{once.Scope, once.Hash}] = onceAnswer{once.Digest, answer}
	return err
}

// A POST that is repeated with its key gets the first answer again, with the secret that only that one shows.
func TestIdempotencyKey_Repeats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const key = "Idempotency-Key"
	b.tenant("acme", "standard")
	manager := b.key("acme", webhook.Scopes...)
	for _, tc := range []struct{ as, path, body, same, other, secret string }{
		{
			adminKey, "/v1/tenants", `{"id":"vine","name":"V","dialect":"shared"}`,
			` {"name":"V", "dialect":"shared","id":"vine"}`, `{"id":"vine","name":"W","dialect":"shared"}`, "whsec_",
		}, {
			manager, "/v1/tenants/acme/endpoints", `{"url":"https://r.example","event_types":["*"],"headers":{"X-A":"hush-hush"}}`,
			`{"event_types":["*"],"url":"https://r.example","headers":{"X-A":"hush-hush"}}`, `{"url":"https://s.example","event_types":["*"]}`, "whsec_",
		}, {
			manager, "/v1/tenants/acme/keys", `{"name":"k","scopes":["read"]}`, `{"scopes":["read"],"name":"k"}`, `{"name":"k","scopes":["publish"]}`, "wbk_",
		},
	} {
		first := b.call(tc.as, "POST", tc.path, tc.body, key, "one").want(201)
		require.Contains(t, string(first.body), tc.secret)
		require.Empty(t, first.header.Get("Idempotent-Replayed"))

		again := b.call(tc.as, "POST", tc.path, tc.same, key, "one").want(201)
		require.Equal(t, string(first.body), string(again.body))
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		for _, name := range []string{"Location", "ETag", "Content-Type"} {
			require.Equal(t, first.header.Values(name), again.header.Values(name), name)
		}

		p := b.call(tc.as, "POST", tc.path, tc.other, key, "one").problem(409, webhook.CodeIdempotencyConflict)
		require.NotContains(t, p.Detail, tc.secret)
	}
	require.Len(t, b.store.endpoints, 1)
	require.Len(t, b.store.tenants, 2)

	// Another key makes another, and so does none.
	body := `{"url":"https://r.example","event_types":["*"],"headers":{"X-A":"hush-hush"}}`
	b.call(manager, "POST", "/v1/tenants/acme/endpoints", body, key, "two").want(201)
	b.call(manager, "POST", "/v1/tenants/acme/endpoints", body).want(201)
	require.Len(t, b.store.endpoints, 3)
	require.NotContains(t, b.log.String(), "hush-hush")
}

// What was made for one caller is not shown to another, nor to another tenant's.
func TestIdempotencyKey_IsTheCallers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.tenant("other", "standard")
	body := `{"name":"k","scopes":["read"]}`
	first := b.call(b.key("acme", webhook.Scopes...), "POST", "/v1/tenants/acme/keys", body, "Idempotency-Key", "one").want(201)
	b.call(b.key("acme", webhook.Scopes...), "POST", "/v1/tenants/acme/keys", body, "Idempotency-Key", "one").problem(409, webhook.CodeIdempotencyConflict)
	elsewhere := b.admin("POST", "/v1/tenants/other/keys", body, "Idempotency-Key", "one").want(201)
	require.NotEqual(t, string(first.body), string(elsewhere.body))
}

// A request that failed is tried anew under its key.
func TestIdempotencyKey_FailureIsNotKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.admin("POST", "/v1/tenants/acme/keys", `{"name":"","scopes":["read"]}`, "Idempotency-Key", "one").problem(422, webhook.CodeInvalid)
	b.store.fail = func(method string) error {
		if method == "CreateAPIKey" {
			return webhook.Errorf(webhook.CodeUnavailable, "down")
		}
		return nil
	}
	b.admin("POST", "/v1/tenants/acme/keys", `{"name":"k","scopes":["read"]}`, "Idempotency-Key", "one").problem(503, webhook.CodeUnavailable)
	b.store.fail = func(string) error { return nil }
	b.admin("POST", "/v1/tenants/acme/keys", `{"name":"k","scopes":["read"]}`, "Idempotency-Key", "one").want(201)

	for _, bad := range []string{"é", string(make([]byte, 300))} {
		p := b.admin("POST", "/v1/tenants/acme/keys", `{"name":"k","scopes":["read"]}`, "Idempotency-Key", bad).problem(422, webhook.CodeInvalid)
		require.Equal(t, []string{"Idempotency-Key"}, p.fields())
	}
}

// The test of an endpoint is repeatable as an event is, and its key is neither another endpoint's nor a producer's.
func TestIdempotencyKey_OfATest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	one, two := "/v1/tenants/acme/endpoints/"+b.endpoint("acme"), "/v1/tenants/acme/endpoints/"+b.endpoint("acme")
	first := b.admin("POST", one+"/test", "", "Idempotency-Key", "k").want(202)
	again := b.admin("POST", one+"/test", "", "Idempotency-Key", "k").want(202)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	require.Equal(t, into[object](first)["id"], into[object](again)["id"])
	require.NotEqual(t, into[object](first)["id"], into[object](b.admin("POST", two+"/test", "", "Idempotency-Key", "k").want(202))["id"])
	require.NotEqual(t, into[object](first)["id"],
		into[object](b.admin("POST", "/v1/tenants/acme/events", `{"type":"a","data":1}`, "Idempotency-Key", "k").want(202))["id"])
	b.admin("POST", one+"/test", `{"type":"other.type"}`, "Idempotency-Key", "k").problem(409, webhook.CodeEventIDConflict)
}
