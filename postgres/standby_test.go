package postgres_test

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/scripts/stack"
	"waybill/webhook"
)

// withStandby is a store on a Postgres of its own that has a synchronous standby. name tells it from those of other tests.
func withStandby(t *testing.T, name string) (*bundle, *stack.Standby) {
	t.Helper()
	root, err := stack.FindRoot()
	require.NoError(t, err)
	s, err := stack.OpenTestPostgres(t.Context(), root, name, stack.NewPrinter(io.Discard))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.UpPostgres(t.Context()))
	standby, err := s.AddStandby(t.Context(), s.Database)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Close()) })
	b := &bundle{t: t, opts: postgres.Options{
		URL: standby.URL(s.Database), MaxConns: 4, Timeout: 2 * time.Second, Keys: []postgres.Key{postgrestest.Key()}, Logger: slog.New(slog.DiscardHandler),
	}}
	require.NoError(t, postgres.Migrate(t.Context(), b.opts.URL, "public", b.opts.Logger))
	b.Store = postgrestest.Open(t, b.opts)
	return b, standby
}

// Nothing that the standby may lack is told to be stored, neither when it is stored nor when it is found later. Once the standby is
// back, all of it is, and it is there when the standby takes over.
func TestStore_StandbyAway(t *testing.T) {
	t.Parallel()
	b, standby := withStandby(t, "store")
	b.tenant("acme")
	b.endpoint("acme")
	d := b.delivery().ID
	key := once("key", "request", "whsec_first")
	id, endpoint := uuid.NewString(), b.endpoint("acme").ID
	event, attempt := publication("acme", id), record("acme", d, 1, webhook.StatusDelivered)
	stores := map[string]func() error{
		"an event":   func() error { _, err := b.Accept(t.Context(), event); return err },
		"an attempt": func() error { _, err := b.RecordAttempt(t.Context(), attempt); return err },
		"a key":      func() error { return b.CreateAPIKey(t.Context(), newKey(), []byte("hash"), 0, key) },
		"a disabling": func() error {
			_, _, err := b.DisableEndpoint(t.Context(), "acme", endpoint, webhook.Change{By: "admin", Reason: "x", At: now()})
			return err
		},
	}
	require.NoError(t, standby.Stop())
	for range 2 {
		for _, store := range stores {
			requireCode(t, webhook.CodeUnavailable, store())
		}
	}
	_, err := b.RecordedAttempts(t.Context(), d, 1)
	requireCode(t, webhook.CodeUnavailable, err)
	require.NoError(t, b.Ping(t.Context()), "what stores nothing waits for nobody")

	require.NoError(t, standby.Start(t.Context()))
	require.NoError(t, standby.Synchronous(t.Context()))
	stored := func() {
		t.Helper()
		r, err := b.Accept(t.Context(), event)
		require.NoError(t, err)
		require.True(t, r.Repeated)
		require.NoError(t, stores["an attempt"]())
		made, err := b.RecordedAttempts(t.Context(), d, 1)
		require.NoError(t, err)
		require.Len(t, made, 1)
		requireRepetition(t, "whsec_first", stores["a key"]())
	}
	stored()
	require.NoError(t, standby.LosePrimary())
	_, err = b.Accept(t.Context(), publication("acme", ""))
	requireCode(t, webhook.CodeUnavailable, err)
	require.ErrorIs(t, err, postgres.ErrReadOnly, "the standby is not promoted yet")
	require.NoError(t, standby.Promote(t.Context()))
	stored()
	_, err = b.Accept(t.Context(), publication("acme", ""))
	require.NoError(t, err)
}
