package postgres_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

// once is the store.Once of a request with the key; what distinguishes requests.
func once(key, request, answer string) *store.Once {
	o := &store.Once{Scope: "acme", Answer: func() ([]byte, error) { return []byte(answer), nil }}
	copy(o.Hash[:], key)
	copy(o.Digest[:], request)
	return o
}

// newKey is an API key of the tenant "acme".
func newKey() *webhook.APIKey {
	id := webhook.NewID[webhook.KeyID](uuid.Must(uuid.NewV7()))
	return &webhook.APIKey{ID: id, TenantID: "acme", Name: "k", Scopes: []webhook.Scope{webhook.ScopeRead}, CreatedAt: now()}
}

func requireRepetition(t *testing.T, want string, err error) {
	t.Helper()
	var again *store.Repetition
	require.ErrorAs(t, err, &again)
	require.Equal(t, want, string(again.Answer))
}

// Each method that creates does so once per key, and gives back the first answer, which is stored sealed.
func TestOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.tenant("acme")
	creations := map[string]func(o *store.Once) error{
		"tenant": func(o *store.Once) error {
			return b.CreateTenant(ctx, &webhook.Tenant{ID: "other", Name: "o", Dialect: "standard", CreatedAt: now()}, webhook.Secret{}, o)
		},
		"endpoint": func(o *store.Once) error {
			e := &webhook.Endpoint{ID: newEndpointID(), TenantID: "acme", URL: "https://r.example", EventTypes: []string{"*"}, CreatedAt: now(), UpdatedAt: now()}
			return b.CreateEndpoint(ctx, e, webhook.Secret{}, 1, o)
		},
		"key": func(o *store.Once) error {
			return b.CreateAPIKey(ctx, newKey(), []byte(uuid.NewString()), 0, o)
		},
	}
	for name, create := range creations {
		require.NoError(t, create(once(name, "request", "whsec_first")), name)
		requireRepetition(t, "whsec_first", create(once(name, "request", "second")))
		requireCode(t, webhook.CodeIdempotencyConflict, create(once(name, "another", "second")))
	}
	require.Equal(t, 1, b.count(`SELECT count(*) FROM endpoints`))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM api_keys`))
	require.Equal(t, 0, b.count(`SELECT count(*) FROM idempotency_keys WHERE answer_sealed IS NULL OR position('whsec'::bytea IN answer_sealed) > 0`))

	// A creation that fails leaves its key free; so does an answer that cannot be made.
	requireCode(t, webhook.CodeConflict, creations["tenant"](once("fresh", "request", "")))
	broken := once("fresh", "request", "")
	broken.Answer = func() ([]byte, error) { return nil, errors.New("broken") }
	require.ErrorContains(t, creations["key"](broken), "broken")
	require.NoError(t, creations["key"](once("fresh", "another", "")))
	require.Equal(t, 2, b.count(`SELECT count(*) FROM api_keys`))
}

// Of equal requests that meet, one creates, and all get its answer.
func TestOnce_Concurrent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	var wg sync.WaitGroup
	var mu sync.Mutex
	created := ""
	var repeated []string
	for i := range 16 {
		wg.Go(func() {
			answer := fmt.Sprint("answer ", i)
			e := &webhook.Endpoint{ID: newEndpointID(), TenantID: "acme", URL: "https://r.example", EventTypes: []string{"*"}, CreatedAt: now(), UpdatedAt: now()}
			err := b.CreateEndpoint(t.Context(), e, webhook.Secret{}, 0, once("k", "request", answer))
			mu.Lock()
			defer mu.Unlock()
			var again *store.Repetition
			if errors.As(err, &again) {
				repeated = append(repeated, string(again.Answer))
				return
			}
			if err == nil && created == "" {
				created = answer
				return
			}
			t.Errorf("%v", err)
		})
	}
	wg.Wait()
	require.Len(t, repeated, 15)
	for _, answer := range repeated {
		require.Equal(t, created, answer)
	}
	require.Equal(t, 1, b.count(`SELECT count(*) FROM endpoints`))
}

// Keys are forgotten after their time, in pages, and then count as new.
func TestForgetOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	key := func(name string) error {
		return b.CreateAPIKey(t.Context(), newKey(), []byte(uuid.NewString()), 0, once(name, "request", name))
	}
	for i := range 5 {
		require.NoError(t, key(fmt.Sprint("old ", i)))
	}
	b.db.MustExec(`UPDATE idempotency_keys SET created_at = created_at - interval '24 hours 1 second'`)
	require.NoError(t, key("young"))
	pages := 0
	for more := true; more; pages++ {
		var err error
		more, err = b.ForgetOnce(t.Context(), 24*time.Hour, 2)
		require.NoError(t, err)
	}
	require.Equal(t, 3, pages)
	require.Equal(t, 1, b.count(`SELECT count(*) FROM idempotency_keys`))
	requireRepetition(t, "young", key("young"))
	require.NoError(t, key("old 0"))
}
